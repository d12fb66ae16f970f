//! The loop: batches to losses to gradients to weights, an evaluation and a checkpoint each epoch.

use std::path::{Path, PathBuf};
use std::time::Instant;

use loc_model::{Dropout, Model};

use crate::checkpoint::{self, Best, State};
use crate::metrics::{self, Evaluation};
use crate::model_file::Metrics;
use crate::optimizer::{Average, Optimizer};
use crate::prepare::Prepared;
use crate::record::{self, Row};
use crate::run_dir::{self, DatasetJson, Machine, RunJson, Versions};
use crate::{Config, Event, Layer, Provenance, Run, Status, Stop, TrainError};

/// How a training ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The run folder.
    pub run: Run,
    /// Finished, or interrupted by a stop that was asked for.
    pub status: Status,
    /// How the last finished epoch does, if one was finished.
    pub evaluation: Option<Evaluation>,
}

/// Trains a new run in `project/name`.
///
/// # Errors
///
/// [`TrainError`]: of the configuration and the data before any folder is made; afterwards the run's status says
/// `failed`, and its last checkpoint stays.
pub fn train(
    config: &Config,
    (project, name, exist_ok): (&Path, &str, bool),
    provenance: &Provenance,
    stop: &Stop,
    on: &mut dyn FnMut(Event),
) -> Result<Outcome, TrainError> {
    let prepared = Prepared::new(config, None, on)?;
    let run = Run::create(project, name, exist_ok)?;
    run.write_config(config)?;
    loc_data::split::write_csv(&run.split(), &prepared.dataset, &prepared.split)?;
    let json = RunJson {
        schema: "loc.run/1".into(),
        status: Status::Running,
        versions: Versions { loc: provenance.version.clone(), model_format: loc_infer::FORMAT },
        machine: Machine::this(),
        threads: provenance.threads,
        arguments: provenance.arguments.clone(),
        seed: config.seed,
        dataset: DatasetJson {
            path: config.data.clone().unwrap_or_default(),
            digest: prepared.digest.clone(),
            train: prepared.split.train.len(),
            val: prepared.split.val.len(),
        },
        classes: prepared.dataset.classes.clone(),
        started: run_dir::now(),
    };
    let optimizer = Optimizer::new(config);
    let average = Average::of(&prepared.model, config.average)?;
    let (state, rows) = (State::begin(), Vec::new());
    Training { config, run, json, prepared, optimizer, average, state, rows, on, stop }.run()
}

/// Goes on with a run: from where it was interrupted, or beyond its end with more epochs.
///
/// `overrides` lie over the run's own `config.toml`; those that would change the mathematics are refused.
///
/// # Errors
///
/// [`TrainError::Resume`] with the differing keys, or if the data set has changed, or if nothing is left to do;
/// otherwise as [`train`].
pub fn resume(
    run: Run,
    overrides: &[Layer],
    stop: &Stop,
    on: &mut dyn FnMut(Event),
) -> Result<Outcome, TrainError> {
    let fail = |reason: String| TrainError::Resume { run: run.path().to_owned(), reason };
    let before = Config::of_run(&run, &[])?;
    let config = Config::of_run(&run, overrides)?;
    let differing: Vec<String> = differences(&before, &config);
    if !differing.is_empty() {
        return Err(fail(format!(
            "these would change what it learns: {} (hint: `--init {}` starts a new run from its weights)",
            differing.join(", "),
            run.last().display()
        )));
    }
    let (weights, saved, state) = checkpoint::load(&run)?;
    if state.epoch > config.epochs {
        return Err(fail(format!(
            "all {} epochs are done (hint: `--epochs {}` extends it)",
            before.epochs,
            before.epochs + 10
        )));
    }
    // The split is the run's own, whatever became of the file it was read from; the weights are the checkpoint's.
    let frozen = Config { split_file: Some(run.split()), fold: None, init: None, ..config.clone() };
    let prepared = Prepared::new(&frozen, Some(weights), on)?;
    let json = run.read_json()?;
    if json.dataset.digest != prepared.digest {
        return Err(fail(format!(
            "the data set has changed: its digest is {}, was {}",
            prepared.digest, json.dataset.digest
        )));
    }
    let average = Average::of(&prepared.model, config.average)?;
    if average.is_some() {
        // The model file holds the average; what is trained lies in the state.
        prepared.model.set_weights(&Average::saved(&saved))?;
    }
    let mut optimizer = Optimizer::new(&config);
    optimizer.restore(&saved, state.steps, &prepared.model)?;
    let mut rows = run.rows()?;
    rows.retain(|row| row.epoch < state.epoch);
    run.write_config(&config)?;
    let json = RunJson { status: Status::Running, ..json };
    Training { config: &config, run, json, prepared, optimizer, average, state, rows, on, stop }.run()
}

/// The keys that decide the numbers and differ, as `key: before → after`; more epochs are no difference, unless the
/// learning rate depends on where they end.
fn differences(before: &Config, after: &Config) -> Vec<String> {
    let (a, b) = (before.mathematics(), after.mathematics());
    let show = |v: Option<&toml::Value>| v.map_or("none".into(), ToString::to_string);
    let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let bound = before.schedule.bound_to_the_end();
    keys.into_iter()
        .filter(|key| (*key != "epochs" || bound) && a.get(*key) != b.get(*key))
        .map(|key| format!("{key}: {} → {}", show(a.get(key)), show(b.get(key))))
        .collect()
}

/// What a step drops of the heads' features.
fn dropout(config: &Config, epoch: usize, step: usize) -> Option<Dropout> {
    (config.dropout > 0.0)
        .then_some(Dropout { rate: config.dropout, key: [config.seed, epoch as u64, step as u64] })
}

/// A run in progress.
struct Training<'a> {
    config: &'a Config,
    run: Run,
    json: RunJson,
    prepared: Prepared,
    optimizer: Optimizer,
    average: Option<Average>,
    state: State,
    rows: Vec<Row>,
    on: &'a mut dyn FnMut(Event),
    stop: &'a Stop,
}

impl Training<'_> {
    fn run(mut self) -> Result<Outcome, TrainError> {
        self.run.write_json(&self.json)?;
        let result = self.epochs();
        self.json.status = match &result {
            Ok((status, _)) => *status,
            Err(_) => Status::Failed,
        };
        let recorded = self.run.write_json(&self.json);
        let (status, evaluation) = result?;
        recorded?;
        Ok(Outcome { run: self.run, status, evaluation })
    }

    fn epochs(&mut self) -> Result<(Status, Option<Evaluation>), TrainError> {
        for warning in std::mem::take(&mut self.prepared.warnings) {
            (self.on)(Event::Warning(warning));
        }
        (self.on)(Event::Ready {
            run: PathBuf::from(self.run.path()),
            train: self.prepared.train.len(),
            val: self.prepared.val.len(),
            classes: self.prepared.dataset.classes.clone(),
            parameters: self.prepared.model.network().parameter_count(),
            epochs: self.config.epochs,
            resumed: (self.state != State::begin()).then_some((self.state.epoch - 1, self.state.step)),
        });
        let mut evaluation = None;
        while self.state.epoch <= self.config.epochs {
            let began = Instant::now();
            if !self.learn(began)? {
                return Ok((Status::Interrupted, evaluation));
            }
            evaluation = Some(self.finish_epoch(began)?);
            if self.patience_is_over() {
                return Ok((Status::EarlyStopped, evaluation));
            }
            if self.stop.asked() && self.state.epoch <= self.config.epochs {
                return Ok((Status::Interrupted, evaluation));
            }
        }
        Ok((Status::Finished, evaluation))
    }

    /// Whether too many epochs went by without a better one.
    fn patience_is_over(&self) -> bool {
        let (patience, done) = (self.config.patience, self.state.epoch - 1);
        patience > 0 && self.state.best.is_some_and(|best| done - best.epoch >= patience)
    }

    /// The steps of the epoch in progress; false if a stop was asked for and the state is saved.
    fn learn(&mut self, began: Instant) -> Result<bool, TrainError> {
        let loss = self.config.loss();
        let epoch = self.state.epoch;
        let (seed, augment) = (self.config.seed, &self.config.augment);
        let batches = self.prepared.train.epoch(seed, epoch as u64, self.config.batch, augment);
        let steps = batches.len();
        for (index, batch) in batches.enumerate().skip(self.state.step) {
            let batch = batch?;
            let lr = self.config.lr_at(epoch, index, steps);
            let output = self.prepared.model.train(&batch.input, dropout(self.config, epoch, index))?;
            let losses = loss.compute(&output, &batch.labels, &batch.boxes)?;
            let value = losses.total.to_scalar::<f32>()?;
            let not_finite = || {
                let photos: Vec<&str> =
                    batch.indices.iter().map(|i| self.prepared.dataset.samples[*i].file.as_str()).collect();
                TrainError::NotFinite { loss: value, epoch, step: index + 1, photos: photos.join(", ") }
            };
            if !value.is_finite() {
                return Err(not_finite());
            }
            let gradients = self.prepared.model.backward(&losses.total)?;
            if !self.optimizer.step(&self.prepared.model, &gradients, lr)? {
                return Err(not_finite());
            }
            self.state.steps += 1;
            if let Some(average) = &self.average {
                average.follow(&self.prepared.model, self.state.steps)?;
            }

            let mut sums = self.state.losses();
            sums.add(&losses, batch.n)?;
            self.state.sums = [sums.total, sums.class, sums.bbox];
            self.state.seen += batch.n;
            self.state.step = index + 1;
            (self.on)(Event::Step { epoch, step: index + 1, steps, loss: f64::from(value) });
            if self.stop.asked() && index + 1 < steps {
                self.state.time += began.elapsed().as_secs_f64();
                self.save_last(None)?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Evaluates, records and saves the epoch whose steps are done.
    fn finish_epoch(&mut self, began: Instant) -> Result<Evaluation, TrainError> {
        let Prepared { dataset, split, val, .. } = &self.prepared;
        let model = self.judged();
        let baseline = metrics::baseline_only(dataset, &split.train, &split.val);
        let loss = self.config.loss();
        let batches = val.in_order(self.config.batch);
        let evaluation = metrics::judge(model, batches, &loss, &dataset.classes, baseline)?;
        let epoch = self.state.epoch;
        let figures = Metrics {
            accuracy: evaluation.accuracy.unwrap_or(0.0),
            mean_iou: evaluation.mean_iou.unwrap_or(0.0),
            localization_accuracy: evaluation.localization_accuracy.unwrap_or(0.0),
        };
        let now =
            Best { epoch, localization_accuracy: figures.localization_accuracy, mean_iou: figures.mean_iou };
        let best = now.beats(self.state.best.as_ref());
        let train_loss = self.state.losses().over(self.state.seen.max(1));
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
        };
        self.state = State {
            epoch: epoch + 1,
            steps: self.state.steps,
            time: self.state.time,
            best: if best { Some(now) } else { self.state.best },
            ..State::begin()
        };
        self.rows.push(row.clone());
        record::write(&self.run.results(), &self.rows)?;
        let bytes = self.save_last(Some(figures))?;
        checkpoint::save_epoch(&self.run, &bytes, epoch, best, self.config.keep)?;
        (self.on)(Event::Epoch { row, epochs: self.config.epochs, best });
        Ok(evaluation)
    }

    /// The model that is judged and saved.
    fn judged(&self) -> &Model {
        self.average.as_ref().map_or(&self.prepared.model, |average| &average.model)
    }

    /// Saves weights and state; the bytes of the model file come back.
    fn save_last(&self, metrics: Option<Metrics>) -> Result<Vec<u8>, TrainError> {
        let mut file = self.prepared.file.clone();
        file.epoch = Some(self.state.epoch - 1);
        file.metrics = metrics;
        let bytes = checkpoint::model_bytes(&self.judged().weights()?, &file)?;
        let mut saved = self.optimizer.state()?;
        if self.average.is_some() {
            saved.0.extend(Average::parameters(&self.prepared.model)?.0);
        }
        checkpoint::save_last(&self.run, &bytes, &saved, self.state.clone())?;
        Ok(bytes)
    }
}
