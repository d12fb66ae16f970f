//! Parallel work on threads that belong to the application: the caller computes, free threads help.
//!
//! A library runs on the threads of its application. They may be busy for seconds, wait for the result that is computed
//! here, or not exist any more after a `fork`; the calling thread may hold a lock or a borrow that the pool's next task
//! also needs. So a caller never waits for a thread that has not started to help, and a waiting thread runs no other
//! tasks.
//!
//! [`Threads`] names the threads that may help. [`Threads::run`] makes the calling thread a *caller*; the threads that
//! help it are its *helpers*, and together they are a *team*. A *run* is work in *stages* of *tasks*. The data it
//! borrows is on the caller's stack; a *gate* lets helpers use it and is closed before the caller returns. Within a
//! task all work is sequential. Outside of [`Threads::run`] (in training) the same kernels distribute their tasks with
//! rayon.

mod disjoint;
mod gate;
mod stages;
mod team;
#[cfg(test)]
mod tests;
mod threads;

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

pub(crate) use disjoint::DisjointSlice;
use stages::Stage;
use team::Team;
pub use threads::Threads;

/// The current role of a thread.
#[derive(Clone)]
enum Role {
    /// Neither caller nor helper.
    Free,
    /// The caller of a team, with the number of nested runs.
    Caller(Arc<Team>, usize),
    /// A thread, caller or helper, that runs a task.
    Task,
}

thread_local! {
    static ROLE: RefCell<Role> = const { RefCell::new(Role::Free) };
}

fn role() -> Role {
    ROLE.with_borrow(Role::clone)
}

/// Runs `f` in a role and restores the previous role afterwards, also after a panic.
fn with_role<R>(role: Role, f: impl FnOnce() -> R) -> R {
    struct Before(Role);
    impl Drop for Before {
        fn drop(&mut self) {
            ROLE.set(std::mem::replace(&mut self.0, Role::Free));
        }
    }
    let _before = Before(ROLE.replace(role));
    f()
}

/// Calls `work(i)` for every `i` below `tasks`.
pub(crate) fn each(tasks: usize, work: impl Fn(usize) + Sync + Send) {
    match role() {
        Role::Free => (0..tasks).into_par_iter().for_each(work),
        Role::Caller(team, depth) if tasks > 1 => {
            team.run(depth, usize::MAX, &[Stage::of(tasks)], &|_, task| work(task), || ());
        }
        Role::Caller(..) | Role::Task => (0..tasks).for_each(work),
    }
}

/// Calls `work(i, chunk)` for the `i`th chunk of `len` values; the last chunk may be shorter.
pub(crate) fn chunks<T: Send + Sync>(
    values: &mut [T],
    len: usize,
    work: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    if let Role::Free = role() {
        values.par_chunks_mut(len).enumerate().for_each(|(i, chunk)| work(i, chunk));
        return;
    }
    let all = values.len();
    let values = DisjointSlice::new(values);
    each(all.div_ceil(len), |i| {
        #[expect(unsafe_code, reason = "tasks have chunks of one slice")]
        // SAFETY: each number is given to one task, and chunks of different numbers do not overlap.
        let chunk = unsafe { values.range(i * len, len.min(all - i * len)) };
        work(i, chunk);
    });
}

/// Runs all tasks with `work(stage, task)`; `stages` gives the number of tasks of each stage. A stage starts when the
/// one before it is done, and its tasks see everything that earlier stages wrote. The work is worth `threads` threads: no
/// more are asked to help.
pub(crate) fn run_stages(
    threads: usize,
    stages: impl IntoIterator<Item = usize>,
    work: &(dyn Fn(usize, usize) + Sync),
) {
    match role() {
        Role::Caller(team, depth) => {
            let stages: Vec<Stage> = stages.into_iter().map(Stage::of).collect();
            team.run(depth, threads - 1, &stages, work, || ());
        }
        Role::Free | Role::Task => {
            stages
                .into_iter()
                .enumerate()
                .for_each(|(stage, tasks)| (0..tasks).for_each(|task| work(stage, task)));
        }
    }
}

/// Runs `meanwhile` on this thread and `work` for every job, in parallel to it and after it. A panic in any of them is
/// resumed in the caller when no thread works on the jobs any more. Outside of [`Threads::run`] everything runs on this
/// thread.
pub fn run_jobs<J: Send, R>(jobs: Vec<J>, work: impl Fn(J) + Sync, meanwhile: impl FnOnce() -> R) -> R {
    let jobs: Vec<Mutex<Option<J>>> = jobs.into_iter().map(|job| Mutex::new(Some(job))).collect();
    let work = |i: usize| {
        if let Some(job) = jobs[i].lock().unwrap_or_else(PoisonError::into_inner).take() {
            work(job);
        }
    };
    match role() {
        Role::Caller(team, depth) => {
            team.run(depth, usize::MAX, &[Stage::of(jobs.len())], &|_, task| work(task), meanwhile)
        }
        Role::Free | Role::Task => {
            let result = meanwhile();
            (0..jobs.len()).for_each(work);
            result
        }
    }
}

/// Makes the calling thread a caller, with helpers from rayon's current pool, if it has no role yet.
pub(crate) fn in_team<R>(f: impl FnOnce() -> R) -> R {
    match role() {
        Role::Free => Threads::current().run(f),
        Role::Caller(..) | Role::Task => f(),
    }
}

/// Returns the number of threads that may work on the next run, including the calling thread.
pub(crate) fn available() -> usize {
    match role() {
        Role::Free => rayon::current_num_threads(),
        Role::Caller(team, _) => team.allowed() + 1,
        Role::Task => 1,
    }
}

/// Returns the largest number of threads that are expected to compute at once: the size of the pool or, if callers
/// bring their own threads, at least the number of cores.
pub(crate) fn max_concurrency() -> usize {
    // Not a `OnceLock`: a forked child could find it locked forever.
    static CORES: AtomicUsize = AtomicUsize::new(0);
    if CORES.load(Ordering::Relaxed) == 0 {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        CORES.store(cores, Ordering::Relaxed);
    }
    let pool = match role() {
        Role::Free => rayon::current_num_threads(),
        Role::Caller(team, _) => team.count(),
        Role::Task => 1,
    };
    pool.max(CORES.load(Ordering::Relaxed))
}
