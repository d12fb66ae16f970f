//! Work over threads that belong to somebody else: the caller works, others help if they are free.
//!
//! A library lives in its caller's threads. They may be busy for seconds, wait for the very answer that is computed here,
//! or be gone after a `fork`; the calling thread may hold a lock or have something borrowed that the pool's next task
//! wants, too. So here nobody waits for a thread that has not come, and a thread that waits does nothing else meanwhile.
//!
//! [`Threads`] says who may help, and [`Threads::run`] makes the calling thread a caller: with the helpers that it asks
//! for it is a `team`. Work comes as `stages` of tasks; what it borrows lies on the caller's stack, behind a `gate`
//! that is shut before the caller returns. Within a task everything is done one after the other. Outside of
//! [`Threads::run`] (in training) the same kernels spread their tasks with rayon.

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

/// What a thread is at the moment.
#[derive(Clone)]
enum Role {
    /// Nothing of ours.
    Free,
    /// The caller of a team, so deep in its runs.
    Caller(Arc<Team>, usize),
    /// Somebody, caller or helper, who does a task.
    Task,
}

thread_local! {
    static ROLE: RefCell<Role> = const { RefCell::new(Role::Free) };
}

fn role() -> Role {
    ROLE.with_borrow(Role::clone)
}

/// Runs `f` in a role, and goes back to the one of before, also after a panic.
fn acting<R>(role: Role, f: impl FnOnce() -> R) -> R {
    struct Before(Role);
    impl Drop for Before {
        fn drop(&mut self) {
            ROLE.set(std::mem::replace(&mut self.0, Role::Free));
        }
    }
    let _before = Before(ROLE.replace(role));
    f()
}

/// Does `work(i)` for every `i` below `tasks`.
pub(crate) fn each(tasks: usize, work: impl Fn(usize) + Sync + Send) {
    match role() {
        Role::Free => (0..tasks).into_par_iter().for_each(work),
        Role::Caller(team, depth) if tasks > 1 => {
            team.run(depth, &[Stage::of(tasks)], &|_, task| work(task), || ());
        }
        Role::Caller(..) | Role::Task => (0..tasks).for_each(work),
    }
}

/// Does `work(i, chunk)` for the `i`th chunk of `len` values, of which the last may be shorter.
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

/// Does every task `work(stage, task)`, where `stages` says how many tasks each stage has: a stage begins when the one
/// before is done, and its tasks see what those before have written.
pub(crate) fn run_stages(stages: impl IntoIterator<Item = usize>, work: &(dyn Fn(usize, usize) + Sync)) {
    match role() {
        Role::Caller(team, depth) => {
            let stages: Vec<Stage> = stages.into_iter().map(Stage::of).collect();
            team.run(depth, &stages, work, || ());
        }
        Role::Free | Role::Task => {
            stages
                .into_iter()
                .enumerate()
                .for_each(|(stage, tasks)| (0..tasks).for_each(|task| work(stage, task)));
        }
    }
}

/// Does `own` on this thread, and beside it and after it every job. A panic in any of it comes back to the caller when
/// nobody works any more. Outside of [`Threads::run`] this thread does all.
pub fn share<J: Send, R>(jobs: Vec<J>, work: impl Fn(J) + Sync, own: impl FnOnce() -> R) -> R {
    let jobs: Vec<Mutex<Option<J>>> = jobs.into_iter().map(|job| Mutex::new(Some(job))).collect();
    let work = |i: usize| {
        if let Some(job) = jobs[i].lock().unwrap_or_else(PoisonError::into_inner).take() {
            work(job);
        }
    };
    match role() {
        Role::Caller(team, depth) => team.run(depth, &[Stage::of(jobs.len())], &|_, task| work(task), own),
        Role::Free | Role::Task => {
            let result = own();
            (0..jobs.len()).for_each(work);
            result
        }
    }
}

/// Makes the calling thread a caller with helpers from rayon's current pool, if it has no role yet.
pub(crate) fn in_team<R>(f: impl FnOnce() -> R) -> R {
    match role() {
        Role::Free => Threads::current().run(f),
        Role::Caller(..) | Role::Task => f(),
    }
}

/// Threads that may work on the next run, the calling one among them.
pub(crate) fn available() -> usize {
    match role() {
        Role::Free => rayon::current_num_threads(),
        Role::Caller(team, _) => team.allowed() + 1,
        Role::Task => 1,
    }
}

/// The most threads that can be expected to compute at once: those of the pool, or as many as there are cores if callers
/// bring their own.
pub(crate) fn at_once() -> usize {
    // Not a `OnceLock`, which a forked child may find locked for ever.
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
