//! `cargo xtask slurm`: prediction in shards under a real Slurm on this machine, with files and with an S3 server: an array of
//! tasks, one of which is killed and requeued, gives the bytes of one unsharded run; a plan with another model is refused.

mod cluster;
mod inputs;
mod store;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use fs_err as fs;

use self::cluster::{Cluster, PROGRAMS, find};
use self::inputs::Inputs;
use self::store::Store;
use crate::command::Call;
use crate::pipeline::build_loc;
use crate::workspace::Workspace;

/// The flags of `cargo xtask slurm`.
#[derive(Args)]
pub(crate) struct Options {
    /// Fail if Slurm or the S3 server cannot be had, instead of skipping
    #[arg(long)]
    pub(crate) strict: bool,
}

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

/// Runs the check, or skips what is not installed with one line each.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if let Some(missing) = missing() {
        ensure!(!options.strict, "{missing}");
        println!("skipped: {missing}");
        return Ok(());
    }
    let loc = build_loc(workspace)?;
    let folder = tempfile::Builder::new().prefix("loc-slurm-").tempdir()?;
    let inputs = Inputs::make(workspace, &loc, folder.path())?;
    let start = Instant::now();
    let one = inputs.at("one");
    let shard = |args: &[&str]| Call::new(workspace, &loc).arg("shard").args(args).run();
    shard(&[
        "plan",
        &inputs.at("photos/list.txt"),
        "-m",
        &inputs.at("m.safetensors"),
        "-o",
        &one,
        "--shards",
        "1",
    ])?;
    shard(&["run", &one, "--shard", "0", "--threads", "1"])?;
    shard(&["merge", &one])?;
    println!("{} photos in one process: {:.1} s", inputs::PHOTOS, start.elapsed().as_secs_f64());
    let expected = fs::read(Path::new(&one).join("_predictions.parquet"))?;

    fs::create_dir(inputs.at("slurm"))?;
    let cluster = Cluster::start(workspace, &folder.path().join("slurm"))?;
    let check = Check { workspace, loc: &loc, inputs: &inputs, cluster: &cluster };
    let out = inputs.at("out");
    let files =
        Site { root: inputs.at("photos"), scratch: out.clone(), out: out.clone(), variables: Vec::new() };
    check.run("files", &files)?;
    ensure!(fs::read(Path::new(&out).join("_predictions.parquet"))? == expected, "files: the bytes differ");
    check.refuses_another_model(&files)?;

    let python = match store::install(workspace) {
        Ok(python) => python,
        Err(error) if options.strict => bail!("the S3 server cannot be installed: {error:#}"),
        Err(error) => {
            println!("skipped: the S3 server cannot be installed: {error:#}");
            return Ok(());
        }
    };
    let store = Store::start(&python, Path::new(&inputs.at("photos")), Path::new(&inputs.at("s3.log")))?;
    let scratch = inputs.at("scratch");
    fs::create_dir(&scratch)?;
    let mut variables = store.variables().to_vec();
    variables.push(("TMPDIR", scratch.clone()));
    let objects = Site { root: "s3://loc/photos".into(), out: "s3://loc/out".into(), scratch, variables };
    check.run("objects of an S3 server", &objects)?;
    ensure!(store.get("out/_predictions.parquet")? == expected, "S3: the bytes differ");
    check.refuses_another_model(&objects)?;
    let refused = store.refused()?;
    ensure!(refused > 0, "the S3 server refused no request");
    println!("{refused} requests were refused with 503 and repeated");
    Ok(())
}

/// Where photos and results are.
struct Site {
    root: String,
    out: String,
    /// Where temporary files are.
    scratch: String,
    variables: Vec<(&'static str, String)>,
}

struct Check<'a> {
    workspace: &'a Workspace,
    loc: &'a Path,
    inputs: &'a Inputs<'a>,
    cluster: &'a Cluster<'a>,
}

impl Check<'_> {
    /// Runs a plan under Slurm, and kills a task.
    fn run(&self, name: &str, site: &Site) -> Result<()> {
        let (list, model) = (self.inputs.at("photos/list.txt"), self.inputs.at("m.safetensors"));
        let plan =
            with(Call::new(self.workspace, self.loc), site).args(["shard", "plan", &list, "-m", &model]);
        plan.args(["-o", &site.out, "--root", &site.root, "--shards", &SHARDS.to_string()]).run()?;
        let start = Instant::now();
        let job = self.submit(site, "predict.sbatch", &["--array", &format!("0-{}", SHARDS - 1)])?;
        self.kill(site)?;
        let merge = self.submit(site, "merge.sbatch", &[&format!("--dependency=afterok:{job}")])?;
        let tasks = self.cluster.finish(&job)?;
        for (index, task) in &tasks {
            let restarts = u32::from(*index == KILLED);
            let as_planned = task.state == "COMPLETED" && task.restarts == restarts;
            ensure!(as_planned, "task {index}: {task:?}\n{}", self.outputs()?);
        }
        ensure!(tasks.len() == SHARDS as usize, "{tasks:?}");
        let merged = self.cluster.finish(&merge)?;
        ensure!(merged[&0].state == "COMPLETED", "{merged:?}\n{}", self.outputs()?);
        let seconds = start.elapsed().as_secs_f64();
        println!("{name}: {seconds:.1} s as {SHARDS} tasks of Slurm, one of them killed and requeued");
        Ok(())
    }

    /// With another model than the plan's, a task ends with 64, and is not tried again.
    fn refuses_another_model(&self, site: &Site) -> Result<()> {
        let args = ["--array", "0"];
        let other = self.inputs.at("other.safetensors");
        let job = self.submit_with(site, "predict.sbatch", &args, &["--model", &other])?;
        let tasks = self.cluster.finish(&job)?;
        ensure!(tasks[&0].exit == "64:0" && tasks[&0].restarts == 0, "{tasks:?}\n{}", self.outputs()?);
        Ok(())
    }

    fn submit(&self, site: &Site, script: &str, flags: &[&str]) -> Result<String> {
        self.submit_with(site, script, flags, &[])
    }

    fn submit_with(&self, site: &Site, script: &str, flags: &[&str], args: &[&str]) -> Result<String> {
        let call = with(self.cluster.call("sbatch"), site).env("LOC", self.loc);
        let output = self.inputs.at("job-%j.txt");
        let script = self.workspace.root.join("deploy/slurm").join(script);
        let call = call.args(["--parsable", "--output", &output]).args(flags).arg(script).arg(&site.out);
        Ok(call.args(args).run_and_capture()?.trim().to_owned())
    }

    /// Kills the process of a shard as soon as it writes.
    fn kill(&self, site: &Site) -> Result<()> {
        let prefix = format!(".part-{KILLED:05}.");
        let variable = format!("SLURM_ARRAY_TASK_ID={KILLED}");
        let begun = || -> Result<bool> {
            let mut names = fs::read_dir(&site.scratch)?;
            Ok(names.any(|e| e.is_ok_and(|e| e.file_name().to_string_lossy().starts_with(&prefix))))
        };
        self.cluster.wait("the shard to be killed", || {
            // A shard takes a fraction of a second.
            for _ in 0..50 {
                if begun()? {
                    let pid = process(&variable)?.context("the shard has ended before it was killed")?;
                    Call::new(self.workspace, "kill").args(["-9", &pid]).run()?;
                    return Ok(true);
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            Ok(false)
        })
    }

    /// What the tasks printed.
    fn outputs(&self) -> Result<String> {
        let mut all = String::new();
        for entry in fs::read_dir(self.inputs.at(""))? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"job-")) {
                all += &fs::read_to_string(path)?;
            }
        }
        Ok(all)
    }
}

fn with(call: Call, site: &Site) -> Call {
    site.variables.iter().fold(call, |call, (name, value)| call.env(name, value))
}

/// The id of the `loc` with this variable in its environment.
fn process(variable: &str) -> Result<Option<String>> {
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        // Processes of others cannot be read, and any may end meanwhile.
        let read = |name: &str| fs::read(path.join(name)).unwrap_or_default();
        let has =
            |bytes: &[u8], word: &str| bytes.split(|byte| *byte == 0).any(|found| found == word.as_bytes());
        if read("comm") == b"loc\n" && has(&read("cmdline"), "shard") && has(&read("environ"), variable) {
            return Ok(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}
