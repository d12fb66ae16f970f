//! Converts a map from rows to pixels, the layout that the weight gradient reads.
#![expect(
    unsafe_code,
    reason = "vector loads and stores through pointers whose ranges the public functions check"
)]

use std::arch::x86_64::{_mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps};
use std::ops::Range;

use super::WinogradRows;
use crate::kernels::conv_block::{ConvBlock, OVERREAD, RowView};
use crate::kernels::simd::{transpose, vectors};

/// Returns the number of values per pixel of a channels-last input with few channels: packed, or padded to whole
/// vectors.
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
        assert!(x.first <= rows.start && rows.end <= height, "rows of the map");
        assert!(x.values.len() >= x.start(height - 1) + (in_channels - 1) * x.channel + width, "input");
        assert!(out.len() >= rows.len() * width * step + OVERREAD, "output and overread");
        // SAFETY: `WinogradRows::of` checked for AVX2 and FMA; the lengths were checked above; a row has eight columns
        // or more.
        unsafe { rows_to_pixels(x, rows, width, in_channels, step, out.as_mut_ptr()) };
    }
}

/// # Safety
///
/// AVX2 and FMA are available; input and output are as long as [`WinogradRows::to_pixels`] checks.
#[target_feature(enable = "avx2,fma")]
unsafe fn rows_to_pixels(
    x: RowView,
    rows: Range<usize>,
    width: usize,
    channels: usize,
    step: usize,
    out: *mut f32,
) {
    let first = rows.start;
    for y in rows {
        for block in 0..width.div_ceil(8) {
            let left = (8 * block).min(width - 8);
            // SAFETY: eight columns of a row; eight pixels, written first to last: values written after the channels of
            // one pixel are overwritten by the next; after the last pixel they are in the overread.
            unsafe {
                let from = x.values.as_ptr().add(x.start(y) + left);
                let lanes = vectors!(|c| if c < channels {
                    _mm256_loadu_ps(from.add(c * x.channel))
                } else {
                    _mm256_setzero_ps()
                });
                let to = out.add(((y - first) * width + left) * step);
                for (i, v) in transpose(lanes).into_iter().enumerate() {
                    _mm256_storeu_ps(to.add(i * step), v);
                }
            }
        }
    }
}
