//! Two-dimensional convolution (cross-correlation, as in PyTorch) with bias, for any kernel, stride, padding and
//! groups.
//!
//! `y[o, i, j] = b[o] + Σ_{c,u,v} w[o, c, u, v] · x[c, i·s + u − p, j·s + v − p]`, zero outside x.
//!
//! There are four kernels. `winograd`: 3×3 with a border of one and many channels. `pointwise`: 1×1, a matrix product on
//! the map itself. `direct`: wide maps with stride 1 and no padding, output rows computed directly from input rows.
//! `im2col`: all others; for each tile of output rows the patches are gathered as a matrix that fits the level-2 cache,
//! then multiplied by the weights. Photos and tiles are distributed over the threads. The reference implementation is
//! `reference`.

mod block;
mod direct;
mod im2col;
mod pointwise;
pub mod reference;
#[cfg(test)]
mod tests;
pub(crate) mod winograd;

use rayon::prelude::*;

use super::Activation;
use super::ConvShape;
use super::layer::{ForwardPass, Gradients, LayerKernel, SavedPass};
use super::parts::{Parts, tree_sum};
use crate::buffers::BufferPool;
use crate::kernels::product;
use crate::parallel;
use crate::parallel::DisjointSlice;

/// Values of a weight gradient per task when the parts are summed.
const CHUNK: usize = 1 << 14;

/// Computes `y[n, out, oh, ow]` from `x[n, in, h, w]`, `w[out, in/groups, kh, kw]` and `b[out]`.
///
/// # Panics
///
/// If a slice does not have the length of its shape.
pub fn forward(shape: &ConvShape, n: usize, x: &[f32], w: &[f32], b: &[f32], y: &mut [f32]) {
    activated(shape, Activation::None, n, x, w, b, y);
}

/// Same as [`forward`], followed by an activation, which is applied while the outputs are in the cache.
///
/// # Panics
///
/// If a slice does not have the length of its shape.
pub fn activated(
    shape: &ConvShape,
    activation: Activation,
    n: usize,
    x: &[f32],
    w: &[f32],
    b: &[f32],
    y: &mut [f32],
) {
    let (in_len, out_len) = (shape.in_len(), shape.out_len());
    assert_eq!(x.len(), product(&[n, in_len]), "input");
    assert_eq!(y.len(), product(&[n, out_len]), "output");
    assert_eq!((w.len(), b.len()), (shape.weight_len(), shape.out_channels), "weight and bias");
    if winograd::supports(shape) {
        let mut packed = winograd::Packed::default();
        packed.pack(shape, w, false);
        return winograd::forward(&packed, activation, n, x, b, y);
    }
    if pointwise::supports(shape) {
        return pointwise::forward(shape, activation, x, w, b, y);
    }
    if direct::supports(shape) {
        forward_rows(shape, n, x, w, |channel| b[channel], y);
        parallel::chunks(y, out_len, |_, y| activation.apply(y));
        return;
    }
    im2col::forward(shape, activation, n, x, w, b, y);
}

/// Computes the output with the direct kernel.
fn forward_rows(
    shape: &ConvShape,
    n: usize,
    x: &[f32],
    w: &[f32],
    bias: impl Fn(usize) -> f32 + Sync,
    y: &mut [f32],
) {
    let (in_len, out_len) = (shape.in_len(), shape.out_len());
    let (height, width) = shape.out_size();
    let group_out = shape.out_channels / shape.groups;
    let (packed, tasks, y) = (direct::Packed::new(shape, w), direct::tasks(shape), DisjointSlice::new(y));
    parallel::each(n * tasks.len(), |task| {
        let (photo, rows) = (task / tasks.len(), tasks[task % tasks.len()].clone());
        let x = &x[photo * in_len..][..in_len];
        for (row, group) in rows.flat_map(|row| (0..shape.groups).map(move |g| (row, g))) {
            packed.row(shape, group, x, row, |channel, column, sums| {
                let channel = group * group_out + channel;
                let at = photo * out_len + (channel * height + row) * width + column;
                #[expect(unsafe_code, reason = "tasks of one photo interleave in memory")]
                // SAFETY: each task writes its own rows of its own photo, and no other range is in use here.
                let out = unsafe { y.range(at, block::COLS) };
                let bias = bias(channel);
                out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum + bias);
            });
        }
    });
}

/// Computes `gw` (shape of w) and `gb[out]` from `x[n, in, h, w]` and the output gradient `gy[n, out, oh, ow]`, summed
/// in the order of [`super::parts`].
///
/// # Panics
///
/// If a slice does not have the length of its shape.
pub fn backward_weights(
    shape: &ConvShape,
    parts: &Parts,
    x: &[f32],
    gy: &[f32],
    gw: &mut [f32],
    gb: &mut [f32],
) {
    let (in_len, out_len, n) = (shape.in_len(), shape.out_len(), parts.photos());
    let (weights, outs) = (shape.weight_len(), shape.out_channels);
    assert_eq!(
        (x.len(), gy.len()),
        (product(&[n, in_len]), product(&[n, out_len])),
        "input and output gradient"
    );
    assert_eq!((gw.len(), gb.len()), (weights, outs), "weight and bias gradient");
    if winograd::supports(shape) {
        return winograd::weights(shape, parts, (x, gy), &BufferPool::default(), gw, gb);
    }
    if pointwise::supports(shape) {
        return pointwise::weights(shape, parts, x, gy, gw, gb);
    }
    let plane = shape.out_size().0 * shape.out_size().1;
    let mut sums = vec![0.0; parts.count() * (weights + outs)];
    sums.par_chunks_exact_mut(weights + outs).enumerate().for_each(|(part, sums)| {
        let (gw, gb) = sums.split_at_mut(weights);
        let photos = parts.part(part);
        for gy in gy[photos.start * out_len..photos.end * out_len].chunks_exact(out_len) {
            gb.iter_mut().zip(gy.chunks_exact(plane)).for_each(|(gb, plane)| *gb += sum(plane));
        }
        if direct::supports(shape) {
            for photo in photos {
                let (x, gy) = (&x[photo * in_len..][..in_len], &gy[photo * out_len..][..out_len]);
                direct::add_weight_gradient(shape, x, gy, gw);
            }
        } else {
            im2col::add_weight_gradient(shape, photos, x, gy, gw);
        }
    });
    if direct::supports(shape) {
        gw.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, gw)| {
            tree_sum(&sums[chunk * CHUNK..], weights + outs, parts.count(), gw);
        });
    } else {
        im2col::write_weight_gradient(shape, parts.count(), &sums, weights + outs, gw);
    }
    tree_sum(&sums[weights..], weights + outs, parts.count(), gb);
}

/// Computes `gx[n, in, h, w]` from the weights and the output gradient `gy[n, out, oh, ow]`.
///
/// # Panics
///
/// If a slice does not have the length of its shape.
pub fn backward_input(shape: &ConvShape, n: usize, w: &[f32], gy: &[f32], gx: &mut [f32]) {
    let (in_len, out_len) = (shape.in_len(), shape.out_len());
    assert_eq!(gx.len(), product(&[n, in_len]), "input gradient");
    assert_eq!(gy.len(), product(&[n, out_len]), "output gradient");
    assert_eq!(w.len(), shape.weight_len(), "weight");
    if winograd::supports(shape) {
        let mut packed = winograd::Packed::default();
        packed.pack(shape, w, true);
        return winograd::input(&packed, n, gy, gx);
    }
    if pointwise::supports(shape) {
        return pointwise::input(shape, w, gy, gx);
    }
    if direct::supports_input_gradient(shape) {
        let (adjoint, rotated) = direct::adjoint(shape, w);
        let mut padded = vec![0.0; n * adjoint.in_len()];
        let photos = padded.par_chunks_exact_mut(adjoint.in_len()).zip(gy.par_chunks_exact(out_len));
        photos.for_each(|(padded, gy)| direct::pad(shape, gy, padded));
        forward_rows(&adjoint, n, &padded, &rotated, |_| 0.0, gx);
        return;
    }
    im2col::input(shape, n, w, gy, gx);
}

/// Sums the bias gradients of the photos, `bias[n, out]`, to `gb[out]`.
fn sum_parts_of_bias(parts: &Parts, bias: &[f32], gb: &mut [f32]) {
    let outs = gb.len();
    let mut sums = vec![0.0; parts.count() * outs];
    for (sums, photos) in sums.chunks_exact_mut(outs).zip(parts.iter()) {
        for bias in bias[photos.start * outs..photos.end * outs].chunks_exact(outs) {
            sums.iter_mut().zip(bias).for_each(|(sum, b)| *sum += b);
        }
    }
    tree_sum(&sums, outs, parts.count(), gb);
}

/// Returns the sum of the values over eight lanes: a fixed order that the compiler can vectorise.
fn sum(values: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    let mut chunks = values.chunks_exact(8);
    for chunk in &mut chunks {
        lanes.iter_mut().zip(chunk).for_each(|(l, v)| *l += v);
    }
    lanes.iter().sum::<f32>() + chunks.remainder().iter().sum::<f32>()
}

/// A convolution as a layer, with the activation of its outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    /// The convolution.
    pub shape: ConvShape,
    /// The activation.
    pub activation: Activation,
}

impl LayerKernel for Conv {
    fn forward(&self, pass: ForwardPass) {
        let ForwardPass { n, inputs, params, y, .. } = pass;
        activated(&self.shape, self.activation, n, inputs[0], params[0], params[1], y);
    }

    fn backward(&self, parts: &Parts, pass: &SavedPass, gradients: Gradients) {
        let gy = gradients.output;
        self.activation.backward_in_place(pass.y, gy);
        if let [gw, gb] = gradients.params {
            backward_weights(&self.shape, parts, pass.inputs[0], gy, gw, gb);
        }
        if let [Some(gx)] = gradients.inputs {
            backward_input(&self.shape, parts.photos(), pass.params[0], gy, gx);
        }
    }
}
