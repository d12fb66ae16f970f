//! The input photos of a network: bytes or floats, normalised and converted to the layout that a kernel reads.

mod convert;

use std::ops::Range;

use crate::buffers::Aligned;
use crate::kernels::conv_block::{RowView, run_len};
use crate::kernels::simd::Level;
use convert::{Deinterleave, InOrder};

/// A batch of photos of one size.
#[derive(Debug, Clone, Copy)]
pub enum ImageBatch<'a> {
    /// `[n, height, width, 3]`: RGB bytes, pixel by pixel, as decoders return them. A byte `v` means `v / 255`.
    Bytes(&'a [u8]),
    /// `[n, 3, height, width]`: RGB in 0..1, planar.
    Floats(&'a [f32]),
}

impl<'a> ImageBatch<'a> {
    /// Returns the total number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(values) => values.len(),
            Self::Floats(values) => values.len(),
        }
    }

    /// Returns whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns `n` photos from `first` on, each of `len` values.
    ///
    /// # Panics
    ///
    /// If there are fewer photos.
    #[must_use]
    pub fn slice(&self, first: usize, n: usize, len: usize) -> Self {
        match self {
            Self::Bytes(values) => Self::Bytes(&values[first * len..][..n * len]),
            Self::Floats(values) => Self::Floats(&values[first * len..][..n * len]),
        }
    }
}

/// The normalisation `(x − mean) / std` of each colour, for x in 0..1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InputNorm {
    mean: [f32; 3],
    scale: [f32; 3],
}

impl InputNorm {
    /// Makes a normalisation from mean and standard deviation. The division becomes a product with the reciprocal.
    #[must_use]
    pub fn new(mean: [f32; 3], std: [f32; 3]) -> Self {
        Self { mean, scale: std.map(|s| 1.0 / s) }
    }

    fn is_identity(&self) -> bool {
        self.mean == [0.0; 3] && self.scale == [1.0; 3]
    }

    fn apply(&self, colour: usize, x: f32) -> f32 {
        (x - self.mean[colour]) * self.scale[colour]
    }
}

/// Returns some rows of a photo in the layout of the fused kernels: a view of planar floats if no conversion is needed,
/// else rows of three runs ([`RowView::rows`]) written to the buffer.
///
/// # Panics
///
/// If the photo has fewer rows.
pub(crate) fn strip<'a>(
    photo: ImageBatch<'a>,
    norm: &InputNorm,
    width: usize,
    rows: Range<usize>,
    buffer: &'a mut Aligned,
) -> RowView<'a> {
    match photo {
        ImageBatch::Floats(values) if norm.is_identity() => {
            RowView { values, first: 0, row: width, channel: values.len() / 3 }
        }
        _ => {
            let len = 3 * run_len(width) * rows.len();
            buffer.grow(len);
            let buffer = &mut buffer[..len];
            to_rows(photo, norm, width, rows.clone(), buffer);
            RowView { first: rows.start, ..RowView::rows(buffer, 3, width) }
        }
    }
}

/// Writes some rows of a photo as rows of three runs; `out` holds only these rows.
fn to_rows(photo: ImageBatch, norm: &InputNorm, width: usize, rows: Range<usize>, out: &mut [f32]) {
    let stride = run_len(width);
    match photo {
        ImageBatch::Bytes(bytes) => {
            let pixels = &bytes[3 * width * rows.start..3 * width * rows.end];
            match Level::current().at_most(width) {
                Some(level) => level.run(Deinterleave { pixels, width, norm, out, stride }),
                None => narrow_rows(pixels, width, norm, out, stride),
            }
        }
        ImageBatch::Floats(values) => {
            let plane = values.len() / 3;
            for (y, out) in rows.zip(out.chunks_exact_mut(3 * stride)) {
                for colour in 0..3 {
                    let from = &values[colour * plane + y * width..][..width];
                    for (out, v) in out[colour * stride..].iter_mut().zip(from) {
                        *out = norm.apply(colour, *v);
                    }
                }
            }
        }
    }
}

/// Splits rows that are narrower than a vector.
fn narrow_rows(pixels: &[u8], width: usize, norm: &InputNorm, out: &mut [f32], stride: usize) {
    for (row, out) in pixels.chunks_exact(3 * width).zip(out.chunks_exact_mut(3 * stride)) {
        for (i, byte) in row.iter().enumerate() {
            out[i % 3 * stride + i / 3] = norm.apply(i % 3, f32::from(*byte) / 255.0);
        }
    }
}

/// Converts bytes, pixel by pixel, to planes of floats in 0..1, the layout of the general kernels.
pub fn to_planar(bytes: &[u8], out: &mut [f32]) {
    let plane = (bytes.len() / 3).max(1);
    for (colour, out) in out.chunks_exact_mut(plane).enumerate() {
        for (out, pixel) in out.iter_mut().zip(bytes.chunks_exact(3)) {
            *out = f32::from(pixel[colour]) / 255.0;
        }
    }
}

/// Writes some rows of a photo pixel by pixel: `[rows, width, 3]`.
///
/// # Panics
///
/// If the photo has fewer rows.
pub fn to_pixels(photo: ImageBatch, norm: &InputNorm, width: usize, rows: Range<usize>, out: &mut [f32]) {
    match photo {
        ImageBatch::Bytes(bytes) => {
            let bytes = &bytes[3 * width * rows.start..3 * width * rows.end];
            let out = &mut out[..bytes.len()];
            Level::current().run(InOrder { bytes, norm, out });
        }
        ImageBatch::Floats(values) => {
            let plane = values.len() / 3;
            for (i, out) in (width * rows.start..width * rows.end).zip(out.chunks_exact_mut(3)) {
                for colour in 0..3 {
                    out[colour] = norm.apply(colour, values[colour * plane + i]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(n: usize) -> Vec<u8> {
        (0..n).map(|i| (i * 7 % 256) as u8).collect()
    }

    /// Every conversion has the same bits as a division.
    #[test]
    fn bytes_and_floats_give_the_same_values() {
        for (width, height) in [(8, 5), (13, 4), (40, 7), (256, 4)] {
            let bytes = bytes(3 * width * height);
            let at = |x: usize, y: usize, c: usize| f32::from(bytes[(y * width + x) * 3 + c]) / 255.0;
            let plane = width * height;
            let planar: Vec<f32> =
                (0..3 * plane).map(|i| at(i % plane % width, i % plane / width, i / plane)).collect();
            for norm in
                [InputNorm::new([0.0; 3], [1.0; 3]), InputNorm::new([0.5, 0.4, 0.3], [0.2, 0.25, 0.5])]
            {
                for photo in [ImageBatch::Bytes(&bytes), ImageBatch::Floats(&planar)] {
                    let cut = height / 2;
                    let mut buffers = [Aligned::default(), Aligned::default()];
                    let [above, below] = &mut buffers;
                    let strips = [
                        strip(photo, &norm, width, 0..cut, above),
                        strip(photo, &norm, width, cut..height, below),
                    ];
                    let mut pixels = vec![7.0; 3 * plane];
                    let (above, below) = pixels.split_at_mut(3 * width * cut);
                    to_pixels(photo, &norm, width, 0..cut, above);
                    to_pixels(photo, &norm, width, cut..height, below);
                    for (x, y, c) in (0..3 * plane).map(|i| (i / 3 % width, i / 3 / width, i % 3)) {
                        let expected = norm.apply(c, at(x, y, c));
                        let map = strips[usize::from(y >= cut)];
                        let value = map.values[map.start(y) + c * map.channel + x];
                        assert_eq!(value.to_bits(), expected.to_bits());
                        assert_eq!(pixels[(y * width + x) * 3 + c].to_bits(), expected.to_bits());
                    }
                }
            }
        }
    }

    #[test]
    fn a_slice_consists_of_complete_photos() {
        let values = bytes(30);
        let ImageBatch::Bytes(second) = ImageBatch::Bytes(&values).slice(1, 1, 15) else { panic!("bytes") };
        assert_eq!(second, &values[15..]);
        assert!(ImageBatch::Floats(&[]).is_empty());
    }
}
