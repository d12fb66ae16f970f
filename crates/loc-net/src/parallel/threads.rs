//! The threads that may help, how many runs they serve, and whether they are still there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::NetError;

/// Threads that help callers with their runs.
///
/// A run is computed by the thread that calls: helpers take tasks off it if they are free, and it waits only for those
/// that have begun one. So a run ends whatever else the threads are busy with, and while it waits its thread does nothing
/// of anybody else's. After `fork` the child has none of its parent's threads: there the calling thread computes alone.
#[derive(Debug, Clone)]
pub struct Threads(Handle);

#[derive(Debug, Clone)]
enum Handle {
    Current,
    Own(Arc<Source>),
}

#[derive(Debug)]
enum Pool {
    /// Nobody helps.
    None,
    /// Rayon's current pool.
    Current,
    /// A pool for nothing else. Empty only while it is dropped.
    Own(Option<rayon::ThreadPool>),
}

#[derive(Debug)]
struct Source {
    pool: Pool,
    /// Runs under way.
    runs: AtomicUsize,
    /// Helpers asked for that have not come.
    asked: AtomicUsize,
    /// The process that has the threads, 0 as long as nobody has asked.
    process: AtomicU32,
}

/// Whatever rayon's current pool is for a caller, there are these counts: all pools share the cores.
static CURRENT: Source = Source::new(Pool::Current, 0);

impl Source {
    const fn new(pool: Pool, process: u32) -> Self {
        Self { pool, runs: AtomicUsize::new(0), asked: AtomicUsize::new(0), process: AtomicU32::new(process) }
    }

    /// Whether this process was forked from the one that has the threads.
    fn is_forked(&self) -> bool {
        let here = std::process::id();
        let known = self.process.compare_exchange(0, here, Ordering::Relaxed, Ordering::Relaxed);
        known.is_err_and(|process| process != here)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        if let Pool::Own(pool) = &mut self.pool
            && *self.process.get_mut() != std::process::id()
        {
            // Ending threads that are not in this process could wait for one of them for ever.
            std::mem::forget(pool.take());
        }
    }
}

impl Threads {
    /// Rayon's current pool: that of the calling thread, else the global one, which the first use begins.
    #[must_use]
    pub fn current() -> Self {
        Self(Handle::Current)
    }

    /// `count` threads, the caller's one of them: the others are begun here, with names that begin with `loc-`, serve
    /// nothing else, and end with the last clone. Of one, or none, the caller's thread does everything and no pool is
    /// touched.
    ///
    /// # Errors
    ///
    /// [`NetError::Threads`] if the system does not begin as many.
    pub fn new(count: usize) -> Result<Self, NetError> {
        let pool = match count.checked_sub(1) {
            None | Some(0) => Pool::None,
            Some(helpers) => {
                let builder = rayon::ThreadPoolBuilder::new().num_threads(helpers);
                let pool = builder.thread_name(|i| format!("loc-{}", i + 1)).build();
                Pool::Own(Some(pool.map_err(|error| NetError::Threads { count, error: error.into() })?))
            }
        };
        Ok(Self(Handle::Own(Arc::new(Source::new(pool, std::process::id())))))
    }

    fn source(&self) -> &Source {
        match &self.0 {
            Handle::Current => &CURRENT,
            Handle::Own(source) => source,
        }
    }

    /// How many threads may work on a run that is alone, the caller's own among them.
    pub(super) fn count(&self) -> usize {
        let source = self.source();
        match &source.pool {
            Pool::None => 1,
            // Asked first: the pool itself is not to be touched in a forked process.
            _ if source.is_forked() => 1,
            Pool::Current => rayon::current_num_threads(),
            Pool::Own(pool) => 1 + pool.as_ref().map_or(0, rayon::ThreadPool::current_num_threads),
        }
    }

    /// Runs under way.
    pub(super) fn runs(&self) -> usize {
        // Relaxed, here and below: these numbers say how much help is worth asking for, and nothing depends on them.
        self.source().runs.load(Ordering::Relaxed)
    }

    /// Counts a run until what it gives is dropped.
    pub(super) fn begin(&self) -> InFlight<'_> {
        let source = self.source();
        source.runs.fetch_add(1, Ordering::Relaxed);
        InFlight(source)
    }

    /// Asks for a helper, who runs `help` when a thread is free, or never. Says whether one was asked for: not if so many
    /// have not come that the threads must be busy, so that no queue grows.
    pub(super) fn ask(&self, count: usize, help: impl FnOnce() + Send + 'static) -> bool {
        let source = self.source();
        if source.asked.load(Ordering::Relaxed) >= 2 * count {
            return false;
        }
        source.asked.fetch_add(1, Ordering::Relaxed);
        let threads = self.clone();
        let job = move || {
            threads.source().asked.fetch_sub(1, Ordering::Relaxed);
            help();
        };
        match &source.pool {
            Pool::Current => rayon::spawn(job),
            // Not `install`, which waits, and from another pool's thread takes that pool's tasks meanwhile.
            Pool::Own(Some(pool)) => pool.spawn(job),
            Pool::Own(None) | Pool::None => return false,
        }
        true
    }
}

/// A run under way.
pub(super) struct InFlight<'a>(&'a Source);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.runs.fetch_sub(1, Ordering::Relaxed);
    }
}
