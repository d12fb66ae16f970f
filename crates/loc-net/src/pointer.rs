//! Pointers into slices. In builds with debug assertions they know their slice and check every access; else they are
//! bare pointers.
#![expect(unsafe_code, reason = "reads and writes through pointers")]

use std::marker::PhantomData;

/// A pointer to values that are read. It may be outside of its slice until it is used.
#[derive(Debug)]
pub(crate) struct Src<'a, T> {
    at: *const T,
    /// The addresses of the slice.
    #[cfg(debug_assertions)]
    slice: (usize, usize),
    of: PhantomData<&'a T>,
}

/// A pointer to values that are read and written.
#[derive(Debug)]
pub(crate) struct Dst<'a, T>(Src<'a, T>);

impl<T> Clone for Src<'_, T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Src<'_, T> {}

impl<T> Clone for Dst<'_, T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Dst<'_, T> {}

impl<'a, T> Src<'a, T> {
    #[inline(always)]
    pub(crate) fn of(values: &'a [T]) -> Self {
        Self::new(values.as_ptr(), values.len())
    }

    #[inline(always)]
    fn new(at: *const T, len: usize) -> Self {
        let _ = len;
        Self {
            at,
            #[cfg(debug_assertions)]
            slice: (at as usize, at as usize + len * size_of::<T>()),
            of: PhantomData,
        }
    }

    /// Returns the pointer `n` values further.
    #[inline(always)]
    pub(crate) fn add(self, n: usize) -> Self {
        Self { at: self.at.wrapping_add(n), ..self }
    }

    /// Returns the pointer `n` values before.
    #[inline(always)]
    pub(crate) fn back(self, n: usize) -> Self {
        Self { at: self.at.wrapping_sub(n), ..self }
    }

    /// Returns the bare pointer, for an access to `n` values.
    ///
    /// # Panics
    ///
    /// In builds with debug assertions, if one of them is outside of the slice.
    #[inline(always)]
    pub(crate) fn access(self, n: usize) -> *const T {
        let _ = n;
        #[cfg(debug_assertions)]
        {
            let (start, end) = self.slice;
            let at = self.at as usize;
            assert!(
                n == 0 || (start <= at && at.saturating_add(n * size_of::<T>()) <= end),
                "access to {n} values of {} bytes, {} bytes after the start of a slice of {} bytes",
                size_of::<T>(),
                at.wrapping_sub(start).cast_signed(),
                end - start,
            );
        }
        self.at
    }

    /// Returns the bare pointer, for an access to the values of the set bits.
    ///
    /// # Panics
    ///
    /// As for [`Src::access`].
    #[inline(always)]
    pub(crate) fn masked(self, lanes: u32) -> *const T {
        let _ = lanes;
        #[cfg(debug_assertions)]
        if lanes != 0 {
            let first = lanes.trailing_zeros();
            self.add(first as usize).access((u32::BITS - lanes.leading_zeros() - first) as usize);
        }
        self.at
    }

    /// Reads a value.
    ///
    /// # Safety
    ///
    /// It is inside of the slice.
    #[inline(always)]
    pub(crate) unsafe fn read(self) -> T
    where
        T: Copy,
    {
        // SAFETY: guaranteed by the caller.
        unsafe { *self.access(1) }
    }
}

impl<'a, T> Dst<'a, T> {
    #[inline(always)]
    pub(crate) fn of(values: &'a mut [T]) -> Self {
        Self(Src::new(values.as_mut_ptr(), values.len()))
    }

    /// Returns a pointer to values that tasks share, each accessing its own.
    #[inline(always)]
    pub(crate) fn shared(at: *mut T, len: usize) -> Self {
        Self(Src::new(at, len))
    }

    /// See [`Src::add`].
    #[inline(always)]
    pub(crate) fn add(self, n: usize) -> Self {
        Self(self.0.add(n))
    }

    /// See [`Src::back`].
    #[inline(always)]
    pub(crate) fn back(self, n: usize) -> Self {
        Self(self.0.back(n))
    }

    /// See [`Src::access`].
    #[inline(always)]
    pub(crate) fn access(self, n: usize) -> *mut T {
        self.0.access(n).cast_mut()
    }

    /// See [`Src::masked`].
    #[inline(always)]
    pub(crate) fn masked(self, lanes: u32) -> *mut T {
        self.0.masked(lanes).cast_mut()
    }

    /// Returns the pointer for reading.
    #[inline(always)]
    pub(crate) fn src(self) -> Src<'a, T> {
        self.0
    }

    /// Writes a value.
    ///
    /// # Safety
    ///
    /// Its place is inside of the slice.
    #[inline(always)]
    pub(crate) unsafe fn write(self, value: T)
    where
        T: Copy,
    {
        // SAFETY: guaranteed by the caller.
        unsafe { self.access(1).write(value) }
    }
}
