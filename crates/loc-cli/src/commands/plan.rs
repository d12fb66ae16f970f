//! `loc train --plan`: independent runs as jobs, one command each, for a job array or another machine. Nothing is trained.

use std::path::{Path, PathBuf};

use anyhow::Result;
use loc_data::{Dataset, OpenedDataset, Split, split};
use loc_train::{Config, ConfigError, TrainError, choose_split, first_quarters, read_options};

use super::configuration::{Settings, configuration};
use crate::args::{ConfigArgs, TrainArgs};
use crate::output::{Exit, Output, Usage, quoted};
use crate::outputs::{Inputs, Kind, Target};

/// Folds of `--fold all`.
const FOLDS: usize = 5;
/// The file with a command for each job.
const JOBS: &str = "jobs.txt";

/// A run, by what its name ends with.
struct Job {
    suffix: String,
    config: Config,
}

/// Writes the jobs into a new folder.
pub(crate) fn write(args: &TrainArgs, folder: &Path, output: &Output) -> Result<Exit> {
    let folds = args.config.keys.value("fold").map(folds).transpose()?.flatten();
    let keys = match folds {
        Some(_) => args.config.keys.without("fold"),
        None => args.config.keys.clone(),
    };
    let of_run = ConfigArgs { recipe: args.config.recipe.clone(), config: args.config.config.clone(), keys };
    let Settings { config, auto, .. } = configuration(&of_run, output)?;
    let (jobs, splits) = match (&args.seeds[..], folds, args.curve) {
        ([], None, true) => curve(&config, folder)?,
        ([], Some(count), false) => (of_folds(&config, count), Vec::new()),
        ([_, ..], None, false) => (of_seeds(&config, &args.seeds), Vec::new()),
        _ => return Err(Usage("--plan needs one of `--seeds`, `--fold all` and `--curve`".into()).into()),
    };
    let run = |job: &Job| args.project.join(format!("{}-{}", args.name, job.suffix));
    for run in jobs.iter().map(run) {
        if fs_err::symlink_metadata(&run).is_ok() {
            let text = format!("{} exists: the job would replace it (hint: another `--name`)", run.display());
            return Err(Usage(text).into());
        }
    }
    if fs_err::read_dir(folder).is_ok_and(|mut files| files.next().is_some()) {
        let text = format!("{}: is not empty (hint: a plan is written into a new folder)", folder.display());
        return Err(Usage(text).into());
    }
    let choice = auto.map(|choice| choice.to_string()).unwrap_or_default();
    let head: String = choice.lines().map(|line| format!("# {line}\n")).collect();
    let (mut files, mut commands) = (splits, String::new());
    for Job { suffix, config } in &jobs {
        let name = format!("{suffix}.toml");
        commands += &command(args, &folder.join(&name), suffix);
        files.push((name.into(), format!("{head}{}", toml::to_string(config)?).into_bytes()));
    }
    files.push((JOBS.into(), commands.into_bytes()));
    let names = files.iter().map(|(name, _)| (name.clone(), Kind::Plan)).collect();
    let targets = Target::folder(folder, names, &Inputs::default(), false)?;
    for (target, (_, bytes)) in targets.iter().zip(files) {
        target.write(bytes)?;
    }
    let list = folder.join(JOBS);
    output.data(&list.display().to_string())?;
    let shown = quoted(&list.to_string_lossy());
    output.note(&format!("{} jobs, one command each; they run in this folder", jobs.len()));
    output.note(&format!("one after the other: sh {shown}"));
    output.note(&format!(
        "Slurm: sbatch --array=1-{} --wrap 'sed -n \"${{SLURM_ARRAY_TASK_ID}}p\" {} | sh'",
        jobs.len(),
        list.display()
    ));
    let runs: Vec<String> = jobs.iter().map(|job| quoted(&run(job).to_string_lossy())).collect();
    output.note(&format!("then compare them: loc report {} -o report.html", runs.join(" ")));
    Ok(Exit::Ok)
}

/// The number of folds of `all` or `all/K`; none of a single fold.
fn folds(value: &str) -> Result<Option<usize>> {
    match value.strip_prefix("all") {
        None => Ok(None),
        Some("") => Ok(Some(FOLDS)),
        Some(count) => {
            let count =
                count.strip_prefix('/').and_then(|count| count.parse().ok()).filter(|count| *count >= 2);
            let wrong = || Usage(format!("--fold {value}: `all`, or `all/K` with K of 2 or more, is needed"));
            Ok(Some(count.ok_or_else(wrong)?))
        }
    }
}

fn of_seeds(config: &Config, seeds: &[u64]) -> Vec<Job> {
    let job =
        |seed: &u64| Job { suffix: format!("seed{seed}"), config: Config { seed: *seed, ..config.clone() } };
    seeds.iter().map(job).collect()
}

fn of_folds(config: &Config, count: usize) -> Vec<Job> {
    let job = |index| Job {
        suffix: format!("fold{index}"),
        config: Config { fold: Some(format!("{index}/{count}")), ..config.clone() },
    };
    (1..=count).map(job).collect()
}

/// Jobs, and the files that they read, by name.
type JobsAndFiles = (Vec<Job>, Vec<(PathBuf, Vec<u8>)>);

/// A quarter, half and all of the training photos, and their split files by name; the validation photos are the same.
fn curve(config: &Config, folder: &Path) -> Result<JobsAndFiles> {
    let data = config
        .data
        .as_ref()
        .ok_or_else(|| TrainError::Config { origin: "data".into(), kind: Box::new(ConfigError::NoData) })?;
    let OpenedDataset { dataset, .. } = Dataset::open_with_report(data, &read_options(config)?)?;
    let (whole, _) = choose_split(config, &dataset)?;
    let (mut jobs, mut splits) = (Vec::new(), Vec::new());
    for (suffix, quarters) in [("quarter", 1), ("half", 2), ("all", 4)] {
        let train = first_quarters(&dataset, &whole.train, quarters, config.seed)?;
        let name = PathBuf::from(format!("{suffix}.csv"));
        let config = Config { split_file: Some(folder.join(&name)), fold: None, ..config.clone() };
        splits.push((name, split::to_csv(&dataset, &Split { train, ..whole.clone() })?));
        jobs.push(Job { suffix: suffix.into(), config });
    }
    Ok((jobs, splits))
}

/// The line of a job. A job that is started again replaces what its first start has left.
fn command(args: &TrainArgs, config: &Path, suffix: &str) -> String {
    let [config, project] = [config, &args.project].map(|path| quoted(&path.to_string_lossy()));
    let name = quoted(&format!("{}-{suffix}", args.name));
    let report = if args.no_report { " --no-report" } else { "" };
    format!("loc train --config {config} --project {project} --name {name} --exist-ok{report}\n")
}
