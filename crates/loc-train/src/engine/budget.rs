//! The time that a training may take, and how much of it fits: copies of photos whose features are computed, and epochs.
//!
//! The speed is measured before the run begins, on steps of a copy of the model that is then dropped. So a run in a given
//! time is an ordinary run of the number of epochs that was chosen: it repeats and resumes as any other.

use std::time::Duration;

use loc_data::Dataset;
use loc_model::Model;

use crate::checkpoint::{self, ModelFile};
use crate::config::{CheckpointRetention, Config};
use crate::digest::sha256;
use crate::engine::step::{Learner, StepPosition};
use crate::error::TrainError;
use crate::event::Stop;
use crate::input::BatchSource;
use crate::optim::{Ema, Optimizer, PretrainedPrior};
use crate::run::{Clock, Run, atomic_file};

/// Fraction of the time that is left for which features are computed; the rest is for the head.
const FEATURES: f64 = 0.6;
/// Fraction of the time that a head warm-up may end at.
const WARMUP: f64 = 0.4;
/// Likewise for each of two head warm-ups.
const WARMUP_OF_TWO: f64 = 0.25;
/// Fraction of the time that is left for which epochs are planned: an epoch may take a little longer than measured.
const PLANNED: f64 = 0.95;
/// Fraction of the time that is left which measuring may take.
const MEASURED: f64 = 0.02;
/// Steps that are measured at least, after a first one, which allocates.
const STEPS: usize = 2;

/// The time that a training may take.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    clock: Clock,
    /// The clock's time at the end; none without a limit.
    end: Option<Duration>,
}

impl Budget {
    /// No limit.
    pub(crate) fn unlimited() -> Self {
        Self { clock: Clock::default(), end: None }
    }

    /// So much time from now on, or no limit.
    pub(crate) fn new(clock: &Clock, time: Option<Duration>) -> Self {
        Self { end: time.map(|time| clock.now() + time), clock: clock.clone() }
    }

    /// Its part for the first head warm-up of this configuration. Where both looks are trained end to end, the second's
    /// warm-up then takes as long as the first's.
    pub(crate) fn of_warmup(&self, config: &Config) -> Self {
        let both = config.looks == 2 && config.backbone_lr > 0.0;
        self.part(if both { WARMUP_OF_TWO } else { WARMUP })
    }

    /// A part of the time that is left.
    pub(crate) fn part(&self, part: f64) -> Self {
        let time = self.left().map(|left| Duration::from_secs_f64(left * part));
        Self::new(&self.clock, time)
    }

    /// Whether so many seconds fit.
    pub(crate) fn fits(&self, seconds: f64) -> bool {
        self.left().is_none_or(|left| seconds <= left)
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Seconds that are left; none without a limit.
    fn left(&self) -> Option<f64> {
        Some(self.end?.saturating_sub(self.clock.now()).as_secs_f64())
    }

    /// The number of copies of each photo whose features fit, of so many, where those of one took the time since `began`.
    pub(crate) fn copies(&self, wanted: usize, began: Duration) -> usize {
        let Some(left) = self.left() else { return wanted };
        let each = self.since(began);
        1 + fitting(FEATURES * left, each).min(wanted.saturating_sub(1))
    }

    /// The configuration with the number of epochs that fit, at least one, where an epoch takes so many seconds.
    fn epochs(&self, config: &Config, seconds: f64) -> Config {
        let Some(left) = self.left() else { return config.clone() };
        config.shortened_to(fitting(PLANNED * left, seconds).clamp(1, config.epochs))
    }

    fn since(&self, began: Duration) -> f64 {
        self.clock.now().saturating_sub(began).as_secs_f64()
    }

    /// The configuration of a head warm-up with the epochs that fit. `feed` has the copies that fitted.
    pub(crate) fn plan_warmup(
        &self,
        config: &Config,
        dataset: &Dataset,
        model: &Model,
        feed: &BatchSource,
        stop: &Stop,
    ) -> Result<Config, TrainError> {
        if self.end.is_none() {
            return Ok(config.clone());
        }
        let config = with_copies(config, feed);
        let steps = self.step(&config, dataset, model, feed, stop)? * feed.epoch(&config, 1).len() as f64;
        Ok(self.epochs(&config, steps))
    }

    /// The configuration of a run with the epochs that fit, and seconds that one of them takes: its steps, the evaluation and
    /// the save. None without a limit.
    pub(crate) fn plan(
        &self,
        config: &Config,
        work: &Work,
        run: &Run,
    ) -> Result<Option<(Config, f64)>, TrainError> {
        if self.end.is_none() {
            return Ok(None);
        }
        let Work { dataset, model, train, val, file, stop } = *work;
        let config = with_copies(config, train);
        let steps = self.step(&config, dataset, model, train, stop)? * train.epoch(&config, 1).len() as f64;
        let seconds = steps + self.evaluation(&config, model, val)? + self.save(&config, model, file, run)?;
        Ok(Some((self.epochs(&config, seconds), seconds)))
    }

    /// Seconds of a step: the mean of the first steps of an epoch, on a copy of the model.
    pub(crate) fn step(
        &self,
        config: &Config,
        dataset: &Dataset,
        model: &Model,
        feed: &BatchSource,
        stop: &Stop,
    ) -> Result<f64, TrainError> {
        let model = &model.copy()?;
        let ema = Ema::of(model, config.ema_decay)?;
        let prior = PretrainedPrior::of(model, None, config)?;
        let mut optimizer = Optimizer::new(config);
        let mut learner = Learner {
            config,
            dataset,
            model,
            optimizer: &mut optimizer,
            ema: ema.as_ref(),
            distillation: prior.as_ref().and_then(|prior| prior.distillation.as_ref()),
        };
        let batches = feed.epoch(config, 1);
        let (steps, most) = (batches.len(), MEASURED * self.left().unwrap_or_default());
        let (mut began, mut counted) = (self.clock.now(), 0);
        for (step, batch) in batches.enumerate() {
            learner.step(&batch?, StepPosition { epoch: 1, step, steps, taken: step })?;
            if stop.is_requested() {
                return Err(TrainError::Stopped);
            }
            if step == 0 && steps > 1 {
                began = self.clock.now();
                continue;
            }
            counted += 1;
            if counted >= STEPS && self.since(began) > most {
                break;
            }
        }
        Ok(self.since(began) / f64::from(u32::try_from(counted.max(1)).unwrap_or(u32::MAX)))
    }

    /// Seconds of an evaluation, from its first batches.
    fn evaluation(&self, config: &Config, model: &Model, val: &BatchSource) -> Result<f64, TrainError> {
        let batches = val.in_order(config.batch);
        let (all, most) = (batches.len(), MEASURED * self.left().unwrap_or_default());
        let (began, mut counted) = (self.clock.now(), 0);
        for batch in batches {
            batch?.evaluate(model)?;
            counted += 1;
            if self.since(began) > most {
                break;
            }
        }
        Ok(self.since(began) * all as f64 / f64::from(u32::try_from(counted.max(1)).unwrap_or(u32::MAX)))
    }

    /// Seconds of a save: that of a model file, times the sizes of the files that are written.
    fn save(&self, config: &Config, model: &Model, file: &ModelFile, run: &Run) -> Result<f64, TrainError> {
        let began = self.clock.now();
        let bytes = checkpoint::model_bytes(&model.weights()?, file)?;
        let _ = sha256(&bytes);
        atomic_file::replace(&run.last(), &bytes)?;
        fs_err::remove_file(run.last())?;
        let models = if config.keep == CheckpointRetention::Best { 1.0 } else { 2.0 };
        // The state: the weights, their average, and two moments of those that are trained.
        let average = if config.ema_decay > 0.0 { 1.0 } else { 0.0 };
        let moments = if model.is_frozen() { 0.0 } else { 2.0 };
        Ok(self.since(began) * (models + 1.0 + average + moments))
    }
}

/// What is measured.
#[derive(Clone, Copy)]
pub(crate) struct Work<'a> {
    pub(crate) dataset: &'a Dataset,
    pub(crate) model: &'a Model,
    pub(crate) train: &'a BatchSource,
    pub(crate) val: &'a BatchSource,
    pub(crate) file: &'a ModelFile,
    pub(crate) stop: &'a Stop,
}

/// How many of something that takes `each` seconds fit.
fn fitting(seconds: f64, each: f64) -> usize {
    // A float as an integer is at most the largest.
    if each > 0.0 { (seconds / each) as usize } else { usize::MAX }
}

/// The configuration with the number of copies that were made.
pub(crate) fn with_copies(config: &Config, feed: &BatchSource) -> Config {
    match feed {
        BatchSource::FeatureCache(cache) if cache.copies() < config.copies_of(cache.len()) => {
            Config { copies: cache.copies(), views: 0, ..config.clone() }
        }
        _ => config.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A budget of 100 s, and what moves its clock.
    fn budget() -> (Budget, Arc<AtomicU64>) {
        let millis = Arc::new(AtomicU64::new(5_000));
        let shown = Arc::clone(&millis);
        let clock = Clock::of(move || Duration::from_millis(shown.load(Ordering::SeqCst)));
        (Budget::new(&clock, Some(Duration::from_secs(100))), millis)
    }

    #[test]
    fn copies_and_epochs_fill_the_time_that_is_left() {
        let (budget, millis) = budget();
        let began = budget.clock().now();
        millis.fetch_add(10_000, Ordering::SeqCst);
        // 90 s are left, 54 of them for features, and a copy takes 10.
        assert_eq!(budget.copies(40, began), 6);
        assert_eq!(budget.copies(3, began), 3, "no more than wanted");
        let config = Config { epochs: 60, ..Config::default() };
        assert_eq!(budget.epochs(&config, 2.0).epochs, 42, "85.5 s of 2 s each");
        assert_eq!(budget.epochs(&config, 0.5).epochs, 60, "no more than the recipe's");
        assert_eq!(budget.epochs(&config, 900.0).epochs, 1, "and at least one");
        assert_eq!(budget.of_warmup(&config).left(), Some(36.0));
        let both = Config { looks: 2, ..config.clone() };
        assert_eq!(budget.of_warmup(&both).left(), Some(22.5), "and as much for the second look");
        millis.fetch_add(900_000, Ordering::SeqCst);
        assert_eq!((budget.copies(40, began), budget.epochs(&config, 2.0).epochs), (1, 1));
        let unlimited = Budget::unlimited();
        assert_eq!((unlimited.copies(40, began), unlimited.epochs(&config, 900.0)), (40, config));
    }
}
