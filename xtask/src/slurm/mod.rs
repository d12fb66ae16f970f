//! `cargo xtask slurm`: prediction in shards under a real Slurm on this machine: an array of tasks, one of which is killed and
//! requeued, gives the bytes of one unsharded run; a plan with another model is refused.

mod cluster;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use fs_err as fs;

use self::cluster::{Cluster, PROGRAMS, find};
use crate::command::Call;
use crate::pipeline::build_loc;
use crate::workspace::Workspace;

/// The flags of `cargo xtask slurm`.
#[derive(Args)]
pub(crate) struct Options {
    /// Fail if Slurm is not installed, instead of skipping
    #[arg(long)]
    strict: bool,
}

/// Photos of the prediction, and its shards.
const PHOTOS: usize = 600;
const SHARDS: u32 = 6;
/// The shard that is killed.
const KILLED: u32 = 2;

/// What is not installed, and the packages that have it.
pub(crate) fn missing() -> Option<String> {
    let missing: Vec<_> = PROGRAMS.iter().filter(|(program, _)| find(program).is_none()).collect();
    let list = |of: fn(&(&'static str, &'static str)) -> &'static str| {
        let mut names: Vec<&str> = missing.iter().map(|found| of(found)).collect();
        names.dedup();
        names.join(", ")
    };
    (!missing.is_empty())
        .then(|| format!("{} not installed (Debian: {})", list(|(program, _)| program), list(|(_, of)| of)))
}

/// Runs the check, or skips it with one line.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    match missing() {
        None => check(workspace),
        Some(missing) if options.strict => bail!("{missing}"),
        Some(missing) => {
            println!("skipped: {missing}");
            Ok(())
        }
    }
}

/// Runs the check.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let loc = build_loc(workspace)?;
    let folder = tempfile::Builder::new().prefix("loc-slurm-").tempdir()?;
    let at = |name: &str| folder.path().join(name).display().to_string();
    let run = |args: &[&str]| Call::new(workspace, &loc).args(args).run_and_capture();
    run(&["data", "sample", &at("photos"), "--n", &PHOTOS.to_string()])?;
    let mut list: Vec<String> = fs::read_dir(folder.path().join("photos/images"))?
        .map(|entry| Ok(format!("{}\n", entry?.path().display())))
        .collect::<Result<_>>()?;
    list.sort();
    fs::write(at("photos.txt"), list.concat())?;
    for (model, seed) in [("model", "0"), ("other", "1")] {
        run(&["data", "sample", &at(&format!("set-{model}")), "--n", "16", "--seed", seed])?;
        let args = ["train", "--data", &at(&format!("set-{model}")), "--recipe", "scratch", "--epochs", "1"];
        let path = run(&[&args[..], &["--project", &at("runs"), "--name", model]].concat())?;
        fs::copy(Path::new(path.trim()).join("weights/last.safetensors"), at(model) + ".safetensors")?;
    }
    let model = at("model.safetensors");
    let plan = |out: &str, shards: u32| {
        run(&["shard", "plan", &at("photos.txt"), "-m", &model, "-o", out, "--shards", &shards.to_string()])
    };
    let (one, out) = (at("one"), at("out"));
    plan(&one, 1)?;
    let start = Instant::now();
    run(&["shard", "run", &one, "--shard", "0", "--threads", "1"])?;
    let unsharded = start.elapsed();
    run(&["shard", "merge", &one])?;

    plan(&out, SHARDS)?;
    fs::create_dir(at("slurm"))?;
    let cluster = Cluster::start(workspace, &folder.path().join("slurm"))?;
    let submit = |script: &str, array: &[&str]| -> Result<String> {
        let call =
            cluster.call("sbatch").env("LOC", &loc).args(["--parsable", "--output", &at("job-%j.txt")]);
        let script = workspace.root.join("deploy/slurm").join(script);
        Ok(call.args(array).arg(script).arg(&out).run_and_capture()?.trim().to_owned())
    };
    let start = Instant::now();
    let job = submit("predict.sbatch", &["--array", &format!("0-{}", SHARDS - 1)])?;
    kill(workspace, &cluster, Path::new(&out), KILLED)?;
    let after = format!("--dependency=afterok:{job}");
    let merge = submit("merge.sbatch", &[&after])?;
    let tasks = cluster.finish(&job)?;
    for (index, task) in &tasks {
        let restarts = u32::from(*index == KILLED);
        ensure!(task.state == "COMPLETED" && task.restarts == restarts, "task {index}: {task:?}");
    }
    ensure!(tasks.len() == SHARDS as usize, "{tasks:?}");
    let merged = cluster.finish(&merge)?;
    ensure!(merged[&0].state == "COMPLETED", "{merged:?}");
    let sharded = start.elapsed();
    let bytes = |out: &str| fs::read(Path::new(out).join("_predictions.parquet"));
    ensure!(bytes(&one)? == bytes(&out)?, "the merged bytes differ from those of the unsharded run");

    // Another model than the plan's: the task ends with 64, and is not tried again.
    fs::copy(at("other.safetensors"), &model)?;
    let refused = cluster.finish(&submit("predict.sbatch", &["--array", "0"])?)?;
    ensure!(refused[&0].exit == "64:0" && refused[&0].restarts == 0, "{refused:?}");
    println!(
        "{PHOTOS} photos: {:.1} s in one process, {:.1} s as {SHARDS} tasks of Slurm, one of them killed and requeued; the \
         bytes are equal. Another model: exit code 64, not tried again",
        unsharded.as_secs_f64(),
        sharded.as_secs_f64()
    );
    Ok(())
}

/// Kills the process of a shard as soon as it writes.
fn kill(workspace: &Workspace, cluster: &Cluster<'_>, out: &Path, shard: u32) -> Result<()> {
    let prefix = format!(".part-{shard:05}.");
    let variable = format!("SLURM_ARRAY_TASK_ID={shard}");
    cluster.wait("the shard to be killed", || {
        let begun = || -> Result<bool> {
            for entry in fs::read_dir(out)? {
                if entry?.file_name().to_string_lossy().starts_with(&prefix) {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        // Faster than the general wait: a shard takes a fraction of a second.
        for _ in 0..50 {
            if begun()? {
                let pid = process(&variable)?.context("the shard has ended before it was killed")?;
                Call::new(workspace, "kill").args(["-9", &pid]).run()?;
                return Ok(true);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(false)
    })
}

/// The id of the `loc` with this variable in its environment.
fn process(variable: &str) -> Result<Option<String>> {
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        // Processes of others cannot be read, and any may end meanwhile.
        let read = |name: &str| fs::read(path.join(name)).unwrap_or_default();
        let has =
            |bytes: Vec<u8>, word: &str| bytes.split(|byte| *byte == 0).any(|found| found == word.as_bytes());
        if has(read("cmdline"), "shard") && has(read("environ"), variable) && read("comm") == b"loc\n" {
            return Ok(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}
