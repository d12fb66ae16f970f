//! The tile kernel: 5×5 convolution with bias for many channels, channels last, and the pool after it. Lanes are
//! channels.
//!
//! Winograd's F(4×4, 5×5): a tile of 8×8 inputs is transformed to 64 values per channel (`Bᵀ · d · B`); for each of the
//! 64 there is a small matrix product over the channels of many tiles; `Aᵀ · m · A` gives a tile of 4×4 outputs. That
//! is 64 products instead of the 400 of a direct sum. Tiles are computed in strips whose products stay in the level-2
//! cache. If the size of the map is not a multiple of a tile, the last tile overlaps the one before.
//!
//! [`WinogradTiles`] holds the transformed weights. [`pool`] ends with a 2×2 max-pool and relu, [`average`] with relu
//! and an average pool. The backward pass is the adjoint of the same transforms: `gM = A · gY · Aᵀ`, `gV = gM · Uᵀ`,
//! `gU += Vᵀ · gM`, `gX = B · gV · Bᵀ`, and `gW = Gᵀ · gU · G` once per step.
//!
//! [`WinogradTiles::of`] gives the conditions; the reference is [`super::reference`].

pub mod average;
mod lanes;
pub mod pool;
mod products;
#[cfg(test)]
mod tests;
mod transform;
mod weights;

use std::ops::Range;

use rayon::prelude::*;

use super::{ConvBlock, OVERREAD};
use crate::buffers::Aligned;
use crate::kernels::simd::{Level, Src};
use crate::kernels::winograd::INPUTS;
use crate::parallel;
use crate::parallel::DisjointSlice;
use weights::{Pack, Unpack};

/// Products of a tile for each channel: 8 × 8.
pub const PRODUCTS: usize = INPUTS * INPUTS;
/// The largest number of output channels in a block of weights: whole vectors of every set.
pub const BLOCK: usize = 48;
/// Output channels of a task that transforms weights; blocks consist of whole groups.
const GROUP: usize = 16;

/// A convolution with its transformed weights.
#[derive(Debug, Clone)]
pub struct WinogradTiles {
    shape: ConvBlock,
    level: Level,
    /// `U`, `[blocks][64][in][48 or fewer]`.
    weights: Aligned,
    /// `Uᵀ`, `[64][out][in]`; empty for inference.
    adjoint: Aligned,
    bias: Vec<f32>,
}

/// Buffers of one thread.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Transformed inputs of a strip, `[64][tiles][in]`.
    input: Aligned,
    /// Products of a strip, `[64][tiles][48]`, or their gradients, `[64][tiles][out]`.
    products: Aligned,
    /// Gradients of the transformed inputs, `[64][tiles][in]`.
    gradient: Aligned,
}

/// Returns the distance between the planes of n tiles: whole lines of the cache.
fn plane_len(n: usize, channels: usize) -> usize {
    (n * channels).next_multiple_of(16)
}

/// Returns the number of output channels in each block of weights but the last: as even as whole groups allow, since blocks
/// are computed by different threads.
fn block_len(outs: usize) -> usize {
    outs.div_ceil(outs.div_ceil(BLOCK)).next_multiple_of(GROUP)
}

impl WinogradTiles {
    /// Creates the kernel of a convolution, without weights. Returns `None` unless the number of input channels is a
    /// multiple of 4 and at least 8, the number of output channels is a multiple of 8, there are at least 4×4 outputs,
    /// and maps and weights have at most 2³⁰ values.
    #[must_use]
    pub fn of(shape: ConvBlock, training: bool) -> Option<Self> {
        let (height, width) = shape.conv_size();
        let (ins, outs) = (shape.in_channels, shape.out_channels);
        let channels = ins >= 8 && ins.is_multiple_of(4) && outs.is_multiple_of(8);
        let sizes = [shape.in_size.0, shape.in_size.1, ins, outs];
        let product = sizes.into_iter().try_fold(1usize, usize::checked_mul);
        if !channels || height < 4 || width < 4 || outs == 0 || product.is_none_or(|n| n > 1 << 30) {
            return None;
        }
        Some(Self {
            shape,
            level: Level::current(),
            weights: Aligned::zeros(PRODUCTS * ins * outs),
            adjoint: Aligned::zeros(if training { PRODUCTS * outs * ins } else { 0 }),
            bias: vec![0.0; outs],
        })
    }

    /// Returns the convolution.
    #[must_use]
    pub fn shape(&self) -> &ConvBlock {
        &self.shape
    }

    /// Returns the number of blocks of output channels, the unit in which work can be split.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.shape.out_channels.div_ceil(block_len(self.shape.out_channels))
    }

    /// Packs the parameters `w[out, in, 5, 5]` and `b[out]`.
    ///
    /// # Panics
    ///
    /// If a slice does not have the length of its shape.
    pub fn pack(&mut self, w: &[f32], b: &[f32]) {
        assert_eq!((w.len(), b.len()), (self.shape.weight_len(), self.bias.len()), "weight and bias");
        self.bias.copy_from_slice(b);
        let (weights, adjoint) =
            (DisjointSlice::new(&mut self.weights), DisjointSlice::new(&mut self.adjoint));
        parallel::each(self.bias.len().div_ceil(GROUP), |group| {
            self.level.run(Pack {
                shape: &self.shape,
                first: GROUP * group,
                w,
                weights: weights.pointer(),
                adjoint: (!adjoint.is_empty()).then(|| adjoint.pointer()),
            });
        });
    }

    /// Returns the bias of a block of output channels, repeated: a vector that starts with any channel of the block can be
    /// loaded from its place.
    #[inline(always)]
    fn repeated_bias(&self, block: usize) -> [f32; BLOCK + OVERREAD] {
        let each = block_len(self.bias.len());
        let bias = &self.bias[block * each..];
        let bias = &bias[..each.min(bias.len())];
        let mut repeated = [0.0; BLOCK + OVERREAD];
        for to in repeated.chunks_mut(bias.len()) {
            to.copy_from_slice(&bias[..to.len()]);
        }
        repeated
    }

    /// Returns the weights of a block of output channels, `[64][in][width]`, and the block's width.
    fn block(&self, block: usize) -> (&[f32], usize) {
        let each = PRODUCTS * self.shape.in_channels;
        let first = block * block_len(self.shape.out_channels);
        let width = block_len(self.shape.out_channels).min(self.shape.out_channels - first);
        (&self.weights[first * each..][..each * width], width)
    }
}

/// The positions of the tiles along one axis: at every fourth output, except that the last tile ends with the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Axis {
    /// Number of tiles.
    tiles: usize,
    /// First output of the last tile.
    last: usize,
}

impl Axis {
    /// Returns the tiles over `outputs` outputs, at least four.
    fn over(outputs: usize) -> Self {
        Self { tiles: outputs.div_ceil(4), last: outputs - 4 }
    }

    /// Returns the first output of tile `i`.
    fn start(self, i: usize) -> usize {
        (4 * i).min(self.last)
    }

    /// Returns the tiles whose eight inputs include input `at`.
    fn covering(self, at: usize) -> Range<usize> {
        let first = at.saturating_sub(INPUTS - 1).div_ceil(4).min(self.tiles - 1);
        let end = if at >= self.last { self.tiles } else { at / 4 + 1 };
        if at < self.last + INPUTS { first..end } else { self.tiles..self.tiles }
    }

    /// Returns the first input after the ones that exactly these tiles cover.
    fn same_until(self, tiles: &Range<usize>) -> usize {
        let end = self.start(tiles.start) + INPUTS;
        if tiles.end < self.tiles { end.min(self.start(tiles.end)) } else { end }
    }

    /// Returns the first output of tile `i` that is not in the tile before.
    fn first_new(i: usize) -> usize {
        4 * i
    }
}

/// The tiles of a map, numbered row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Grid {
    rows: Axis,
    columns: Axis,
}

impl Grid {
    /// Returns the tiles over a map of outputs.
    fn over((height, width): (usize, usize)) -> Self {
        Self { rows: Axis::over(height), columns: Axis::over(width) }
    }

    /// Returns the number of tiles.
    fn count(self) -> usize {
        self.rows.tiles * self.columns.tiles
    }

    /// Returns the first output of a tile, (row, column).
    fn start(self, tile: usize) -> (usize, usize) {
        (self.rows.start(tile / self.columns.tiles), self.columns.start(tile % self.columns.tiles))
    }

    /// Returns the offset of a tile's first input in the map `[h][w][in]`.
    fn offset(self, shape: &ConvBlock, tile: usize) -> usize {
        let (top, left) = self.start(tile);
        (top * shape.in_size.1 + left) * shape.in_channels
    }

    /// Returns the first output of a tile that is neither in the tile above nor in the one to the left, (row, column).
    fn first_new(self, tile: usize) -> (usize, usize) {
        (Axis::first_new(tile / self.columns.tiles), Axis::first_new(tile % self.columns.tiles))
    }
}

/// The sums of a block's weight gradient over some photos, in the transformed domain: `gU`, `[64][in][out]`.
#[derive(Debug)]
pub struct WeightGradient {
    shape: ConvBlock,
    level: Level,
    sums: Aligned,
    bias: Vec<f32>,
}

impl WeightGradient {
    /// Creates sums of zero.
    #[must_use]
    pub fn of(conv: &WinogradTiles) -> Self {
        let shape = conv.shape;
        let sums = Aligned::zeros(PRODUCTS * shape.in_channels * shape.out_channels);
        Self { shape, level: conv.level, sums, bias: vec![0.0; shape.out_channels] }
    }

    /// Resets the sums to zero.
    pub fn clear(&mut self) {
        self.sums.fill(0.0);
        self.bias.fill(0.0);
    }

    /// Writes the gradients of `w[out, in, 5, 5]` and `b[out]`.
    ///
    /// # Panics
    ///
    /// If a slice does not have the length of its shape.
    pub fn write(&self, gw: &mut [f32], gb: &mut [f32]) {
        assert_eq!((gw.len(), gb.len()), (self.shape.weight_len(), self.bias.len()), "gradients");
        gb.copy_from_slice(&self.bias);
        let (shape, row) = (&self.shape, self.shape.out_channels);
        gw.par_chunks_mut(shape.in_channels * 25 * GROUP).enumerate().for_each(|(group, gw)| {
            let sums = Src::of(&self.sums).add(GROUP * group);
            self.level.run(Unpack { shape, sums, row, gw });
        });
    }
}
