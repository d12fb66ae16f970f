//! The 2×2 window with stride 2. Lanes are windows of a row.
#![expect(unsafe_code, reason = "vector loads and stores through pointers whose ranges are checked")]

use crate::kernels::PoolShape;
use crate::kernels::simd::{Dst, Isa, Kernel, Src, select_i32};

/// Computes the maxima of one photo, and which cell each is.
pub(super) struct Windows<'a> {
    pub(super) shape: &'a PoolShape,
    pub(super) x: &'a [f32],
    pub(super) y: &'a mut [f32],
    pub(super) argmax: &'a mut [u8],
}

impl Kernel for Windows<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { shape, x, y, argmax } = self;
        let ((h, w), (oh, ow)) = (shape.in_size, shape.out_size());
        let rows = shape.channels * oh;
        assert!(x.len() == shape.channels * h * w && y.len() == rows * ow && argmax.len() == y.len());
        let (x, y, argmax) = (Src::of(x), Dst::of(y), Dst::of(argmax));
        for row in 0..rows {
            let from = (row / oh * h + row % oh * 2) * w;
            for at in (0..ow).step_by(I::LANES) {
                let count = ow - at;
                let (first, second) = (isa.first(2 * count), isa.first((2 * count).saturating_sub(I::LANES)));
                let out = isa.first(count);
                let x = x.add(from + 2 * at);
                // SAFETY: the cells of windows inside the map; lanes of windows beyond are disabled.
                unsafe {
                    let (a, b) = (x, x.add(I::LANES));
                    let (c, d) = (a.add(w), b.add(w));
                    let (left, right) = isa.even_odd(isa.load_masked(a, first), isa.load_masked(b, second));
                    let (upper, upper_at) = larger(isa, (left, isa.splat_i32(0)), (right, isa.splat_i32(1)));
                    let (left, right) = isa.even_odd(isa.load_masked(c, first), isa.load_masked(d, second));
                    let (lower, lower_at) = larger(isa, (left, isa.splat_i32(2)), (right, isa.splat_i32(3)));
                    let (largest, which) = larger(isa, (upper, upper_at), (lower, lower_at));
                    isa.store_masked(y.add(row * ow + at), out, isa.in_order(largest));
                    isa.store_u8_masked(argmax.add(row * ow + at), out, isa.in_order_i32(which));
                }
            }
        }
    }
}

/// Returns the larger of two values, with its cell: the first if they are equal, and the first NaN if there is one.
#[inline(always)]
fn larger<I: Isa>(isa: I, first: (I::F32, I::I32), second: (I::F32, I::I32)) -> (I::F32, I::I32) {
    // The second stays out if it is not larger and not NaN, or if the first is NaN.
    let out = isa.and(isa.not(isa.gt(second.0, first.0)), number(isa, second.0));
    let keep = isa.not(isa.and(isa.not(out), number(isa, first.0)));
    (isa.select(keep, first.0, second.0), select_i32(isa, keep, first.1, second.1))
}

/// Returns the lanes that are not NaN.
#[inline(always)]
fn number<I: Isa>(isa: I, v: I::F32) -> I::Mask {
    let (low, high) = (isa.gt(isa.splat(f32::INFINITY), v), isa.gt(v, isa.splat(f32::NEG_INFINITY)));
    isa.not(isa.and(isa.not(low), isa.not(high)))
}

/// Computes the input gradient of one photo.
pub(super) fn backward(shape: &PoolShape, argmax: &[u8], gy: &[f32], gx: &mut [f32]) {
    let ((h, w), (oh, ow)) = (shape.in_size, shape.out_size());
    gx.fill(0.0);
    for (plane, (gy, argmax)) in gy.chunks_exact(oh * ow).zip(argmax.chunks_exact(oh * ow)).enumerate() {
        for (i, (gy, argmax)) in gy.chunks_exact(ow).zip(argmax.chunks_exact(ow)).enumerate() {
            let gx = &mut gx[(plane * h + 2 * i) * w..][..2 * w];
            for (j, (g, cell)) in gy.iter().zip(argmax).enumerate() {
                let cell = usize::from(*cell);
                gx[(cell >> 1 & 1) * w + 2 * j + (cell & 1)] = *g;
            }
        }
    }
}
