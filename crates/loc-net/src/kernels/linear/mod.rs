//! The linear layer `y = x · wᵀ + b`, forward and backward.

pub mod scalar;
#[cfg(test)]
mod tests;

use rayon::prelude::*;

use super::gemm::{self, Mode, Rows, Strided};

/// Rows of a result that one task computes.
const ROWS: usize = 12;

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
    y.par_chunks_mut(ROWS * fo).enumerate().for_each(|(part, y)| {
        let rows = y.len() / fo;
        let x = Rows { values: &x[part * ROWS * fi..], row: fi };
        gemm::dots((rows, fo, fi), x, Rows { values: w, row: fi }, y, fo, Mode::Replace);
        for row in y.chunks_exact_mut(fo) {
            row.iter_mut().zip(b).for_each(|(y, b)| *y += b);
        }
    });
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
        gemm::multiply((rows, fi, n), gy, Rows { values: x, row: fi }, gw, fi, Mode::Replace);
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
    gx.par_chunks_mut(ROWS * fi).enumerate().for_each(|(part, gx)| {
        let rows = gx.len() / fi;
        let gy = Strided { values: &gy[part * ROWS * fo..], row: fo, col: 1 };
        gemm::multiply((rows, fi, fo), gy, Rows { values: w, row: fi }, gx, fi, Mode::Replace);
    });
}
