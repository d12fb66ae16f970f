//! Reusable buffers, and how they grow.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

use crate::parallel::max_concurrency;

/// A pool of reusable buffers. It keeps at most as many as threads are expected to use at once: extra buffers that many
/// simultaneous callers needed are freed after use.
#[derive(Debug)]
pub(crate) struct BufferPool<T>(Box<[Mutex<Option<Box<T>>>]>);

impl<T> Default for BufferPool<T> {
    /// Can keep twice as many buffers as threads can run at once: a run may use one in addition to those of its tasks.
    fn default() -> Self {
        Self((0..2 * max_concurrency()).map(|_| Mutex::default()).collect())
    }
}

impl<T: Default> BufferPool<T> {
    /// Calls `f` with buffers: those this thread used last (they may still be in its cache), others, or new ones.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let mut buffers = self.slots().find_map(|mut slot| slot.take()).unwrap_or_default();
        let result = f(&mut buffers);
        if let Some(mut slot) = self.slots().find(|slot| slot.is_none()) {
            *slot = Some(buffers);
        }
        result
    }

    /// Iterates over the slots, starting with the one that this thread prefers. Locked slots are skipped: another
    /// thread is using the slot briefly, or was using it when this process was forked, so that it stays locked forever.
    fn slots(&self) -> impl Iterator<Item = MutexGuard<'_, Option<Box<T>>>> {
        let (later, first) = self.0.split_at(thread_index() % self.0.len());
        first.iter().chain(later).filter_map(|slot| match slot.try_lock() {
            Ok(slot) => Some(slot),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        })
    }
}

/// Returns the number of the calling thread: 0 for the first thread that calls this, then 1, and so on.
fn thread_index() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static INDEX: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    INDEX.with(|index| *index)
}

/// Sixteen values, as long as the longest vector and a line of the cache.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

const LINE: usize = 16;

/// A slice of f32 that starts at a multiple of 64 bytes, so that vectors at multiples of their length do not cross lines of
/// the cache. `len` is rounded up to whole lines.
#[derive(Debug, Clone, Default)]
pub(crate) struct Aligned(Vec<Line>);

impl Aligned {
    /// Returns zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        Self(vec![Line::default(); len.div_ceil(LINE)])
    }

    /// Grows to at least `len` values, as [`grow`] does.
    pub(crate) fn grow(&mut self, len: usize) {
        grow(&mut self.0, len.div_ceil(LINE));
    }
}

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        #[expect(unsafe_code, reason = "lines as their values")]
        // SAFETY: a line is sixteen f32 without padding.
        unsafe {
            std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * LINE)
        }
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        #[expect(unsafe_code, reason = "lines as their values")]
        // SAFETY: a line is sixteen f32 without padding.
        unsafe {
            std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * LINE)
        }
    }
}

/// Calls `f` with buffers of this thread. Their contents are arbitrary.
pub(crate) fn with_buffers<const N: usize, R>(lens: [usize; N], f: impl FnOnce([&mut [f32]; N]) -> R) -> R {
    thread_local! {
        static BUFFER: RefCell<Aligned> = const { RefCell::new(Aligned(Vec::new())) };
    }
    BUFFER.with_borrow_mut(|buffer| {
        let total: usize = lens.iter().map(|len| len.next_multiple_of(LINE)).sum();
        buffer.0.resize(buffer.0.len().max(total / LINE), Line::default());
        let mut rest = &mut buffer[..];
        f(lens.map(|len| {
            let (head, tail) = std::mem::take(&mut rest).split_at_mut(len.next_multiple_of(LINE));
            rest = tail;
            &mut head[..len]
        }))
    })
}

/// Grows a buffer to at least `len` values. If it has to reallocate, the content is lost. Large buffers request huge
/// pages: otherwise the kernels' strided accesses would miss the TLB at every step.
pub(crate) fn grow<T: Copy + Default>(buffer: &mut Vec<T>, len: usize) {
    if buffer.capacity() < len {
        *buffer = Vec::with_capacity(len);
        advise_huge_pages(buffer);
    }
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
}

/// Advises Linux to use huge pages for a buffer that is still untouched. This is a hint: the buffer also works without
/// it.
#[cfg(all(target_os = "linux", not(miri)))]
fn advise_huge_pages<T>(buffer: &mut Vec<T>) {
    use std::ffi::{c_int, c_void};
    #[expect(unsafe_code, reason = "one call of the C library, which std links anyway")]
    unsafe extern "C" {
        fn madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int;
    }
    const MADV_HUGEPAGE: c_int = 14;
    const HUGE: usize = 2 << 20;
    let start = buffer.as_mut_ptr().cast::<u8>();
    let end = start.wrapping_add(buffer.capacity() * size_of::<T>());
    let from = start.wrapping_add(start.align_offset(HUGE));
    let len = (end as usize).saturating_sub(from as usize) / HUGE * HUGE;
    if len > 0 {
        #[expect(unsafe_code, reason = "advice on memory that belongs to the buffer")]
        // SAFETY: `from..from + whole` is inside the buffer's allocation and starts at a page; the advice changes only
        // the size of the underlying pages. An error means that there are no huge pages: the buffer works without them.
        unsafe {
            madvise(from.cast(), len, MADV_HUGEPAGE);
        }
    }
}

#[cfg(any(not(target_os = "linux"), miri))]
fn advise_huge_pages<T>(_: &mut Vec<T>) {}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn a_grown_buffer_holds_zeros_and_has_the_requested_length() {
        const LEN: usize = if cfg!(miri) { 500 } else { 5 << 20 };
        let mut buffer = vec![7u8; 3];
        grow(&mut buffer, LEN);
        assert!(buffer.len() == LEN && buffer.iter().all(|b| *b == 0));
        buffer[0] = 1;
        grow(&mut buffer, 10);
        assert_eq!((buffer.len(), buffer[0]), (LEN, 1));
    }

    #[test]
    fn buffers_are_reused() {
        let pool = BufferPool::<Vec<u8>>::default();
        pool.with(|buffer| buffer.push(1));
        pool.with(|first| pool.with(|second| assert_eq!((first.len(), second.len()), (1, 0))));
    }

    #[test]
    fn many_simultaneous_callers_leave_a_bounded_number_of_buffers() {
        const BURST: usize = if cfg!(miri) { 5 } else { 64 };
        let pool = BufferPool::<Vec<u8>>((0..3).map(|_| Mutex::default()).collect());
        let all_have_one = Barrier::new(BURST);
        std::thread::scope(|scope| {
            for _ in 0..BURST {
                scope.spawn(|| {
                    pool.with(|buffer| {
                        buffer.push(1);
                        all_have_one.wait();
                    });
                });
            }
        });
        assert_eq!(pool.slots().filter(|slot| slot.is_some()).count(), 3);
        let slots = BufferPool::<Vec<u8>>::default().0.len();
        assert!((2..=2 * max_concurrency()).contains(&slots), "{slots} places");
    }

    /// Simulates a forked child: another thread held the lock when the process was forked.
    #[test]
    fn a_slot_that_stays_locked_is_skipped() {
        let pool = BufferPool::<Vec<u8>>((0..2).map(|_| Mutex::default()).collect());
        let _held: Vec<_> = pool.0.iter().map(|slot| slot.lock().unwrap()).collect();
        assert_eq!(pool.with(|buffer| buffer.len()), 0);
    }
}
