//! Work over the cores: on rayon's current pool, the one that the built-in engine computes on; without that engine (and
//! rayon) on threads of its own, as many as there are processors.

#[cfg(feature = "native")]
pub(crate) use awake::UnderWay;

/// A photo alone is decoded by one thread while the others fall asleep, and the network, which takes no longer than
/// the decoder, begins by waking them: a tenth of its time (`docs/kernels.md`). So one of them is kept awake meanwhile.
#[cfg(feature = "native")]
mod awake {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    /// As long as a photo of the input's size needs twice over. Of one that takes longer, waking is a small part.
    const LONGEST: Duration = Duration::from_millis(2);

    /// Predictions under way in this process: only one that is alone may have a thread wait for it.
    static COUNT: AtomicUsize = AtomicUsize::new(0);

    /// One prediction, or batch of them, from its begin until it is dropped.
    pub(crate) struct UnderWay {
        over: Option<Arc<AtomicBool>>,
    }

    impl UnderWay {
        /// One that keeps no thread awake: a batch has work for each, decoded pixels go to the network at once.
        pub(crate) fn begin() -> Self {
            COUNT.fetch_add(1, Ordering::Relaxed);
            Self { over: None }
        }

        /// A single photo, about to be decoded: keeps a second thread of rayon's current pool awake.
        pub(crate) fn single() -> Self {
            let mut this = Self::begin();
            if COUNT.load(Ordering::Relaxed) == 1 && rayon::current_num_threads() > 1 {
                let over = Arc::new(AtomicBool::new(false));
                this.over = Some(Arc::clone(&over));
                rayon::spawn(move || spin(&over, &COUNT, LONGEST));
            }
            this
        }

        /// The network begins: the thread is free for it.
        pub(crate) fn decoded(&self) {
            if let Some(over) = &self.over {
                over.store(true, Ordering::Release);
            }
        }
    }

    impl Drop for UnderWay {
        fn drop(&mut self) {
            self.decoded();
            COUNT.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Waits without sleeping until it is over, another prediction begins, or the time is up.
    fn spin(over: &AtomicBool, count: &AtomicUsize, longest: Duration) {
        let begun = Instant::now();
        while !over.load(Ordering::Acquire) && count.load(Ordering::Relaxed) < 2 && begun.elapsed() < longest
        {
            std::hint::spin_loop();
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// Each of the three ends it; a spin that one of them does not end would hang here.
        #[test]
        fn a_spin_ends() {
            const LONG: Duration = Duration::from_secs(3600);
            let (over, count) = (AtomicBool::new(false), AtomicUsize::new(1));
            spin(&over, &count, Duration::from_millis(1));
            for end in [&(|| over.store(true, Ordering::Release)) as &(dyn Fn() + Sync), &|| {
                count.fetch_add(1, Ordering::Relaxed);
            }] {
                over.store(false, Ordering::Release);
                std::thread::scope(|scope| {
                    let spinning = scope.spawn(|| spin(&over, &count, LONG));
                    std::thread::sleep(Duration::from_millis(5));
                    assert!(!spinning.is_finished());
                    end();
                });
            }
        }
    }
}

/// Without rayon there is no pool whose threads could sleep.
#[cfg(not(feature = "native"))]
pub(crate) struct UnderWay;

#[cfg(not(feature = "native"))]
impl UnderWay {
    pub(crate) fn begin() -> Self {
        Self
    }

    pub(crate) fn single() -> Self {
        Self
    }

    pub(crate) fn decoded(&self) {
        let Self = self;
    }
}

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
