//! The training loop: steps, an evaluation and a checkpoint for each epoch.

use std::path::PathBuf;
use std::time::Instant;

use loc_model::Model;

use crate::checkpoint::{self, Best, Metrics, PresenceSums, RunFingerprint, Saved, State};
use crate::collective::Processes;
use crate::config::Config;
use crate::digest::sha256;
use crate::engine::curve::LearningCurve;
use crate::engine::setup::Prepared;
use crate::engine::step::{Learner, StepPosition};
use crate::engine::time_left::TimeLeft;
use crate::engine::verdict::FeatureVerdict;
use crate::error::TrainError;
use crate::eval::{self, Baseline, DataSummary, Evaluation, Judged, Loss, Presence, Reference};
use crate::event::{Event, Row};
use crate::optim::{Ema, Optimizer, PretrainedPrior};
use crate::run::{Lock, Run, RunJson, Status};

/// How a training ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The run folder.
    pub run: Run,
    /// Finished, stopped early, or interrupted on request.
    pub status: Status,
    /// The evaluation after the last finished epoch, if there is one.
    pub evaluation: Option<Evaluation>,
    /// Whether the frozen features tell the classes apart, if that was to be judged.
    pub features: Option<FeatureVerdict>,
    /// The learning curve, if there was to be one.
    pub curve: Option<LearningCurve>,
}

/// A run in progress.
pub(crate) struct Training<'a> {
    pub(crate) config: &'a Config,
    pub(crate) run: Run,
    pub(crate) json: RunJson,
    pub(crate) prepared: Prepared,
    pub(crate) optimizer: Optimizer,
    pub(crate) ema: Option<Ema>,
    pub(crate) prior: Option<PretrainedPrior>,
    pub(crate) fingerprint: RunFingerprint,
    pub(crate) state: State,
    pub(crate) on: &'a mut dyn FnMut(Event),
    pub(crate) processes: Processes,
    pub(crate) time_left: TimeLeft,
    /// Held by the first process.
    pub(crate) _lock: Option<Lock>,
}

impl Training<'_> {
    pub(crate) fn run(mut self) -> Result<Outcome, TrainError> {
        self.write_json()?;
        let result = self.epochs();
        self.json.status = match &result {
            Ok((status, _)) => *status,
            Err(_) => Status::Failed,
        };
        let recorded = self.write_json();
        let (status, evaluation) = result?;
        recorded?;
        Ok(Outcome { run: self.run, status, evaluation, features: None, curve: None })
    }

    /// Only the first process writes.
    fn write_json(&self) -> Result<(), TrainError> {
        if self.processes.is_first() { self.run.write_json(&self.json) } else { Ok(()) }
    }

    fn epochs(&mut self) -> Result<(Status, Option<Evaluation>), TrainError> {
        (self.on)(Event::Ready {
            run: PathBuf::from(self.run.path()),
            train: self.prepared.train.len(),
            val: self.prepared.val.len(),
            classes: self.prepared.dataset.classes.clone(),
            parameters: self.prepared.model.network().parameter_count(),
            epochs: self.config.epochs,
            resumed: (self.state != State::begin()).then_some((self.state.epoch - 1, self.state.step)),
        });
        let Prepared { dataset, split, .. } = &self.prepared;
        let constant = eval::baseline_only(dataset, &split.train, &split.val);
        // Earlier versions did not write it.
        if self.processes.is_first() && !self.run.data().is_file() {
            DataSummary::of(dataset, split, constant.as_ref()).write(&self.run)?;
        }
        let mut evaluation = None;
        while self.state.epoch <= self.config.epochs {
            let began = Instant::now();
            if !self.train_epoch(began)? {
                return Ok((Status::Interrupted, evaluation));
            }
            evaluation = Some(self.finish_epoch(began, constant)?);
            if self.patience_is_over() {
                return Ok((Status::EarlyStopped, evaluation));
            }
            if self.processes.is_stopping() && self.state.epoch <= self.config.epochs {
                return Ok((Status::Interrupted, evaluation));
            }
        }
        Ok((Status::Finished, evaluation))
    }

    /// Returns whether `patience` epochs have passed without a better one.
    fn patience_is_over(&self) -> bool {
        let (patience, done) = (self.config.patience, self.state.epoch - 1);
        patience > 0 && self.state.best.as_ref().is_some_and(|best| done - best.epoch >= patience)
    }

    /// Runs the remaining steps of the epoch. Returns false if a stop was requested; the state is then saved.
    fn train_epoch(&mut self, began: Instant) -> Result<bool, TrainError> {
        let epoch = self.state.epoch;
        let batches = self.prepared.train.epoch(self.config, epoch);
        let steps = batches.len();
        let mut learner = Learner {
            config: self.config,
            dataset: &self.prepared.dataset,
            model: &self.prepared.model,
            optimizer: &mut self.optimizer,
            ema: self.ema.as_ref(),
            distillation: self.prior.as_ref().and_then(|prior| prior.distillation.as_ref()),
        };
        for (step, batch) in batches.enumerate().skip(self.state.step) {
            let batch = batch?;
            let losses =
                learner.step(&batch, StepPosition { epoch, step, steps, taken: self.state.steps })?;
            self.state.steps += 1;

            let mut sums = loss_sums(&self.state);
            sums.add(&losses, batch.n, batch.positives())?;
            self.state.sums = [sums.total, sums.class, sums.bbox];
            self.state.seen += batch.n;
            if let Some(loss) = sums.presence {
                let before = self.state.presence.unwrap_or_default();
                let negatives = before.negatives + batch.n - batch.positives();
                self.state.presence = Some(PresenceSums { negatives, loss });
            }
            self.state.step = step + 1;
            self.state.metrics = None;
            let loss = f64::from(losses.total.to_scalar::<f32>()?);
            (self.on)(Event::Step { epoch, step: step + 1, steps, loss });
            // An evaluation takes as long as a third of the steps for as many photos.
            let evaluation = self.prepared.val.len() as f64 / (3 * self.config.batch) as f64;
            let epochs = (self.config.epochs - epoch) as f64;
            let further = (steps - step - 1) as f64 + evaluation + epochs * (steps as f64 + evaluation);
            self.time_left.after_step(further).into_iter().for_each(|left| (self.on)(Event::TimeLeft(left)));
            if self.processes.is_stopping() && step + 1 < steps {
                self.state.time += began.elapsed().as_secs_f64();
                self.save(&[], None)?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Evaluates, records and saves an epoch after its last step.
    fn finish_epoch(&mut self, began: Instant, constant: Option<Baseline>) -> Result<Evaluation, TrainError> {
        let Prepared { dataset, val, file, first, .. } = &self.prepared;
        let model = self.evaluated_model()?;
        let loss = self.config.loss();
        let first = first.as_ref().map(|first| &first.answers);
        let reference = Reference { dataset, meta: &file.meta, loss: &loss, baseline: constant, first };
        let keep_logits = dataset.classes.len() <= eval::KEPT_CLASSES;
        let batches = val.in_order(self.config.batch);
        let (evaluation, answers) = eval::evaluate_batches(model, batches, &reference, keep_logits)?;
        let (epoch, steps) = (self.state.epoch, self.state.step);
        let numbers = evaluation.loss.map(|loss| loss.total).into_iter().chain(evaluation.mean_iou);
        if let Some(value) = numbers.into_iter().find(|value| !value.is_finite()) {
            let what = format!("the loss of the validation photos is {value}");
            return Err(TrainError::NotFinite { what, epoch, step: self.state.step, photos: Vec::new() });
        }
        let figures = Metrics {
            accuracy: evaluation.accuracy.unwrap_or(0.0),
            mean_iou: evaluation.mean_iou.unwrap_or(0.0),
            localization_accuracy: evaluation.localization_accuracy.unwrap_or(0.0),
        };
        let negatives = self.state.presence.map_or(0, |presence| presence.negatives);
        let seen = self.state.seen.max(1);
        let train_loss = loss_sums(&self.state).over(seen, seen - negatives);
        let presence = evaluation.presence.as_ref();
        let val_loss = evaluation.loss.unwrap_or_default();
        self.state.time += began.elapsed().as_secs_f64();
        let row = Row {
            epoch,
            time: (self.state.time * 1e3).round() / 1e3,
            lr: self.config.lr_at(epoch, self.state.step.saturating_sub(1), self.state.step),
            train_loss: train_loss.total,
            train_cls_loss: train_loss.class,
            train_box_loss: train_loss.bbox,
            val_loss: val_loss.total,
            val_cls_loss: val_loss.class,
            val_box_loss: val_loss.bbox,
            val_acc: figures.accuracy,
            val_iou: figures.mean_iou,
            val_acc_iou50: figures.localization_accuracy,
            val_acc_iou75: evaluation.localization_accuracy75.unwrap_or(0.0),
            train_presence_loss: train_loss.presence,
            val_presence_loss: val_loss.presence,
            val_auroc: presence.map(|presence| presence.auroc.unwrap_or(0.0)),
        };
        self.state.rows.push(row.clone());
        self.state = State {
            epoch: epoch + 1,
            steps: self.state.steps,
            time: self.state.time,
            best: self.state.best.take(),
            rows: std::mem::take(&mut self.state.rows),
            metrics: Some(figures),
            presence_threshold: presence.map(|presence| presence.threshold),
            ..State::begin()
        };
        let best = self.save(&answers, presence)?;
        let is_best = best.is_some();
        if is_best {
            self.state.best = best;
        }
        (self.on)(Event::Epoch { row, epochs: self.config.epochs, best: is_best });
        let further = (self.config.epochs - epoch) * steps;
        self.time_left
            .after_epoch(further as f64)
            .into_iter()
            .for_each(|left| (self.on)(Event::TimeLeft(left)));
        Ok(evaluation)
    }

    /// Returns the model that is evaluated and saved.
    fn evaluated_model(&self) -> Result<&Model, TrainError> {
        let model = self.ema.as_ref().map_or(&self.prepared.model, |ema| &ema.model);
        self.prior.as_ref().map_or(Ok(model), |prior| prior.interpolated_with(model))
    }

    /// Compares the model of all processes; the first one saves a checkpoint, and the answers to the validation photos if an epoch has just ended that is the best so far, which
    /// is returned.
    fn save(&self, answers: &[Judged], presence: Option<&Presence>) -> Result<Option<Best>, TrainError> {
        let model = self.model_file()?;
        let digest = sha256(&model);
        self.processes.check_same(&[("the model", &digest)])?;
        let best = self.state.metrics.map(|figures| Best {
            epoch: self.state.epoch - 1,
            localization_accuracy: figures.localization_accuracy,
            mean_iou: figures.mean_iou,
            model: digest.clone(),
        });
        let best = best.filter(|best| best.beats(self.state.best.as_ref()));
        if !self.processes.is_first() {
            return Ok(best);
        }
        let mut state = self.state.clone();
        if best.is_some() {
            state.best.clone_from(&best);
        }
        let saved = Saved { fingerprint: self.fingerprint.clone(), model: digest, state };
        let average = self.ema.as_ref().map(|ema| ema.model.weights()).transpose()?;
        let beginning = self.prior.as_ref().map(|prior| prior.weights.clone());
        let tensors = checkpoint::tensors(
            self.prepared.with_first_look(self.prepared.model.weights()?),
            [average, beginning],
            self.optimizer.state()?,
        );
        // Finite gradients can still make the weights overflow.
        if let Some((name, _)) = tensors.0.iter().find(|(_, w)| !w.data.iter().all(|v| v.is_finite())) {
            let what = format!("`{name}` is not finite");
            let (epoch, step) = (self.state.epoch, self.state.step);
            return Err(TrainError::NotFinite { what, epoch, step, photos: Vec::new() });
        }
        // Before the state: after a kill in between, the resumed run writes the same answers again.
        if let Some(best) = &best {
            let Prepared { dataset, file, .. } = &self.prepared;
            let seen = presence.map_or(&[][..], |presence| &presence.seen);
            eval::write_predictions(&self.run, (answers, seen), dataset, &file.meta, best.epoch)?;
        }
        checkpoint::save(&self.run, &saved, &tensors, &model, self.config.keep)?;
        Ok(best)
    }

    /// Returns the bytes of the present model file.
    pub(crate) fn model_file(&self) -> Result<Vec<u8>, TrainError> {
        let mut file = self.prepared.file.clone();
        file.epoch = Some(self.state.epoch - 1);
        file.metrics = self.state.metrics;
        file.meta.presence_threshold = self.state.presence_threshold;
        let weights = self.prepared.with_first_look(self.evaluated_model()?.weights()?);
        checkpoint::model_bytes(&weights, &file)
    }
}

/// The sums of the losses of the epoch's steps.
fn loss_sums(state: &State) -> Loss {
    let [total, class, bbox] = state.sums;
    Loss { total, class, bbox, presence: state.presence.map(|presence| presence.loss) }
}
