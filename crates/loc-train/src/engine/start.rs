//! Starting a new run: data and model, the epochs that fit into a given time, and the run folder.

use std::time::Duration;

use crate::checkpoint::State;
use crate::config::Config;
use crate::engine::budget::{Budget, Work};
use crate::engine::choice::{self, Choices, Trials};
use crate::engine::curve::Curve;
use crate::engine::setup::{Beginning, Prepared, fingerprint};
use crate::engine::time_left::TimeLeft;
use crate::engine::train::{Outcome, Training};
use crate::error::TrainError;
use crate::event::{Event, Progress, Stop};
use crate::optim::{Ema, Optimizer, PretrainedPrior};
use crate::run::{
    self, Clock, DatasetJson, LeftOutJson, Machine, Provenance, Run, RunJson, RunLocation, Status, Versions,
    atomic_file,
};

/// What bounds a training, besides its configuration.
#[derive(Debug, Clone, Default)]
pub struct TrainOptions {
    /// The time that it may take, from reading the photos to the last save; none without a limit. From the measured speed
    /// the number of epochs is chosen, at most the configuration's, and likewise the copies of photos whose features a
    /// frozen backbone computes. The run's `config.toml` has the numbers that were chosen.
    pub time: Option<Duration>,
    /// What folds of the training photos choose and judge.
    pub choices: Choices,
    /// Whether heads are also trained on a quarter and on half of the photos ([`Outcome::curve`]). The backbone must be
    /// frozen.
    pub curve: bool,
    /// The clock that the time is measured with.
    pub clock: Clock,
}

/// Trains a new run.
///
/// # Errors
///
/// [`TrainError`]: of the configuration and the data before any folder is made; afterwards the run's status says
/// `failed`, and its last checkpoint stays.
pub fn train(
    config: &Config,
    location: RunLocation,
    provenance: &Provenance,
    stop: &Stop,
    on: &mut dyn FnMut(Event),
) -> Result<Outcome, TrainError> {
    train_with(config, &TrainOptions::default(), location, provenance, stop, on)
}

/// As [`train`], within bounds.
///
/// # Errors
///
/// As [`train`].
pub fn train_with(
    config: &Config,
    options: &TrainOptions,
    location: RunLocation,
    provenance: &Provenance,
    stop: &Stop,
    on: &mut dyn FnMut(Event),
) -> Result<Outcome, TrainError> {
    if options.curve {
        Curve::check(config)?;
    }
    let budget = Budget::new(&options.clock, options.time);
    let RunLocation { project, name, exist_ok } = location;
    // Check that the run can be written before photos are decoded.
    if exist_ok {
        Run::removable(project, name)?;
    }
    atomic_file::probe(project)?;
    let mut progress = Progress { on, stop };
    let trials = choice::try_first_looks(config, options.choices, &budget, &mut progress)?;
    let (mut chosen, unseen) = match trials {
        Some(Trials { config, unseen }) => (config, unseen),
        None => (config.clone(), Vec::new()),
    };
    let mut prepared = Prepared::new(&chosen, Beginning::New { unseen }, &budget, &mut progress)?;
    let mut features = None;
    if options.choices != Choices::default() {
        let verdicts = choice::judge(&chosen, &prepared, stop, progress.on)?;
        features = verdicts.features;
        if options.choices.looks && verdicts.looks.is_some_and(|looks| !looks.pays()) {
            chosen.looks = 1;
            drop(prepared);
            prepared = Prepared::new(&chosen, Beginning::New { unseen: Vec::new() }, &budget, &mut progress)?;
        }
    }
    let (config, on) = (&chosen, progress.on);
    let number = Run::next_number(project)?;
    let (run, lock) = Run::create(project, name, exist_ok)?;
    lock.warning().into_iter().for_each(|warning| on(Event::Warning(warning)));
    let json = RunJson {
        schema: run::SCHEMA.into(),
        status: Status::Running,
        versions: Versions { loc: provenance.version.clone(), model_format: loc_infer::FORMAT },
        machine: Machine::this(),
        threads: provenance.threads,
        arguments: provenance.arguments.clone(),
        recipe_choice: provenance.recipe_choice.clone(),
        seed: config.seed,
        dataset: DatasetJson {
            path: config.data.clone().unwrap_or_default(),
            digest: prepared.digest.clone(),
            format: Some(prepared.format.to_string()),
            train: prepared.split.train.len(),
            val: prepared.split.val.len(),
            split: Some(prepared.split_origin),
            left_out: LeftOutJson::of(&prepared.left_out),
        },
        classes: prepared.dataset.classes.clone(),
        started: run::now(),
        number,
    };
    run.write_json(&json)?;
    loc_data::split::write_csv(&run.split(), &prepared.dataset, &prepared.split)?;
    let planned = plan(config, &budget, &mut prepared, &run, stop, on)?;
    let config = planned.as_ref().unwrap_or(config);
    let curve = options.curve.then(|| Curve::begin(config, &prepared, stop, on)).transpose()?;
    // Written last: its presence marks the run as resumable. The recognised format is recorded: files that are added to the
    // folder later do not change how it is read.
    let recorded = Config { data_format: Some(prepared.format.to_string()), ..config.clone() };
    run.write_config(&recorded, json.recipe_choice.as_deref())?;
    let training = Training {
        optimizer: Optimizer::new(config),
        ema: Ema::of(&prepared.model, config.ema_decay)?,
        prior: PretrainedPrior::of(&prepared.model, None, config)?,
        fingerprint: fingerprint(config, &run, &prepared)?,
        state: State::begin(),
        config,
        run,
        json,
        prepared,
        on,
        stop,
        time_left: TimeLeft::new(budget.clock()),
        _lock: lock,
    };
    let mut outcome = training.run()?;
    outcome.features = features;
    if let Some(curve) = curve.filter(|_| outcome.status != Status::Interrupted) {
        outcome.curve = curve.end(&outcome.run)?;
    }
    Ok(outcome)
}

/// The configuration with what fits into the time; none without a limit.
fn plan(
    config: &Config,
    budget: &Budget,
    prepared: &mut Prepared,
    run: &Run,
    stop: &Stop,
    on: &mut dyn FnMut(Event),
) -> Result<Option<Config>, TrainError> {
    let Prepared { dataset, model, train, val, file, .. } = &*prepared;
    let Some((planned, seconds)) =
        budget.plan(config, &Work { dataset, model, train, val, file, stop }, run)?
    else {
        return Ok(None);
    };
    let copies = match (config.copies_of(train.len()), planned.copies_of(train.len())) {
        (wanted, made) if made < wanted => format!(", {made} of {wanted} copies of each photo"),
        _ => String::new(),
    };
    on(Event::Note(format!(
        "within the given time: {} of {} epochs, each about {}{copies}",
        planned.epochs,
        config.epochs,
        rounded(seconds)
    )));
    let head_warmup = prepared.head_warmup.take().or_else(|| planned.head_warmup.clone());
    let planned = Config { head_warmup, ..planned };
    prepared.file.recipe = Some(planned.digest());
    Ok(Some(planned))
}

/// Seconds as text with about two digits.
fn rounded(seconds: f64) -> String {
    if seconds < 10.0 { format!("{seconds:.1} s") } else { format!("{seconds:.0} s") }
}
