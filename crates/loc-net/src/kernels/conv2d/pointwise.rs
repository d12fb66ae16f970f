//! 1×1 convolution: the map already is the patch matrix, so the matrix products read and write it in place.

use rayon::prelude::*;

use crate::buffers::with_buffers;
use crate::kernels::Activation;
use crate::kernels::ConvShape;
use crate::kernels::gemm::{self, Mode, RowMajor, Strided};
use crate::kernels::parts::{Parts, tree_sum};
use crate::parallel;
use crate::parallel::DisjointSlice;

/// Output channels per task: so many that the cost of starting a task is negligible, and a multiple of the product's
/// tile.
const CHANNELS: usize = 48;
/// Cells of a map that are finished before the next ones are started.
const BLOCK: usize = 1024;
/// Number of tasks that the gradient of few weights is split into; it does not depend on the number of threads.
const TASKS: usize = 4;
/// Cells of the maps whose products are summed before the next ones: as many as fit the level-2 cache.
const DEPTH: usize = 512;

/// Returns whether this kernel supports the convolution.
pub(super) fn supports(shape: &ConvShape) -> bool {
    let c = shape;
    (c.kernel, c.stride) == ((1, 1), (1, 1)) && (c.padding, c.extra) == ((0, 0), (0, 0)) && c.groups == 1
}

pub(super) fn forward(
    shape: &ConvShape,
    activation: Activation,
    x: &[f32],
    w: &[f32],
    b: &[f32],
    y: &mut [f32],
) {
    let (cells, ins, outs) = (shape.in_size.0 * shape.in_size.1, shape.in_channels, shape.out_channels);
    let (photos, parts) = (y.len() / (outs * cells), outs.div_ceil(CHANNELS));
    let y = DisjointSlice::new(y);
    parallel::each(photos * parts, |task| {
        let (photo, first) = (task / parts, task % parts * CHANNELS);
        let count = CHANNELS.min(outs - first);
        #[expect(unsafe_code, reason = "tasks write channels of one slice")]
        // SAFETY: each task writes its own channels of its own photo.
        let y = unsafe { y.range((photo * outs + first) * cells, count * cells) };
        let x = &x[photo * ins * cells..][..ins * cells];
        let w = Strided { values: &w[first * ins..], row: ins, col: 1 };
        // A block of outputs is initialised, summed and activated while it is in the cache.
        for from in (0..cells).step_by(BLOCK) {
            let len = BLOCK.min(cells - from);
            let rows = |y: &mut [f32], f: &dyn Fn(usize, &mut [f32])| {
                y.chunks_exact_mut(cells).enumerate().for_each(|(row, y)| f(row, &mut y[from..from + len]));
            };
            rows(y, &|row, y| y.fill(b[first + row]));
            let x = RowMajor { values: &x[from..], row: cells };
            gemm::gemm_nn((count, len, ins), w, x, &mut y[from..], cells, Mode::Add);
            rows(y, &|_, y| activation.apply(y));
        }
    });
}

/// Computes the gradients of weights and biases. A task computes some of their rows, over all photos.
pub(super) fn weights(
    shape: &ConvShape,
    parts: &Parts,
    x: &[f32],
    gy: &[f32],
    gw: &mut [f32],
    gb: &mut [f32],
) {
    let (cells, ins, outs) = (shape.in_size.0 * shape.in_size.1, shape.in_channels, shape.out_channels);
    let rows = outs.div_ceil(TASKS).next_multiple_of(3).min(CHANNELS);
    let tasks = gw.par_chunks_mut(rows * ins).zip(gb.par_chunks_mut(rows)).enumerate();
    tasks.for_each(|(task, (gw, gb))| {
        let count = parts.count();
        with_buffers([count * gw.len(), count * gb.len()], |[weight_sums, bias_sums]| {
            weight_sums.fill(0.0);
            bias_sums.fill(0.0);
            let sums = weight_sums.chunks_exact_mut(gw.len()).zip(bias_sums.chunks_exact_mut(gb.len()));
            for ((sum_w, sum_b), photos) in sums.zip(parts.iter()) {
                for photo in photos {
                    let x = &x[photo * ins * cells..][..ins * cells];
                    let gy = &gy[(photo * outs + task * rows) * cells..][..sum_b.len() * cells];
                    sum_b
                        .iter_mut()
                        .zip(gy.chunks_exact(cells))
                        .for_each(|(gb, plane)| *gb += super::sum(plane));
                    for from in (0..cells).step_by(DEPTH) {
                        let size = (sum_b.len(), ins, DEPTH.min(cells - from));
                        let gy = RowMajor { values: &gy[from..], row: cells };
                        let x = RowMajor { values: &x[from..], row: cells };
                        gemm::gemm_nt(size, gy, x, sum_w, ins, Mode::Add);
                    }
                }
            }
            tree_sum(weight_sums, gw.len(), count, gw);
            tree_sum(bias_sums, gb.len(), count, gb);
        });
    });
}

pub(super) fn input(shape: &ConvShape, w: &[f32], gy: &[f32], gx: &mut [f32]) {
    let (cells, ins, outs) = (shape.in_size.0 * shape.in_size.1, shape.in_channels, shape.out_channels);
    let photos = gx.par_chunks_exact_mut(ins * cells).zip(gy.par_chunks_exact(outs * cells));
    photos.for_each(|(gx, gy)| {
        gx.par_chunks_mut(CHANNELS * cells).enumerate().for_each(|(task, gx)| {
            let transposed = Strided { values: &w[task * CHANNELS..], row: 1, col: ins };
            let size = (gx.len() / cells, cells, outs);
            gemm::gemm_nn(size, transposed, RowMajor { values: gy, row: cells }, gx, cells, Mode::Replace);
        });
    });
}
