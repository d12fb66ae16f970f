//! The kernel for wide maps with stride 1 and no padding: computes output rows directly from input rows.
//!
//! For each kernel position (c, u, v) the cells of an output row read a contiguous part of an input row, so a patch
//! matrix would only be a copy. [`supports`] and [`supports_input_gradient`] decide which maps are wide enough.

use std::ops::Range;

use super::block::{CHANNELS, COLS, GradientTile};
use crate::kernels::ConvShape;

/// Output rows whose weight gradient is summed in registers before the sum is added to memory.
const GRADIENT_ROWS: usize = 16;

/// Returns whether the output and the weight gradient are computed faster than with im2col.
pub(super) fn supports(shape: &ConvShape) -> bool {
    let conv = shape;
    conv.stride == (1, 1) && (conv.padding, conv.extra) == ((0, 0), (0, 0)) && shape.out_size().1 >= 3 * COLS
}

/// Returns whether the input gradient is computed faster than with im2col. It is a convolution of the padded output
/// gradient; the padding is extra work that im2col does not have.
pub(super) fn supports_input_gradient(shape: &ConvShape) -> bool {
    let ((h, w), (oh, ow)) = (shape.in_size, shape.out_size());
    supports(shape) && 5 * h * w <= 6 * oh * ow
}

/// A convolution's weights in the order in which the blocks read them, and their offsets in the input.
pub(super) struct Packed {
    /// For each group and block of channels, for each kernel position, the block's weights.
    weights: Vec<f32>,
    /// For each kernel position of a group, the offset of the input value it reads from that of the output cell.
    offsets: Vec<usize>,
    group_out: usize,
}

/// Returns the offset of each kernel position from the cell's own position in its group's input, in the weights' order.
fn offsets(shape: &ConvShape) -> Vec<usize> {
    let (h, w) = shape.in_size;
    let (kh, kw) = shape.kernel;
    (0..shape.fan_in()).map(|k| (k / (kh * kw) * h + k / kw % kh) * w + k % kw).collect()
}

impl Packed {
    pub(super) fn new(shape: &ConvShape, w: &[f32]) -> Self {
        let (groups, fan_in) = (shape.groups, shape.fan_in());
        let group_out = shape.out_channels / groups;
        let mut weights = Vec::with_capacity(w.len());
        for group in w.chunks_exact(group_out * fan_in) {
            for block in group.chunks(CHANNELS * fan_in) {
                for k in 0..fan_in {
                    weights.extend(block.iter().skip(k).step_by(fan_in));
                }
            }
        }
        Self { weights, offsets: offsets(shape), group_out }
    }

    /// Computes one output row of the group's channels from `o` on, and calls `emit(channel of the group, values)`.
    pub(super) fn row(
        &self,
        shape: &ConvShape,
        group: usize,
        x: &[f32],
        row: usize,
        mut emit: impl FnMut(usize, usize, &[f32; COLS]),
    ) {
        let (_, width) = shape.out_size();
        let fan_in = self.offsets.len();
        let (h, w) = shape.in_size;
        let x = &x[group * (shape.in_channels / shape.groups) * h * w + row * w..];
        let group_weights = &self.weights[group * self.group_out * fan_in..][..self.group_out * fan_in];
        for (block, weights) in group_weights.chunks(CHANNELS * fan_in).enumerate() {
            let channels = weights.len() / fan_in;
            let mut column = 0;
            while column < width {
                // The last block overlaps the one before it; the cells in both get the same values again.
                let at = column.min(width - COLS);
                let mut sums = [[0.0; COLS]; CHANNELS];
                super::block::weighted_sums(channels, weights, &self.offsets, &x[at..], &mut sums);
                for (c, sums) in sums.iter().take(channels).enumerate() {
                    emit(block * CHANNELS + c, at, sums);
                }
                column += COLS;
            }
        }
    }
}

/// Adds the weight gradient of one photo to `gw`.
pub(super) fn add_weight_gradient(shape: &ConvShape, x: &[f32], gy: &[f32], gw: &mut [f32]) {
    let ((h, w), (oh, ow)) = (shape.in_size, shape.out_size());
    let groups = shape.groups;
    let (group_in, group_out) = (shape.in_channels / groups, shape.out_channels / groups);
    let (offsets, fan_in) = (offsets(shape), shape.fan_in());
    for group in 0..groups {
        let x = &x[group * group_in * h * w..][..group_in * h * w];
        let gy = &gy[group * group_out * oh * ow..][..group_out * oh * ow];
        let gw = &mut gw[group * group_out * fan_in..][..group_out * fan_in];
        for first in (0..oh).step_by(GRADIENT_ROWS) {
            let rows = GRADIENT_ROWS.min(oh - first);
            let tile = GradientTile {
                x: &x[first * w..],
                x_row: w,
                offsets: &offsets,
                gy: &gy[first * ow..],
                gy_row: ow,
                gy_plane: oh * ow,
                rows,
            };
            super::block::add_dot_products(&tile, group_out, gw);
        }
    }
}

/// Returns the convolution whose output is the input gradient: it reads the padded output gradient, with the kernels
/// rotated by 180° and input and output channels exchanged.
pub(super) fn adjoint(shape: &ConvShape, w: &[f32]) -> (ConvShape, Vec<f32>) {
    let conv = shape;
    let ((kh, kw), (oh, ow)) = (conv.kernel, shape.out_size());
    let (group_in, group_out) = (shape.in_channels / conv.groups, conv.out_channels / conv.groups);
    let area = kh * kw;
    let mut rotated = Vec::with_capacity(w.len());
    for group in w.chunks_exact(group_out * group_in * area) {
        for (c, o) in (0..group_in).flat_map(|c| (0..group_out).map(move |o| (c, o))) {
            rotated.extend(group[(o * group_in + c) * area..][..area].iter().rev());
        }
    }
    let adjoint = ConvShape {
        in_channels: conv.out_channels,
        in_size: (oh + 2 * (kh - 1), ow + 2 * (kw - 1)),
        out_channels: shape.in_channels,
        ..*shape
    };
    (adjoint, rotated)
}

/// Copies the planes of `gy[out, oh, ow]` into the middle of a zero-padded map,
/// `padded[out, oh + 2(kh−1), ow + 2(kw−1)]`.
pub(super) fn pad(shape: &ConvShape, gy: &[f32], padded: &mut [f32]) {
    let ((kh, kw), (oh, ow)) = (shape.kernel, shape.out_size());
    let (height, width) = (oh + 2 * (kh - 1), ow + 2 * (kw - 1));
    padded.fill(0.0);
    for (plane, padded) in gy.chunks_exact(oh * ow).zip(padded.chunks_exact_mut(height * width)) {
        for (row, padded) in plane.chunks_exact(ow).zip(padded.chunks_exact_mut(width).skip(kh - 1)) {
            padded[kw - 1..][..ow].copy_from_slice(row);
        }
    }
}

/// Returns the ranges of output rows of a photo, one for each task.
pub(super) fn tasks(shape: &ConvShape) -> Vec<Range<usize>> {
    let height = shape.out_size().0;
    (0..height).step_by(GRADIENT_ROWS).map(|first| first..(first + GRADIENT_ROWS).min(height)).collect()
}
