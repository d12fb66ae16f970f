//! One side of a comparison: a process that runs tasks on request, or a command of which time and memory are
//! measured.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::report::median;
use super::{Bench, RUST_PEERS, TUNED_MALLOC};

/// The pause until the threads of the other side sleep.
const PAUSE: Duration = Duration::from_millis(300);

/// A process that responds to `TASK COUNT` with the times of COUNT runs.
pub(super) struct Side {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

#[derive(Deserialize)]
struct Response {
    ready: Option<Vec<String>>,
    ms: Option<Vec<f64>>,
    error: Option<String>,
}

impl Side {
    pub(super) fn ours(bench: &Bench) -> Result<Self> {
        Self::start("loc", bench, &[bench.peer.clone().into(), "run".into()], &[])
    }

    pub(super) fn peer(bench: &Bench, peer: &str) -> Result<Self> {
        let (base, env): (&str, &[(&str, &str)]) = match peer.strip_suffix("+malloc") {
            Some(base) => (base, &TUNED_MALLOC),
            None => (peer, &[]),
        };
        let command_line = match base {
            _ if RUST_PEERS.contains(&base) => {
                let rust = bench.rust.clone().context("the Rust peers are not built")?;
                vec![rust.into(), base.into()]
            }
            "cv2+onnxruntime" | "cv2-2-threads" => bench.python.script("worker.py", &["opencv".into()]),
            _ => bench.python.script("worker.py", &[base.into()]),
        };
        Self::start(peer, bench, &command_line, env)
    }

    fn start(name: &str, bench: &Bench, command_line: &[OsString], env: &[(&str, &str)]) -> Result<Self> {
        let mut child = command(bench, command_line, env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let output = BufReader::new(output.context("no standard output")?);
        let mut side = Self { name: name.to_owned(), child, input, output };
        side.response()?.ready.with_context(|| format!("{name} is not ready"))?;
        Ok(side)
    }

    /// The median time of `count` runs, in milliseconds.
    pub(super) fn time(&mut self, work: &str, count: usize) -> Result<f64> {
        let input = self.input.as_mut().context("no standard input")?;
        // Busy-waiting threads, as in ONNX Runtime, would take a core from the side that is measured next.
        std::thread::sleep(PAUSE);
        writeln!(input, "{work} {count}").with_context(|| format!("{} has ended", self.name))?;
        match self.response()? {
            Response { ms: Some(times), .. } if !times.is_empty() => Ok(median(&times)),
            Response { error, .. } => bail!("{}: {}", self.name, error.unwrap_or_default()),
        }
    }

    fn response(&mut self) -> Result<Response> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("unexpected output of {}: {line:?}", self.name))
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // The process ends when its input ends.
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// Time and memory of a command.
#[derive(Deserialize)]
pub(super) struct Measured {
    pub(super) seconds: f64,
    pub(super) mib: f64,
    pub(super) output: String,
}

pub(super) fn measured(bench: &Bench, command_line: &[OsString]) -> Result<Measured> {
    let command_line = bench.python.script("measure.py", command_line);
    let output = command(bench, &command_line, &[]).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("measuring failed: {}", output.status);
    }
    serde_json::from_slice(&output.stdout).context("reading the output of measure.py")
}

fn command(bench: &Bench, command_line: &[OsString], env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(&command_line[0]);
    command.args(&command_line[1..]).current_dir(&bench.workspace.root);
    command.env("PEERS_DIR", &bench.dir).env("RAYON_NUM_THREADS", "2").env("OMP_NUM_THREADS", "2");
    command.envs(env.iter().copied());
    command
}
