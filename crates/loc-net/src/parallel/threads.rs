//! The threads that may help: counts their runs, and detects a fork.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::NetError;

/// Threads that help callers with their runs.
///
/// The calling thread computes the run. Helpers take over tasks if they are free, and the caller waits only for helpers
/// that have started a task. So a run finishes even if all other threads are busy, and while it waits, its thread runs
/// no unrelated tasks. After `fork` the child has none of its parent's threads: there the calling thread computes
/// alone.
#[derive(Debug, Clone)]
pub struct Threads(Handle);

#[derive(Debug, Clone)]
enum Handle {
    Current,
    Own(Arc<PoolState>),
}

#[derive(Debug)]
enum Pool {
    /// No helpers.
    None,
    /// Rayon's current pool.
    Current,
    /// A pool that is used for nothing else. `None` only while it is dropped.
    Own(Option<rayon::ThreadPool>),
}

#[derive(Debug)]
struct PoolState {
    pool: Pool,
    /// The number of runs in flight.
    runs: AtomicUsize,
    /// The number of requested helpers that have not started.
    requested: AtomicUsize,
    /// The id of the process that has the threads; 0 until it is first needed.
    process: AtomicU32,
}

/// The counts of rayon's current pool. All pools share them, because all pools share the cores.
static CURRENT: PoolState = PoolState::new(Pool::Current, 0);

/// Returns the id of this process. WebAssembly has no processes, and `std` panics there.
fn process_id() -> u32 {
    if cfg!(target_family = "wasm") { 1 } else { std::process::id() }
}

impl PoolState {
    const fn new(pool: Pool, process: u32) -> Self {
        Self {
            pool,
            runs: AtomicUsize::new(0),
            requested: AtomicUsize::new(0),
            process: AtomicU32::new(process),
        }
    }

    /// Returns whether this process was forked from the one that has the threads.
    fn is_forked(&self) -> bool {
        let here = process_id();
        let known = self.process.compare_exchange(0, here, Ordering::Relaxed, Ordering::Relaxed);
        known.is_err_and(|process| process != here)
    }
}

impl Drop for PoolState {
    fn drop(&mut self) {
        if let Pool::Own(pool) = &mut self.pool
            && *self.process.get_mut() != process_id()
        {
            // The threads are not in this process; dropping the pool could wait for one of them forever.
            std::mem::forget(pool.take());
        }
    }
}

impl Threads {
    /// Uses rayon's current pool: the pool of the calling thread, or else the global pool, which is started on first
    /// use.
    #[must_use]
    pub fn current() -> Self {
        Self(Handle::Current)
    }

    /// Uses `count` threads, including the caller's. The others are started here, have names that start with `loc-`, do
    /// nothing else, and end when the last clone is dropped. With a count of 1 or 0 the calling thread does everything
    /// and no pool is used.
    ///
    /// # Errors
    ///
    /// [`NetError::Threads`] if the system cannot start that many.
    pub fn new(count: usize) -> Result<Self, NetError> {
        let pool = match count.checked_sub(1) {
            None | Some(0) => Pool::None,
            Some(helpers) => {
                let builder = rayon::ThreadPoolBuilder::new().num_threads(helpers);
                let pool = builder.thread_name(|i| format!("loc-{}", i + 1)).build();
                Pool::Own(Some(pool.map_err(|error| NetError::Threads { count, error: error.into() })?))
            }
        };
        Ok(Self(Handle::Own(Arc::new(PoolState::new(pool, process_id())))))
    }

    fn state(&self) -> &PoolState {
        match &self.0 {
            Handle::Current => &CURRENT,
            Handle::Own(state) => state,
        }
    }

    /// Returns the number of threads that may work on a run if it is the only one, including the caller's thread.
    pub(super) fn count(&self) -> usize {
        let state = self.state();
        match &state.pool {
            Pool::None => 1,
            // Checked first: the pool itself must not be used in a forked process.
            _ if state.is_forked() => 1,
            Pool::Current => rayon::current_num_threads(),
            Pool::Own(pool) => 1 + pool.as_ref().map_or(0, rayon::ThreadPool::current_num_threads),
        }
    }

    /// Returns the number of runs in flight.
    pub(super) fn runs(&self) -> usize {
        // Relaxed, here and below: these numbers only decide how much help to request; nothing depends on them.
        self.state().runs.load(Ordering::Relaxed)
    }

    /// Counts a run as in flight until the result is dropped.
    pub(super) fn begin(&self) -> InFlight<'_> {
        let state = self.state();
        state.runs.fetch_add(1, Ordering::Relaxed);
        InFlight(state)
    }

    /// Requests a helper, which calls `help` when a thread is free, or never. Returns whether it made the request: it
    /// makes none if so many helpers have not started that the threads must be busy, so that the queue stays short.
    pub(super) fn request(&self, count: usize, help: impl FnOnce() + Send + 'static) -> bool {
        let state = self.state();
        if state.requested.load(Ordering::Relaxed) >= 2 * count {
            return false;
        }
        state.requested.fetch_add(1, Ordering::Relaxed);
        let threads = self.clone();
        let job = move || {
            threads.state().requested.fetch_sub(1, Ordering::Relaxed);
            help();
        };
        match &state.pool {
            Pool::Current => rayon::spawn(job),
            // Not `install`: it waits, and on a thread of another pool it runs that pool's tasks meanwhile.
            Pool::Own(Some(pool)) => pool.spawn(job),
            Pool::Own(None) | Pool::None => return false,
        }
        true
    }
}

/// A run in flight.
pub(super) struct InFlight<'a>(&'a PoolState);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.runs.fetch_sub(1, Ordering::Relaxed);
    }
}
