//! A slice that several tasks write at once, in disjoint ranges that interleave in memory: no iterator can split it so.

use crate::pointer::Dst;

/// A mutable slice that several tasks share.
pub(crate) struct DisjointSlice<'a, T> {
    start: *mut T,
    len: usize,
    lifetime: std::marker::PhantomData<&'a mut [T]>,
}

#[expect(unsafe_code, reason = "tasks write disjoint ranges of one slice")]
// SAFETY: `range`, `read` and `pointer` are the only accesses, and their callers promise that their ranges do not overlap.
unsafe impl<T: Send + Sync> Sync for DisjointSlice<'_, T> {}

impl<'a, T> DisjointSlice<'a, T> {
    pub(crate) fn new(values: &'a mut [T]) -> Self {
        Self { start: values.as_mut_ptr(), len: values.len(), lifetime: std::marker::PhantomData }
    }

    /// # Safety
    ///
    /// No two ranges in use at the same time overlap.
    #[expect(unsafe_code, clippy::mut_from_ref, reason = "the callers promise disjoint ranges")]
    pub(crate) unsafe fn range(&self, from: usize, len: usize) -> &mut [T] {
        assert!(from <= self.len && len <= self.len - from, "range inside the slice");
        // SAFETY: inside the slice (checked), and not aliased (guaranteed by the caller).
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) }
    }

    /// # Safety
    ///
    /// While the slice is in use, its range is not written.
    #[expect(unsafe_code, reason = "the callers promise that no task writes the range")]
    pub(crate) unsafe fn read(&self, from: usize, len: usize) -> &[T] {
        assert!(from <= self.len && len <= self.len - from, "range inside the slice");
        // SAFETY: inside the slice (checked), and not written (guaranteed by the caller).
        unsafe { std::slice::from_raw_parts(self.start.add(from), len) }
    }

    /// Returns whether the slice is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns a pointer to the values. Callers write only values that no other task accesses.
    pub(crate) fn pointer(&self) -> Dst<'_, T> {
        Dst::shared(self.start, self.len)
    }
}
