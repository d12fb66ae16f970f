//! The linear layer `y = x · wᵀ + b`, forward and backward.

pub mod reference;
#[cfg(test)]
mod tests;

use std::ops::Range;

use rayon::prelude::*;

use super::gemm::{self, Mode, RowMajor, Strided};
use super::layer::{ForwardPass, Gradients, LayerKernel, SavedPass};
use super::parts::{Parts, SUM_PARTS, tree_sum};
use crate::kernels::product;
use crate::parallel;
use crate::parallel::DisjointSlice;

/// Rows of the weight gradient that one task computes.
const ROWS: usize = 12;
/// Columns of the weight gradient that are computed at once for all parts, then summed.
const COLUMNS: usize = 64;
/// Weights per task when a single photo is split over the threads: 64 KB.
const TASK_WEIGHTS: usize = 1 << 14;
/// Output features per task in the forward pass.
const OUTPUTS: usize = 32;
/// Input features per task in the input gradient: a multiple of the vector length.
const INPUTS: usize = 128;

/// The numbers of input and output features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// Input features.
    pub input: usize,
    /// Output features.
    pub output: usize,
}

/// Computes `y[n, out]` from `x[n, in]`, `w[out, in]` and `b[out]`.
///
/// # Panics
///
/// If a slice does not have the length of its shape.
pub fn forward(f: Features, n: usize, x: &[f32], w: &[f32], b: &[f32], y: &mut [f32]) {
    let (fi, fo) = (f.input, f.output);
    assert_eq!((x.len(), y.len()), (product(&[n, fi]), product(&[n, fo])), "input and output");
    assert_eq!((w.len(), b.len()), (product(&[fo, fi]), fo), "weight and bias");
    if n == 0 {
        return;
    }
    // Each task reads its own weights once; rows of y interleave.
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

/// Computes some output features of one photo on the calling thread: `y[out]` from `x[in]`, `w[out, in]` and `b[out]`.
/// The bytes are the same as those of [`forward`].
///
/// # Panics
///
/// If the lengths of the slices do not match.
pub fn forward_one(x: &[f32], w: &[f32], b: &[f32], y: &mut [f32]) {
    assert_eq!((w.len(), b.len()), (y.len() * x.len(), y.len()), "weight and bias");
    y.copy_from_slice(b);
    let row = x.len();
    let (x, w) = (RowMajor { values: x, row }, RowMajor { values: w, row });
    gemm::gemm_nt((1, b.len(), row), x, w, y, b.len(), Mode::Add);
}

/// Computes `gw[out, in]` and `gb[out]` from `x[n, in]` and the output gradient `gy[n, out]`, summed in the order of
/// [`super::parts`].
///
/// # Panics
///
/// If a slice does not have the length of its shape.
pub fn backward_weights(f: Features, parts: &Parts, x: &[f32], gy: &[f32], gw: &mut [f32], gb: &mut [f32]) {
    let (fi, fo, n) = (f.input, f.output, parts.photos());
    assert_eq!((x.len(), gy.len()), (product(&[n, fi]), product(&[n, fo])), "input and output gradient");
    assert_eq!((gw.len(), gb.len()), (product(&[fo, fi]), fo), "weight and bias gradient");
    gw.par_chunks_mut(ROWS * fi).enumerate().for_each(|(task, gw)| {
        let rows = gw.len() / fi;
        // The products of all parts for some columns; they stay in the level-1 cache until they are summed.
        let mut products = [0.0; SUM_PARTS * ROWS * COLUMNS];
        for left in (0..fi).step_by(COLUMNS) {
            let columns = COLUMNS.min(fi - left);
            for (part, photos) in parts.iter().enumerate() {
                let product = &mut products[part * ROWS * COLUMNS..][..ROWS * COLUMNS];
                let gy = Strided {
                    values: &gy[(photos.start * fo + task * ROWS).min(gy.len())..],
                    row: 1,
                    col: fo,
                };
                let x = RowMajor { values: &x[(photos.start * fi + left).min(x.len())..], row: fi };
                gemm::gemm_nn((rows, columns, photos.len()), gy, x, product, COLUMNS, Mode::Replace);
            }
            for (row, gw) in gw.chunks_exact_mut(fi).enumerate() {
                let products = &products[row * COLUMNS..];
                tree_sum(products, ROWS * COLUMNS, parts.count(), &mut gw[left..left + columns]);
            }
        }
    });
    for (chunk, gb) in gb.chunks_mut(COLUMNS).enumerate() {
        let mut sums = [0.0; SUM_PARTS * COLUMNS];
        for (sums, photos) in sums.chunks_exact_mut(COLUMNS).zip(parts.iter()) {
            for row in gy[photos.start * fo..photos.end * fo].chunks_exact(fo) {
                sums.iter_mut().zip(&row[chunk * COLUMNS..]).for_each(|(sum, g)| *sum += g);
            }
        }
        tree_sum(&sums, COLUMNS, parts.count(), gb);
    }
}

/// Computes `gx[n, in]` from the weights and the output gradient `gy[n, out]`.
///
/// # Panics
///
/// If a slice does not have the length of its shape.
pub fn backward_input(f: Features, n: usize, w: &[f32], gy: &[f32], gx: &mut [f32]) {
    let (fi, fo) = (f.input, f.output);
    assert_eq!((gx.len(), gy.len()), (product(&[n, fi]), product(&[n, fo])), "gradients");
    assert_eq!(w.len(), fo * fi, "weight");
    if n == 0 {
        return;
    }
    // Each task reads its own columns of the weights once.
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

impl Features {
    /// Returns the number of output features per task when a single photo is split over the threads.
    fn task_outputs(&self) -> usize {
        (TASK_WEIGHTS / self.input.max(1)).max(1)
    }
}

impl LayerKernel for Features {
    fn forward(&self, pass: ForwardPass) {
        let ForwardPass { n, inputs, params, y, .. } = pass;
        forward(*self, n, inputs[0], params[0], params[1], y);
    }

    fn backward(&self, parts: &Parts, pass: &SavedPass, gradients: Gradients) {
        if let [Some(gx)] = gradients.inputs {
            backward_input(*self, parts.photos(), pass.params[0], gradients.output, gx);
        }
        if let [gw, gb] = gradients.params {
            backward_weights(*self, parts, pass.inputs[0], gradients.output, gw, gb);
        }
    }

    fn tasks(&self) -> usize {
        self.output.div_ceil(self.task_outputs())
    }

    fn task(&self, task: usize, len: usize) -> Range<usize> {
        task * self.task_outputs()..((task + 1) * self.task_outputs()).min(len)
    }

    fn forward_task(&self, task: usize, inputs: &[&[f32]], params: &[&[f32]], y: &mut [f32]) {
        let outputs = self.task(task, self.output);
        let w = &params[0][outputs.start * self.input..outputs.end * self.input];
        forward_one(inputs[0], w, &params[1][outputs], y);
    }
}
