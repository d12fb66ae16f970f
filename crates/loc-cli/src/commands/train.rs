//! `loc train`: flags to a configuration, events to a person.

use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use loc_data::summary;
use loc_train::{Config, Evaluation, Event, Outcome, Provenance, Row, Run, RunLocation, Status, Stop};

use super::conclusion::conclude;
use super::configuration::{Settings, configuration};
use super::shared::{or_stopped, use_threads, warn_skipped};
use crate::args::TrainArgs;
use crate::output::{Exit, Output, escape, quoted};
use crate::outputs::Inputs;
use crate::remedy::with_flags;
use crate::signals::{self, Signals};

pub(crate) fn run(args: &TrainArgs, output: &Output) -> Result<Exit> {
    let stop = Stop::default();
    let signals = signals::listen(&stop)?;
    or_stopped(train(args, (&stop, &signals), output), &signals, output)
}

fn train(args: &TrainArgs, (stop, signals): (&Stop, &Signals), output: &Output) -> Result<Exit> {
    let mut progress = Progress::new(output);
    let outcome = match &args.resume {
        None => {
            let Settings { config, file } = configuration(&args.config, output)?;
            use_threads(config.threads)?;
            if args.exist_ok {
                keep_inputs(args, &Inputs::of(&config, file.as_deref())?)?;
            }
            let arguments = std::env::args().skip(1).collect();
            let threads = rayon::current_num_threads();
            let version = env!("CARGO_PKG_VERSION").into();
            let provenance = Provenance { version, arguments, threads };
            if !args.seeds.is_empty() {
                return seeds(args, &config, &provenance, (stop, signals), output);
            }
            let location = RunLocation { project: &args.project, name: &args.name, exist_ok: args.exist_ok };
            loc_train::train(&config, location, &provenance, stop, &mut |e| progress.show(e))?
        }
        Some(path) => {
            let run = match path.as_os_str().is_empty() {
                true => Run::latest(&args.project)?,
                false => Run::containing(path)?,
            };
            if path.is_file()
                && ![run.last(), run.state()].iter().any(|file| file.file_name() == path.file_name())
            {
                output.note(&format!(
                    "{}: the run continues from its newest state, not from this file (hint: `--init {0}` starts a new run \
                     from it)",
                    path.display()
                ));
            }
            let overrides = args.config.keys.sources()?;
            use_threads(run.read_config(&overrides)?.threads)?;
            loc_train::resume(run, &overrides, args.schedule_from_here, stop, &mut |e| progress.show(e))?
        }
    };
    progress.end();
    conclude(&outcome, !args.no_report, output)?;
    Ok(exit(&outcome, signals, progress.partly))
}

/// Refuses to use a run folder again whose files are inputs of this training.
fn keep_inputs(args: &TrainArgs, inputs: &Inputs) -> Result<()> {
    let names = match args.seeds.is_empty() {
        true => vec![args.name.clone()],
        false => args.seeds.iter().map(|seed| seed_name(args, *seed)).collect(),
    };
    for name in names {
        for file in Run::removable(&args.project, &name)? {
            inputs.keep(&file, "--exist-ok")?;
        }
    }
    Ok(())
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
    config: &Config,
    provenance: &Provenance,
    (stop, signals): (&Stop, &Signals),
    output: &Output,
) -> Result<Exit> {
    let (mut reached, mut runs, mut partly) = (Vec::new(), Vec::new(), false);
    for seed in &args.seeds {
        let config = Config { seed: *seed, ..config.clone() };
        let name = seed_name(args, *seed);
        let mut progress = Progress::new(output);
        let location = RunLocation { project: &args.project, name: &name, exist_ok: args.exist_ok };
        let outcome = loc_train::train(&config, location, provenance, stop, &mut |e| progress.show(e))?;
        progress.end();
        conclude(&outcome, !args.no_report, output)?;
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

/// Shows events: a bar on a terminal, a line an epoch elsewhere.
pub(super) struct Progress<'a> {
    output: &'a Output,
    bar: Option<ProgressBar>,
    /// Whether photos were left out because `--skip-bad` allows any number.
    partly: bool,
}

impl<'a> Progress<'a> {
    pub(super) fn new(output: &'a Output) -> Self {
        Self { output, bar: None, partly: false }
    }

    pub(super) fn show(&mut self, event: Event) {
        match event {
            Event::Warning(text) => self.output.warn(&text),
            Event::DataWarnings(warnings) => {
                for line in summary(&with_flags(warnings)) {
                    self.output.warn(&line);
                }
            }
            Event::Note(text) => self.output.note(&text),
            Event::LeftOut(left_out) => {
                self.partly = left_out.by_skip_any();
                warn_skipped(left_out, self.output);
            }
            Event::Ready { run, train, val, classes, parameters, epochs, resumed, .. } => {
                let names: Vec<String> = classes.iter().map(|c| escape(c)).collect();
                self.line(&format!(
                    "{}: {train} photos train, {val} validate; classes {}; {parameters} parameters; {epochs} epochs",
                    run.display(),
                    names.join(", ")
                ));
                if let Some((epoch, step)) = resumed {
                    self.line(&format!("continues after epoch {epoch}, step {step}"));
                }
                self.line(HEADER);
                if self.output.bars {
                    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
                    if let Ok(style) =
                        ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg} {eta}")
                    {
                        bar.set_style(style);
                    }
                    bar.enable_steady_tick(Duration::from_millis(250));
                    self.bar = Some(bar);
                }
            }
            Event::Features { done, of } if done == of => {
                self.line(&format!("the features of {of} photos are computed"));
            }
            Event::Heads { epoch, epochs } if epoch == epochs => {
                self.line(&format!("the heads were trained for {epochs} epochs on the frozen backbone"));
            }
            Event::Step { epoch, step, steps, loss } => {
                if let Some(bar) = &self.bar {
                    if step == 1 {
                        bar.reset();
                    }
                    bar.set_prefix(format!("epoch {epoch}"));
                    bar.set_length(steps as u64);
                    bar.set_position(step as u64);
                    bar.set_message(format!("loss {loss:.4}"));
                }
            }
            Event::Epoch { row, epochs, best } => self.line(&line(&row, epochs, best)),
            _ => {}
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.output.note(text)),
            None => self.output.note(text),
        }
    }

    pub(super) fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

const HEADER: &str = "  epoch    seconds  train loss   val loss   accuracy   mean IoU   loc. acc.";

fn line(row: &Row, epochs: usize, best: bool) -> String {
    let mark = if best { "  best" } else { "" };
    format!(
        "{:>7} {:>10.1} {:>11.4} {:>10.4} {:>10.3} {:>10.3} {:>11.3}{mark}",
        format!("{}/{epochs}", row.epoch),
        row.time,
        row.train_loss,
        row.val_loss,
        row.val_acc,
        row.val_iou,
        row.val_acc_iou50
    )
}
