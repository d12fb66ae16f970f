//! Convolution 5×5 with bias and what follows it, channels last, for many channels: lanes are channels.
//!
//! Winograd's F(4×4, 5×5): a tile of 8×8 inputs becomes 64 numbers a channel (`Bᵀ · d · B`), each of the 64 is a small
//! matrix product over the channels of many tiles, and `Aᵀ · m · A` gives a tile of 4×4 outputs: 64 products where a
//! direct sum takes 400. WinogradTiles come in strips whose products stay in the second-level cache. Where the map is no
//! multiple of a tile, the last tile overlaps the one before.
//!
//! [`WinogradTiles`] has the transformed weights; [`pool`] ends in a 2×2 max-pool and relu, [`average`] in relu and an average
//! pool. The backward pass is the adjoint of the same transforms: `gM = A · gY · Aᵀ`, `gV = gM · Uᵀ`, `gU += Vᵀ · gM`,
//! `gX = B · gV · Bᵀ`, and once a step `gW = Gᵀ · gU · G`.
//!
//! AVX2 and FMA only ([`WinogradTiles::of`] says where it fits); the reference is [`super::conv_block::reference`].

pub mod average;
mod avx2;
pub mod pool;
#[cfg(test)]
mod tests;
mod weights_avx2;

use rayon::prelude::*;

use super::ConvBlock;
use crate::kernels::winograd::INPUTS;
use crate::parallel;
use crate::parallel::DisjointSlice;

/// Products of a tile for one channel: 8 × 8.
pub const PRODUCTS: usize = INPUTS * INPUTS;
/// Output channels of a block of weights: three vectors.
pub const BLOCK: usize = 48;

/// A convolution with its weights transformed.
#[derive(Debug, Clone)]
pub struct WinogradTiles {
    shape: ConvBlock,
    /// `U`, `[⌈out / 24⌉][64][in][24 or fewer]`.
    weights: Vec<f32>,
    /// `Uᵀ`, `[64][out][in up to whole vectors]`; empty for inference.
    adjoint: Vec<f32>,
    bias: Vec<f32>,
}

/// Buffers of one thread.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Transformed inputs of a strip, `[64][tiles][in]`.
    input: Vec<f32>,
    /// Products of a strip, `[64][tiles][24]`, or their gradients, `[64][tiles][out]`.
    products: Vec<f32>,
    /// Gradients of the transformed inputs, `[64][tiles][in up to whole vectors]`.
    gradient: Vec<f32>,
}

impl WinogradTiles {
    /// The form for a convolution, still without weights; or nothing where it does not fit: input channels a multiple of
    /// 4 from 8, output channels a multiple of 8, at least 4×4 outputs, AVX2 and FMA.
    #[must_use]
    pub fn of(shape: ConvBlock, training: bool) -> Option<Self> {
        let (height, width) = shape.conv_size();
        let (ins, outs) = (shape.in_channels, shape.out_channels);
        let channels = ins >= 8 && ins.is_multiple_of(4) && outs.is_multiple_of(8);
        if !channels || height < 4 || width < 4 || !crate::kernels::gemm::avx2::available() {
            return None;
        }
        Some(Self {
            shape,
            weights: vec![0.0; PRODUCTS * ins * outs],
            adjoint: vec![0.0; if training { PRODUCTS * outs * ins.next_multiple_of(8) } else { 0 }],
            bias: vec![0.0; outs],
        })
    }

    /// The convolution.
    #[must_use]
    pub fn shape(&self) -> &ConvBlock {
        &self.shape
    }

    /// Blocks of output channels, the unit in which work can be divided.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.shape.out_channels.div_ceil(BLOCK)
    }

    /// Takes over `w[out, in, 5, 5]` and `b[out]`.
    ///
    /// # Panics
    ///
    /// If a slice has not the length its shape says.
    pub fn pack(&mut self, w: &[f32], b: &[f32]) {
        assert_eq!((w.len(), b.len()), (self.shape.weight_len(), self.bias.len()), "weight and bias");
        self.bias.copy_from_slice(b);
        let (weights, adjoint) =
            (DisjointSlice::new(&mut self.weights), DisjointSlice::new(&mut self.adjoint));
        parallel::each(self.bias.len() / 8, |group| {
            #[expect(unsafe_code, reason = "calls the AVX2 form, whose presence `of` made sure of")]
            // SAFETY: AVX2 and FMA are there; the lengths were checked above and in `of`; each task writes what belongs to
            // its own eight output channels.
            unsafe {
                weights_avx2::pack(&self.shape, 8 * group, w, &weights, &adjoint);
            }
        });
    }

    /// The weights of a block of output channels, `[64][in][width]`, and its width.
    fn block(&self, block: usize) -> (&[f32], usize) {
        let each = PRODUCTS * self.shape.in_channels;
        let width = BLOCK.min(self.shape.out_channels - block * BLOCK);
        (&self.weights[block * BLOCK * each..][..each * width], width)
    }
}

/// Where tiles lie along one axis: at every fourth output, the last pushed back to end with the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Axis {
    /// WinogradTiles.
    tiles: usize,
    /// First output of the last tile.
    last: usize,
}

impl Axis {
    /// WinogradTiles over `outputs` outputs, at least four.
    fn over(outputs: usize) -> Self {
        Self { tiles: outputs.div_ceil(4), last: outputs - 4 }
    }

    /// First output of tile `i`.
    fn start(self, i: usize) -> usize {
        (4 * i).min(self.last)
    }

    /// First output that only tile `i` gives, not the one before.
    fn fresh(i: usize) -> usize {
        4 * i
    }
}

/// The tiles of a map, numbered row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Grid {
    down: Axis,
    across: Axis,
}

impl Grid {
    /// WinogradTiles over a map of outputs.
    fn over((height, width): (usize, usize)) -> Self {
        Self { down: Axis::over(height), across: Axis::over(width) }
    }

    /// WinogradTiles in all.
    fn count(self) -> usize {
        self.down.tiles * self.across.tiles
    }

    /// First output of a tile, (row, column).
    fn start(self, tile: usize) -> (usize, usize) {
        (self.down.start(tile / self.across.tiles), self.across.start(tile % self.across.tiles))
    }

    /// First output that only this tile gives, not the one above or to the left, (row, column).
    fn fresh(self, tile: usize) -> (usize, usize) {
        (Axis::fresh(tile / self.across.tiles), Axis::fresh(tile % self.across.tiles))
    }
}

/// The sums of a block's weight gradient over some photos, in the transformed domain: `gU`, `[64][in][out]`.
#[derive(Debug)]
pub struct WeightGradient {
    shape: ConvBlock,
    sums: Vec<f32>,
    bias: Vec<f32>,
}

impl WeightGradient {
    /// Zeros.
    #[must_use]
    pub fn of(form: &WinogradTiles) -> Self {
        let shape = form.shape;
        let sums = vec![0.0; PRODUCTS * shape.in_channels * shape.out_channels];
        Self { shape, sums, bias: vec![0.0; shape.out_channels] }
    }

    /// Back to zeros.
    pub fn clear(&mut self) {
        self.sums.fill(0.0);
        self.bias.fill(0.0);
    }

    /// The gradients of `w[out, in, 5, 5]` and `b[out]`.
    ///
    /// # Panics
    ///
    /// If a slice has not the length its shape says.
    pub fn write(&self, gw: &mut [f32], gb: &mut [f32]) {
        assert_eq!((gw.len(), gb.len()), (self.shape.weight_len(), self.bias.len()), "gradients");
        gb.copy_from_slice(&self.bias);
        let each = self.shape.in_channels * 25 * 8;
        gw.par_chunks_mut(each).enumerate().for_each(|(group, gw)| {
            #[expect(
                unsafe_code,
                reason = "calls the AVX2 form, whose presence `WinogradTiles::of` made sure of"
            )]
            // SAFETY: AVX2 and FMA are there; a group is eight output channels.
            unsafe {
                weights_avx2::unpack(&self.shape, &self.sums[8 * group..], self.shape.out_channels, gw);
            }
        });
    }
}
