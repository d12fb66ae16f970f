//! A caller and the helpers it has asked for.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::gate::Gate;
use super::stages::{Run, Stage, Wait};
use super::threads::Threads;
use super::{Role, acting};

/// How deep runs lie in each other and are helped with: photos that are decoded beside a network.
const DEPTH: usize = 2;

/// How long a helper that has nothing to do stays for the caller's next run, without sleeping, counted from when it came.
/// As long as a photo of the input's size needs twice over; a helper that slept in between would cost the network a tenth
/// of its time (`docs/kernels.md`). Counted like that, since the threads are not ours alone: where one run follows the
/// other for long, other tasks of the pool get their turn in between.
const STAY: Duration = Duration::from_millis(2);

/// Helpers worth having for one of `runs` that share `count` threads, each with a caller of its own.
fn helpers(count: usize, runs: usize) -> usize {
    (count / runs.max(1)).saturating_sub(1)
}

/// What a caller and its helpers share. A helper that comes late finds it over, and goes.
#[derive(Debug)]
pub(super) struct Team {
    threads: Threads,
    count: usize,
    /// Asked for, and not gone again.
    helpers: AtomicUsize,
    over: AtomicBool,
    gates: [Gate; DEPTH],
}

impl Threads {
    /// Runs `f` on this thread. Its parallel parts, in this crate and in [`share`](super::share), are helped with.
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        Team::lead(self, f)
    }
}

impl Team {
    /// Runs `f` as the caller of a new team.
    pub(super) fn lead<R>(threads: &Threads, f: impl FnOnce() -> R) -> R {
        let count = threads.count();
        let _in_flight = threads.begin();
        let team = Arc::new(Self {
            threads: threads.clone(),
            count,
            helpers: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            gates: [const { Gate::new() }; DEPTH],
        });
        // One is woken while this thread still prepares, the others once there is something to do.
        team.ask(1);
        let _over = Over(&team);
        acting(Role::Caller(Arc::clone(&team), 0), f)
    }

    /// Threads of the pool, the caller's own among them.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Helpers that the other runs leave.
    pub(super) fn allowed(&self) -> usize {
        helpers(self.count, self.threads.runs())
    }

    /// Asks for helpers until there are as many as wanted and allowed.
    fn ask(self: &Arc<Self>, wanted: usize) {
        let wanted = wanted.min(self.allowed());
        // Relaxed: only this thread adds; who goes meanwhile is asked for at the next run.
        for _ in self.helpers.load(Ordering::Relaxed)..wanted {
            self.helpers.fetch_add(1, Ordering::Relaxed);
            let team = Arc::clone(self);
            if !self.threads.ask(self.count, move || team.help()) {
                self.helpers.fetch_sub(1, Ordering::Relaxed);
                break;
            }
        }
    }

    /// Does all tasks of all stages, and before them, on this thread, what is its own; returns when all is done. For the
    /// caller, at the depth of its role. A panic in any of it is a panic of the caller, once no helper works any more.
    pub(super) fn run<R>(
        self: &Arc<Self>,
        depth: usize,
        stages: &[Stage],
        work: &(dyn Fn(usize, usize) + Sync),
        own: impl FnOnce() -> R,
    ) -> R {
        let run = Run::new(stages, work);
        self.ask(run.widest());
        let inner = match depth + 1 {
            DEPTH.. => Role::Task,
            depth => Role::Caller(Arc::clone(self), depth),
        };
        let result = self.gates[depth].open(&run, || {
            let result = catch_unwind(AssertUnwindSafe(|| acting(inner, own)));
            if result.is_err() {
                run.stop();
            }
            run.work();
            result
        });
        match (result, run.into_panic()) {
            (Ok(result), None) => result,
            (Err(payload), _) | (_, Some(payload)) => resume_unwind(payload),
        }
    }

    /// What a helper does: takes tasks of whatever run is open, the outer one first, since its tasks are the larger ones.
    fn help(&self) {
        let (since, mut wait) = (Instant::now(), Wait::default());
        // Relaxed: the gates alone say what may be touched.
        while !self.over.load(Ordering::Relaxed) {
            let allowed = self.allowed();
            let less = |helpers: usize| (helpers > allowed).then(|| helpers - 1);
            if self.helpers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
                return;
            }
            if self.gates.iter().any(|gate| gate.enter(|run| run.work()) == Some(true)) {
                wait = Wait::default();
            } else if since.elapsed() < STAY {
                wait.again();
            } else {
                break;
            }
        }
        self.helpers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The caller is done.
struct Over<'a>(&'a Team);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}
