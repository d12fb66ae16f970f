//! The training run into which faults are injected, and the checks after a fault.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fs_err as fs;
use sha2::{Digest, Sha256};

/// Few photos and a small input: an epoch has three steps, and saving takes a large part of its time.
const TRAIN: [&str; 14] = [
    "--recipe",
    "scratch",
    "--data",
    "shapes",
    "--imgsz",
    "188",
    "--batch",
    "4",
    "--epochs",
    "3",
    "--keep",
    "last:2",
    "--threads",
    "1",
];

/// A folder with data, the program, and the result of a run without faults.
pub(super) struct Bench {
    folder: PathBuf,
    program: PathBuf,
    /// The digests of the model files of the run without faults, by name.
    reference: BTreeMap<String, String>,
    /// The failpoints that the run without faults passed, in order.
    pub(super) points: Vec<String>,
    /// The time of the run without faults.
    pub(super) time: Duration,
}

impl Bench {
    pub(super) fn new(folder: &Path, program: &Path) -> Result<Self> {
        let mut bench = Self {
            folder: folder.to_owned(),
            program: program.to_owned(),
            reference: BTreeMap::new(),
            points: Vec::new(),
            time: Duration::ZERO,
        };
        let drawn = bench.command(&["data", "sample", "shapes", "--n", "14"], &[]).output()?;
        ensure!(drawn.status.success(), "generating photos: {}", stderr(&drawn));
        let log = folder.join("points");
        let start = Instant::now();
        let output = bench.train("reference", &[("LOC_FAULT_LOG", &log.display().to_string())])?;
        ensure!(output.status.success(), "the run without faults: {}", stderr(&output));
        bench.time = start.elapsed();
        bench.points = fs::read_to_string(&log)?.lines().map(str::to_owned).collect();
        bench.reference = digests(&bench.run("reference"))?;
        eprintln!(
            "the run without faults: {:.2} s, {} failpoints, {} model files",
            bench.time.as_secs_f64(),
            bench.points.len(),
            bench.reference.len()
        );
        ensure!(bench.points.len() > 30 && bench.reference.len() == 4, "too few failpoints or model files");
        Ok(bench)
    }

    pub(super) fn run(&self, name: &str) -> PathBuf {
        self.folder.join("runs").join(name)
    }

    pub(super) fn command(&self, args: &[&str], env: &[(&str, &str)]) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.folder).args(args).envs(env.iter().copied()).stdin(Stdio::null());
        command
    }

    fn train_args<'a>(project: &'a str, name: &'a str) -> Vec<&'a str> {
        let place = ["train", "--project", project, "--name", name, "--exist-ok"];
        place.into_iter().chain(TRAIN).collect()
    }

    /// Trains a new run.
    pub(super) fn train(&self, name: &str, env: &[(&str, &str)]) -> Result<Output> {
        Ok(self.command(&Self::train_args("runs", name), env).output()?)
    }

    /// The same with limits: `ulimit` has the arguments of the command of that name.
    pub(super) fn train_limited(&self, name: &str, ulimit: &str) -> Result<Output> {
        let script = format!("ulimit {ulimit} && exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command.current_dir(&self.folder).arg("-c").arg(script).arg(&self.program);
        Ok(command.args(Self::train_args("runs", name)).stdin(Stdio::null()).output()?)
    }

    /// Starts a run, or resumes it if it exists.
    pub(super) fn start(&self, name: &str) -> Result<Child> {
        let run = self.run(name);
        let path = run.display().to_string();
        let args = match run.join("config.toml").is_file() {
            true => vec!["train", "--resume", &path],
            false => Self::train_args("runs", name),
        };
        let mut command = self.command(&args, &[]);
        Ok(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?)
    }

    /// Resumes a run. If the folder is not yet a run, trains a new one.
    pub(super) fn resume(&self, name: &str, env: &[(&str, &str)]) -> Result<Output> {
        let run = self.run(name);
        if !run.join("config.toml").is_file() {
            return self.train(name, env);
        }
        Ok(self.command(&["train", "--resume", &run.display().to_string()], env).output()?)
    }

    /// Checks that the model files load.
    pub(super) fn check_models_load(&self, name: &str) -> Result<()> {
        for file in models(&self.run(name))? {
            let output = self.command(&["info", &file.display().to_string()], &[]).output()?;
            ensure!(output.status.success(), "{} does not load: {}", file.display(), stderr(&output));
        }
        Ok(())
    }

    /// Checks that the run recovers: its model files load, it can be resumed (or is finished), it ends with the same
    /// bytes, and no temporary file is left.
    pub(super) fn check_recovery(&self, name: &str) -> Result<()> {
        self.check_models_load(name)?;
        let output = self.resume(name, &[])?;
        let done = stderr(&output).contains("epochs are done");
        ensure!(output.status.success() || done, "it cannot be resumed: {}", stderr(&output));
        ensure!(!stderr(&output).contains("warning"), "it prints a warning: {}", stderr(&output));
        self.check_complete(name)
    }

    /// Checks that a finished run has the right bytes and no temporary files.
    pub(super) fn check_complete(&self, name: &str) -> Result<()> {
        let run = self.run(name);
        let found = digests(&run)?;
        ensure!(found == self.reference, "the files differ: {found:?}, expected {:?}", self.reference);
        let rows = fs::read_to_string(run.join("results.csv"))?.lines().count();
        ensure!(rows == 4, "results.csv has {rows} lines");
        check_no_temporary_files(&run)
    }
}

/// Checks that no temporary file is left in a run.
pub(super) fn check_no_temporary_files(run: &Path) -> Result<()> {
    for folder in [run.to_owned(), run.join("weights")].iter().filter(|folder| folder.is_dir()) {
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            let hidden = name.to_string_lossy().starts_with('.') && name != ".lock";
            ensure!(!hidden, "{} was left in {}", name.display(), folder.display());
        }
    }
    Ok(())
}

/// The model files of a run.
fn models(run: &Path) -> Result<Vec<PathBuf>> {
    let weights = run.join("weights");
    if !weights.is_dir() {
        return Ok(Vec::new());
    }
    let mut models = Vec::new();
    for entry in fs::read_dir(weights)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let state = name.ends_with(".state.safetensors");
        if name.ends_with(".safetensors") && !name.starts_with('.') && !state {
            models.push(path);
        }
    }
    Ok(models)
}

fn digests(run: &Path) -> Result<BTreeMap<String, String>> {
    let digest = |path: PathBuf| {
        let sha256 = hex::encode(&Sha256::digest(fs::read(&path)?)[..8]);
        let name = path.file_name().context("a file has a name")?.to_string_lossy().into_owned();
        Ok((name, sha256))
    };
    models(run)?.into_iter().map(digest).collect()
}

/// The standard error of a program.
pub(super) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
