//! SIMD of WebAssembly: 128 bits. Compiled in if the target feature `simd128` is on: a module cannot ask its machine.
#![expect(unsafe_code, reason = "loads and stores through pointers")]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "one comment, before the implementation of the trait, holds for all of its blocks"
)]

use std::arch::wasm32::*;

use super::{Dst, Isa, Kernel, Src, vectors};

/// The set that the module was compiled for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Simd128;

/// For each set of lanes, the bytes that move them to the front.
static PACK: [[u8; 16]; 16] = super::portable::pack_bytes();

/// Transposes 4×4 values.
#[inline(always)]
fn transpose([a, b, c, d]: [v128; 4]) -> [v128; 4] {
    let (t0, t1) = (i32x4_shuffle::<0, 4, 1, 5>(a, b), i32x4_shuffle::<2, 6, 3, 7>(a, b));
    let (t2, t3) = (i32x4_shuffle::<0, 4, 1, 5>(c, d), i32x4_shuffle::<2, 6, 3, 7>(c, d));
    [
        i32x4_shuffle::<0, 1, 4, 5>(t0, t2),
        i32x4_shuffle::<2, 3, 6, 7>(t0, t2),
        i32x4_shuffle::<0, 1, 4, 5>(t1, t3),
        i32x4_shuffle::<2, 3, 6, 7>(t1, t3),
    ]
}

// SAFETY of the blocks below: accesses are guaranteed by the callers.
impl Isa for Simd128 {
    const LANES: usize = 4;
    const REGISTERS: usize = 16;
    type F32 = v128;
    type I32 = v128;
    type Mask = v128;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.eval(self)
    }

    #[inline(always)]
    fn splat(self, v: f32) -> v128 {
        f32x4_splat(v)
    }
    #[inline(always)]
    fn add(self, a: v128, b: v128) -> v128 {
        f32x4_add(a, b)
    }
    #[inline(always)]
    fn sub(self, a: v128, b: v128) -> v128 {
        f32x4_sub(a, b)
    }
    #[inline(always)]
    fn mul(self, a: v128, b: v128) -> v128 {
        f32x4_mul(a, b)
    }
    #[inline(always)]
    fn mul_add(self, a: v128, b: v128, c: v128) -> v128 {
        f32x4_add(f32x4_mul(a, b), c)
    }
    #[inline(always)]
    fn max(self, a: v128, b: v128) -> v128 {
        f32x4_pmax(b, a)
    }
    #[inline(always)]
    fn min(self, a: v128, b: v128) -> v128 {
        f32x4_pmin(b, a)
    }
    #[inline(always)]
    fn sum(self, v: v128) -> f32 {
        let two = f32x4_add(v, i32x4_shuffle::<2, 3, 0, 1>(v, v));
        f32x4_extract_lane::<0>(two) + f32x4_extract_lane::<1>(two)
    }
    #[inline(always)]
    fn gt(self, a: v128, b: v128) -> v128 {
        f32x4_gt(a, b)
    }
    #[inline(always)]
    fn select(self, mask: v128, a: v128, b: v128) -> v128 {
        v128_bitselect(a, b, mask)
    }

    #[inline(always)]
    fn splat_i32(self, v: i32) -> v128 {
        i32x4_splat(v)
    }
    #[inline(always)]
    fn iota(self) -> v128 {
        i32x4(0, 1, 2, 3)
    }
    #[inline(always)]
    fn add_i32(self, a: v128, b: v128) -> v128 {
        i32x4_add(a, b)
    }
    #[inline(always)]
    fn mul_i32(self, a: v128, b: v128) -> v128 {
        i32x4_mul(a, b)
    }
    #[inline(always)]
    fn or_i32(self, a: v128, b: v128) -> v128 {
        v128_or(a, b)
    }
    #[inline(always)]
    fn and_i32(self, a: v128, b: v128) -> v128 {
        v128_and(a, b)
    }
    #[inline(always)]
    fn shift_left(self, v: v128, bits: i32) -> v128 {
        i32x4_shl(v, bits.cast_unsigned())
    }
    #[inline(always)]
    fn shift_right(self, v: v128, bits: i32) -> v128 {
        u32x4_shr(v, bits.cast_unsigned())
    }
    #[inline(always)]
    fn gt_i32(self, a: v128, b: v128) -> v128 {
        i32x4_gt(a, b)
    }
    #[inline(always)]
    fn eq_i32(self, a: v128, b: v128) -> v128 {
        i32x4_eq(a, b)
    }
    #[inline(always)]
    fn to_f32(self, v: v128) -> v128 {
        f32x4_convert_i32x4(v)
    }

    #[inline(always)]
    fn first(self, n: usize) -> v128 {
        i32x4_gt(i32x4_splat(n.min(4) as i32), self.iota())
    }
    #[inline(always)]
    fn and(self, a: v128, b: v128) -> v128 {
        v128_and(a, b)
    }
    #[inline(always)]
    fn not(self, mask: v128) -> v128 {
        v128_not(mask)
    }
    #[inline(always)]
    fn mask_bits(self, mask: v128) -> u32 {
        u32::from(i32x4_bitmask(mask))
    }
    #[inline(always)]
    fn bits(self, mask: v128, v: i32) -> v128 {
        v128_and(mask, i32x4_splat(v))
    }

    #[inline(always)]
    unsafe fn load(self, from: Src<f32>) -> v128 {
        unsafe { v128_load(from.access(4).cast()) }
    }
    #[inline(always)]
    unsafe fn store(self, to: Dst<f32>, v: v128) {
        unsafe { v128_store(to.access(4).cast(), v) }
    }
    #[inline(always)]
    unsafe fn load_masked(self, from: Src<f32>, mask: v128) -> v128 {
        let lanes = self.mask_bits(mask);
        let from = from.masked(lanes);
        let mut v = [0.0; 4];
        for (i, v) in v.iter_mut().enumerate() {
            if lanes >> i & 1 == 1 {
                *v = unsafe { from.wrapping_add(i).read() };
            }
        }
        unsafe { v128_load(v.as_ptr().cast()) }
    }
    #[inline(always)]
    unsafe fn store_masked(self, to: Dst<f32>, mask: v128, v: v128) {
        let lanes = self.mask_bits(mask);
        let to = to.masked(lanes);
        let mut values = [0.0f32; 4];
        unsafe { v128_store(values.as_mut_ptr().cast(), v) };
        for (i, v) in values.into_iter().enumerate() {
            if lanes >> i & 1 == 1 {
                unsafe { to.wrapping_add(i).write(v) };
            }
        }
    }
    #[inline(always)]
    unsafe fn load_u8(self, from: Src<u8>) -> v128 {
        unsafe {
            let v = from.access(4).cast::<[u8; 4]>().read_unaligned();
            let v = [i32::from(v[0]), i32::from(v[1]), i32::from(v[2]), i32::from(v[3])];
            v128_load(v.as_ptr().cast())
        }
    }
    #[inline(always)]
    unsafe fn load_u8_masked(self, from: Src<u8>, mask: v128) -> v128 {
        let lanes = self.mask_bits(mask);
        let from = from.masked(lanes);
        let mut v = [0; 4];
        for (i, v) in v.iter_mut().enumerate() {
            if lanes >> i & 1 == 1 {
                *v = i32::from(unsafe { from.wrapping_add(i).read() });
            }
        }
        unsafe { v128_load(v.as_ptr().cast()) }
    }
    #[inline(always)]
    unsafe fn store_u8(self, to: Dst<u8>, v: v128) {
        unsafe { self.store_u8_masked(to, self.first(4), v) }
    }
    #[inline(always)]
    unsafe fn store_u8_masked(self, to: Dst<u8>, mask: v128, v: v128) {
        let lanes = self.mask_bits(mask);
        let to = to.masked(lanes);
        let mut values = [0i32; 4];
        unsafe { v128_store(values.as_mut_ptr().cast(), v) };
        for (i, v) in values.into_iter().enumerate() {
            if lanes >> i & 1 == 1 {
                unsafe { to.wrapping_add(i).write(v.to_le_bytes()[0]) };
            }
        }
    }
    #[inline(always)]
    unsafe fn store_i32(self, to: Dst<i32>, v: v128) {
        unsafe { v128_store(to.access(4).cast(), v) }
    }
    #[inline(always)]
    unsafe fn load_u8x4(self, from: Src<u8>, stride: usize) -> v128 {
        unsafe {
            let v: [i32; 4] = vectors!(|i| from.add(i * stride).access(4).cast::<i32>().read_unaligned());
            v128_load(v.as_ptr().cast())
        }
    }
    #[inline(always)]
    unsafe fn load_rgb(self, from: Src<u8>) -> [v128; 3] {
        unsafe {
            let pixels = from.access(12).cast::<[[u8; 3]; 4]>().read_unaligned();
            vectors!(|colour| {
                let v: [i32; 4] = vectors!(|i| i32::from(pixels[i][colour]));
                v128_load(v.as_ptr().cast())
            })
        }
    }

    #[inline(always)]
    unsafe fn compress(self, mask: v128, (v, to): (v128, Dst<f32>), (w, list): (v128, Dst<i32>)) -> usize {
        let set = self.mask_bits(mask);
        unsafe {
            let order = v128_load(PACK[set as usize & 15].as_ptr().cast());
            v128_store(to.access(4).cast(), u8x16_swizzle(v, order));
            v128_store(list.access(4).cast(), u8x16_swizzle(w, order));
        }
        set.count_ones() as usize
    }

    #[inline(always)]
    fn even_odd(self, a: v128, b: v128) -> (v128, v128) {
        (i32x4_shuffle::<0, 2, 4, 6>(a, b), i32x4_shuffle::<1, 3, 5, 7>(a, b))
    }
    #[inline(always)]
    unsafe fn load_columns(self, from: Src<f32>, stride: usize) -> [v128; 4] {
        unsafe { transpose(vectors!(|i| v128_load(from.add(i * stride).access(4).cast()))) }
    }
    #[inline(always)]
    unsafe fn store_columns(self, v: [v128; 4], n: usize, to: Dst<f32>, stride: usize) {
        for (i, v) in transpose(v).into_iter().enumerate() {
            let to = to.add(i * stride);
            unsafe {
                match n {
                    4 => self.store(to, v),
                    2 => v128_store64_lane::<0>(v, to.access(2).cast()),
                    _ => self.store_masked(to, self.first(n), v),
                }
            }
        }
    }
}
