//! A gate between a caller and its helpers: it lets helpers use a run on the caller's stack while it is open. The
//! caller closes it, waits until every helper that has entered has left, and returns; it waits for no other helper.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::stages::{Run, Wait};

/// In [`Gate::state`]: no helper may enter. The bits below count the helpers inside and, for a moment, those that were
/// rejected: never more than there are threads.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// Closed, or open to one run.
///
/// A helper never sees a run that has ended: entering, leaving, opening and closing are read-modify-writes of one
/// atomic, `state`, so all of them have one order. A helper that adds itself before the caller sets `CLOSED` is in the
/// count that the caller waits for; one that adds itself afterwards sees `CLOSED` and does not touch the run.
#[derive(Debug)]
pub(super) struct Gate {
    state: AtomicUsize,
    /// The run; meaningless while the gate is closed.
    run: AtomicPtr<Run<'static>>,
}

impl Gate {
    pub(super) const fn new() -> Self {
        Self { state: AtomicUsize::new(CLOSED), run: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Lets helpers enter `run` while `f` runs on this thread. Only the caller calls this, for one run at a time.
    pub(super) fn open<R>(&self, run: &Run<'_>, f: impl FnOnce() -> R) -> R {
        assert!(self.state.load(Ordering::Relaxed) & CLOSED != 0, "a gate is open to one run at a time");
        self.run.store(ptr::from_ref(run).cast_mut().cast(), Ordering::Relaxed);
        // Closes also if `f` panics, and `f` cannot prevent the drop.
        let _close = Close(self);
        // Release: a helper that enters (acquire) reads the address of this run and the run as it was made. Not a
        // store: a helper that was rejected earlier may still be counted.
        self.state.fetch_and(!CLOSED, Ordering::Release);
        f()
    }

    /// Enters if the gate is open, and leaves when `f` returns or panics.
    pub(super) fn enter<R>(&self, f: impl FnOnce(&Run<'_>) -> R) -> Option<R> {
        // A load first: helpers that find the gate closed again and again must not slow down the caller with writes.
        if self.state.load(Ordering::Relaxed) & CLOSED != 0 {
            return None;
        }
        let before = self.state.fetch_add(1, Ordering::Acquire);
        let _leave = Leave(self);
        if before & CLOSED != 0 {
            return None;
        }
        #[expect(unsafe_code, reason = "the run is on the stack of another thread")]
        // SAFETY: the gate was open when this thread was added to the count, so `run` was stored before (the acquire
        // above reads from the release sequence that `open` began, since all writes after it are read-modify-writes),
        // and a later `open` cannot have replaced it: `Close` waits until the count is zero before `open` returns.
        // Until then the borrow that `open` holds is active, although its lifetime is erased here; `f` takes any
        // lifetime and cannot keep the reference. All threads have shared references only, and `Run` is `Sync`
        // (asserted below).
        let run = unsafe { &*self.run.load(Ordering::Relaxed) };
        Some(f(run))
    }
}

const _: () = {
    const fn shared<T: Sync>() {}
    shared::<Run<'static>>();
};

/// Closes the gate and waits until all helpers inside have left.
struct Close<'a>(&'a Gate);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        self.0.state.fetch_or(CLOSED, Ordering::Relaxed);
        let mut wait = Wait::default();
        // Acquire: the writes that helpers made before they left (release) are visible from here on.
        while self.0.state.load(Ordering::Acquire) != CLOSED {
            wait.again();
        }
    }
}

/// Leaves the gate.
struct Leave<'a>(&'a Gate);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.state.fetch_sub(1, Ordering::Release);
    }
}
