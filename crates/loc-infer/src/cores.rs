//! Work over the cores: on rayon's current pool, the one that the built-in engine computes on; without that engine (and
//! rayon) on threads of its own, as many as there are processors.

/// Does every job.
#[cfg(feature = "native")]
pub(crate) fn each<J: Send>(jobs: Vec<J>, work: impl Fn(J) + Sync + Send) {
    use rayon::prelude::*;
    jobs.into_par_iter().for_each(work);
}

/// Does two things, at the same time where a thread is free.
#[cfg(feature = "native")]
pub(crate) fn both<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    rayon::join(a, b)
}

/// Does every job.
#[cfg(not(feature = "native"))]
pub(crate) fn each<J: Send>(jobs: Vec<J>, work: impl Fn(J) + Sync + Send) {
    use std::sync::{Mutex, PoisonError};
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(jobs.len());
    let jobs = Mutex::new(jobs.into_iter());
    let worker = || {
        loop {
            // In a binding of its own, so that the lock is free while the job is done.
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(job) = job else { break };
            work(job);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(worker);
        }
        worker();
    });
}

/// Does two things, at the same time where a thread is free.
#[cfg(not(feature = "native"))]
pub(crate) fn both<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    (a(), b())
}
