//! The row kernel: 5×5 convolution, bias, 2×2 max-pool and relu for few channels. Lanes are adjacent columns.
//!
//! Along y the convolution is Winograd's F(6, 5): ten input rows are transformed once and give six output rows, three
//! after the pool, with a third of the products of a direct convolution. Six output channels × two vectors of columns
//! stay in registers; the last block of columns and the last strip of rows overlap their neighbours instead of using masks.
//!
//! In the backward pass three of four cells of each window have no gradient, and none has one if relu was off:
//! [`WeightGradient`] and [`InputGradient`] list the other cells, the active ones, and visit only these.
//!
//! [`WinogradRows::of`] gives the conditions; the reference is [`super::reference`].

mod forward;
mod input_gradient;
mod patches;
mod pixels;
#[cfg(test)]
mod tests;
mod weight_gradient;

use std::ops::Range;

use super::{ConvBlock, RowView, run_len};
use crate::buffers::Aligned;
use crate::kernels::simd::{Dst, Level};
use crate::kernels::winograd::f65;
use forward::Forward;
pub use input_gradient::{ActiveList, InputGradient};
pub use weight_gradient::WeightGradient;

/// Output channels of a tile.
const CHANNELS: usize = 6;
/// The largest number of lanes of a vector. Buffers are padded to it, whatever the set.
const MAX_LANES: usize = 16;
/// Pooled rows of a strip.
pub const STRIP: usize = f65::OUTPUTS / 2;
/// The largest number of input channels: with more, the patches of the gradients do not fit the registers.
const MAX_CHANNELS: usize = 8;

/// The layout of the pooled map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Rows of `channels` runs: [`RowView::rows`].
    Rows,
    /// Cell by cell, channels last: `values[(y · width + x) · channels + c]`.
    ChannelsLast,
}

impl Layout {
    /// Returns the number of values in one row of a map.
    #[must_use]
    pub fn row(self, channels: usize, width: usize) -> usize {
        match self {
            Self::Rows => channels * run_len(width),
            Self::ChannelsLast => channels * width,
        }
    }
}

/// A block with its weights transformed.
#[derive(Debug, Clone)]
pub struct WinogradRows {
    shape: ConvBlock,
    layout: Layout,
    level: Level,
    /// `[⌈out / 6⌉][10][in][5][6]`: tile, product, input channel, kernel column, output channel.
    weights: Aligned,
    /// The bias, padded to whole tiles.
    bias: Vec<f32>,
}

/// Buffers of one thread.
#[derive(Debug, Default)]
pub struct Scratch {
    /// A strip of ten input rows, transformed: `[10][in][stride]`.
    input: Aligned,
    /// The products of a tile: `[10][6][2 · lanes]`.
    products: Aligned,
}

/// Returns the distance between the runs of a strip. Not a power of two: else neighbouring runs would map to the same
/// few sets of the level-1 cache.
fn stride(width: usize) -> usize {
    run_len(width) + 16
}

/// The smallest number of pooled columns.
const MIN_WIDTH: usize = 8;

/// Returns whether the kernel supports a block: few input channels, at least 3 pooled rows and 8 pooled columns.
#[must_use]
pub fn supports(shape: &ConvBlock) -> bool {
    let (height, width) = shape.pooled_size();
    let channels = (1..=MAX_CHANNELS).contains(&shape.in_channels) && shape.out_channels > 0;
    channels && height >= STRIP && width >= MIN_WIDTH
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "offsets into one photo's map, whose size `WinogradRows::of` checks"
)]
fn as_i32(n: usize) -> i32 {
    n as i32
}

impl WinogradRows {
    /// Creates the kernel of a block, without weights. Returns `None` if the block does not fit ([`supports`]) or its maps
    /// or weights have more than 2³⁰ values. A map that is narrower than a vector takes a set with shorter ones.
    #[must_use]
    pub fn of(shape: ConvBlock, layout: Layout) -> Option<Self> {
        let ConvBlock { in_channels, out_channels, in_size: (height, width) } = shape;
        let sizes = [height, width, in_channels.max(8), out_channels];
        let product = sizes.into_iter().try_fold(8usize, usize::checked_mul);
        if product.is_none_or(|n| n > 1 << 30) || !supports(&shape) {
            return None;
        }
        let level = Level::current().at_most(shape.pooled_size().1)?;
        let tiles = out_channels.div_ceil(CHANNELS);
        let weights = Aligned::zeros(tiles * f65::INPUTS * in_channels * 5 * CHANNELS);
        Some(Self { shape, layout, level, weights, bias: vec![0.0; tiles * CHANNELS] })
    }

    /// Returns the block.
    #[must_use]
    pub fn shape(&self) -> &ConvBlock {
        &self.shape
    }

    /// Sets the layout of the output.
    pub fn set_layout(&mut self, layout: Layout) {
        self.layout = layout;
    }

    /// Returns the number of values in one pooled row of the output.
    #[must_use]
    pub fn out_row(&self) -> usize {
        self.layout.row(self.shape.out_channels, self.shape.pooled_size().1)
    }

    /// Packs the parameters `w[out, in, 5, 5]` and `b[out]`.
    ///
    /// # Panics
    ///
    /// If a slice does not have the length of its shape.
    pub fn pack(&mut self, w: &[f32], b: &[f32]) {
        let (ins, outs) = (self.shape.in_channels, self.shape.out_channels);
        assert_eq!((w.len(), b.len()), (self.shape.weight_len(), outs), "weight and bias");
        self.bias[..outs].copy_from_slice(b);
        for o in 0..outs {
            for (c, x) in (0..ins).flat_map(|c| (0..5).map(move |x| (c, x))) {
                let column: [f64; 5] = std::array::from_fn(|y| f64::from(w[((o * ins + c) * 5 + y) * 5 + x]));
                for (i, row) in f65::KERNEL.iter().enumerate() {
                    let sum: f64 = row.iter().zip(column).map(|(a, b)| a * b).sum();
                    let at = (((o / CHANNELS * f65::INPUTS + i) * ins + c) * 5 + x) * CHANNELS;
                    self.weights[at + o % CHANNELS] = sum as f32;
                }
            }
        }
    }

    /// Returns the input rows that [`WinogradRows::forward`] reads for some pooled rows.
    #[must_use]
    pub fn input_rows(&self, rows: &Range<usize>) -> Range<usize> {
        // The last strip may start earlier, so that it ends with the map.
        let top = |first: usize| 2 * first.min(self.shape.pooled_size().0 - STRIP);
        top(rows.start)..top(rows.end.saturating_sub(1) / STRIP * STRIP) + f65::INPUTS
    }

    /// Computes the pooled rows `rows` of one photo into `y`, and the argmax byte of each cell into `argmax` unless it
    /// is empty.
    ///
    /// `y` and `argmax` hold only these rows. The bytes are channels last for every layout of `y`; columns of a run
    /// beyond the width are not written. Strips start at multiples of [`STRIP`], so that a map computed in pieces has
    /// the same bytes as a whole one.
    ///
    /// # Panics
    ///
    /// If a slice is too short, or `rows` does not start at a multiple of [`STRIP`] or ends beyond the map.
    pub fn forward(
        &self,
        x: RowView,
        rows: Range<usize>,
        scratch: &mut Scratch,
        y: &mut [f32],
        argmax: &mut [u8],
    ) {
        let ConvBlock { in_channels, in_size: (_, width), .. } = self.shape;
        let (pooled_height, pooled_width) = self.shape.pooled_size();
        let bytes = rows.len() * self.shape.out_channels * pooled_width;
        assert!(rows.start.is_multiple_of(STRIP) && rows.end <= pooled_height, "rows of the map");
        assert!(y.len() >= rows.len() * self.out_row(), "output");
        assert!(argmax.is_empty() || argmax.len() >= bytes, "bytes");
        if rows.is_empty() {
            return;
        }
        let needed = self.input_rows(&rows);
        assert!(needed.start >= x.first, "first row of the input");
        assert!(x.holds(needed.end, in_channels, width), "input");
        scratch.input.grow(f65::INPUTS * in_channels * stride(width));
        scratch.products.grow(f65::INPUTS * CHANNELS * 2 * MAX_LANES);
        let (layout, empty) = (self.layout, argmax.is_empty());
        let (y, argmax) = (Dst::of(y), Dst::of(argmax));
        macro_rules! run {
            ($last:literal, $argmax:literal) => {
                self.level.run(Forward::<$last, $argmax> { block: self, x, rows, scratch, y, argmax })
            };
        }
        match (layout, empty) {
            (Layout::Rows, true) => run!(false, false),
            (Layout::Rows, false) => run!(false, true),
            (Layout::ChannelsLast, true) => run!(true, false),
            (Layout::ChannelsLast, false) => run!(true, true),
        }
    }
}
