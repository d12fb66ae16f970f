//! Starting a new run: data and model, the epochs that fit into a given time, and the run folder.

use std::time::Duration;

use loc_data::ReadProgress;

use crate::checkpoint::State;
use crate::collective::Processes;
use crate::config::Config;
use crate::engine::budget::{Budget, Work};
use crate::engine::choice::{self, Choices, Trials};
use crate::engine::curve::Curve;
use crate::engine::setup::{Beginning, Prepared, fingerprint};
use crate::engine::time_left::TimeLeft;
use crate::engine::train::{Outcome, Training};
use crate::error::{ConfigError, TrainError};
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
    /// The processes that train together; by default this one alone. Not within a given time.
    pub processes: Processes,
    /// Is told how many photos of the data set are read.
    pub reading: ReadProgress,
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
    let processes = options.processes.begin(stop);
    processes.end(start(config, options, location, provenance, &processes, on))
}

/// Trains a new run, on each of the processes.
fn start(
    config: &Config,
    options: &TrainOptions,
    location: RunLocation,
    provenance: &Provenance,
    processes: &Processes,
    on: &mut dyn FnMut(Event),
) -> Result<Outcome, TrainError> {
    if options.curve {
        Curve::check(config)?;
    }
    if options.time.is_some() && !processes.is_alone() {
        return Err(TrainError::config("time", ConfigError::ProcessesInTime));
    }
    let (budget, stop) = (Budget::new(&options.clock, options.time), processes.stop());
    let RunLocation { project, name, exist_ok } = location;
    // Check that the run can be written before photos are decoded.
    if processes.is_first() {
        if exist_ok {
            Run::removable(project, name)?;
        }
        atomic_file::probe(project)?;
    }
    let mut progress = Progress { on, stop, reading: options.reading.clone() };
    let trials = choice::try_first_looks(config, options.choices, (&budget, processes), &mut progress)?;
    let (mut chosen, unseen) = match trials {
        Some(Trials { config, unseen }) => (config, unseen),
        None => (config.clone(), Vec::new()),
    };
    let prepare = |config: &Config, unseen, progress: &mut Progress| {
        Prepared::new(config, Beginning::New { unseen }, &budget, processes, progress)
    };
    let mut prepared = prepare(&chosen, unseen, &mut progress)?;
    let mut features = None;
    if options.choices != Choices::default() {
        let verdicts = choice::judge(&chosen, &prepared, stop, progress.on)?;
        features = verdicts.features;
        if options.choices.looks && verdicts.looks.is_some_and(|looks| !looks.pays()) {
            chosen.looks = 1;
            drop(prepared);
            prepared = prepare(&chosen, Vec::new(), &mut progress)?;
        }
    }
    let (config, on) = (&chosen, progress.on);
    report_processes(processes, on);
    let (mut number, mut lock) = (0, None);
    let run = Run::at(processes.of_first(|| {
        number = Run::next_number(project)?;
        let (run, taken) = Run::create(project, name, exist_ok)?;
        taken.warning().into_iter().for_each(|warning| on(Event::Warning(warning)));
        lock = Some(taken);
        Ok(run.path().to_path_buf())
    })?);
    let json = RunJson {
        schema: run::SCHEMA.into(),
        status: Status::Running,
        versions: Versions { loc: provenance.version.clone(), model_format: loc_infer::FORMAT },
        machine: Machine::this(),
        threads: provenance.threads,
        processes: processes.several(),
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
    if processes.is_first() {
        run.write_json(&json)?;
        loc_data::split::write_csv(&run.split(), &prepared.dataset, &prepared.split)?;
    }
    let planned = plan(config, &budget, &mut prepared, &run, stop, on)?;
    let config = planned.as_ref().unwrap_or(config);
    let curve = options.curve.then(|| Curve::begin(config, &prepared, stop, on)).transpose()?;
    // Written last: its presence marks the run as resumable. The recognised format is recorded: files that are added to the
    // folder later do not change how it is read.
    let recorded = Config { data_format: Some(prepared.format.to_string()), ..config.clone() };
    if processes.is_first() {
        run.write_config(&recorded, json.recipe_choice.as_deref())?;
    }
    let training = Training {
        optimizer: Optimizer::new(config),
        ema: Ema::of(&prepared.model, config.ema_decay)?,
        prior: PretrainedPrior::of(&prepared.model, None, config)?,
        fingerprint: fingerprint(config, &run, &prepared, processes)?,
        state: State::begin(),
        config,
        run,
        json,
        prepared,
        on,
        processes: processes.clone(),
        time_left: TimeLeft::new(budget.clock()),
        _lock: lock,
    };
    let mut outcome = training.run()?;
    outcome.features = features;
    if let Some(curve) = curve.filter(|_| outcome.status != Status::Interrupted && processes.is_first()) {
        outcome.curve = curve.end(&outcome.run)?;
    }
    Ok(outcome)
}

/// Tells that several processes train together, and what that means for the result.
pub(crate) fn report_processes(processes: &Processes, on: &mut dyn FnMut(Event)) {
    let size = processes.size();
    match (processes.is_alone(), processes.is_exact()) {
        (true, _) => {}
        (false, true) => on(Event::Note(format!("{size} processes train together"))),
        (false, false) => on(Event::Warning(format!(
            "{size} processes train together: the sums over a batch are rounded differently than with 1, 2, 4 or 8 processes, \
             which write the same bytes"
        ))),
    }
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
