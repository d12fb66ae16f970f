//! Buffers that wait for the next caller, and how they grow.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

use crate::parallel::at_once;

/// Buffers of a kind, no more of them than threads are expected to use at once: what a burst of callers needed beyond that
/// is freed when they are done.
#[derive(Debug)]
pub(crate) struct BufferPool<T>(Box<[Mutex<Option<Box<T>>>]>);

impl<T> Default for BufferPool<T> {
    /// With places for twice as many as can run at once: a run may have some beside those of its tasks.
    fn default() -> Self {
        Self((0..2 * at_once()).map(|_| Mutex::default()).collect())
    }
}

impl<T: Default> BufferPool<T> {
    /// Calls `f` with buffers: those this thread had last, which may still be in its cache, or others, or new ones.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let mut buffers = self.places().find_map(|mut place| place.take()).unwrap_or_default();
        let result = f(&mut buffers);
        if let Some(mut place) = self.places().find(|place| place.is_none()) {
            *place = Some(buffers);
        }
        result
    }

    /// The places, the one that this thread prefers first. Who finds one locked goes on to the next: the other thread is
    /// about to change it, or was when this process was forked and will never be done.
    fn places(&self) -> impl Iterator<Item = MutexGuard<'_, Option<Box<T>>>> {
        let (later, first) = self.0.split_at(place() % self.0.len());
        first.iter().chain(later).filter_map(|place| match place.try_lock() {
            Ok(place) => Some(place),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        })
    }
}

/// A number of the calling thread: the first that asks has 0, and so on.
fn place() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static PLACE: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    PLACE.with(|place| *place)
}

/// Calls `f` with buffers of this thread. Their contents are arbitrary.
pub(crate) fn with_buffers<const N: usize, R>(lens: [usize; N], f: impl FnOnce([&mut [f32]; N]) -> R) -> R {
    thread_local! {
        static BUFFER: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    }
    BUFFER.with_borrow_mut(|buffer| {
        let total = lens.iter().sum();
        if buffer.len() < total {
            buffer.resize(total, 0.0);
        }
        let mut rest = &mut buffer[..];
        f(lens.map(|len| {
            let (head, tail) = std::mem::take(&mut rest).split_at_mut(len);
            rest = tail;
            head
        }))
    })
}

/// Makes a buffer at least `len` long. Where it has to grow its content is not kept; large ones request huge pages, since
/// the kernels' strided walks would miss the translation cache at every step.
pub(crate) fn grow<T: Copy + Default>(buffer: &mut Vec<T>, len: usize) {
    if buffer.capacity() < len {
        *buffer = Vec::with_capacity(len);
        huge_pages(buffer);
    }
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
}

/// Asks Linux for huge pages under a buffer that is still untouched. A hint: the buffer works without.
#[cfg(all(target_os = "linux", not(miri)))]
fn huge_pages<T>(buffer: &mut Vec<T>) {
    use std::ffi::{c_int, c_void};
    #[expect(unsafe_code, reason = "one call of the C library that std links anyway")]
    unsafe extern "C" {
        fn madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int;
    }
    const MADV_HUGEPAGE: c_int = 14;
    const HUGE: usize = 2 << 20;
    let start = buffer.as_mut_ptr().cast::<u8>();
    let end = start.wrapping_add(buffer.capacity() * size_of::<T>());
    let from = start.wrapping_add(start.align_offset(HUGE));
    let whole = (end as usize).saturating_sub(from as usize) / HUGE * HUGE;
    if whole > 0 {
        #[expect(unsafe_code, reason = "advice on memory that belongs to the buffer")]
        // SAFETY: `from..from + whole` lies inside the buffer's allocation, begins at a page, and the advice changes nothing
        // but the size of the pages beneath. An error means that there are none: the buffer is as good without.
        unsafe {
            madvise(from.cast(), whole, MADV_HUGEPAGE);
        }
    }
}

#[cfg(any(not(target_os = "linux"), miri))]
fn huge_pages<T>(_: &mut Vec<T>) {}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn a_grown_buffer_is_zeros_and_as_long_as_asked() {
        const LEN: usize = if cfg!(miri) { 500 } else { 5 << 20 };
        let mut buffer = vec![7u8; 3];
        grow(&mut buffer, LEN);
        assert!(buffer.len() == LEN && buffer.iter().all(|b| *b == 0));
        buffer[0] = 1;
        grow(&mut buffer, 10);
        assert_eq!((buffer.len(), buffer[0]), (LEN, 1));
    }

    #[test]
    fn buffers_come_back() {
        let pool = BufferPool::<Vec<u8>>::default();
        pool.with(|buffer| buffer.push(1));
        pool.with(|first| pool.with(|second| assert_eq!((first.len(), second.len()), (1, 0))));
    }

    #[test]
    fn a_burst_of_callers_leaves_no_more_than_can_run_at_once() {
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
        assert_eq!(pool.places().filter(|place| place.is_some()).count(), 3);
        let places = BufferPool::<Vec<u8>>::default().0.len();
        assert!((2..=2 * at_once()).contains(&places), "{places} places");
    }

    /// As a forked child finds one that another thread had in hand.
    #[test]
    fn a_place_that_stays_locked_is_passed_over() {
        let pool = BufferPool::<Vec<u8>>((0..2).map(|_| Mutex::default()).collect());
        let _held: Vec<_> = pool.0.iter().map(|place| place.lock().unwrap()).collect();
        assert_eq!(pool.with(|buffer| buffer.len()), 0);
    }
}
