//! Converts a map from rows to pixels, the layout that the weight gradient reads.
#![expect(
    unsafe_code,
    reason = "vector loads and stores through pointers whose ranges the public functions check"
)]

use std::ops::Range;

use super::WinogradRows;
use crate::kernels::conv_block::{ConvBlock, RowView};
use crate::kernels::simd::{Dst, Isa, Kernel, Src, vectors};

/// Returns the number of values per pixel of a channels-last input with few channels: packed, or padded to eight.
pub(super) fn pixel(channels: usize) -> usize {
    if channels <= 4 { channels } else { 8 }
}

impl WinogradRows {
    /// Writes some input rows pixel by pixel, `[rows][w][pixel]`, with zeros after the channels: the layout that
    /// [`super::WeightGradient::add`] reads.
    ///
    /// # Panics
    ///
    /// If a slice is too short.
    pub fn to_pixels(&self, x: RowView, rows: Range<usize>, out: &mut [f32]) {
        let ConvBlock { in_channels, in_size: (height, width), .. } = self.shape;
        let step = pixel(in_channels);
        assert!(x.first <= rows.start && rows.start <= rows.end && rows.end <= height, "rows of the map");
        assert!(x.holds(rows.end, in_channels, width), "input");
        assert!(out.len() >= rows.len() * width * step, "output");
        self.level.run(ToPixels { x, rows, width, channels: in_channels, step, out: Dst::of(out) });
    }
}

/// Input and output are as long as [`WinogradRows::to_pixels`] checks; a row has at least a vector of columns.
struct ToPixels<'a> {
    x: RowView<'a>,
    rows: Range<usize>,
    width: usize,
    channels: usize,
    step: usize,
    out: Dst<'a, f32>,
}

impl Kernel for ToPixels<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { x, rows, width, channels, step, out } = self;
        let first = rows.start;
        for y in rows {
            let from = Src::of(x.values).add(x.start(y));
            for column in 0..width.div_ceil(I::LANES) {
                let left = (I::LANES * column).min(width - I::LANES);
                let to = out.add(((y - first) * width + left) * step);
                for quad in (0..step).step_by(4) {
                    // SAFETY: a vector of columns of each channel; up to four values of each pixel.
                    unsafe {
                        let v = vectors!(|c| if quad + c < channels {
                            isa.load(from.add((quad + c) * x.channel + left))
                        } else {
                            isa.zero()
                        });
                        isa.store_columns(v, 4.min(step - quad), to.add(quad), step);
                    }
                }
            }
        }
    }
}
