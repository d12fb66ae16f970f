//! NEON: 128 bits, 32 registers. Every aarch64 processor has it.
#![expect(unsafe_code, reason = "intrinsics, whose set the value of the type proves")]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "one comment, before the implementation of the trait, holds for all of its blocks"
)]

use std::arch::aarch64::*;

use super::{Dst, Isa, Kernel, Src, vectors};

/// Proves that the processor has NEON.
#[derive(Debug, Clone, Copy)]
pub(super) struct Neon(());

impl Neon {
    /// Returns the proof, if the processor has the set.
    pub(super) fn new() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }
}

/// For each set of lanes, the bytes that move them to the front.
static PACK: [[u8; 16]; 16] = super::portable::pack_bytes();

/// Transposes 4×4 values.
#[inline(always)]
fn transpose([a, b, c, d]: [float32x4_t; 4]) -> [float32x4_t; 4] {
    // SAFETY: the callers hold the proof.
    unsafe {
        let (t0, t1) = (vtrn1q_f32(a, b), vtrn2q_f32(a, b));
        let (t2, t3) = (vtrn1q_f32(c, d), vtrn2q_f32(c, d));
        [low_halves(t0, t2), low_halves(t1, t3), high_halves(t0, t2), high_halves(t1, t3)]
    }
}

/// # Safety
///
/// The processor has NEON.
#[inline(always)]
unsafe fn low_halves(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    // SAFETY: guaranteed by the caller.
    unsafe { vreinterpretq_f32_f64(vtrn1q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b))) }
}

/// # Safety
///
/// The processor has NEON.
#[inline(always)]
unsafe fn high_halves(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    // SAFETY: guaranteed by the caller.
    unsafe { vreinterpretq_f32_f64(vtrn2q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b))) }
}

// SAFETY of the blocks below: the value proves that the processor has NEON; accesses are guaranteed by the callers.
impl Isa for Neon {
    const LANES: usize = 4;
    const REGISTERS: usize = 32;
    type F32 = float32x4_t;
    type I32 = int32x4_t;
    type Mask = uint32x4_t;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.eval(self)
    }

    #[inline(always)]
    fn splat(self, v: f32) -> float32x4_t {
        unsafe { vdupq_n_f32(v) }
    }
    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vsubq_f32(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    fn mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) }
    }
    #[inline(always)]
    fn min(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vbslq_f32(vcltq_f32(a, b), a, b) }
    }
    #[inline(always)]
    fn sum(self, v: float32x4_t) -> f32 {
        unsafe { vaddvq_f32(v) }
    }
    #[inline(always)]
    fn gt(self, a: float32x4_t, b: float32x4_t) -> uint32x4_t {
        unsafe { vcgtq_f32(a, b) }
    }
    #[inline(always)]
    fn select(self, mask: uint32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vbslq_f32(mask, a, b) }
    }

    #[inline(always)]
    fn splat_i32(self, v: i32) -> int32x4_t {
        unsafe { vdupq_n_s32(v) }
    }
    #[inline(always)]
    fn iota(self) -> int32x4_t {
        unsafe { vld1q_s32([0, 1, 2, 3].as_ptr()) }
    }
    #[inline(always)]
    fn add_i32(self, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        unsafe { vaddq_s32(a, b) }
    }
    #[inline(always)]
    fn mul_i32(self, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        unsafe { vmulq_s32(a, b) }
    }
    #[inline(always)]
    fn or_i32(self, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        unsafe { vorrq_s32(a, b) }
    }
    #[inline(always)]
    fn and_i32(self, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        unsafe { vandq_s32(a, b) }
    }
    #[inline(always)]
    fn shift_left(self, v: int32x4_t, bits: i32) -> int32x4_t {
        unsafe { vshlq_s32(v, vdupq_n_s32(bits)) }
    }
    #[inline(always)]
    fn shift_right(self, v: int32x4_t, bits: i32) -> int32x4_t {
        unsafe { vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(v), vdupq_n_s32(-bits))) }
    }
    #[inline(always)]
    fn gt_i32(self, a: int32x4_t, b: int32x4_t) -> uint32x4_t {
        unsafe { vcgtq_s32(a, b) }
    }
    #[inline(always)]
    fn eq_i32(self, a: int32x4_t, b: int32x4_t) -> uint32x4_t {
        unsafe { vceqq_s32(a, b) }
    }
    #[inline(always)]
    fn to_f32(self, v: int32x4_t) -> float32x4_t {
        unsafe { vcvtq_f32_s32(v) }
    }

    #[inline(always)]
    fn first(self, n: usize) -> uint32x4_t {
        unsafe { vcgtq_s32(vdupq_n_s32(n.min(4) as i32), self.iota()) }
    }
    #[inline(always)]
    fn and(self, a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
        unsafe { vandq_u32(a, b) }
    }
    #[inline(always)]
    fn not(self, mask: uint32x4_t) -> uint32x4_t {
        unsafe { vmvnq_u32(mask) }
    }
    #[inline(always)]
    fn mask_bits(self, mask: uint32x4_t) -> u32 {
        unsafe { vaddvq_u32(vandq_u32(mask, vld1q_u32([1, 2, 4, 8].as_ptr()))) }
    }
    #[inline(always)]
    fn bits(self, mask: uint32x4_t, v: i32) -> int32x4_t {
        unsafe { vandq_s32(vreinterpretq_s32_u32(mask), vdupq_n_s32(v)) }
    }

    #[inline(always)]
    unsafe fn load(self, from: Src<f32>) -> float32x4_t {
        unsafe { vld1q_f32(from.access(4)) }
    }
    #[inline(always)]
    unsafe fn store(self, to: Dst<f32>, v: float32x4_t) {
        unsafe { vst1q_f32(to.access(4), v) }
    }
    #[inline(always)]
    unsafe fn load_masked(self, from: Src<f32>, mask: uint32x4_t) -> float32x4_t {
        let lanes = self.mask_bits(mask);
        let from = from.masked(lanes);
        let mut v = [0.0; 4];
        for (i, v) in v.iter_mut().enumerate() {
            if lanes >> i & 1 == 1 {
                *v = unsafe { from.wrapping_add(i).read() };
            }
        }
        unsafe { vld1q_f32(v.as_ptr()) }
    }
    #[inline(always)]
    unsafe fn store_masked(self, to: Dst<f32>, mask: uint32x4_t, v: float32x4_t) {
        let lanes = self.mask_bits(mask);
        let to = to.masked(lanes);
        let mut values = [0.0f32; 4];
        unsafe { vst1q_f32(values.as_mut_ptr(), v) };
        for (i, v) in values.into_iter().enumerate() {
            if lanes >> i & 1 == 1 {
                unsafe { to.wrapping_add(i).write(v) };
            }
        }
    }
    #[inline(always)]
    unsafe fn load_u8(self, from: Src<u8>) -> int32x4_t {
        unsafe {
            let v = from.access(4).cast::<[u8; 4]>().read_unaligned();
            let v = [i32::from(v[0]), i32::from(v[1]), i32::from(v[2]), i32::from(v[3])];
            vld1q_s32(v.as_ptr())
        }
    }
    #[inline(always)]
    unsafe fn load_u8_masked(self, from: Src<u8>, mask: uint32x4_t) -> int32x4_t {
        let lanes = self.mask_bits(mask);
        let from = from.masked(lanes);
        let mut v = [0; 4];
        for (i, v) in v.iter_mut().enumerate() {
            if lanes >> i & 1 == 1 {
                *v = i32::from(unsafe { from.wrapping_add(i).read() });
            }
        }
        unsafe { vld1q_s32(v.as_ptr()) }
    }
    #[inline(always)]
    unsafe fn store_u8(self, to: Dst<u8>, v: int32x4_t) {
        unsafe { self.store_u8_masked(to, self.first(4), v) }
    }
    #[inline(always)]
    unsafe fn store_u8_masked(self, to: Dst<u8>, mask: uint32x4_t, v: int32x4_t) {
        let lanes = self.mask_bits(mask);
        let to = to.masked(lanes);
        let mut values = [0i32; 4];
        unsafe { vst1q_s32(values.as_mut_ptr(), v) };
        for (i, v) in values.into_iter().enumerate() {
            if lanes >> i & 1 == 1 {
                unsafe { to.wrapping_add(i).write(v.to_le_bytes()[0]) };
            }
        }
    }
    #[inline(always)]
    unsafe fn store_i32(self, to: Dst<i32>, v: int32x4_t) {
        unsafe { vst1q_s32(to.access(4), v) }
    }
    #[inline(always)]
    unsafe fn load_u8x4(self, from: Src<u8>, stride: usize) -> int32x4_t {
        unsafe {
            let v: [i32; 4] = vectors!(|i| from.add(i * stride).access(4).cast::<i32>().read_unaligned());
            vld1q_s32(v.as_ptr())
        }
    }
    #[inline(always)]
    unsafe fn load_rgb(self, from: Src<u8>) -> [int32x4_t; 3] {
        unsafe {
            let pixels = from.access(12).cast::<[[u8; 3]; 4]>().read_unaligned();
            vectors!(|colour| {
                let v: [i32; 4] = vectors!(|i| i32::from(pixels[i][colour]));
                vld1q_s32(v.as_ptr())
            })
        }
    }

    #[inline(always)]
    unsafe fn compress(
        self,
        mask: uint32x4_t,
        (v, to): (float32x4_t, Dst<f32>),
        (w, list): (int32x4_t, Dst<i32>),
    ) -> usize {
        let set = self.mask_bits(mask);
        unsafe {
            let order = vld1q_u8(PACK[set as usize & 15].as_ptr());
            let v = vqtbl1q_u8(vreinterpretq_u8_f32(v), order);
            let w = vqtbl1q_u8(vreinterpretq_u8_s32(w), order);
            vst1q_f32(to.access(4), vreinterpretq_f32_u8(v));
            vst1q_s32(list.access(4), vreinterpretq_s32_u8(w));
        }
        set.count_ones() as usize
    }

    #[inline(always)]
    fn even_odd(self, a: float32x4_t, b: float32x4_t) -> (float32x4_t, float32x4_t) {
        unsafe { (vuzp1q_f32(a, b), vuzp2q_f32(a, b)) }
    }
    #[inline(always)]
    unsafe fn load_columns(self, from: Src<f32>, stride: usize) -> [float32x4_t; 4] {
        unsafe { transpose(vectors!(|i| vld1q_f32(from.add(i * stride).access(4)))) }
    }
    #[inline(always)]
    unsafe fn store_columns(self, v: [float32x4_t; 4], n: usize, to: Dst<f32>, stride: usize) {
        for (i, v) in transpose(v).into_iter().enumerate() {
            let to = to.add(i * stride);
            unsafe {
                match n {
                    4 => self.store(to, v),
                    2 => vst1_f32(to.access(2), vget_low_f32(v)),
                    _ => self.store_masked(to, self.first(n), v),
                }
            }
        }
    }
}
