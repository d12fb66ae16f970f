//! A team: a caller and the helpers that it has requested.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::gate::Gate;
use super::stages::{End, Run, Stage, Wait};
use super::threads::Threads;
use super::{Role, with_role};

/// Levels of nested runs that get helpers: two, since photos are decoded while a network runs.
const DEPTH: usize = 2;

/// How long an idle helper waits for the caller's next run without sleeping, counted from its start. This is about
/// twice the time of one photo of the input's size; waking a sleeping helper would take a tenth of the time of the
/// network (`docs/kernels.md`). Counted from the start because the threads belong to the application: during a long
/// series of runs other tasks of the pool run in between.
const IDLE_WAIT: Duration = Duration::from_millis(2);

/// Returns the number of useful helpers for one of `runs` that share `count` threads, each with its own caller.
fn helpers(count: usize, runs: usize) -> usize {
    (count / runs.max(1)).saturating_sub(1)
}

/// The state that a caller and its helpers share. A helper that starts late finds `finished` set and returns.
#[derive(Debug)]
pub(super) struct Team {
    threads: Threads,
    count: usize,
    /// Helpers that were requested and have not left.
    helpers: AtomicUsize,
    finished: AtomicBool,
    gates: [Gate; DEPTH],
}

impl Threads {
    /// Runs `f` on this thread. Helpers take part in its parallel parts: in this crate and in
    /// [`run_jobs`](super::run_jobs).
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        Team::run_as_caller(self, f)
    }
}

impl Team {
    /// Runs `f` as the caller of a new team.
    pub(super) fn run_as_caller<R>(threads: &Threads, f: impl FnOnce() -> R) -> R {
        let count = threads.count();
        let _in_flight = threads.begin();
        let team = Arc::new(Self {
            threads: threads.clone(),
            count,
            helpers: AtomicUsize::new(0),
            finished: AtomicBool::new(false),
            gates: [const { Gate::new() }; DEPTH],
        });
        // One helper is woken while this thread still prepares, the others once there are tasks.
        team.request(1);
        let _over = Finish(&team);
        with_role(Role::Caller(Arc::clone(&team), 0), f)
    }

    /// Returns the number of threads of the pool, including the caller's.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Returns the number of helpers that this run may have, given the other runs in flight.
    pub(super) fn allowed(&self) -> usize {
        helpers(self.count, self.threads.runs())
    }

    /// Requests helpers until there are as many as wanted and allowed.
    fn request(self: &Arc<Self>, wanted: usize) {
        let wanted = wanted.min(self.allowed());
        // Relaxed: only this thread adds; a helper that leaves meanwhile is replaced at the next run.
        for _ in self.helpers.load(Ordering::Relaxed)..wanted {
            self.helpers.fetch_add(1, Ordering::Relaxed);
            let team = Arc::clone(self);
            if !self.threads.request(self.count, move || team.help()) {
                self.helpers.fetch_sub(1, Ordering::Relaxed);
                break;
            }
        }
    }

    /// Runs `meanwhile` on this thread and all tasks of all stages, and returns when all are done. Called by the
    /// caller, at the depth of its role, which requests up to `helpers` helpers. A panic in any of them is resumed in the
    /// caller, once no helper works on the run any more.
    pub(super) fn run<R>(
        self: &Arc<Self>,
        depth: usize,
        helpers: usize,
        stages: &[Stage],
        work: &(dyn Fn(usize, usize) + Sync),
        meanwhile: impl FnOnce() -> R,
    ) -> R {
        let run = Run::new(stages, work);
        self.request(run.max_tasks().min(helpers));
        let inner = match depth + 1 {
            DEPTH.. => Role::Task,
            depth => Role::Caller(Arc::clone(self), depth),
        };
        let result = self.gates[depth].open(&run, || {
            let result = catch_unwind(AssertUnwindSafe(|| with_role(inner, meanwhile)));
            if result.is_err() {
                run.stop();
            }
            run.work(End::First);
            result
        });
        match (result, run.into_panic()) {
            (Ok(result), None) => result,
            (Err(payload), _) | (_, Some(payload)) => resume_unwind(payload),
        }
    }

    /// Runs a helper: takes tasks of any open run, the outer run first, since its tasks are larger.
    fn help(&self) {
        let (since, mut wait) = (Instant::now(), Wait::default());
        // Relaxed: only the gates decide what a helper may use.
        while !self.finished.load(Ordering::Relaxed) {
            let allowed = self.allowed();
            let decrement = |helpers: usize| (helpers > allowed).then(|| helpers - 1);
            if self.helpers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, decrement).is_ok() {
                return;
            }
            if self.gates.iter().any(|gate| gate.enter(|run| run.work(End::Last)) == Some(true)) {
                wait = Wait::default();
            } else if since.elapsed() < IDLE_WAIT {
                wait.again();
            } else {
                break;
            }
        }
        self.helpers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Marks the team as finished when dropped.
struct Finish<'a>(&'a Team);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.finished.store(true, Ordering::Relaxed);
    }
}
