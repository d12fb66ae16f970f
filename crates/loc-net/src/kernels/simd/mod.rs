//! Instruction sets: the vector operations that the kernels are written in, and the sets that implement them.
//!
//! A kernel is written once, over [`Isa`]. A value of a type that implements [`Isa`] proves that the processor has the
//! set: it can only be made where that was checked. [`Level`] is the set chosen for this process; [`Level::run`] calls a
//! kernel with its value. Everything between [`Isa::run`], the only function with `#[target_feature]`, and the
//! intrinsics is `#[inline(always)]`, so that it is compiled with the features of the set. A closure is not: where one is
//! tempting, use [`vectors!`] or a function.
//!
//! Pointers are [`Src`] and [`Dst`], which check every access in builds with debug assertions.

mod dispatch;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use std::fmt::Debug;

use super::Activation;
pub(crate) use crate::pointer::{Dst, Src};
pub use dispatch::Level;

/// `vectors!(|i| value)`: an array, each element computed from its index. A macro, since a closure is compiled without
/// the instruction set. The elements are written directly to their places: an array that is first filled with zeros
/// would be stored and loaded again.
macro_rules! vectors {
    (|$i:ident| $value:expr) => {{
        let mut place = std::mem::MaybeUninit::uninit();
        for $i in 0..$crate::kernels::simd::len(&place) {
            let value = $value;
            #[allow(unused_unsafe, unsafe_code, reason = "an element of the array that is being filled")]
            // SAFETY: one of the array's elements.
            unsafe {
                $crate::kernels::simd::put(&mut place, $i, value)
            };
        }
        #[allow(unused_unsafe, unsafe_code, reason = "every element was written")]
        // SAFETY: every element was written.
        unsafe {
            place.assume_init()
        }
    }};
}
pub(crate) use vectors;

/// A computation over an instruction set.
pub(crate) trait Kernel {
    /// What it returns.
    type Output;

    /// Computes it. Implementations are `#[inline(always)]`.
    fn eval<I: Isa>(self, isa: I) -> Self::Output;
}

/// An instruction set: vectors of [`Isa::LANES`] numbers and the operations on them.
///
/// Lane by lane unless a function says otherwise. The functions are unsafe that access memory: their callers guarantee
/// that [`Isa::LANES`] values can be accessed, or those that the mask enables.
#[expect(unsafe_code, reason = "vector loads and stores through pointers")]
pub(crate) trait Isa: Copy + Debug + Send + Sync + 'static {
    /// Numbers of a vector: 4, 8 or 16.
    const LANES: usize;
    /// Vector registers.
    const REGISTERS: usize;
    /// Vectors of f32, of i32, and masks: a boolean for each lane.
    type F32: Copy;
    type I32: Copy;
    type Mask: Copy;

    /// Calls a kernel, compiled for this set.
    fn run<K: Kernel>(self, kernel: K) -> K::Output;

    fn splat(self, v: f32) -> Self::F32;
    fn add(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn sub(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn mul(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a · b + c`; with one rounding where the set has it.
    fn mul_add(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// The larger; `b` if one is NaN.
    fn max(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// The smaller; `b` if one is NaN.
    fn min(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// Returns the sum of the lanes.
    fn sum(self, v: Self::F32) -> f32;
    /// Whether `a > b`: false if one is NaN.
    fn gt(self, a: Self::F32, b: Self::F32) -> Self::Mask;
    /// `a` where the mask is set, else `b`.
    fn select(self, mask: Self::Mask, a: Self::F32, b: Self::F32) -> Self::F32;

    fn splat_i32(self, v: i32) -> Self::I32;
    /// 0, 1, 2, …
    fn iota(self) -> Self::I32;
    fn add_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    fn mul_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    fn or_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    fn and_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    fn shift_left(self, v: Self::I32, bits: i32) -> Self::I32;
    /// Zeros are shifted in.
    fn shift_right(self, v: Self::I32, bits: i32) -> Self::I32;
    fn gt_i32(self, a: Self::I32, b: Self::I32) -> Self::Mask;
    fn eq_i32(self, a: Self::I32, b: Self::I32) -> Self::Mask;
    fn to_f32(self, v: Self::I32) -> Self::F32;

    /// The first `n` lanes; all if there are fewer.
    fn first(self, n: usize) -> Self::Mask;
    fn and(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
    fn not(self, mask: Self::Mask) -> Self::Mask;
    /// A bit for each lane, the first lane in the lowest.
    fn mask_bits(self, mask: Self::Mask) -> u32;
    /// `v` where the mask is set, else 0.
    fn bits(self, mask: Self::Mask, v: i32) -> Self::I32;

    unsafe fn load(self, from: Src<f32>) -> Self::F32;
    unsafe fn store(self, to: Dst<f32>, v: Self::F32);
    /// Lanes that are not enabled are 0.
    unsafe fn load_masked(self, from: Src<f32>, mask: Self::Mask) -> Self::F32;
    unsafe fn store_masked(self, to: Dst<f32>, mask: Self::Mask, v: Self::F32);
    /// Loads a byte for each lane.
    unsafe fn load_u8(self, from: Src<u8>) -> Self::I32;
    /// Lanes that are not enabled are 0.
    unsafe fn load_u8_masked(self, from: Src<u8>, mask: Self::Mask) -> Self::I32;
    /// Stores the lowest byte of each lane.
    unsafe fn store_u8(self, to: Dst<u8>, v: Self::I32);
    unsafe fn store_u8_masked(self, to: Dst<u8>, mask: Self::Mask, v: Self::I32);
    unsafe fn store_i32(self, to: Dst<i32>, v: Self::I32);
    /// Loads the four bytes that start at `from[lane · stride]`, the first in the lowest bits.
    unsafe fn load_u8x4(self, from: Src<u8>, stride: usize) -> Self::I32;
    /// Writes the lowest `n` bytes (up to 4) of each lane to `to[lane · stride]` and the following places.
    #[inline(always)]
    unsafe fn store_u8x4(self, v: Self::I32, n: usize, to: Dst<u8>, stride: usize) {
        let mut lanes = [0i32; 16];
        // SAFETY: sixteen places; the others are guaranteed by the caller.
        unsafe {
            self.store_i32(Dst::of(&mut lanes), v);
            for (lane, v) in lanes.into_iter().enumerate().take(Self::LANES) {
                let to = to.add(lane * stride).access(n);
                match n {
                    4 => to.cast::<[u8; 4]>().write_unaligned(v.to_le_bytes()),
                    2 => to.cast::<[u8; 2]>().write_unaligned([v.to_le_bytes()[0], v.to_le_bytes()[1]]),
                    _ => {
                        v.to_le_bytes().into_iter().take(n).enumerate().for_each(|(i, b)| to.add(i).write(b))
                    }
                }
            }
        }
    }
    /// Splits `3 · LANES` bytes, pixel by pixel, into the three colours.
    unsafe fn load_rgb(self, from: Src<u8>) -> [Self::I32; 3];

    /// Writes the enabled lanes one after the other, and returns their number. All [`Isa::LANES`] places of both lists
    /// may be written.
    unsafe fn compress(
        self,
        mask: Self::Mask,
        values: (Self::F32, Dst<f32>),
        list: (Self::I32, Dst<i32>),
    ) -> usize;

    /// The even lanes of `a` and `b`, and their odd lanes, both in an order of the set that [`Isa::in_order`] undoes.
    fn even_odd(self, a: Self::F32, b: Self::F32) -> (Self::F32, Self::F32);
    /// Puts lanes of [`Isa::even_odd`] in order.
    #[inline(always)]
    fn in_order(self, v: Self::F32) -> Self::F32 {
        v
    }
    /// Puts lanes of [`Isa::even_odd`] in order.
    #[inline(always)]
    fn in_order_i32(self, v: Self::I32) -> Self::I32 {
        v
    }
    /// Returns four vectors: lane l of vector c is `from[l · stride + c]`.
    unsafe fn load_columns(self, from: Src<f32>, stride: usize) -> [Self::F32; 4];
    /// Writes lane l of vector c to `to[l · stride + c]`, for the first `n` vectors.
    unsafe fn store_columns(self, v: [Self::F32; 4], n: usize, to: Dst<f32>, stride: usize);

    /// The offset of the cell of a 2×2 window that an argmax byte (below 8) names: `right` for the second column, `below`
    /// for the second row.
    #[inline(always)]
    fn offset(self, argmax: Self::I32, right: i32, below: i32) -> Self::I32 {
        let column = self.and_i32(argmax, self.splat_i32(1));
        let row = self.and_i32(self.shift_right(argmax, 1), self.splat_i32(1));
        let right = self.mul_i32(column, self.splat_i32(right));
        self.add_i32(right, self.mul_i32(row, self.splat_i32(below)))
    }

    #[inline(always)]
    fn zero(self) -> Self::F32 {
        self.splat(0.0)
    }

    /// Broadcasts one number in memory.
    #[inline(always)]
    unsafe fn load_splat(self, from: Src<f32>) -> Self::F32 {
        // SAFETY: guaranteed by the caller.
        self.splat(unsafe { from.read() })
    }
}

/// Returns the number of elements of an array.
#[inline(always)]
pub(crate) const fn len<T, const N: usize>(_: &std::mem::MaybeUninit<[T; N]>) -> usize {
    N
}

/// Writes one element of an array.
///
/// # Safety
///
/// `i` is below N.
#[inline(always)]
#[expect(unsafe_code, reason = "an element of an array that is being filled")]
pub(crate) unsafe fn put<T, const N: usize>(all: &mut std::mem::MaybeUninit<[T; N]>, i: usize, value: T) {
    // SAFETY: guaranteed by the caller.
    unsafe { all.as_mut_ptr().cast::<T>().add(i).write(value) }
}

/// Takes the maximum of four cells, adds the bias and applies relu. A NaN among the last cell, the sum or the bias stays.
#[inline(always)]
pub(crate) fn pool<I: Isa>(isa: I, [a, b, c, d]: [I::F32; 4], bias: I::F32) -> I::F32 {
    let largest = isa.max(isa.max(a, b), isa.max(c, d));
    isa.max(isa.zero(), isa.add(largest, bias))
}

/// Returns the argmax byte of [`pool`], as [`super::conv_block::RELU_OFF`] describes it.
#[inline(always)]
pub(crate) fn argmax_byte<I: Isa>(isa: I, [a, b, c, d]: [I::F32; 4], bias: I::F32) -> I::I32 {
    let (above, below) = (isa.max(a, b), isa.max(c, d));
    let value = isa.add(isa.max(above, below), bias);
    let row = isa.gt(below, above);
    let (right_above, right_below) = (isa.bits(isa.gt(b, a), 1), isa.bits(isa.gt(d, c), 1));
    let column = select_i32(isa, row, right_below, right_above);
    let off = isa.bits(isa.not(isa.gt(value, isa.zero())), 4);
    isa.or_i32(isa.or_i32(column, isa.bits(row, 2)), off)
}

/// `a` where the mask is set, else `b`.
#[inline(always)]
pub(crate) fn select_i32<I: Isa>(isa: I, mask: I::Mask, a: I::I32, b: I::I32) -> I::I32 {
    let on = isa.bits(mask, -1);
    let off = isa.bits(isa.not(mask), -1);
    isa.or_i32(isa.and_i32(on, a), isa.and_i32(off, b))
}

/// Loads a whole vector or, if it is not FULL, the enabled lanes; the others are 0.
///
/// # Safety
///
/// The lanes can be read.
#[inline(always)]
#[expect(unsafe_code, reason = "a vector load through a pointer")]
pub(crate) unsafe fn load_lanes<I: Isa, const FULL: bool>(isa: I, from: Src<f32>, mask: I::Mask) -> I::F32 {
    // SAFETY: guaranteed by the caller.
    unsafe { if FULL { isa.load(from) } else { isa.load_masked(from, mask) } }
}

/// Stores a whole vector or, if it is not FULL, the enabled lanes.
///
/// # Safety
///
/// The lanes can be written.
#[inline(always)]
#[expect(unsafe_code, reason = "a vector store through a pointer")]
pub(crate) unsafe fn store_lanes<I: Isa, const FULL: bool>(isa: I, to: Dst<f32>, mask: I::Mask, v: I::F32) {
    // SAFETY: guaranteed by the caller.
    unsafe { if FULL { isa.store(to, v) } else { isa.store_masked(to, mask, v) } }
}

/// Applies an activation. A NaN stays NaN.
#[inline(always)]
pub(crate) fn activate<I: Isa>(isa: I, activation: Activation, v: I::F32) -> I::F32 {
    match activation {
        Activation::None => v,
        Activation::Relu => isa.max(isa.zero(), v),
        Activation::Relu6 => isa.min(isa.splat(6.0), isa.max(isa.zero(), v)),
    }
}

/// Keeps the lanes that the mask enables; the others become 0.
#[inline(always)]
pub(crate) fn keep<I: Isa>(isa: I, mask: I::Mask, v: I::F32) -> I::F32 {
    isa.select(mask, v, isa.zero())
}
