//! `loc train`: flags to a configuration, events to a person.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use loc_train::{
    AutoReason, Choices, Config, Evaluation, Outcome, Provenance, ResumeOptions, Run, RunLocation, Status,
    Stop, TrainOptions,
};

use super::conclusion::conclude;
use super::configuration::{Settings, configuration};
use super::plan;
use super::progress::Progress;
use super::second_run::{self, SecondRun};
use super::shared::{or_stopped, reading_bar, use_threads};
use super::weights;
use crate::args::TrainArgs;
use crate::output::{Exit, Output, quoted};
use crate::outputs::Inputs;
use crate::processes::Launch;
use crate::signals::{self, Signals};

pub(crate) fn run(args: &TrainArgs, output: &Output) -> Result<Exit> {
    if let Some(folder) = &args.plan {
        return plan::write(args, folder, output);
    }
    let launch = Launch::start()?;
    let stop = Stop::default();
    let signals = signals::listen(&stop)?;
    let own = &launch.output(output);
    let result = match &args.resume {
        None => train_new(args, &launch, (&stop, &signals), own),
        Some(path) => resume(args, path, &launch, (&stop, &signals), own),
    };
    launch.end(or_stopped(result, &signals, own), output)
}

fn train_new(
    args: &TrainArgs,
    launch: &Launch,
    (stop, signals): (&Stop, &Signals),
    output: &Output,
) -> Result<Exit> {
    let Settings { config, file, auto, sources } = launch.agreed(configuration(&args.config, output))?;
    use_threads(launch.threads(config.threads)?)?;
    if args.exist_ok {
        let kept = Inputs::of(&config, file.as_deref()).and_then(|inputs| keep_inputs(args, &inputs));
        launch.agreed(kept)?;
    }
    let provenance = Provenance {
        version: env!("CARGO_PKG_VERSION").into(),
        arguments: std::env::args().skip(1).collect(),
        threads: rayon::current_num_threads(),
        recipe_choice: auto.as_ref().map(ToString::to_string),
    };
    let processes = launch.processes.clone();
    let mut options = TrainOptions {
        time: args.time,
        curve: args.curve,
        processes,
        reading: reading_bar(output),
        ..TrainOptions::default()
    };
    if !args.seeds.is_empty() {
        return seeds(args, launch, (&config, &options, &provenance), (stop, signals), output);
    }
    let reason = auto.map(|choice| choice.reason);
    if matches!(reason, Some(AutoReason::WeightsFound(_))) {
        let is_free = |key: &str| !sources.iter().any(|source| source.sets(key));
        options.choices = Choices { features: true, imgsz: is_free("imgsz"), looks: is_free("looks") };
    }
    let mut progress = Progress::new(output);
    let began = Instant::now();
    let location = RunLocation { project: &args.project, name: &args.name, exist_ok: args.exist_ok };
    let mut outcome =
        loc_train::train_with(&config, &options, location, &provenance, stop, &mut |e| progress.show(e))?;
    progress.end();
    conclude_first(&outcome, launch, args, output)?;
    let time = (began.elapsed(), args.time);
    match second_run::after(&outcome, &config, &sources, time)? {
        SecondRun::None => {}
        SecondRun::Advice(command) => output.note(&format!(
            "training backbone and head together may tell the classes apart, but too little time is left; this would do it: \
             {command}"
        )),
        SecondRun::Train(config, time) => {
            let choice = "recipe finetune, chosen by `auto`: frozen features do not tell the classes apart";
            output.note(&format!("{choice}; it starts from {}", outcome.run.path().display()));
            let provenance = Provenance { recipe_choice: Some(choice.into()), ..provenance };
            let options = TrainOptions { time, curve: false, choices: Choices::default(), ..options };
            let name = second_name(args);
            let location = RunLocation { name: &name, ..location };
            let show = &mut |e| progress.show(e);
            let before = outcome.evaluation.take();
            outcome = loc_train::train_with(&config, &options, location, &provenance, stop, show)?;
            progress.end();
            conclude_first(&outcome, launch, args, output)?;
            if let (Some(before), Some(after)) = (before, &outcome.evaluation) {
                output.note(&second_run::gain(&before, after));
            }
        }
    }
    if reason == Some(AutoReason::WeightsMissing) {
        output.note(&weights::advice());
    }
    Ok(exit(&outcome, signals, progress.partly))
}

fn resume(
    args: &TrainArgs,
    path: &Path,
    launch: &Launch,
    (stop, signals): (&Stop, &Signals),
    output: &Output,
) -> Result<Exit> {
    let run = launch.agreed(match path.as_os_str().is_empty() {
        true => Run::latest(&args.project).map_err(Into::into),
        false => Run::containing(path).map_err(Into::into),
    })?;
    if path.is_file() && ![run.last(), run.state()].iter().any(|file| file.file_name() == path.file_name()) {
        output.note(&format!(
            "{}: the run continues from its newest state, not from this file (hint: `--init {0}` starts a new run from it)",
            path.display()
        ));
    }
    let overrides = args.config.keys.sources()?;
    let threads = launch.agreed(run.read_config(&overrides).map_err(Into::into))?.threads;
    use_threads(launch.threads(threads)?)?;
    let mut progress = Progress::new(output);
    let show = &mut |e| progress.show(e);
    let options =
        ResumeOptions { schedule_from_here: args.schedule_from_here, allow_other_isa: args.allow_other_isa };
    let outcome = loc_train::resume_with(run, &overrides, options, &launch.processes, stop, show)?;
    progress.end();
    conclude_first(&outcome, launch, args, output)?;
    Ok(exit(&outcome, signals, progress.partly))
}

/// Prints and writes the conclusion, on the first process.
fn conclude_first(outcome: &Outcome, launch: &Launch, args: &TrainArgs, output: &Output) -> Result<()> {
    match launch.processes.is_first() {
        true => conclude(outcome, !args.no_report, output),
        false => Ok(()),
    }
}

/// Refuses to use a run folder again whose files are inputs of this training.
fn keep_inputs(args: &TrainArgs, inputs: &Inputs) -> Result<()> {
    let names = match args.seeds.is_empty() {
        true => vec![args.name.clone(), second_name(args)],
        false => args.seeds.iter().map(|seed| seed_name(args, *seed)).collect(),
    };
    for name in names {
        for file in Run::removable(&args.project, &name)? {
            inputs.keep(&file, "--exist-ok")?;
        }
    }
    Ok(())
}

/// The name of the second run of the recipe `auto`.
fn second_name(args: &TrainArgs) -> String {
    format!("{}-finetune", args.name)
}

/// The name of the run of one of several seeds.
fn seed_name(args: &TrainArgs, seed: u64) -> String {
    format!("{}-seed{seed}", args.name)
}

/// The code of a training that came to an end; `partly` if it left out photos because `--skip-bad` allows any number.
fn exit(outcome: &Outcome, signals: &Signals, partly: bool) -> Exit {
    match outcome.status {
        Status::Interrupted => signals.came().map_or(Exit::Failed, Exit::Signal),
        _ if partly => Exit::Partly,
        _ => Exit::Ok,
    }
}

/// A run for each seed, then their figures together.
fn seeds(
    args: &TrainArgs,
    launch: &Launch,
    (config, options, provenance): (&Config, &TrainOptions, &Provenance),
    (stop, signals): (&Stop, &Signals),
    output: &Output,
) -> Result<Exit> {
    let (mut reached, mut runs, mut partly) = (Vec::new(), Vec::new(), false);
    for seed in &args.seeds {
        let config = Config { seed: *seed, ..config.clone() };
        let name = seed_name(args, *seed);
        let mut progress = Progress::new(output);
        let location = RunLocation { project: &args.project, name: &name, exist_ok: args.exist_ok };
        let outcome =
            loc_train::train_with(&config, options, location, provenance, stop, &mut |e| progress.show(e))?;
        progress.end();
        conclude_first(&outcome, launch, args, output)?;
        runs.push(quoted(&outcome.run.path().to_string_lossy()));
        partly = progress.partly;
        if outcome.status == Status::Interrupted {
            return Ok(exit(&outcome, signals, partly));
        }
        reached.extend(outcome.evaluation);
    }
    output.note(&spread(&reached));
    output.note(&format!("compare them: loc report {} -o report.html", runs.join(" ")));
    Ok(if partly { Exit::Partly } else { Exit::Ok })
}

/// Mean and spread of several runs: the smallest and the largest.
fn spread(all: &[Evaluation]) -> String {
    let figures = |e: &Evaluation| {
        [
            ("accuracy", e.accuracy),
            ("mean IoU", e.mean_iou),
            ("IoU ≥ 0.5", e.iou50),
            ("IoU ≥ 0.75", e.iou75),
            ("localization accuracy", e.localization_accuracy),
        ]
    };
    let all: Vec<_> = all.iter().map(figures).collect();
    let mut text = format!("{} runs                     mean  smallest  largest", all.len());
    for (i, (name, _)) in all.first().into_iter().flatten().enumerate() {
        let values: Vec<f64> = all.iter().filter_map(|figures| figures[i].1).collect();
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        let (low, high) = values.iter().fold((1.0f64, 0.0f64), |(l, h), v| (l.min(*v), h.max(*v)));
        text += &format!("\n{name:<22} {mean:>8.3} {low:>9.3} {high:>8.3}");
    }
    text
}
