//! Resuming a run that was interrupted or killed, and extending a finished one.

use std::path::PathBuf;

use loc_data::ReadProgress;
use loc_net::Level;

use crate::checkpoint::{self, Found, RunFingerprint, State};
use crate::collective::Processes;
use crate::config::{Config, ConfigSource};
use crate::digest::sha256;
use crate::engine::budget::Budget;
use crate::engine::setup::{Beginning, Prepared, ResumeContext, fingerprint};
use crate::engine::start::report_processes;
use crate::engine::time_left::TimeLeft;
use crate::engine::train::{Outcome, Training};
use crate::error::{ResumeError, RunError, TrainError};
use crate::event::{Event, Progress, Stop};
use crate::optim::{Ema, Optimizer, PretrainedPrior};
use crate::run::{Lock, Run, RunJson, Status};

/// How a run is resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResumeOptions {
    /// The schedule of a finished run starts again over the added epochs.
    pub schedule_from_here: bool,
    /// The kernels may use another instruction set than before. Sums are then rounded otherwise, so that the result is not
    /// that of an uninterrupted run to the bit.
    pub allow_other_isa: bool,
}

/// Resumes a run from where it was interrupted, or extends a finished one with more epochs.
///
/// `overrides` replace values of the run's own `config.toml`; those that would change the result are refused.
///
/// Training continues from the newest state. If that is damaged, it continues from the one before, with a warning. A
/// run that was killed before its first save starts from the beginning.
///
/// # Errors
///
/// [`TrainError::Resume`] with the differing keys, or if the data set has changed, or if nothing is left to do;
/// [`TrainError::Run`] if no state is whole, or the newest cannot be read; otherwise as [`crate::train`].
pub fn resume(
    run: Run,
    overrides: &[ConfigSource],
    options: ResumeOptions,
    stop: &Stop,
    on: &mut dyn FnMut(Event),
) -> Result<Outcome, TrainError> {
    resume_with(run, overrides, options, &Processes::default(), stop, on)
}

/// As [`resume`], on several processes, as many as the run had or not. All of them read the run folder.
///
/// # Errors
///
/// As [`resume`].
pub fn resume_with(
    run: Run,
    overrides: &[ConfigSource],
    options: ResumeOptions,
    processes: &Processes,
    stop: &Stop,
    on: &mut dyn FnMut(Event),
) -> Result<Outcome, TrainError> {
    let processes = processes.begin(stop);
    processes.end(go_on(run, overrides, options, &processes, on))
}

/// Resumes a run, on each of the processes.
fn go_on(
    run: Run,
    overrides: &[ConfigSource],
    options: ResumeOptions,
    processes: &Processes,
    on: &mut dyn FnMut(Event),
) -> Result<Outcome, TrainError> {
    // Check that it is a run before anything is written.
    run.read_json()?;
    let mut lock = None;
    // The others read the folder after that.
    processes.of_first(|| {
        let taken = Lock::take(run.path())?;
        taken.warning().into_iter().for_each(|warning| on(Event::Warning(warning)));
        lock = Some(taken);
        run.sweep()?;
        Ok(PathBuf::new())
    })?;
    let mut config = run.read_config(overrides)?;
    let json = run.read_json()?;
    let found = checkpoint::find(&run)?;
    let fingerprint_before = match &found {
        Some(found) => found.whole.saved.fingerprint.clone(),
        None => RunFingerprint {
            config: run.read_config(&[])?.result_affecting().to_string(),
            dataset: json.dataset.digest.clone(),
            split: sha256(&fs_err::read(run.split())?),
            isa: None,
            decode: config.input().decode,
        },
    };
    let state = found.as_ref().map_or_else(State::begin, |found| found.whole.saved.state.clone());
    check_compatible(&run, &mut config, &fingerprint_before, &state, options.schedule_from_here)?;

    // The split is the one recorded in the run; the file it was read from may have changed.
    let mut frozen = Config { split_file: Some(run.split()), fold: None, ..config.clone() };
    if found.is_some() {
        frozen.init = None;
    }
    let weights = found.as_ref().map(|found| found.whole.parameters());
    let RunFingerprint { dataset, decode, .. } = &fingerprint_before;
    let going = ResumeContext { run: &run, weights, dataset, decode: *decode };
    let budget = Budget::unlimited();
    let progress = &mut Progress { on, stop: processes.stop(), reading: ReadProgress::default() };
    let mut prepared = Prepared::new(&frozen, Beginning::Resumed(going), &budget, processes, progress)?;
    report_processes(processes, on);
    // Repaired files carry the digest of the configuration that made them.
    prepared.file.recipe = Some(sha256(fingerprint_before.config.as_bytes()));
    let ema = Ema::of(&prepared.model, config.ema_decay)?;
    let began = found.as_ref().and_then(|found| found.whole.beginning());
    let prior = PretrainedPrior::of(&prepared.model, began, &config)?;
    let mut optimizer = Optimizer::new(&config);
    if let Some(Found { whole, .. }) = &found {
        if let (Some(ema), Some(saved)) = (&ema, whole.average()) {
            ema.model.set_weights(&saved)?;
        }
        optimizer.restore(&whole.tensors, state.steps, &prepared.model)?;
    }
    let fingerprint = fingerprint(&config, &run, &prepared, processes)?;
    if let (Some(before), Some(now)) = (fingerprint_before.isa, &fingerprint.isa)
        && before != *now
        && !options.allow_other_isa
    {
        let here = Level::available().iter().any(|level| level.name() == before);
        return Err(TrainError::resume(run.path(), ResumeError::OtherIsa { before, now: now.clone(), here }));
    }
    let mut training = Training {
        fingerprint,
        json: RunJson { status: Status::Running, processes: processes.several(), ..json },
        config: &config,
        run,
        prepared,
        optimizer,
        ema,
        prior,
        state,
        on,
        processes: processes.clone(),
        time_left: TimeLeft::new(budget.clock()),
        _lock: lock,
    };
    if let Some(found) = found.as_ref().filter(|_| processes.is_first()) {
        let model = training.model_file()?;
        let mended = checkpoint::repair(&training.run, found, &model, config.keep)?;
        for warning in found.warning.iter().cloned().chain(mended) {
            (training.on)(Event::Warning(warning));
        }
    }
    training.prepared.file.recipe = Some(config.digest());
    if training.state.epoch > config.epochs {
        let kind = ResumeError::Finished { epochs: config.epochs };
        return Err(TrainError::resume(training.run.path(), kind));
    }
    if processes.is_first() {
        training.run.write_config(&config, training.json.recipe_choice.as_deref())?;
    }
    training.run()
}

/// Checks that the settings do not change the result of the run up to its present state.
fn check_compatible(
    run: &Run,
    config: &mut Config,
    before: &RunFingerprint,
    state: &State,
    schedule_from_here: bool,
) -> Result<(), TrainError> {
    let fail = |kind| Err(TrainError::resume(run.path(), kind));
    let old = Config::parse(&before.config)
        .map_err(|e| TrainError::run(run.path(), RunError::StateConfig { reason: e.to_string() }))?
        .result_affecting();
    let epochs = old.get("epochs").and_then(toml::Value::as_integer).and_then(|n| usize::try_from(n).ok());
    let epochs = epochs.unwrap_or(config.epochs);
    let finished = state.epoch > epochs;
    if schedule_from_here {
        if !finished || config.epochs <= epochs {
            let (done, requested) = (state.epoch - 1, config.epochs);
            return fail(ResumeError::NothingToExtend { done, epochs, requested });
        }
        if config.restarts.last() != Some(&epochs) {
            config.restarts.push(epochs);
        }
    }
    let split = sha256(&fs_err::read(run.split())?);
    if split != before.split {
        let kind = RunError::SplitChanged { found: split, before: before.split.clone(), model: run.last() };
        return Err(TrainError::run(run.split(), kind));
    }
    let new = config.result_affecting();
    let show = |v: Option<&toml::Value>| v.map_or("none".into(), ToString::to_string);
    let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    // More epochs change no earlier step, unless the schedule depends on the last epoch; a schedule that starts again
    // at the end changes none either.
    let open = |key: &str| {
        let extended = config.restarts.last() == Some(&epochs) && finished;
        match key {
            "epochs" => extended || !config.depends_on_last_epoch(),
            "restarts" => extended,
            _ => false,
        }
    };
    let differing: Vec<&String> =
        keys.into_iter().filter(|key| old.get(*key) != new.get(*key) && !open(key)).collect();
    if differing.iter().any(|key| *key == "epochs") && differing.len() == 1 && finished {
        return fail(ResumeError::ScheduleEnds { epochs, requested: config.epochs });
    }
    if differing.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = differing
        .into_iter()
        .map(|key| format!("{key}: {} → {}", show(old.get(key)), show(new.get(key))))
        .collect();
    fail(ResumeError::Settings { differences: list.join(", "), model: run.last() })
}
