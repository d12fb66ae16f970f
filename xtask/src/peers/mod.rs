//! `cargo xtask peers`: compares the speed of loc with that of other frameworks.
//!
//! Each side runs in its own process. Rounds alternate between the two, so that other load on the machine affects both.
//! The result is the median over the rounds of the ratio of the two medians of a round.

mod inputs;
mod report;
mod sides;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use fs_err as fs;

use self::report::{Report, Row};
use self::sides::{Side, measured};
use crate::command::Call;
use crate::python::Python;
use crate::workspace::{Workspace, protoc};

/// The flags of `cargo xtask peers`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  cargo xtask peers --format json > peers.json\n\n\
                        It installs benches/peers/requirements.txt (PyTorch, ONNX Runtime, OpenVINO, OpenCV; \
                        5.8 GB) into target/peers/venv and builds tract, Candle and Burn in target/peers/rust \
                        (20 minutes); after that it takes about ten minutes.")]
pub(crate) struct Options {
    /// Format of the output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Python that creates the environment
    #[arg(long, default_value = "python3", value_name = "PROGRAM")]
    python: String,
    /// Use this folder of photos, ideally 1,200 [default: data/cats-dogs, else generated photos]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Only tasks whose name contains this text
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Also write the table and the raw data to this folder, e.g. docs/benchmarks/2026-11-24-epyc
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Makes glibc keep freed memory: otherwise page faults take a third of PyTorch's training step.
const TUNED_MALLOC: [(&str, &str); 2] = [("MALLOC_MMAP_MAX_", "0"), ("MALLOC_TRIM_THRESHOLD_", "8589934592")];

/// A task that loc and some peers run.
struct Task {
    name: &'static str,
    runs_per_round: usize,
    rounds: usize,
    peers: &'static [&'static str],
}

const fn task(
    name: &'static str,
    runs_per_round: usize,
    rounds: usize,
    peers: &'static [&'static str],
) -> Task {
    Task { name, runs_per_round, rounds, peers }
}

const TASKS: &[Task] = &[
    task(
        "train_step_32",
        5,
        7,
        &[
            "pytorch-eager",
            "pytorch-channels-last",
            "pytorch-compile",
            "pytorch-eager+malloc",
            "pytorch-channels-last+malloc",
        ],
    ),
    // A step takes seconds, so a round is one run.
    task("train_step_32", 1, 3, &["candle"]),
    task("infer_1", 60, 7, &["onnxruntime", "openvino", "pytorch-channels-last+malloc"]),
    task("infer_1", 20, 5, &["tract", "candle", "burn"]),
    task("infer_32", 10, 7, &["onnxruntime", "openvino", "pytorch-channels-last+malloc"]),
    task("infer_32", 2, 3, &["tract", "candle", "burn"]),
    task("lite0_1", 20, 7, &["onnxruntime", "openvino"]),
    task("lite0_32", 2, 7, &["onnxruntime", "openvino"]),
    task("jpeg_to_box", 60, 7, &["cv2+onnxruntime"]),
    task("jpeg_12mp_to_box", 10, 7, &["cv2+onnxruntime"]),
    task("prepare_1200", 1, 7, &["cv2-2-threads"]),
    task("epoch", 1, 3, &["pytorch-eager+malloc", "pytorch-channels-last+malloc"]),
    task("cold_start", 1, 9, &["python+onnxruntime"]),
    task("run_30_epochs", 1, 1, &["tutorial-pytorch"]),
];

/// Peers in Rust, which take long to build.
const RUST_PEERS: [&str; 3] = ["tract", "candle", "burn"];

/// The inputs and programs of all measurements.
struct Bench<'a> {
    workspace: &'a Workspace,
    python: Python,
    /// The folder with the inputs of all sides.
    dir: PathBuf,
    data: PathBuf,
    loc: PathBuf,
    peer: PathBuf,
    /// The program with the Rust peers, if a task needs it.
    rust: Option<PathBuf>,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let dir = workspace.root.join("target/peers");
    fs::create_dir_all(&dir)?;
    let python = Python::install(workspace, &options.python, &dir, "benches/peers")?;
    let build = |args: &[&str]| Call::cargo(workspace).env("PROTOC", protoc()?).args(args).run();
    build(&["build", "--release", "--package", "loc-cli", "--features", "onnx"])?;
    build(&["build", "--release", "--package", "loc-train", "--example", "peer"])?;
    let target = workspace.metadata()?.target_directory;
    let loc = target.join("release/loc");
    let data = inputs::data(workspace, options.data.as_deref(), &dir, &loc)?;
    let peer = target.join("release/examples/peer");
    let tasks: Vec<&Task> = TASKS.iter().filter(|task| task.name.contains(&options.only)).collect();
    ensure!(!tasks.is_empty(), "no task has `{}` in its name", options.only);
    let needs_rust = tasks.iter().any(|task| task.peers.iter().any(|peer| RUST_PEERS.contains(peer)));
    let rust = if needs_rust { Some(build_rust_peers(workspace, &dir)?) } else { None };
    let bench = Bench { workspace, python, dir, data, loc, peer, rust };
    bench.prepare()?;
    let mut report = Report::new()?;
    for task in tasks {
        for peer in task.peers {
            let rows = match task.name {
                "epoch" => vec![bench.epoch(peer, task.rounds)?],
                "cold_start" => vec![bench.cold_start(peer, task.rounds)?],
                "run_30_epochs" => bench.complete_run(peer)?,
                _ => vec![bench.alternate(task, peer)?],
            };
            for row in rows {
                eprintln!("{row}");
                report.rows.push(row);
            }
        }
    }
    if let Some(out) = &options.out {
        report.write_to(&workspace.root.join(out))?;
    }
    report.print(options.format == Format::Json)
}

/// Builds the Rust peers, a package outside the workspace, in a separate target folder.
fn build_rust_peers(workspace: &Workspace, dir: &Path) -> Result<PathBuf> {
    let (target, package) = (dir.join("rust"), workspace.root.join("benches/peers/rust"));
    let program = target.join("release/peers").with_extension(std::env::consts::EXE_EXTENSION);
    if !program.exists() {
        eprintln!(
            "building tract, Candle and Burn in {}: about twenty minutes",
            workspace.relative(&target).display()
        );
    }
    Call::cargo(workspace)
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(package.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .run()?;
    Ok(program)
}

impl Bench<'_> {
    fn alternate(&self, task: &Task, peer: &str) -> Result<Row> {
        let mut ours = Side::ours(self)?;
        let mut theirs = Side::peer(self, peer)?;
        let (name, runs) = (task.name, task.runs_per_round);
        let pairs = (0..task.rounds).map(|_| Ok((ours.time(name, runs)?, theirs.time(name, runs)?)));
        Ok(Row::new(name, peer, "ms", &pairs.collect::<Result<Vec<_>>>()?))
    }

    /// Measures an epoch; for loc from the records of a run of three epochs, checkpoints included.
    fn epoch(&self, peer: &str, rounds: usize) -> Result<Row> {
        let mut theirs = Side::peer(self, peer)?;
        let pairs = (0..rounds).map(|_| {
            self.train("epochs", "3").run()?;
            let table = fs::read_to_string(self.dir.join("runs/epochs/results.csv"))?;
            let mut ends = vec![0.0];
            for line in table.lines().skip(1) {
                ends.push(line.split(',').nth(1).unwrap_or_default().parse::<f64>()?);
            }
            ensure!(ends.len() == 4, "results.csv has {} epochs, 3 were trained", ends.len() - 1);
            let ours = report::median(&ends.windows(2).map(|w| w[1] - w[0]).collect::<Vec<_>>());
            Ok((ours, theirs.time("epoch", 1)? / 1e3))
        });
        Ok(Row::new("epoch", peer, "s", &pairs.collect::<Result<Vec<_>>>()?))
    }

    fn cold_start(&self, peer: &str, rounds: usize) -> Result<Row> {
        let photo = self.dir.join("photo.jpg");
        let ours =
            [self.loc.as_os_str(), "predict".as_ref(), "--threads".as_ref(), "2".as_ref(), "-m".as_ref()]
                .map(ToOwned::to_owned)
                .into_iter()
                .chain([self.dir.join("model.safetensors").into(), photo.clone().into()])
                .collect::<Vec<_>>();
        let theirs = self.python.script("cold.py", &[self.dir.join("model.onnx").into(), photo.into()]);
        let pairs = (0..rounds).map(|_| {
            let (a, b) = (measured(self, &ours)?, measured(self, &theirs)?);
            Ok((a.seconds * 1e3, b.seconds * 1e3))
        });
        Ok(Row::new("cold_start", peer, "ms", &pairs.collect::<Result<Vec<_>>>()?))
    }

    /// Thirty epochs of loc; three of the tutorial, whose mean is used for the other 27.
    fn complete_run(&self, peer: &str) -> Result<Vec<Row>> {
        const MEASURED: f64 = 3.0;
        let ours = measured(self, &self.train("complete", "30").command_line())?;
        let args = [self.dir.join("dataset.csv").into(), self.dir.join("split.csv").into(), "3".into()];
        let theirs = measured(self, &self.python.script("tutorial.py", &args))?;
        let epochs: Vec<f64> = theirs.output.lines().filter_map(|line| line.parse().ok()).collect();
        ensure!(epochs.len() == 3, "the tutorial trained {} epochs, not 3", epochs.len());
        let total = theirs.seconds + (30.0 - MEASURED) * epochs.iter().sum::<f64>() / MEASURED;
        eprintln!(
            "tutorial-pytorch: 3 of its 30 epochs measured ({:.1} s in all), the rest extrapolated",
            theirs.seconds
        );
        Ok(vec![
            Row::new("run_30_epochs", peer, "s", &[(ours.seconds, total)]),
            Row::new("run_peak_memory", peer, "MiB", &[(ours.mib, theirs.mib)]),
        ])
    }
}
