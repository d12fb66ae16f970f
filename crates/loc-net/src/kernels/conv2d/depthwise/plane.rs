//! The loops over a plane.
#![expect(unsafe_code, reason = "vector loads through pointers whose ranges the padded plane guarantees")]

use super::PaddedPlane;
use crate::kernels::simd::{Dst, Isa, Kernel, Src};

/// A plane's outputs from the padded plane in `buffer`: K·K weights, `y` holds the outputs.
pub(super) struct Forward<'a, const K: usize> {
    pub(super) plane: &'a PaddedPlane,
    pub(super) w: &'a [f32],
    pub(super) b: f32,
    pub(super) buffer: &'a [f32],
    pub(super) y: &'a mut [f32],
}

impl<const K: usize> Kernel for Forward<'_, K> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { plane, w, b, buffer, y } = self;
        let width = plane.out.1;
        let (w, buffer) = (Src::of(w), Src::of(buffer));
        for (row, y) in y.chunks_exact_mut(width).enumerate() {
            let y = Dst::of(y);
            for column in (0..width).step_by(2 * I::LANES) {
                let mut sums = [isa.splat(b); 2];
                // SAFETY: for each kernel position a row of the buffer holds whole vectors for all outputs, and one vector
                // more.
                unsafe {
                    for ky in 0..K {
                        for kx in 0..K {
                            let x = buffer.add(plane.input_index(row, (ky, kx)) + column);
                            let w = isa.load_splat(w.add(ky * K + kx));
                            for i in 0..2 {
                                sums[i] = isa.mul_add(w, isa.load(x.add(i * I::LANES)), sums[i]);
                            }
                        }
                    }
                    for i in 0..2 {
                        let first = column + i * I::LANES;
                        if first + I::LANES <= width {
                            isa.store(y.add(first), sums[i]);
                        } else if first < width {
                            isa.store_masked(y.add(first), isa.first(width - first), sums[i]);
                        }
                    }
                }
            }
        }
    }
}

/// Adds a plane's weight gradient to `gw`, K·K values; the padded plane is in `buffer`.
pub(super) struct Weights<'a, const K: usize> {
    pub(super) plane: &'a PaddedPlane,
    pub(super) gy: &'a [f32],
    pub(super) buffer: &'a [f32],
    pub(super) gw: &'a mut [f32],
}

impl<const K: usize> Kernel for Weights<'_, K> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { plane, gy, buffer, gw } = self;
        let width = plane.out.1;
        let buffer = Src::of(buffer);
        for ky in 0..K {
            let mut sums = [isa.zero(); K];
            for (row, gy) in gy.chunks_exact(width).enumerate() {
                for column in (0..width).step_by(I::LANES) {
                    // SAFETY: as above; the last vector of gy is loaded with a mask.
                    unsafe {
                        let gy = output_gradient(isa, gy, column);
                        for kx in 0..K {
                            let x = isa.load(buffer.add(plane.input_index(row, (ky, kx)) + column));
                            sums[kx] = isa.mul_add(gy, x, sums[kx]);
                        }
                    }
                }
            }
            for kx in 0..K {
                gw[ky * K + kx] += isa.sum(sums[kx]);
            }
        }
    }
}

/// Adds the input gradient of each output row to the buffer: `buffer += w · gy` for every kernel position.
pub(super) struct Scatter<'a, const K: usize> {
    pub(super) plane: &'a PaddedPlane,
    pub(super) w: &'a [f32],
    pub(super) gy: &'a [f32],
    pub(super) buffer: &'a mut [f32],
}

impl<const K: usize> Kernel for Scatter<'_, K> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { plane, w, gy, buffer } = self;
        let width = plane.out.1;
        let (w, buffer) = (Src::of(w), Dst::of(buffer));
        for (row, gy) in gy.chunks_exact(width).enumerate() {
            for column in (0..width).step_by(I::LANES) {
                // SAFETY: as above; zeros are added to the values after the row's last output.
                unsafe {
                    let gy = output_gradient(isa, gy, column);
                    for ky in 0..K {
                        for kx in 0..K {
                            let x = buffer.add(plane.input_index(row, (ky, kx)) + column);
                            let w = isa.load_splat(w.add(ky * K + kx));
                            isa.store(x, isa.mul_add(w, gy, isa.load(x.src())));
                        }
                    }
                }
            }
        }
    }
}

/// Loads a vector of a row from `column` on, with zeros after the row.
///
/// # Safety
///
/// `column` is inside the row.
#[inline(always)]
unsafe fn output_gradient<I: Isa>(isa: I, row: &[f32], column: usize) -> I::F32 {
    let at = Src::of(row).add(column);
    // SAFETY: a whole vector, or the values of the row.
    unsafe {
        match row.len() - column {
            rest if rest < I::LANES => isa.load_masked(at, isa.first(rest)),
            _ => isa.load(at),
        }
    }
}
