//! Buffers that wait for the next caller.

use std::sync::{Mutex, PoisonError};

/// Buffers of a kind, as many as were ever in use at once.
#[derive(Debug, Default)]
pub(crate) struct Idle<T>(Mutex<Vec<Lent<T>>>);

/// Buffers and the thread of the pool that had them last, in whose cache they may still be.
#[derive(Debug)]
struct Lent<T> {
    thread: Option<usize>,
    buffers: Box<T>,
}

impl<T: Default> Idle<T> {
    /// Lends idle buffers, those this thread had last if it can, or new ones.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let thread = rayon::current_thread_index();
        let mut lent = self.take(thread).unwrap_or_else(|| Lent { thread, buffers: Box::default() });
        lent.thread = thread;
        let result = f(&mut lent.buffers);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(lent);
        result
    }

    fn take(&self, thread: Option<usize>) -> Option<Lent<T>> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = idle.iter().rposition(|lent| lent.thread == thread);
        own.or(idle.len().checked_sub(1)).map(|at| idle.swap_remove(at))
    }
}

/// Makes a buffer at least `len` long. Where it has to grow its content is not kept; large ones ask for huge pages, since
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

/// Asks Linux for huge pages under a buffer that nobody has touched; a wish, not a need.
#[cfg(target_os = "linux")]
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

#[cfg(not(target_os = "linux"))]
fn huge_pages<T>(_: &mut Vec<T>) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grown_buffer_is_zeros_and_as_long_as_asked() {
        let mut buffer = vec![7u8; 3];
        grow(&mut buffer, 5 << 20);
        assert!(buffer.len() == 5 << 20 && buffer.iter().all(|b| *b == 0));
        buffer[0] = 1;
        grow(&mut buffer, 10);
        assert_eq!((buffer.len(), buffer[0]), (5 << 20, 1));
    }

    #[test]
    fn buffers_come_back() {
        let idle = Idle::<Vec<u8>>::default();
        idle.with(|buffer| buffer.push(1));
        idle.with(|first| idle.with(|second| assert_eq!((first.len(), second.len()), (1, 0))));
    }
}
