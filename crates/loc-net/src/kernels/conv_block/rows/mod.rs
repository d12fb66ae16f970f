//! Convolution 5×5, bias, max-pool 2×2 and relu on rows, for few channels: lanes are adjacent columns.
//!
//! Along y the convolution is Winograd's F(6, 5): ten input rows are transformed once and give six output rows, three
//! after the pool, for a third of the products of a direct sum. Six output channels by sixteen columns stay in registers;
//! the last block of columns, and the last strip of rows, overlap their neighbours instead of being masked.
//!
//! Backward, three of four cells of each window have no gradient, and none has where relu was off: [`WeightGradient`] and
//! [`InputGradient`] list the others (`active`) and walk them alone.
//!
//! AVX2 and FMA only ([`WinogradRows::of`] says where it fits); the reference is [`super::conv_block::reference`].

mod active;
mod avx2;
mod input_gradient;
mod pixels;
#[cfg(test)]
mod tests;
mod weight_gradient;

use std::ops::Range;

use super::{ConvBlock, RowView, run};
use crate::kernels::winograd::f65;
pub use input_gradient::{InputGradient, List};
pub use weight_gradient::WeightGradient;

/// Output channels of a tile.
const CHANNELS: usize = 6;
/// Columns of a tile: two vectors, eight after the pool.
const COLUMNS: usize = 16;
/// Pooled rows of a strip.
pub const STRIP: usize = f65::OUTPUTS / 2;
/// Input channels at most: beyond these the gradients' patches do not fit the registers.
const MOST_CHANNELS: usize = 8;

/// How the pooled map is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// WinogradRows of `channels` runs: [`RowView::rows`].
    Rows,
    /// Cell by cell, channels last: `values[(y · width + x) · channels + c]`.
    ChannelsLast,
}

impl Layout {
    /// Values in one row of a map.
    #[must_use]
    pub fn row(self, channels: usize, width: usize) -> usize {
        match self {
            Self::Rows => channels * run(width),
            Self::ChannelsLast => channels * width,
        }
    }
}

/// A block with its weights transformed.
#[derive(Debug, Clone)]
pub struct WinogradRows {
    shape: ConvBlock,
    layout: Layout,
    /// `[⌈out / 6⌉][10][in][5][6]`: tile, product, input channel, column of the kernel, output channel.
    weights: Vec<f32>,
    /// Whole tiles.
    bias: Vec<f32>,
}

/// Buffers of one thread.
#[derive(Debug, Default)]
pub struct Scratch {
    /// A strip of ten input rows, transformed: `[10][in][stride]`.
    input: Vec<f32>,
    products: Products,
}

/// The products of a tile.
type Products = [[[f32; COLUMNS]; CHANNELS]; f65::INPUTS];

/// From one run of a strip to the next. Not a power of two: runs side by side would fall into the same few sets of the
/// first-level cache.
fn stride(width: usize) -> usize {
    run(width) + 16
}

/// Whether the form is made for a block: few input channels, at least 3 pooled rows and 8 pooled columns.
#[must_use]
pub fn takes(shape: &ConvBlock) -> bool {
    let (height, width) = shape.pooled_size();
    shape.in_channels <= MOST_CHANNELS && height >= STRIP && width >= COLUMNS / 2
}

impl WinogradRows {
    /// The form for a block, still without weights; or nothing where it does not fit ([`takes`]) or AVX2 and FMA are
    /// not there.
    #[must_use]
    pub fn of(shape: ConvBlock, layout: Layout) -> Option<Self> {
        if !takes(&shape) || !crate::kernels::gemm::avx2::available() {
            return None;
        }
        let tiles = shape.out_channels.div_ceil(CHANNELS);
        let weights = vec![0.0; tiles * f65::INPUTS * shape.in_channels * 5 * CHANNELS];
        Some(Self { shape, layout, weights, bias: vec![0.0; tiles * CHANNELS] })
    }

    /// The block.
    #[must_use]
    pub fn shape(&self) -> &ConvBlock {
        &self.shape
    }

    /// Lays its output out another way.
    pub fn set_layout(&mut self, layout: Layout) {
        self.layout = layout;
    }

    /// Values in one pooled row of the output.
    #[must_use]
    pub fn out_row(&self) -> usize {
        self.layout.row(self.shape.out_channels, self.shape.pooled_size().1)
    }

    /// Takes over `w[out, in, 5, 5]` and `b[out]`.
    ///
    /// # Panics
    ///
    /// If a slice has not the length its shape says.
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

    /// The rows of the input that some pooled rows are computed from, as [`WinogradRows::forward`] takes them.
    #[must_use]
    pub fn input_rows(&self, rows: &Range<usize>) -> Range<usize> {
        // The last strip may begin earlier, so that it ends with the map.
        let top = |first: usize| 2 * first.min(self.shape.pooled_size().0 - STRIP);
        top(rows.start)..top(rows.end.saturating_sub(1) / STRIP * STRIP) + f65::INPUTS
    }

    /// The pooled rows `rows` of one photo into `y`; into `argmax`, unless it is empty, the byte of each cell.
    ///
    /// `y` and `argmax` hold just these rows. Bytes lie channels last, whatever the layout of `y`; columns of a run
    /// behind the width are left alone. Strips begin at multiples of [`STRIP`], so that a map cut in pieces has the same
    /// bytes as a whole one.
    ///
    /// # Panics
    ///
    /// If a slice is too short, `rows` begins at no multiple of [`STRIP`] or ends beyond the map.
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
        let Range { start, end } = self.input_rows(&rows);
        assert!(start >= x.first, "first row of the input");
        let reach = x.start(end - 1) + (in_channels - 1) * x.channel + width;
        assert!(x.values.len() >= reach, "input");
        scratch.input.resize(f65::INPUTS * in_channels * stride(width), 0.0);
        let task = avx2::Forward { block: self, x, rows };
        #[expect(unsafe_code, reason = "calls the AVX2 form, whose presence `of` made sure of")]
        // SAFETY: AVX2 and FMA are there, and the lengths were checked above.
        unsafe {
            match (self.layout, argmax.is_empty()) {
                (Layout::Rows, true) => task.run::<false, false>(scratch, y, argmax),
                (Layout::Rows, false) => task.run::<false, true>(scratch, y, argmax),
                (Layout::ChannelsLast, true) => task.run::<true, false>(scratch, y, argmax),
                (Layout::ChannelsLast, false) => task.run::<true, true>(scratch, y, argmax),
            }
        }
    }
}
