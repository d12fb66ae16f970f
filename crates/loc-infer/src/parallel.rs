//! Work over threads. With the engine `native` those of [`loc_net::parallel`], on which that engine computes, too; without
//! it (and rayon) threads that are begun for each batch.

#[cfg(feature = "native")]
pub(crate) use loc_net::parallel::{Threads, share};
#[cfg(not(feature = "native"))]
pub(crate) use plain::{Threads, share};

#[cfg(not(feature = "native"))]
mod plain {
    use std::cell::Cell;
    use std::sync::{Mutex, PoisonError};

    thread_local! {
        static COUNT: Cell<usize> = const { Cell::new(1) };
    }

    /// How many threads a batch may have, the caller's own among them.
    #[derive(Debug, Clone)]
    pub(crate) struct Threads(usize);

    impl Threads {
        /// As many as there are processors.
        pub(crate) fn current() -> Self {
            Self(std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
        }

        /// So many.
        pub(crate) fn new(count: usize) -> Result<Self, std::convert::Infallible> {
            Ok(Self(count))
        }

        /// Runs `f`, in which [`share`] has these threads.
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

    /// Does `own` on this thread, and beside it and after it every job.
    pub(crate) fn share<J: Send, R>(jobs: Vec<J>, work: impl Fn(J) + Sync, own: impl FnOnce() -> R) -> R {
        let helpers = (COUNT.get() - 1).min(jobs.len());
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
            for _ in 0..helpers {
                // One that the system does not begin is not needed.
                let _ = std::thread::Builder::new().spawn_scoped(scope, worker);
            }
            let result = own();
            worker();
            result
        })
    }
}
