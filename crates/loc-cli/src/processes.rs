//! The processes that `mpirun` or `srun` has started: they train together, and only the first one prints and writes.

use std::num::NonZeroUsize;

use anyhow::Result;
use loc_train::{Processes, TrainError};

use crate::output::{Exit, Output, Usage};

/// Environment variables with the number of processes that a launcher has started, and with the number of this one: of Open MPI,
/// of MPICH and its relatives, and of Slurm.
const LAUNCHERS: [[&str; 2]; 3] = [
    ["OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"],
    ["PMI_SIZE", "PMI_RANK"],
    ["SLURM_STEP_NUM_TASKS", "SLURM_PROCID"],
];

/// The processes of one command.
pub(crate) struct Launch {
    pub(crate) processes: Processes,
    #[cfg(feature = "mpi")]
    session: Option<loc_train::MpiSession>,
    place: String,
}

/// How many processes the launcher says it has started.
fn announced() -> Option<usize> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<usize>().ok();
    LAUNCHERS.iter().find_map(|[size, rank]| number(rank).and(number(size))).filter(|size| *size > 1)
}

impl Launch {
    /// Connects to the other processes, if a launcher has started some.
    #[cfg(feature = "mpi")]
    pub(crate) fn start() -> Result<Self> {
        let Some(announced) = announced() else { return Ok(Self::alone()) };
        let Some((mpi, session)) = loc_train::Mpi::start() else { return Ok(Self::alone()) };
        let place = format!("{} {}", mpi.host(), processors());
        let processes = Processes::new(mpi);
        if processes.is_alone() {
            return Err(Usage(format!(
                "{announced} processes were started, but MPI connects none of them: the launcher is of another MPI library than \
                 this program, or (`srun`) needs `--mpi=pmix`"
            ))
            .into());
        }
        Ok(Self { processes, session: Some(session), place })
    }

    #[cfg(feature = "mpi")]
    fn alone() -> Self {
        Self { processes: Processes::default(), session: None, place: String::new() }
    }

    /// Without MPI several processes would train the same, each on its own.
    #[cfg(not(feature = "mpi"))]
    pub(crate) fn start() -> Result<Self> {
        match announced() {
            None => Ok(Self { processes: Processes::default(), place: String::new() }),
            Some(announced) => Err(Usage(format!(
                "{announced} processes were started, but this program was built without MPI, so they cannot train together \
                 (hint: `cargo install --path crates/loc-cli --features mpi`, or start a single process)"
            ))
            .into()),
        }
    }

    /// The number of threads of this process: as configured, or this process's part of those that the processors give.
    pub(crate) fn threads(&self, configured: usize) -> Result<usize> {
        if self.processes.is_alone() || configured > 0 || std::env::var_os("RAYON_NUM_THREADS").is_some() {
            return Ok(configured);
        }
        let available = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Ok(self.processes.threads(available, &self.place)?)
    }

    /// Returns the result of what this process did alone, if it succeeded on all of them.
    pub(crate) fn agreed<T>(&self, result: Result<T>) -> Result<T> {
        self.processes.agreed(result)
    }

    /// The output of this process: the others than the first one are silent. With several nobody is asked, because all must
    /// go on in the same way.
    pub(crate) fn output(&self, output: &Output) -> Output {
        let mut own = if self.processes.is_first() { output.clone() } else { output.silent() };
        own.may_ask = self.processes.is_alone();
        own
    }

    /// Ends the command together with the other processes. If they do not know that this one has failed, the launcher ends
    /// them.
    pub(crate) fn end(self, result: Result<Exit>, output: &Output) -> Result<Exit> {
        let exit = match result {
            // The other process says why.
            Err(error) if matches!(error.downcast_ref(), Some(TrainError::OtherProcess { .. })) => {
                Exit::Failed
            }
            Err(error) if self.processes.is_alone() => return Err(error),
            Err(error) => {
                output.error(&error);
                Exit::of(&error)
            }
            Ok(exit) => exit,
        };
        #[cfg(feature = "mpi")]
        if let Some(session) = self.session.filter(|_| self.processes.have_ended()) {
            session.close();
        }
        Ok(exit)
    }
}

/// The processors that this process may use, as the system lists them.
#[cfg(feature = "mpi")]
fn processors() -> String {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.unwrap_or_default().trim().to_owned()
}
