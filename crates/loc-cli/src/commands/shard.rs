//! `loc shard`: prediction in shards under a batch scheduler. The work is done by loc-shard.

use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget};
use loc_shard::{Error, MERGED, Model, Options, PLAN, Place, Plan, Request, Retry, SUCCESS, Step};
use loc_train::Stop;

use super::model;
use super::shared::use_threads;
use super::sources::{Sources, expand};
use crate::args::{MergeShardsArgs, PlanArgs, RunShardArgs};
use crate::output::{Exit, Output};
use crate::{remedy, signals};

/// The variables in which schedulers give the index of a task: Slurm, Kubernetes, AWS Batch.
const INDEX_VARIABLES: [&str; 3] =
    ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "AWS_BATCH_JOB_ARRAY_INDEX"];
/// SIGINT: a person stopped the command; schedulers send SIGTERM.
const SIGINT: u8 = 2;

pub(crate) fn plan(args: &PlanArgs, output: &Output) -> Result<Exit> {
    check_range("--presence", args.presence.map(f64::from))?;
    let place = Place::new(&args.output)?;
    let model = model::locate(&args.model).map_err(unusable)?;
    let listed;
    let (manifest, root): (Box<dyn BufRead>, &Path) = if args.manifest.as_os_str() == "-" {
        (Box::new(std::io::stdin().lock()), Path::new("."))
    } else if args.manifest.is_dir() {
        listed = list(args, output)?;
        (Box::new(listed.as_bytes()), &args.manifest)
    } else {
        let parent = args.manifest.parent().filter(|parent| !parent.as_os_str().is_empty());
        let file = fs_err::File::open(&args.manifest)
            .map_err(|error| Error::Argument(format!("{error} (hint: is the path of the list right?)")))?;
        (Box::new(BufReader::new(file)), parent.unwrap_or(Path::new(".")))
    };
    let root = args.root.as_deref().unwrap_or(root);
    let options = Options { presence: args.presence, allow_nonfinite: args.allow_nonfinite };
    let name = args.manifest.display().to_string();
    let request = Request { manifest, name, root, model: &model, options, shards: args.shards };
    let (plan, made) = Plan::create(&place, request)?;
    let what = if made { "planned" } else { "was planned before" };
    output.note(&format!("{what}: {} photos in {} shards", plan.photos(), plan.shards()));
    output.data(&place.show(PLAN))?;
    Ok(Exit::Ok)
}

pub(crate) fn run(args: &RunShardArgs, output: &Output) -> Result<Exit> {
    check_range("--max-error-rate", Some(args.max_error_rate))?;
    let place = Place::new(&args.folder)?;
    let plan = Plan::open(&place)?;
    let shards = shards_to_run(args, plan.shards())?;
    use_threads(args.threads).map_err(unusable)?;
    let model = args.model.as_deref().unwrap_or(&plan.model().path);
    let model = Model::load(&plan, &model::locate(model).map_err(unusable)?)?;
    let stop = Stop::default();
    let signals = signals::listen(&stop)?;
    let photos = shards.clone().map(|shard| plan.photos_of(shard)).sum();
    let bar = output.bars.then(|| ProgressBar::with_draw_target(Some(photos), ProgressDrawTarget::stderr()));
    let mut too_many = None;
    for shard in shards {
        let mut progress = |photos| {
            bar.iter().for_each(|bar| bar.inc(photos));
            if stop.is_requested() { Step::Stop } else { Step::Go }
        };
        match loc_shard::run_shard(&plan, &place, shard, &model, args.max_error_rate, &mut progress) {
            Ok(done) => {
                let kept = if done.kept { ", was there" } else { "" };
                let note = format!("shard {shard}: {} photos, {} errors{kept}", done.rows, done.errors);
                let show = || {
                    output.note(&note);
                    output.data(&place.show(&plan.part_name(shard)))
                };
                bar.as_ref().map_or_else(show, |bar| bar.suspend(show))?;
            }
            Err(Error::Stopped) if signals.came() == Some(SIGINT) => return Ok(Exit::Signal(SIGINT)),
            // The other shards are not at fault.
            Err(error) if error.retry() == Retry::Data => {
                output.error(&error.into());
                too_many = Some(Exit::Shard(Retry::Data));
            }
            Err(error) => return Err(error.into()),
        }
    }
    bar.iter().for_each(ProgressBar::finish_and_clear);
    Ok(too_many.unwrap_or(Exit::Ok))
}

pub(crate) fn merge(args: &MergeShardsArgs, output: &Output) -> Result<Exit> {
    let place = Place::new(&args.folder)?;
    let plan = Plan::open(&place)?;
    let merged = loc_shard::merge(&plan, &place, !args.keep_parts)?;
    output.note(&format!(
        "{} shards are complete: {} photos, {} with errors",
        merged.shards, merged.rows, merged.errors
    ));
    let result = if args.keep_parts { SUCCESS } else { MERGED };
    output.data(&place.show(result))?;
    Ok(Exit::Ok)
}

/// The shards that the flag names, or those of the scheduler's task.
fn shards_to_run(args: &RunShardArgs, shards: u64) -> Result<Range<u64>, Error> {
    let (given, value) = match &args.shard {
        Some(value) => ("--shard".to_owned(), value.clone()),
        None => {
            let found = |name: &str| Some((name.to_owned(), std::env::var(name).ok()?));
            INDEX_VARIABLES.into_iter().find_map(found).ok_or_else(|| {
                Error::Argument(format!(
                    "no shard is named, and none of {} is set (hint: `--shard 0..{shards}` runs all)",
                    INDEX_VARIABLES.join(", ")
                ))
            })?
        }
    };
    let number = |text: &str| -> Result<u64, Error> {
        text.trim().parse().map_err(|_| {
            Error::Argument(format!("{given} {value}: is not the index of a shard (hint: a number from 0)"))
        })
    };
    let range = match value.split_once("..").filter(|_| args.shard.is_some()) {
        Some((first, end)) => number(first)?..number(end)?,
        None => {
            let first = number(&value)?.saturating_mul(args.per_task);
            first..first.saturating_add(args.per_task).min(shards.max(first.saturating_add(1)))
        }
    };
    if range.is_empty() {
        return Err(Error::Argument(format!("{given} {value}: names no shard (hint: I..J is without J)")));
    }
    match range.end <= shards {
        true => Ok(range),
        false => Err(Error::Index { index: range.start.max(shards), shards }),
    }
}

/// The photos of a folder, one path a line, relative to it.
fn list(args: &PlanArgs, output: &Output) -> Result<String> {
    let sources = [args.manifest.clone()];
    let sources = Sources { sources: &sources, recursive: args.recursive, save: Some(&args.output) };
    let photos: Vec<PathBuf> = expand(&sources, output).map_err(unusable)?;
    let mut list = String::new();
    for photo in &photos {
        let name = photo.strip_prefix(&args.manifest).unwrap_or(photo).to_str();
        let name = name.filter(|name| !name.contains(['\n', '\r'])).ok_or_else(|| {
            let why = "a name with a line break, or not in UTF-8, cannot be listed (hint: rename the file)";
            Error::Argument(format!("{}: {why}", photo.display()))
        })?;
        list.extend([name, "\n"]);
    }
    Ok(list)
}

fn check_range(flag: &str, value: Option<f64>) -> Result<(), Error> {
    match value.filter(|value| !(0.0..=1.0).contains(value)) {
        Some(value) => Err(Error::Argument(format!("{flag} {value}: must be within 0 and 1"))),
        None => Ok(()),
    }
}

/// An error of the arguments: the scheduler must not try again.
fn unusable(error: anyhow::Error) -> Error {
    Error::Argument(remedy::explain(&error))
}
