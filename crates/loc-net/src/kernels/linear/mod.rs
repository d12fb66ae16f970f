//! The linear layer `y = x · wᵀ + b`, forward and backward.

pub mod reference;
#[cfg(test)]
mod tests;

use rayon::prelude::*;

use super::gemm::{self, Mode, RowMajor, Strided};
use crate::parallel;
use crate::parallel::DisjointSlice;

/// RowMajor of the weight gradient that one task computes.
const ROWS: usize = 12;
/// Output features of a task in the forward pass.
const OUTPUTS: usize = 32;
/// Input features of a task in the input gradient: whole vectors.
const INPUTS: usize = 128;

/// How many features go in and come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// Input features.
    pub input: usize,
    /// Output features.
    pub output: usize,
}

/// `y[n, out]` of `x[n, in]`, `w[out, in]` and `b[out]`.
///
/// # Panics
///
/// If a slice has not the length its shape says.
pub fn forward(f: Features, n: usize, x: &[f32], w: &[f32], b: &[f32], y: &mut [f32]) {
    let (fi, fo) = (f.input, f.output);
    assert_eq!((x.len(), y.len()), (n * fi, n * fo), "input and output");
    assert_eq!((w.len(), b.len()), (fo * fi, fo), "weight and bias");
    if n == 0 {
        return;
    }
    // A task reads its own weights, once; rows of y interleave.
    let y = DisjointSlice::new(y);
    parallel::each(fo.div_ceil(OUTPUTS), |task| {
        let first = task * OUTPUTS;
        let (w, b) = (&w[first * fi..], &b[first..fo.min(first + OUTPUTS)]);
        let mut part = [0.0; OUTPUTS * 8];
        for top in (0..n).step_by(8) {
            let rows = 8.min(n - top);
            let (x, w) = (RowMajor { values: &x[top * fi..], row: fi }, RowMajor { values: w, row: fi });
            gemm::gemm_nt((rows, b.len(), fi), x, w, &mut part, OUTPUTS, Mode::Replace);
            for (i, sums) in part.chunks_exact(OUTPUTS).take(rows).enumerate() {
                #[expect(unsafe_code, reason = "tasks write columns of one matrix")]
                // SAFETY: each task writes its own columns.
                let y = unsafe { y.range((top + i) * fo + first, b.len()) };
                y.iter_mut().zip(sums.iter().zip(b)).for_each(|(y, (sum, b))| *y = sum + b);
            }
        }
    });
}

/// Some output features of one photo, on the calling thread: `y[out]` of `x[in]`, `w[out, in]` and `b[out]`. The bytes
/// are those of [`forward`].
///
/// # Panics
///
/// If a slice has not the length the others say.
pub fn forward_one(x: &[f32], w: &[f32], b: &[f32], y: &mut [f32]) {
    assert_eq!((w.len(), b.len()), (y.len() * x.len(), y.len()), "weight and bias");
    y.copy_from_slice(b);
    let row = x.len();
    let (x, w) = (RowMajor { values: x, row }, RowMajor { values: w, row });
    gemm::gemm_nt((1, b.len(), row), x, w, y, b.len(), Mode::Add);
}

/// `gw[out, in]` and `gb[out]` from `x[n, in]` and the output's gradient `gy[n, out]`.
///
/// # Panics
///
/// If a slice has not the length its shape says.
pub fn backward_weights(f: Features, n: usize, x: &[f32], gy: &[f32], gw: &mut [f32], gb: &mut [f32]) {
    let (fi, fo) = (f.input, f.output);
    assert_eq!((x.len(), gy.len()), (n * fi, n * fo), "input and output gradient");
    assert_eq!((gw.len(), gb.len()), (fo * fi, fo), "weight and bias gradient");
    gw.par_chunks_mut(ROWS * fi).enumerate().for_each(|(part, gw)| {
        let rows = gw.len() / fi;
        let gy = Strided { values: &gy[(part * ROWS).min(gy.len())..], row: 1, col: fo };
        gemm::gemm_nn((rows, fi, n), gy, RowMajor { values: x, row: fi }, gw, fi, Mode::Replace);
    });
    gb.fill(0.0);
    for row in gy.chunks_exact(fo) {
        gb.iter_mut().zip(row).for_each(|(gb, g)| *gb += g);
    }
}

/// `gx[n, in]` from the weights and the output's gradient `gy[n, out]`.
///
/// # Panics
///
/// If a slice has not the length its shape says.
pub fn backward_input(f: Features, n: usize, w: &[f32], gy: &[f32], gx: &mut [f32]) {
    let (fi, fo) = (f.input, f.output);
    assert_eq!((gx.len(), gy.len()), (n * fi, n * fo), "gradients");
    assert_eq!(w.len(), fo * fi, "weight");
    if n == 0 {
        return;
    }
    // A task reads its own columns of the weights, once.
    let tasks = fi.div_ceil(INPUTS);
    let gx = DisjointSlice::new(gx);
    (0..tasks).into_par_iter().for_each(|task| {
        let columns = task * INPUTS..fi.min((task + 1) * INPUTS);
        let mut part = [0.0; INPUTS * 8];
        for top in (0..n).step_by(8) {
            let rows = 8.min(n - top);
            let gy = Strided { values: &gy[top * fo..], row: fo, col: 1 };
            let w = RowMajor { values: &w[columns.start..], row: fi };
            gemm::gemm_nn((rows, columns.len(), fo), gy, w, &mut part, INPUTS, Mode::Replace);
            for (i, sums) in part.chunks_exact(INPUTS).take(rows).enumerate() {
                #[expect(unsafe_code, reason = "tasks write columns of one matrix")]
                // SAFETY: each task writes its own columns.
                let gx = unsafe { gx.range((top + i) * fi + columns.start, columns.len()) };
                gx.copy_from_slice(&sums[..columns.len()]);
            }
        }
    });
}
