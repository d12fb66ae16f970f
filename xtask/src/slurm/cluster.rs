//! A Slurm cluster of this machine alone: munge, controller and one node, on the loopback interface, in a temporary folder. It
//! ends with the value.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use fs_err as fs;

use crate::command::Call;
use crate::workspace::Workspace;

/// The programs, and the Debian packages that have them.
pub(super) const PROGRAMS: [(&str, &str); 5] = [
    ("munged", "munge"),
    ("slurmctld", "slurmctld"),
    ("slurmd", "slurmd"),
    ("sbatch", "slurm-client"),
    ("scontrol", "slurm-client"),
];
/// Where daemons are that are not in the path of a user.
const SYSTEM: &str = "/usr/sbin";
/// Longest wait for daemons and jobs; a hang must not block CI.
const PATIENCE: Duration = Duration::from_secs(150);

/// The running cluster.
pub(super) struct Cluster<'a> {
    workspace: &'a Workspace,
    folder: PathBuf,
    daemons: Vec<Child>,
}

/// What Slurm says about one task of an array.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) state: String,
    /// The exit code and the signal: `0:0`.
    pub(super) exit: String,
    pub(super) restarts: u32,
}

/// The path of a program.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from(SYSTEM)]);
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}

impl<'a> Cluster<'a> {
    /// Starts the daemons in an empty folder with a short path: a socket's path has at most 107 bytes.
    pub(super) fn start(workspace: &'a Workspace, folder: &Path) -> Result<Self> {
        let mut cluster = Self { workspace, folder: folder.to_owned(), daemons: Vec::new() };
        for name in ["state", "spool"] {
            fs::create_dir(folder.join(name))?;
        }
        let key = folder.join("munge.key");
        fs::write(&key, random_key()?)?;
        #[cfg(unix)]
        fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        fs::write(folder.join("slurm.conf"), configuration(folder)?)?;
        let at = |name: &str| folder.join(name).display().to_string();
        cluster.daemon(
            "munged",
            &[
                "--foreground".into(),
                format!("--socket={}", at("munge.socket")),
                format!("--key-file={}", at("munge.key")),
                format!("--pid-file={}", at("munge.pid")),
                format!("--seed-file={}", at("munge.seed")),
            ],
        )?;
        cluster.wait("the socket of munge", || Ok(folder.join("munge.socket").exists()))?;
        cluster.daemon("slurmctld", &["-D".into(), "-i".into()])?;
        cluster.daemon("slurmd", &["-D".into(), "-N".into(), "here".into()])?;
        cluster.wait("the node of Slurm", || {
            // Until the controller answers, the call fails.
            let node = cluster.call("scontrol").args(["show", "node", "here"]).capture();
            Ok(node.is_ok_and(|node| node.contains("State=IDLE ")))
        })?;
        Ok(cluster)
    }

    /// A program of Slurm that talks to this cluster.
    pub(super) fn call(&self, program: &str) -> Call {
        Call::new(self.workspace, program).env("SLURM_CONF", self.folder.join("slurm.conf"))
    }

    /// Waits until all tasks of a job have ended; returns them by index. A job that is no array has the task 0.
    pub(super) fn finish(&self, job: &str) -> Result<BTreeMap<u32, Task>> {
        let mut tasks = BTreeMap::new();
        self.wait(&format!("the end of job {job}"), || {
            let text = self.call("scontrol").args(["show", "job", "--oneliner", job]).capture()?;
            tasks = text.lines().flat_map(parse).collect();
            let waiting = |task: &Task| {
                ["PENDING", "RUNNING", "COMPLETING", "REQUEUED", "CONFIGURING", "SUSPENDED"]
                    .contains(&&*task.state)
            };
            Ok(!tasks.values().any(waiting))
        })?;
        Ok(tasks)
    }

    /// Waits for a condition.
    pub(super) fn wait(&self, what: &str, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
        let start = Instant::now();
        while !done()? {
            if start.elapsed() > PATIENCE {
                bail!("no sign of {what} after {} s\n{}", PATIENCE.as_secs(), self.logs());
            }
            sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn daemon(&mut self, program: &str, args: &[String]) -> Result<()> {
        let log = fs::File::create(self.folder.join(program).with_extension("log"))?;
        let mut command = Command::new(find(program).with_context(|| format!("{program} is not installed"))?);
        command.args(args).env("SLURM_CONF", self.folder.join("slurm.conf")).stdin(Stdio::null());
        command.stdout(log.file().try_clone()?).stderr(log.into_file());
        self.daemons.push(command.spawn().with_context(|| format!("starting {program}"))?);
        Ok(())
    }

    fn logs(&self) -> String {
        let log = |name: &str| fs::read_to_string(self.folder.join(name).with_extension("log"));
        let last = |text: String| text.lines().rev().take(8).map(str::to_owned).collect::<Vec<_>>();
        let all =
            ["munged", "slurmctld", "slurmd"].into_iter().filter_map(|name| Some((name, log(name).ok()?)));
        all.map(|(name, text)| format!("{name}: {}\n", last(text).join("\n  "))).collect()
    }
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        // In the reverse order; SIGTERM first, so that slurmd ends its jobs.
        for daemon in self.daemons.iter_mut().rev() {
            let _ = Command::new("kill").arg(daemon.id().to_string()).status();
            let start = Instant::now();
            while daemon.try_wait().is_ok_and(|status| status.is_none()) {
                if start.elapsed() > Duration::from_secs(10) {
                    let _ = daemon.kill();
                }
                sleep(Duration::from_millis(50));
            }
        }
    }
}

/// The configuration; `cred_expire` is the time after which a requeued task starts again.
fn configuration(folder: &Path) -> Result<String> {
    let output = |program: &str, arg: &str| -> Result<String> {
        let output = Command::new(program).arg(arg).output().with_context(|| format!("running {program}"))?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    let (host, user) = (output("hostname", "-s")?, output("id", "-un")?);
    let ports = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    let [controller, node] = [ports[0].local_addr()?.port(), ports[1].local_addr()?.port()];
    let at = |name: &str| folder.join(name).display().to_string();
    Ok(format!(
        "ClusterName=loc
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
AuthType=auth/munge
AuthInfo=socket={},cred_expire=6
CredType=cred/munge
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={}
SlurmdSpoolDir={}
SlurmctldPidFile={}
SlurmdPidFile={}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
NodeName=here NodeHostname={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=here Default=YES MaxTime=INFINITE State=UP
",
        at("munge.socket"),
        at("state"),
        at("spool"),
        at("slurmctld.pid"),
        at("slurmd.pid"),
    ))
}

fn random_key() -> Result<Vec<u8>> {
    use std::io::Read;
    let mut key = vec![0; 128];
    fs::File::open("/dev/urandom")?.read_exact(&mut key)?;
    Ok(key)
}

/// One line of `scontrol show job --oneliner`: the index of the task, and the task. Tasks that wait together share a line.
fn parse(line: &str) -> Vec<(u32, Task)> {
    let field = |name: &str| {
        let found = line.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_default().to_owned()
    };
    let task = || Task {
        state: field("JobState"),
        exit: field("ExitCode"),
        restarts: field("Restarts").parse().unwrap_or_default(),
    };
    let ranges = field("ArrayTaskId");
    let ranges = if ranges.is_empty() { "0".to_owned() } else { ranges };
    let numbers = ranges.split(',').flat_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number =
            |text: &str| text.split('%').next().unwrap_or_default().parse::<u32>().unwrap_or_default();
        number(first)..=number(last)
    });
    numbers.map(|number| (number, task())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_read_from_the_lines_of_slurm() {
        let line = "JobId=4 ArrayJobId=1 ArrayTaskId=2 JobName=x JobState=FAILED Reason=None Restarts=1 ExitCode=64:0";
        let task = Task { state: "FAILED".into(), exit: "64:0".into(), restarts: 1 };
        assert_eq!(parse(line), [(2, task)]);
        let indices = |line: &str| parse(line).into_iter().map(|(index, _)| index).collect::<Vec<_>>();
        assert_eq!(indices("JobId=1 ArrayTaskId=0,3-5%2 JobState=PENDING"), [0, 3, 4, 5]);
        assert_eq!(indices("JobId=1 JobState=RUNNING"), [0]);
    }
}
