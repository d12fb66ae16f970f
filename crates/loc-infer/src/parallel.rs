//! Parallel work. With the engine `native`, on the threads of [`loc_net::parallel`], as that engine; without it (and
//! without rayon), on threads that are started for each batch.

#[cfg(feature = "native")]
pub(crate) use loc_net::parallel::{Threads, run_jobs};
#[cfg(not(feature = "native"))]
pub(crate) use plain::{Threads, run_jobs};

use crate::Error;

/// The threads for `LoadOptions::threads`.
pub(crate) fn build_threads(n: usize) -> Result<Threads, Error> {
    match n {
        0 => Ok(Threads::current()),
        n => Threads::new(n).map_err(|error| Error::Threads(error.into())),
    }
}

#[cfg(not(feature = "native"))]
mod plain {
    use std::cell::Cell;
    use std::sync::{Mutex, PoisonError};

    thread_local! {
        static COUNT: Cell<usize> = const { Cell::new(1) };
    }

    /// Number of threads for a batch, including the calling one.
    #[derive(Debug, Clone)]
    pub(crate) struct Threads(usize);

    impl Threads {
        /// One per processor.
        pub(crate) fn current() -> Self {
            Self(std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
        }

        /// `count` threads.
        pub(crate) fn new(count: usize) -> Result<Self, std::convert::Infallible> {
            Ok(Self(count))
        }

        /// Runs `f`; [`run_jobs`] uses these threads in it.
        pub(crate) fn run<R>(&self, f: impl FnOnce() -> R) -> R {
            struct Before(usize);
            impl Drop for Before {
                fn drop(&mut self) {
                    COUNT.set(self.0);
                }
            }
            let _before = Before(COUNT.replace(self.0));
            f()
        }
    }

    /// Runs `meanwhile` on this thread, and all jobs in parallel with it and after it.
    pub(crate) fn run_jobs<J: Send, R>(
        jobs: Vec<J>,
        work: impl Fn(J) + Sync,
        meanwhile: impl FnOnce() -> R,
    ) -> R {
        let helpers = (COUNT.get() - 1).min(jobs.len());
        let jobs = Mutex::new(jobs.into_iter());
        let worker = || {
            loop {
                // A separate binding, so that the lock is released while the job runs.
                let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(job) = job else { break };
                work(job);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..helpers {
                // If a thread cannot be started, the others do its work.
                let _ = std::thread::Builder::new().spawn_scoped(scope, worker);
            }
            let result = meanwhile();
            worker();
            result
        })
    }
}
