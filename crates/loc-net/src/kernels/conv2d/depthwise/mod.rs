//! Depthwise convolution, 3×3 or 5×5: each channel has its own kernel, so there is no matrix product.
//!
//! A plane is copied into a buffer with its padding. Each row is split into phases by the stride s: column `s·j + r` is
//! stored at index j of phase r. So for every kernel position the outputs of a row read adjacent values.

mod plane;

use rayon::prelude::*;

use crate::buffers::with_buffers;
use crate::kernels::Activation;
use crate::kernels::ConvShape;
use crate::kernels::parts::{Parts, SUM_PARTS, tree_sum};
use crate::kernels::simd::Level;
use crate::parallel;

/// Returns whether this kernel supports the convolution.
pub(super) fn supports(shape: &ConvShape) -> bool {
    let conv = shape;
    let depthwise = conv.groups == shape.in_channels && conv.out_channels == conv.groups;
    depthwise
        && shape.in_channels > 1
        && matches!(conv.kernel, (3, 3) | (5, 5))
        && conv.stride.0 == conv.stride.1
}

/// The layout of a padded plane in the buffer.
#[derive(Debug, Clone, Copy)]
struct PaddedPlane {
    /// Height and width of the input.
    size: (usize, usize),
    /// Height and width of the output.
    out: (usize, usize),
    /// Zeros before the first row and column.
    padding: (usize, usize),
    stride: usize,
    /// Rows of the buffer, and number of values of one phase of a row.
    rows: usize,
    phase_len: usize,
}

impl PaddedPlane {
    fn of(shape: &ConvShape) -> Self {
        let (out, k, s) = (shape.out_size(), shape.kernel.0, shape.stride.0);
        let phase_len = (out.1 - 1 + (k - 1) / s + 1).max((shape.in_size.1 + shape.padding.1).div_ceil(s));
        // Up to two whole vectors after the last output may be read.
        let phase_len = phase_len + 2 * LANES;
        let rows = ((out.0 - 1) * s + k).max(shape.in_size.0 + shape.padding.0);
        Self { size: shape.in_size, out, padding: shape.padding, stride: s, rows, phase_len }
    }

    fn len(&self) -> usize {
        self.rows * self.stride * self.phase_len
    }

    /// Returns the index of an input column in a row of the buffer.
    fn column_index(&self, column: usize) -> usize {
        let column = column + self.padding.1;
        column % self.stride * self.phase_len + column / self.stride
    }

    /// Copies a plane into the buffer, with zeros around it.
    fn copy_in(&self, plane: &[f32], buffer: &mut [f32]) {
        let row = self.stride * self.phase_len;
        let rows = buffer.chunks_exact_mut(row).skip(self.padding.0).zip(plane.chunks_exact(self.size.1));
        for (to, from) in rows {
            if self.stride == 1 {
                to[self.padding.1..][..from.len()].copy_from_slice(from);
                continue;
            }
            for first in 0..self.stride.min(from.len()) {
                let to = &mut to[self.column_index(first)..];
                to.iter_mut().zip(from[first..].iter().step_by(self.stride)).for_each(|(to, v)| *to = *v);
            }
        }
    }

    /// Copies a plane from the buffer, without its padding: the inverse of [`PaddedPlane::copy_in`].
    fn copy_out(&self, buffer: &[f32], plane: &mut [f32]) {
        let row = self.stride * self.phase_len;
        let rows = buffer.chunks_exact(row).skip(self.padding.0).zip(plane.chunks_exact_mut(self.size.1));
        for (from, to) in rows {
            for first in 0..self.stride.min(to.len()) {
                let from = &from[self.column_index(first)..];
                to[first..].iter_mut().step_by(self.stride).zip(from).for_each(|(g, v)| *g = *v);
            }
        }
    }

    /// Returns the index of the value that the first output of a row reads for a kernel position.
    #[inline]
    fn input_index(&self, row: usize, (ky, kx): (usize, usize)) -> usize {
        (row * self.stride + ky) * self.stride * self.phase_len
            + kx % self.stride * self.phase_len
            + kx / self.stride
    }
}

/// Values of the longest vector.
const LANES: usize = 16;

/// Runs a kernel of a plane for a kernel size of 3 or 5, after checking the lengths of its slices.
macro_rules! run {
    ($kernel:ident, $k:expr, $plane:expr, { $w:expr, $out:expr, $buffer:expr }, { $($fields:tt)+ }) => {{
        let (k, plane) = ($k, $plane);
        let (out, len) = (plane.out.0 * plane.out.1, plane.len());
        assert!($buffer.len() >= len && $w.len() == k * k && $out.len() == out, "lengths of a plane");
        match k {
            3 => Level::current().run(plane::$kernel::<3> { plane, $($fields)+ }),
            _ => Level::current().run(plane::$kernel::<5> { plane, $($fields)+ }),
        }
    }};
}

/// Computes a plane's outputs from the padded plane in the buffer.
fn forward_plane(k: usize, plane: &PaddedPlane, w: &[f32], b: f32, buffer: &[f32], y: &mut [f32]) {
    run!(Forward, k, plane, { w, y, buffer }, { w, b, buffer, y });
}

/// Adds a plane's weight gradient; the padded plane is in the buffer.
fn weights_plane(k: usize, plane: &PaddedPlane, gy: &[f32], buffer: &[f32], gw: &mut [f32]) {
    run!(Weights, k, plane, { gw, gy, buffer }, { gy, buffer, gw });
}

/// Adds the input gradient of a plane to the buffer.
fn scatter_plane(k: usize, plane: &PaddedPlane, w: &[f32], gy: &[f32], buffer: &mut [f32]) {
    buffer.fill(0.0);
    run!(Scatter, k, plane, { w, gy, buffer }, { w, gy, buffer });
}

/// Planes per task.
const PLANES: usize = 8;
/// Number of weights of the largest kernel.
const MAX_TAPS: usize = 25;

pub(super) fn forward(
    shape: &ConvShape,
    activation: Activation,
    x: &[f32],
    w: &[f32],
    b: &[f32],
    y: &mut [f32],
) {
    let (padded, k, channels) = (PaddedPlane::of(shape), shape.kernel.0, shape.in_channels);
    let (from, to) = (padded.size.0 * padded.size.1, padded.out.0 * padded.out.1);
    parallel::chunks(y, PLANES * to, |task, y| {
        let x = &x[task * PLANES * from..];
        with_buffers([padded.len()], |[buffer]| {
            buffer.fill(0.0);
            for (i, (y, x)) in y.chunks_exact_mut(to).zip(x.chunks_exact(from)).enumerate() {
                let channel = (task * PLANES + i) % channels;
                padded.copy_in(x, buffer);
                forward_plane(k, &padded, &w[channel * k * k..][..k * k], b[channel], buffer, y);
                activation.apply(y);
            }
        });
    });
}

/// Computes the gradients of weights and biases. A task computes some channels, over all photos.
pub(super) fn weights(
    shape: &ConvShape,
    parts: &Parts,
    x: &[f32],
    gy: &[f32],
    gw: &mut [f32],
    gb: &mut [f32],
) {
    let (padded, k, channels) = (PaddedPlane::of(shape), shape.kernel.0, shape.in_channels);
    let (from, to) = (padded.size.0 * padded.size.1, padded.out.0 * padded.out.1);
    let tasks = gw.par_chunks_mut(PLANES * k * k).zip(gb.par_chunks_mut(PLANES)).enumerate();
    tasks.for_each(|(task, (gw, gb))| {
        // For each part: the weights of all planes, then the biases.
        let stride = PLANES * (k * k + 1);
        let mut sums = [0.0; SUM_PARTS * PLANES * (MAX_TAPS + 1)];
        with_buffers([padded.len()], |[buffer]| {
            buffer.fill(0.0);
            for (sums, photos) in sums.chunks_exact_mut(stride).zip(parts.iter()) {
                let (sum_w, sum_b) = sums.split_at_mut(PLANES * k * k);
                for photo in photos {
                    let sums = sum_w.chunks_exact_mut(k * k).zip(sum_b.iter_mut()).take(gb.len());
                    for (i, (gw, gb)) in sums.enumerate() {
                        let plane = photo * channels + task * PLANES + i;
                        let gy = &gy[plane * to..][..to];
                        padded.copy_in(&x[plane * from..][..from], buffer);
                        weights_plane(k, &padded, gy, buffer, gw);
                        *gb += super::sum(gy);
                    }
                }
            }
        });
        tree_sum(&sums, stride, parts.count(), gw);
        tree_sum(&sums[PLANES * k * k..], stride, parts.count(), gb);
    });
}

/// Returns the convolution whose output is the input gradient, for stride 1 and the same padding on all sides: the
/// kernel is rotated by 180°, and its padding is the kernel size minus 1 minus the padding.
fn adjoint(shape: &ConvShape) -> Option<ConvShape> {
    let conv = shape;
    let rest = |padding: usize| (conv.kernel.0 - 1).checked_sub(padding);
    let padding = (rest(conv.padding.0)?, rest(conv.padding.1)?);
    let even = shape.stride == (1, 1) && shape.extra == (0, 0);
    even.then(|| ConvShape { padding, in_size: shape.out_size(), ..*shape })
}

pub(super) fn input(shape: &ConvShape, w: &[f32], gy: &[f32], gx: &mut [f32]) {
    if let Some(adjoint) = adjoint(shape) {
        let k = shape.kernel.0;
        let rotated: Vec<f32> = w.chunks_exact(k * k).flat_map(|w| w.iter().rev().copied()).collect();
        return forward(&adjoint, Activation::None, gy, &rotated, &vec![0.0; shape.in_channels], gx);
    }
    let (padded, k, channels) = (PaddedPlane::of(shape), shape.kernel.0, shape.in_channels);
    let (from, to) = (padded.size.0 * padded.size.1, padded.out.0 * padded.out.1);
    let tasks = gx.par_chunks_mut(PLANES * from).zip(gy.par_chunks(PLANES * to)).enumerate();
    tasks.for_each(|(task, (gx, gy))| {
        with_buffers([padded.len()], |[buffer]| {
            for (i, (gx, gy)) in gx.chunks_exact_mut(from).zip(gy.chunks_exact(to)).enumerate() {
                let channel = (task * PLANES + i) % channels;
                scatter_plane(k, &padded, &w[channel * k * k..][..k * k], gy, buffer);
                padded.copy_out(buffer, gx);
            }
        });
    });
}
