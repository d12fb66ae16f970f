//! Conversion of pixel bytes to floats.
#![expect(unsafe_code, reason = "vector loads and stores through pointers whose ranges were checked")]

use super::InputNorm;
use crate::kernels::simd::{Dst, Isa, Kernel, Src};

/// Converts bytes to floats in 0..1: `v / 255`, correctly rounded (the product with the reciprocal, and one correction step
/// that removes its error). The correction is exact where [`Isa::mul_add`] rounds once.
#[inline(always)]
fn fraction<I: Isa>(isa: I, bytes: I::I32) -> I::F32 {
    let v = isa.to_f32(bytes);
    let reciprocal = isa.splat(1.0 / 255.0);
    let q = isa.mul(v, reciprocal);
    let rest = isa.mul_add(q, isa.splat(-255.0), v);
    isa.mul_add(rest, reciprocal, q)
}

/// Splits rows of pixels into three runs of one colour each, `stride` apart. A row has at least [`Isa::LANES`] pixels, and
/// `out` holds the runs of all rows.
pub(super) struct Deinterleave<'a> {
    pub(super) pixels: &'a [u8],
    pub(super) width: usize,
    pub(super) norm: &'a InputNorm,
    pub(super) out: &'a mut [f32],
    pub(super) stride: usize,
}

impl Kernel for Deinterleave<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { pixels, width, norm, out, stride } = self;
        for (row, out) in pixels.chunks_exact(3 * width).zip(out.chunks_exact_mut(3 * stride)) {
            let (row, out) = (Src::of(row), Dst::of(out));
            for block in 0..width.div_ceil(I::LANES) {
                // The last block overlaps the one before.
                let left = (I::LANES * block).min(width - I::LANES);
                // SAFETY: the bytes of a vector of pixels, a vector of each run.
                unsafe {
                    let colours = isa.load_rgb(row.add(3 * left));
                    for c in 0..3 {
                        let x = isa.sub(fraction(isa, colours[c]), isa.splat(norm.mean[c]));
                        let x = isa.mul(x, isa.splat(norm.scale[c]));
                        isa.store(out.add(c * stride + left), x);
                    }
                }
            }
        }
    }
}

/// Values of three vectors of the longest set: a whole number of pixels for every set.
const BLOCK: usize = 48;

/// Converts bytes to floats in the same order. Both slices have the same length, a multiple of 3.
pub(super) struct InOrder<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) norm: &'a InputNorm,
    pub(super) out: &'a mut [f32],
}

impl Kernel for InOrder<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { bytes, norm, out } = self;
        let (mut mean, mut scale) = ([0.0; BLOCK], [0.0; BLOCK]);
        for i in 0..BLOCK {
            (mean[i], scale[i]) = (norm.mean[i % 3], norm.scale[i % 3]);
        }
        let n = bytes.len();
        let whole = n / BLOCK * BLOCK;
        let (from, to) = (Src::of(bytes), Dst::of(&mut *out));
        for block in (0..whole).step_by(BLOCK) {
            for part in (0..BLOCK).step_by(I::LANES) {
                // SAFETY: a vector of a block that both slices hold.
                unsafe {
                    let x = fraction(isa, isa.load_u8(from.add(block + part)));
                    let x = isa.sub(x, isa.load(Src::of(&mean).add(part)));
                    let x = isa.mul(x, isa.load(Src::of(&scale).add(part)));
                    isa.store(to.add(block + part), x);
                }
            }
        }
        for i in whole..n {
            out[i] = norm.apply(i % 3, f32::from(bytes[i]) / 255.0);
        }
    }
}
