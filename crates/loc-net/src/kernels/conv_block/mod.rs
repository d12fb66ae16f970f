//! What the fused convolutions have in common: their shape, their layouts, the byte that says which cell won.
//!
//! A fused block is a 5×5 convolution (stride 1, no padding, one group), bias, 2×2 max-pool and relu. Only what comes
//! out is written to memory: the pooled map and, for a backward pass, one byte a cell.

pub mod reference;
#[cfg(target_arch = "x86_64")]
pub mod rows;
#[cfg(target_arch = "x86_64")]
pub mod tiles;

use super::{ConvShape, PoolShape};

/// The kernel's side.
pub const KERNEL: usize = 5;

/// The byte of a cell that relu set to zero. Otherwise the byte is 0 to 3: which cell of the window won, in row order.
/// The byte of a cell that relu switched off also has the winner in its two lowest bits.
pub const RELU_OFF: u8 = 4;

/// What vectors may read or write behind the last value that counts.
pub const OVERREAD: usize = 16;

/// Side and step of the window of a fused block.
pub const POOL: usize = 2;

/// A fused block: channels and the input's size.
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
    /// The block of a convolution, or nothing where it is not a 5×5 one with stride 1, no padding and one group.
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

    /// Height and width of the convolution's output.
    #[must_use]
    pub fn conv_size(&self) -> (usize, usize) {
        (self.in_size.0 + 1 - KERNEL, self.in_size.1 + 1 - KERNEL)
    }

    /// Height and width behind the 2×2 pool.
    #[must_use]
    pub fn pooled_size(&self) -> (usize, usize) {
        let (h, w) = self.conv_size();
        (h / 2, w / 2)
    }

    /// Cells of one channel behind the 2×2 pool.
    #[must_use]
    pub fn pooled_cells(&self) -> usize {
        let (h, w) = self.pooled_size();
        h * w
    }

    /// The same block as the separate operations see it.
    #[must_use]
    pub fn parts(&self) -> (ConvShape, PoolShape) {
        let conv = ConvShape::square(self.in_channels, self.in_size, self.out_channels, KERNEL);
        (conv, PoolShape::square(self.out_channels, self.conv_size(), POOL, POOL))
    }

    /// Values of the weight tensor `[out, in, 5, 5]`.
    #[must_use]
    pub fn weight_len(&self) -> usize {
        self.out_channels * self.in_channels * KERNEL * KERNEL
    }
}

/// A map whose rows hold all channels, one after the other: `values[(y − first) · row + c · channel + x]`.
///
/// With `row = width` and `channel = height · width` it is the usual planar order; with `row = channels · channel`
/// all that a strip of rows needs lies together.
#[derive(Debug, Clone, Copy)]
pub struct RowView<'a> {
    /// The values.
    pub values: &'a [f32],
    /// The row that the values begin with.
    pub first: usize,
    /// Distance from one row to the next.
    pub row: usize,
    /// Distance from one channel to the next.
    pub channel: usize,
}

impl<'a> RowView<'a> {
    /// A planar map `[channels, height, width]`.
    #[must_use]
    pub fn planar(values: &'a [f32], (height, width): (usize, usize)) -> Self {
        Self { values, first: 0, row: width, channel: height * width }
    }

    /// A map of rows of `channels` runs of [`run`] values each.
    #[must_use]
    pub fn rows(values: &'a [f32], channels: usize, width: usize) -> Self {
        Self { values, first: 0, row: channels * run(width), channel: run(width) }
    }

    /// Where a row begins among the values.
    #[must_use]
    pub fn start(&self, y: usize) -> usize {
        (y - self.first) * self.row
    }
}

/// Length of a run of one channel in one row: the width, up to whole vectors of eight.
#[must_use]
pub fn run(width: usize) -> usize {
    width.next_multiple_of(8)
}
