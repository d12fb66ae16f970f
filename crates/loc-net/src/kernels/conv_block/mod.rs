//! The common parts of the fused convolutions: their shape, their layouts, and the argmax byte.
//!
//! A fused block is a 5×5 convolution (stride 1, no padding, one group), bias, 2×2 max-pool and relu. It writes only
//! its results to memory: the pooled map and, for a backward pass, one byte per pooled cell.

pub mod reference;
pub mod rows;
pub mod tiles;

use super::{ConvShape, PoolShape};

/// Height and width of the kernel.
pub const KERNEL: usize = 5;

/// The bit of a cell's argmax byte that is set if relu made the cell zero. The two lowest bits are the argmax, 0 to 3:
/// the index in row order of the largest cell of the window. They are set in both cases.
pub const RELU_OFF: u8 = 4;

/// The number of values that vectors may read or write after the last used value.
pub const OVERREAD: usize = 16;

/// Window size and stride of the pool.
pub const POOL: usize = 2;

/// A fused block: its channels and the size of its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvBlock {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Height and width of the input.
    pub in_size: (usize, usize),
}

impl ConvBlock {
    /// Returns the block of a convolution, or `None` unless it is 5×5 with stride 1, no padding and one group.
    #[must_use]
    pub fn of(conv: &ConvShape) -> Option<Self> {
        let c = conv;
        let plain = c.kernel == (KERNEL, KERNEL)
            && c.stride == (1, 1)
            && (c.padding, c.extra) == ((0, 0), (0, 0))
            && c.groups == 1;
        let fits = conv.in_size.0 >= KERNEL && conv.in_size.1 >= KERNEL;
        let (in_channels, out_channels) = (conv.in_channels, c.out_channels);
        (plain && fits && in_channels > 0 && out_channels > 0).then_some(Self {
            in_channels,
            out_channels,
            in_size: conv.in_size,
        })
    }

    /// Returns height and width of the convolution's output; 0 for an input that is smaller than the kernel.
    #[must_use]
    pub fn conv_size(&self) -> (usize, usize) {
        ((self.in_size.0 + 1).saturating_sub(KERNEL), (self.in_size.1 + 1).saturating_sub(KERNEL))
    }

    /// Returns height and width after the 2×2 pool.
    #[must_use]
    pub fn pooled_size(&self) -> (usize, usize) {
        let (h, w) = self.conv_size();
        (h / 2, w / 2)
    }

    /// Returns the number of cells of one channel after the 2×2 pool.
    #[must_use]
    pub fn pooled_cells(&self) -> usize {
        let (h, w) = self.pooled_size();
        h * w
    }

    /// Returns the block's convolution and pool as separate operations.
    #[must_use]
    pub fn parts(&self) -> (ConvShape, PoolShape) {
        let conv = ConvShape::square(self.in_channels, self.in_size, self.out_channels, KERNEL);
        (conv, PoolShape::square(self.out_channels, self.conv_size(), POOL, POOL))
    }

    /// Returns the number of values of the weight tensor `[out, in, 5, 5]`.
    #[must_use]
    pub fn weight_len(&self) -> usize {
        self.out_channels * self.in_channels * KERNEL * KERNEL
    }
}

/// The gradient of a fused block's output, and the argmax bytes of its forward pass in the same layout.
#[derive(Debug, Clone, Copy)]
pub struct PooledGradient<'a, F> {
    /// The gradient of the output.
    pub gy: &'a [F],
    /// The argmax bytes.
    pub argmax: &'a [u8],
}

/// A map whose rows hold all channels, one after the other: `values[(y − first) · row + c · channel + x]`.
///
/// With `row = width` and `channel = height · width` this is the usual planar order; with `row = channels · channel` a
/// strip of rows is contiguous.
#[derive(Debug, Clone, Copy)]
pub struct RowView<'a> {
    /// The values.
    pub values: &'a [f32],
    /// The first row that the values hold.
    pub first: usize,
    /// Distance from one row to the next.
    pub row: usize,
    /// Distance from one channel to the next.
    pub channel: usize,
}

impl<'a> RowView<'a> {
    /// Returns the view of a planar map `[channels, height, width]`.
    #[must_use]
    pub fn planar(values: &'a [f32], (height, width): (usize, usize)) -> Self {
        Self { values, first: 0, row: width, channel: height * width }
    }

    /// Returns the view of a map of rows, each of `channels` runs of [`run_len`] values.
    #[must_use]
    pub fn rows(values: &'a [f32], channels: usize, width: usize) -> Self {
        Self { values, first: 0, row: channels * run_len(width), channel: run_len(width) }
    }

    /// Returns the index of the value at which a row starts.
    #[must_use]
    pub fn start(&self, y: usize) -> usize {
        (y - self.first) * self.row
    }

    /// Returns whether the values hold all channels of the rows from [`RowView::first`] to `end`, each `width` values.
    #[must_use]
    pub(crate) fn holds(&self, end: usize, channels: usize, width: usize) -> bool {
        let last_row = end.checked_sub(self.first + 1).and_then(|rows| rows.checked_mul(self.row));
        let last_channel = (channels - 1).checked_mul(self.channel);
        let needed = last_row.zip(last_channel).and_then(|(a, b)| a.checked_add(b)?.checked_add(width));
        needed.is_some_and(|needed| needed <= self.values.len())
    }
}

/// Returns the length of a run, one channel of one row: the width rounded up to a multiple of sixteen.
#[must_use]
pub fn run_len(width: usize) -> usize {
    width.next_multiple_of(16)
}
