//! The trainings, on one and on several processes.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use fs_err as fs;

/// One machine stands for several: more processes than cores, as root in a container.
const MPIRUN: [&str; 4] = ["--allow-run-as-root", "--oversubscribe", "--bind-to", "none"];
/// Open MPI waits so many seconds before it passes SIGTERM on, and again before SIGKILL.
const PATIENCE: [&str; 3] = ["--mca", "odls_base_sigkill_timeout", "2"];
/// A training that would not end for minutes. No epoch depends on their number, so it can be shortened to those that are done.
const LONG: [&str; 12] = [
    "--recipe",
    "scratch",
    "--imgsz",
    "188",
    "--batch",
    "13",
    "--set",
    "schedule=constant",
    "--set",
    "warmup=0.0",
    "--keep",
    "best",
];
/// A training that takes longer hangs.
const HANGS: Duration = Duration::from_secs(180);

/// What happens to a training.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Term,
    Kill,
    FullDisk,
}

/// The folder of the trainings.
pub(super) struct Bench {
    folder: PathBuf,
    program: PathBuf,
}

/// What a training printed, and how it ended.
pub(super) struct Output {
    pub(super) text: String,
    pub(super) code: Option<i32>,
}

/// A training in progress.
struct Running {
    child: Child,
    lines: Receiver<String>,
    text: String,
}

impl Running {
    /// Waits for a line with this text.
    fn wait_for(&mut self, text: &str) -> Result<()> {
        loop {
            let line = self.lines.recv_timeout(HANGS);
            let line = line.with_context(|| format!("`{text}` is not printed: {}", self.text))?;
            self.text += &line;
            self.text.push('\n');
            if line.contains(text) {
                return Ok(());
            }
        }
    }

    /// Waits for the end.
    fn end(mut self) -> Result<Output> {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if began.elapsed() > HANGS {
                self.child.kill()?;
                bail!("it does not end: {}", self.text);
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        self.text.extend(self.lines.iter().map(|line| line + "\n"));
        Ok(Output { text: self.text, code: status.code() })
    }
}

impl Bench {
    pub(super) fn new(folder: &Path, program: &Path) -> Result<Self> {
        let bench = Self { folder: folder.to_owned(), program: program.to_owned() };
        let mut sample = Command::new(&bench.program);
        let made = sample.current_dir(folder).args(["data", "sample", "shapes", "--n", "60"]).output()?;
        ensure!(made.status.success(), "no photos: {}", String::from_utf8_lossy(&made.stderr));
        Ok(bench)
    }

    fn run(&self, name: &str) -> PathBuf {
        self.folder.join("runs").join(name)
    }

    fn last(&self, name: &str) -> Result<Vec<u8>> {
        Ok(fs::read(self.run(name).join("weights/last.safetensors"))?)
    }

    /// Starts `loc` with these arguments on so many processes; on one without `mpirun`.
    fn start(&self, processes: usize, args: &[&str], env: &[(&str, &str)]) -> Result<Running> {
        let mut command = match processes {
            1 => Command::new(&self.program),
            _ => {
                let mut command = Command::new("mpirun");
                command.args(MPIRUN).args(PATIENCE).args(["-n", &processes.to_string()]);
                command.args(env.iter().flat_map(|(name, _)| ["-x", name])).arg(&self.program);
                command
            }
        };
        command.current_dir(&self.folder).args(args).envs(env.iter().copied()).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let (send, lines) = channel();
        let errors = BufReader::new(child.stderr.take().context("stderr is piped")?);
        std::thread::spawn(move || errors.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Ok(Running { child, lines, text: String::new() })
    }

    fn train_args<'a>(name: &'a str, args: &[&'a str]) -> Vec<&'a str> {
        let place = ["train", "--data", "shapes", "--project", "runs", "--name", name, "--no-report"];
        [&place[..], args].concat()
    }

    /// Trains a new run.
    pub(super) fn train(&self, processes: usize, name: &str, args: &[&str]) -> Result<Output> {
        self.start(processes, &Self::train_args(name, args), &[])?.end()
    }

    fn train_well(&self, processes: usize, name: &str, args: &[&str]) -> Result<()> {
        let output = self.train(processes, name, args)?;
        ensure!(output.code == Some(0), "on {processes} processes: {:?}: {}", output.code, output.text);
        Ok(())
    }

    /// Checks that 1, 2 and 4 processes write the same bytes.
    pub(super) fn same_bytes(&self, name: &str, args: &[&str]) -> Result<()> {
        let of = |processes: usize| {
            let (name, began) = (format!("{name}-{processes}"), Instant::now());
            self.train_well(processes, &name, args)?;
            eprintln!("{name}: {:.1} s", began.elapsed().as_secs_f64());
            self.last(&name)
        };
        let alone = of(1)?;
        for processes in [2, 4] {
            ensure!(of(processes)? == alone, "{name}: {processes} processes write other bytes than one");
        }
        Ok(())
    }

    /// Checks that two processes end soon after a fault, and that the run, resumed on `then` processes, ends in the same bytes
    /// as one without the fault.
    pub(super) fn interrupted(&self, name: &str, fault: Fault, then: usize) -> Result<()> {
        // That point is in the third save.
        let full = [("LOC_FAULT", "full@75")];
        let env = if fault == Fault::FullDisk { &full[..] } else { &[] };
        let mut running =
            self.start(2, &Self::train_args(name, &[&LONG[..], &["--epochs", "2000"]].concat()), env)?;
        running.wait_for(if fault == Fault::FullDisk { "error: " } else { "3/2000" })?;
        let launcher = running.child.id();
        match fault {
            Fault::Term => kill("-TERM", launcher)?,
            Fault::Kill => kill("-KILL", *children(launcher)?.last().context("mpirun has processes")?)?,
            Fault::FullDisk => {}
        }
        let began = Instant::now();
        let output = running.end()?;
        eprintln!(
            "all had ended after {:.1} s, mpirun with code {:?}",
            began.elapsed().as_secs_f64(),
            output.code
        );
        ensure!(output.code != Some(0), "mpirun reports success: {}", output.text);
        let saved = output.text.contains("the state is saved");
        ensure!(saved == (fault == Fault::Term), "{}", output.text);
        let done = fs::read_to_string(self.run(name).join("results.csv"))?.lines().count() - 1;
        // The state may be one epoch ahead of the table, which is written after it.
        let epochs = (done + 2).to_string();
        let run = self.run(name).display().to_string();
        let resumed =
            self.start(then, &["train", "--resume", &run, "--epochs", &epochs, "--no-report"], &[])?;
        let resumed = resumed.end()?;
        ensure!(resumed.code == Some(0), "it cannot be resumed: {}", resumed.text);
        let whole = format!("{name}-whole");
        self.train_well(1, &whole, &[&LONG[..], &["--epochs", &epochs]].concat())?;
        ensure!(self.last(name)? == self.last(&whole)?, "resumed on {then} processes the bytes differ");
        Ok(())
    }
}

fn kill(signal: &str, process: u32) -> Result<()> {
    let status = Command::new("kill").args([signal, &process.to_string()]).status()?;
    ensure!(status.success(), "kill {signal} {process}: {status}");
    Ok(())
}

/// The processes that a process has started.
fn children(process: u32) -> Result<Vec<u32>> {
    let list = Command::new("ps").args(["-o", "pid=", "--ppid", &process.to_string()]).output()?.stdout;
    let list = String::from_utf8(list)?;
    Ok(list.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
}
