//! 3×3 convolution with a border of one, for many channels: Winograd's F(5, 3) along y.
//!
//! A tile is five output rows. Its seven input rows are transformed to seven rows of products (`Bᵀ · d`, lanes are
//! channels); along x the kernel stays a direct sum, whose three taps are adjacent in memory. So for each of the seven
//! there is one matrix product, and `Aᵀ · m` gives the five rows: 7 · 3 products for each five outputs and pair of
//! channels instead of 15 · 3. In two dimensions it would be 49 for 25 instead of 105, but with 5.4 times as many
//! weights as the kernel has, and not 2.3 times: on maps of 5×5 to 10×10 cells reading them takes as long as the products.
//!
//! The input gradient is the same convolution of the output gradient with the kernel turned around. The weight gradient is
//! the adjoint in the weights, `gW = Gᵀ · (Bᵀ · d ⊗ A · gY)`.
//!
//! [`Packed`] holds the transformed weights; [`layer::Conv3x3`] keeps them from one pass to the next.

#![allow(
    clippy::needless_range_loop,
    reason = "loops over arrays of vectors have const bounds and stay in registers"
)]

mod gradient;
pub(crate) mod layer;
mod transform;
mod weights;

use std::ops::Range;

use super::sum_parts_of_bias;
use crate::buffers::{Aligned, BufferPool, with_buffers};
use crate::kernels::parts::Parts;
use crate::kernels::simd::{Dst, Level, Src};
use crate::kernels::winograd::f53::{INPUTS, OUTPUTS, TAPS};
use crate::kernels::{Activation, ConvShape};
use crate::parallel::{self, DisjointSlice};
use gradient::{OutputGradient, WeightGradient};
use transform::{Input, Output, Products};
pub(crate) use weights::Packed;

/// The channels are multiples of this: the longest vector.
const CHANNELS: usize = 16;
/// Tiles of several photos that go through the products together: the rows of a block of the matrix product.
const TILES: usize = 8;

/// Returns whether this kernel supports the convolution and needs at most 0.8 of the products of a direct sum.
pub(crate) fn supports(shape: &ConvShape) -> bool {
    let ConvShape { in_channels, out_channels, in_size, kernel, stride, padding, extra, groups } = *shape;
    (kernel, stride, padding, extra, groups) == ((3, 3), (1, 1), (1, 1), (0, 0), 1)
        && in_channels.is_multiple_of(CHANNELS)
        && out_channels.is_multiple_of(CHANNELS)
        && in_channels > 0
        && out_channels > 0
        && in_size.1 >= 2
        && 5 * INPUTS * in_size.0.div_ceil(OUTPUTS) <= 4 * TAPS * in_size.0
}

/// The sizes of a convolution's matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sizes {
    ins: usize,
    outs: usize,
    height: usize,
    width: usize,
}

impl Sizes {
    fn of(shape: &ConvShape) -> Self {
        let (height, width) = shape.in_size;
        Self { ins: shape.in_channels, outs: shape.out_channels, height, width }
    }

    /// Returns the sizes of the convolution that gives the input gradient.
    fn adjoint(self) -> Self {
        Self { ins: self.outs, outs: self.ins, ..self }
    }

    /// Returns the number of tiles of a photo.
    fn tiles(self) -> usize {
        self.height.div_ceil(OUTPUTS)
    }

    /// Returns the number of cells of a photo.
    fn cells(self) -> usize {
        self.height * self.width
    }

    /// Returns the length of a tile's row of transformed inputs, `[width + 2][in]`.
    fn in_row(self) -> usize {
        (self.width + 2) * self.ins
    }

    /// Returns the length of a tile's row of products of some output channels, `[width][channels]`.
    fn out_row(self, channels: usize) -> usize {
        self.width * channels
    }

    /// Returns the length of a photo with its channels last and with the rows that its tiles read, `[5 · tiles + 2][width][channels]`.
    fn frame(self, channels: usize) -> usize {
        (OUTPUTS * self.tiles() + TAPS - 1) * self.width * channels
    }

    /// Returns the number of transformed weights.
    fn weights(self) -> usize {
        INPUTS * TAPS * self.ins * self.outs
    }
}

/// Computes `y[n, out, h, w]` from `x[n, in, h, w]` with the weights in `packed`.
///
/// # Panics
///
/// If a slice does not have the length of its shape.
pub(crate) fn forward(
    packed: &Packed,
    activation: Activation,
    n: usize,
    x: &[f32],
    bias: &[f32],
    y: &mut [f32],
) {
    let shape = packed.of.unwrap_or_else(|| panic!("weights that were packed"));
    assert_eq!((x.len(), y.len()), (n * shape.in_len(), n * shape.out_len()), "input and output");
    let conv = Conv { sizes: Sizes::of(&shape), weights: &packed.weights, bias, activation };
    conv.batch(n, x, y);
}

/// Computes some output channels of one photo.
///
/// # Panics
///
/// If a slice does not have the length of its shape.
fn forward_channels(
    packed: &Packed,
    activation: Activation,
    x: &[f32],
    bias: &[f32],
    channels: Range<usize>,
    y: &mut [f32],
) {
    let shape = packed.of.unwrap_or_else(|| panic!("weights that were packed"));
    let sizes = Sizes::of(&shape);
    assert_eq!((x.len(), y.len()), (shape.in_len(), channels.len() * sizes.cells()), "input and output");
    let conv = Conv { sizes, weights: &packed.weights, bias, activation };
    conv.photos(1, x, channels, y);
}

/// Computes `gx[n, in, h, w]` from the output gradient `gy[n, out, h, w]`.
///
/// # Panics
///
/// If a slice does not have the length of its shape, or the weights were packed for inference.
pub(crate) fn input(packed: &Packed, n: usize, gy: &[f32], gx: &mut [f32]) {
    let shape = packed.of.unwrap_or_else(|| panic!("weights that were packed"));
    assert!(!packed.adjoint.is_empty(), "weights that were packed for training");
    assert_eq!((gx.len(), gy.len()), (n * shape.in_len(), n * shape.out_len()), "gradients");
    let sizes = Sizes::of(&shape).adjoint();
    let bias = vec![0.0; sizes.outs];
    let conv = Conv { sizes, weights: &packed.adjoint, bias: &bias, activation: Activation::None };
    conv.batch(n, gy, gx);
}

/// A convolution with its transformed weights.
struct Conv<'a> {
    sizes: Sizes,
    weights: &'a [f32],
    bias: &'a [f32],
    activation: Activation,
}

impl Conv<'_> {
    fn batch(&self, n: usize, x: &[f32], y: &mut [f32]) {
        let (in_len, out_len) = (self.sizes.cells() * self.sizes.ins, self.sizes.cells() * self.sizes.outs);
        // Fewer photos at once if some threads would have none.
        let rows = if n * self.sizes.tiles() >= TILES * parallel::available() { TILES } else { TILES / 2 };
        let group = rows.div_ceil(self.sizes.tiles());
        parallel::chunks(y, group * out_len, |task, y| {
            let count = y.len() / out_len;
            let x = &x[task * group * in_len..][..count * in_len];
            self.photos(count, x, 0..self.sizes.outs, y);
        });
    }

    /// Computes some output channels of a few photos: `y[n, channels, h, w]`.
    fn photos(&self, n: usize, x: &[f32], channels: Range<usize>, y: &mut [f32]) {
        let (sizes, level) = (self.sizes, Level::current());
        let tiles = n * sizes.tiles();
        let (v_plane, m_plane) = (tiles * sizes.in_row(), tiles * sizes.out_row(channels.len()));
        assert!(channels.end <= sizes.outs && self.bias.len() == sizes.outs, "channels with a bias each");
        assert!(channels.len().is_multiple_of(CHANNELS), "whole vectors of channels");
        assert!(x.len() == n * sizes.cells() * sizes.ins && y.len() == n * sizes.cells() * channels.len());
        let lens = [sizes.frame(sizes.ins.max(CHANNELS)), INPUTS * v_plane, INPUTS * m_plane];
        with_buffers(lens, |[frame, v, m]| {
            for (photo, x) in x.chunks_exact(sizes.cells() * sizes.ins).enumerate() {
                level.run(Input {
                    sizes,
                    x: Src::of(x),
                    frame: Dst::of(frame),
                    v: Dst::of(v).add(photo * sizes.tiles() * sizes.in_row()),
                    plane: v_plane,
                });
            }
            level.run(Products { sizes, tiles, v, weights: self.weights, channels: channels.clone(), m });
            for (photo, y) in y.chunks_exact_mut(sizes.cells() * channels.len()).enumerate() {
                level.run(Output {
                    sizes,
                    m: Src::of(m).add(photo * sizes.tiles() * sizes.out_row(channels.len())),
                    plane: m_plane,
                    bias: &self.bias[channels.clone()],
                    activation: self.activation,
                    frame: Dst::of(frame),
                    y: Dst::of(y),
                });
            }
        });
    }
}

/// Buffers of a weight gradient.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    /// The transformed inputs of all photos, `[7][tiles][width + 2][in]`.
    inputs: Aligned,
    /// The transformed output gradients, `[7][tiles][width][out]`.
    gradients: Aligned,
    /// The bias gradient of each photo.
    bias: Aligned,
}

/// Computes `gw` (shape of w) and `gb[out]` from `x[n, in, h, w]` and the output gradient `gy[n, out, h, w]`, summed in
/// the order of [`crate::kernels::parts`].
///
/// # Panics
///
/// If a slice does not have the length of its shape.
pub(crate) fn weights(
    shape: &ConvShape,
    parts: &Parts,
    (x, gy): (&[f32], &[f32]),
    buffers: &BufferPool<Buffers>,
    gw: &mut [f32],
    gb: &mut [f32],
) {
    let (sizes, n, level) = (Sizes::of(shape), parts.photos(), Level::current());
    let (in_len, out_len) = (shape.in_len(), shape.out_len());
    assert!(supports(shape), "a supported convolution");
    assert_eq!((x.len(), gy.len()), (n * in_len, n * out_len), "input and output gradient");
    assert_eq!((gw.len(), gb.len()), (shape.weight_len(), sizes.outs), "weight and bias gradient");
    let tiles = n * sizes.tiles();
    let (v_plane, m_plane) = (tiles * sizes.in_row(), tiles * sizes.out_row(sizes.outs));
    buffers.with(|buffers| {
        buffers.inputs.grow(INPUTS * v_plane);
        buffers.gradients.grow(INPUTS * m_plane);
        buffers.bias.grow(n * sizes.outs);
        let v = DisjointSlice::new(&mut buffers.inputs);
        let gm = DisjointSlice::new(&mut buffers.gradients);
        // The buffer may be longer, if an earlier batch had more photos.
        parallel::chunks(&mut buffers.bias[..n * sizes.outs], sizes.outs, |photo, bias| {
            // Each photo writes its own tiles.
            with_buffers([sizes.frame(sizes.ins.max(sizes.outs))], |[frame]| {
                level.run(Input {
                    sizes,
                    x: Src::of(&x[photo * in_len..][..in_len]),
                    frame: Dst::of(frame),
                    v: v.pointer().add(photo * sizes.tiles() * sizes.in_row()),
                    plane: v_plane,
                });
                level.run(OutputGradient {
                    sizes,
                    gy: Src::of(&gy[photo * out_len..][..out_len]),
                    frame: Dst::of(frame),
                    gm: gm.pointer().add(photo * sizes.tiles() * sizes.out_row(sizes.outs)),
                    plane: m_plane,
                    bias: Dst::of(bias),
                });
            });
        });
        sum_parts_of_bias(parts, &buffers.bias, gb);
        let (v, gm, gw) = (&buffers.inputs, &buffers.gradients, DisjointSlice::new(gw));
        parallel::each(sizes.ins / CHANNELS, |block| {
            let len = TAPS * CHANNELS * sizes.outs;
            with_buffers([INPUTS * len, parts.count() * TAPS * len], |[gu, sums]| {
                // Each task writes the gradients of its own input channels.
                level.run(WeightGradient {
                    sizes,
                    parts,
                    channel: block * CHANNELS,
                    v: (Src::of(v), v_plane),
                    gm: (Src::of(gm), m_plane),
                    gu,
                    sums,
                    gw: gw.pointer(),
                });
            });
        });
    });
}
