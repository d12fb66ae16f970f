//! Resizing an RGB image: separable, antialiased, one output row at a time.

use std::f64::consts::PI;
use std::ops::Range;

use image::RgbImage;
#[cfg(feature = "native")]
use loc_net::blend_rows;

use crate::bbox::narrow;
use crate::{Filter, ImageSize};

/// The source pixels of each output pixel along one axis.
struct Axis {
    taps: Vec<Taps>,
    /// The weights of all taps, one after the other.
    weights: Vec<f32>,
}

/// The source pixels of one output pixel along one axis.
struct Taps {
    /// The first one.
    start: usize,
    /// Their weights in [`Axis::weights`], whose sum is 1.
    weights: Range<usize>,
}

impl Axis {
    fn push(&mut self, start: usize, weights: impl IntoIterator<Item = f32>) {
        let first = self.weights.len();
        self.weights.extend(weights);
        self.taps.push(Taps { start, weights: first..self.weights.len() });
    }

    /// The first source pixel of each output pixel, and the weights from there on.
    fn taps(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.taps.iter().map(|taps| (taps.start, &self.weights[taps.weights.clone()]))
    }
}

/// The part of a plane along one axis that a photo covers, from the first sample on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Extent {
    /// Its length, in samples; the last one may be covered in part.
    length: f64,
    /// The number of samples that are used: at least half of each is covered.
    samples: usize,
}

impl Extent {
    /// An extent of this length, above 0.
    pub(super) fn new(length: f64) -> Self {
        Self { length, samples: floor(length + 0.5).max(1) }
    }
}

/// Resizes an image; with the same size the pixels do not change; an image without pixels becomes black.
///
/// Output pixel `i` is the sum of the source pixels around `(i + 1/2) · ratio`, weighted by the kernel, which is
/// widened by the ratio if the image shrinks. Sums are in f32 in a fixed order, and the result is rounded once.
pub(super) fn resize(image: &RgbImage, to: ImageSize, filter: Filter) -> RgbImage {
    let from = ImageSize::of(image);
    let mut out = RgbImage::new(to.width, to.height);
    if from.is_empty() || to.is_empty() {
        return out;
    }
    let columns = axis(Extent::new(from.width.into()), to.width, filter);
    let rows = axis(Extent::new(from.height.into()), to.height, filter);
    let row_bytes = 3 * index(from.width);
    // One value more, so that each pixel can be read as four.
    let mut sums = vec![0.0_f32; row_bytes + 1];
    for (out_row, (start, weights)) in out.chunks_exact_mut(3 * index(to.width)).zip(rows.taps()) {
        blend_rows(&mut sums[..row_bytes], &image.as_raw()[start * row_bytes..], row_bytes, weights);
        for (pixel, (start, weights)) in out_row.chunks_exact_mut(3).zip(columns.taps()) {
            let mut rgb = [0.0_f32; 4];
            for (source, weight) in sums[3 * start..].windows(4).step_by(3).zip(weights) {
                for (sum, value) in rgb.iter_mut().zip(source) {
                    *sum += weight * value;
                }
            }
            for (byte, value) in pixel.iter_mut().zip(rgb) {
                *byte = to_byte(value);
            }
        }
    }
    out
}

/// Resizes a plane of samples with `stride` samples in a row, of which the photo covers these extents (along the rows and along the
/// columns), as [`resize`] does, without rounding.
pub(super) fn resize_plane(
    samples: &[u8],
    stride: usize,
    extents: [Extent; 2],
    to: ImageSize,
    filter: Filter,
) -> Vec<f32> {
    let [columns, rows] =
        [(extents[0], to.width), (extents[1], to.height)].map(|(e, to)| axis(e, to, filter));
    let mut sums = vec![0.0_f32; extents[0].samples.min(stride)];
    let mut out = Vec::with_capacity(index(to.width) * index(to.height));
    for (start, weights) in rows.taps() {
        blend_rows(&mut sums, &samples[start * stride..], stride, weights);
        out.extend(columns.taps().map(|(start, weights)| {
            let products = sums[start..].iter().zip(weights).map(|(value, weight)| weight * value);
            products.sum::<f32>()
        }));
    }
    out
}

/// Sums up rows of `stride` samples, each with its weight, from the first on: the same bytes as of loc-net's kernel.
#[cfg(not(feature = "native"))]
fn blend_rows(sums: &mut [f32], samples: &[u8], stride: usize, weights: &[f32]) {
    sums.fill(0.0);
    let mut rows = samples.chunks(stride);
    // Four rows at a time, for the sums are read and written once for all four. They are added in their order.
    let (fours, rest) = weights.as_chunks::<4>();
    for &[a, b, c, d] in fours {
        let (Some(p), Some(q), Some(r), Some(s)) = (rows.next(), rows.next(), rows.next(), rows.next())
        else {
            return;
        };
        for ((((sum, p), q), r), s) in sums.iter_mut().zip(p).zip(q).zip(r).zip(s) {
            let [p, q, r, s] = [p, q, r, s].map(|sample| f32::from(*sample));
            *sum = (((*sum + a * p) + b * q) + c * r) + d * s;
        }
    }
    for (weight, row) in rest.iter().zip(rows) {
        for (sum, sample) in sums.iter_mut().zip(row) {
            *sum += weight * f32::from(*sample);
        }
    }
}

/// The taps of every output pixel along one axis.
fn axis(from: Extent, to: u32, filter: Filter) -> Axis {
    let ratio = from.length / f64::from(to);
    let widen = ratio.max(1.0);
    let radius = support(filter) * widen;
    let mut axis = Axis { taps: Vec::with_capacity(index(to)), weights: Vec::new() };
    let mut weights = Vec::new();
    for i in 0..to {
        let centre = (f64::from(i) + 0.5) * ratio;
        if filter == Filter::Nearest {
            axis.push(floor(centre).min(from.samples - 1), [1.0]);
            continue;
        }
        let start = floor(centre - radius).min(from.samples - 1);
        let end = floor((centre + radius).ceil()).min(from.samples).max(start + 1);
        let weight = |j: usize| kernel(filter, (f64::from(to_u32(j)) + 0.5 - centre) / widen);
        weights.clear();
        weights.extend((start..end).map(weight));
        let sum: f64 = weights.iter().sum();
        axis.push(start, weights.iter().map(|w| narrow(w / sum)));
    }
    axis
}

/// The radius of the kernel, in source pixels, if the image does not shrink.
fn support(filter: Filter) -> f64 {
    match filter {
        Filter::Nearest => 0.0,
        Filter::Bilinear => 1.0,
        Filter::CatmullRom => 2.0,
        Filter::Lanczos3 => 3.0,
    }
}

fn kernel(filter: Filter, x: f64) -> f64 {
    let x = x.abs();
    if x >= support(filter) {
        return 0.0;
    }
    match filter {
        Filter::Nearest => 1.0,
        Filter::Bilinear => 1.0 - x,
        Filter::CatmullRom if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
        Filter::CatmullRom => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
        Filter::Lanczos3 => sinc(x) * sinc(x / 3.0),
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// Sizes are u32 and a usize has at least 32 bits.
fn index(size: u32) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

fn to_u32(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates: below 0 is 0, and an image's side is a u32"
)]
fn floor(x: f64) -> usize {
    x.floor() as usize
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates: kernels with negative lobes leave 0..=255"
)]
fn to_byte(value: f32) -> u8 {
    (value + 0.5) as u8
}

#[cfg(test)]
mod tests {
    use image::Rgb;
    use image::imageops::FilterType;

    use super::*;

    const FILTERS: [(Filter, FilterType); 4] = [
        (Filter::Nearest, FilterType::Nearest),
        (Filter::Bilinear, FilterType::Triangle),
        (Filter::CatmullRom, FilterType::CatmullRom),
        (Filter::Lanczos3, FilterType::Lanczos3),
    ];

    fn texture(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            let hash =
                (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(2_246_822_519)).wrapping_mul(3_266_489_917);
            let [a, b, c, _] = hash.to_be_bytes();
            Rgb([a, b, c])
        })
    }

    /// The crate `image` computes the same sums in another order.
    #[test]
    fn agrees_with_the_crate_image() {
        for (w, h) in [(1, 1), (7, 5), (40, 30), (33, 64), (200, 3)] {
            let source = texture(w, h);
            for (to_w, to_h) in [(1, 1), (7, 5), (16, 16), (64, 48), (3, 200)] {
                for (ours, theirs) in FILTERS {
                    let got = resize(&source, ImageSize { width: to_w, height: to_h }, ours);
                    let expected = image::imageops::resize(&source, to_w, to_h, theirs);
                    let worst = got.iter().zip(expected.iter()).map(|(a, b)| a.abs_diff(*b)).max();
                    assert!(worst <= Some(1), "{w}×{h} → {to_w}×{to_h} {ours:?}: off by {worst:?}");
                }
            }
        }
    }

    /// Row by row and pixel by pixel, in the order that the documentation of [`resize`] has in mind.
    fn reference(image: &RgbImage, to: ImageSize, filter: Filter) -> RgbImage {
        let [columns, rows] = [(image.width(), to.width), (image.height(), to.height)]
            .map(|(from, to)| axis(Extent::new(from.into()), to, filter));
        let [columns, rows]: [Vec<_>; 2] = [&columns, &rows].map(|axis| axis.taps().collect());
        RgbImage::from_fn(to.width, to.height, |x, y| {
            let ((left, across), (top, down)) = (columns[index(x)], rows[index(y)]);
            Rgb([0, 1, 2].map(|channel| {
                let column = |x: usize| {
                    let value = |y: usize| f32::from(image.get_pixel(to_u32(x), to_u32(y)).0[channel]);
                    down.iter().enumerate().fold(0.0, |sum, (i, weight)| sum + weight * value(top + i))
                };
                let sum =
                    across.iter().enumerate().fold(0.0, |sum, (i, weight)| sum + weight * column(left + i));
                to_byte(sum)
            }))
        })
    }

    #[test]
    fn equals_the_plain_reference_bit_by_bit() {
        for (w, h) in [(1, 1), (7, 5), (67, 45), (129, 200)] {
            let source = texture(w, h);
            for (width, height) in [(1, 1), (16, 16), (33, 9), (80, 130)] {
                for (filter, _) in FILTERS {
                    let to = ImageSize { width, height };
                    assert_eq!(
                        resize(&source, to, filter),
                        reference(&source, to, filter),
                        "{w}×{h} → {to} {filter:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn planes_are_resized_as_images_are() {
        let source = texture(70, 41);
        let red: Vec<u8> = source.pixels().flat_map(|pixel| [pixel.0[0]]).collect();
        let to = ImageSize { width: 17, height: 12 };
        for (filter, _) in FILTERS {
            let extents = [70.0, 41.0].map(Extent::new);
            let plane = resize_plane(&red, 70, extents, to, filter);
            let expected = resize(&source, to, filter);
            assert!(plane.iter().map(|v| to_byte(*v)).eq(expected.pixels().map(|p| p.0[0])), "{filter:?}");
        }
        // A ramp keeps its place if its last sample lies in the photo only in part.
        let ramp: Vec<u8> = (0..100_u8).collect();
        for length in [99.0, 99.25, 99.5, 99.75, 100.0] {
            let to = ImageSize { width: 10, height: 1 };
            let out = resize_plane(&ramp, 100, [Extent::new(length), Extent::new(1.0)], to, Filter::Bilinear);
            for (i, value) in (0_u8..).zip(out).skip(1).take(8) {
                let expected = (f64::from(i) + 0.5) * length / 10.0 - 0.5;
                assert!((f64::from(value) - expected).abs() < 0.01, "{length}: {value} and {expected}");
            }
        }
    }

    #[test]
    fn same_size_is_the_identity() {
        let source = texture(31, 17);
        for (filter, _) in FILTERS {
            assert_eq!(resize(&source, ImageSize::of(&source), filter), source, "{filter:?}");
        }
    }

    #[test]
    fn a_uniform_colour_does_not_change() {
        let flat = RgbImage::from_pixel(37, 11, Rgb([3, 128, 255]));
        for (filter, _) in FILTERS {
            for (width, height) in [(5, 90), (90, 5), (36, 10)] {
                let out = resize(&flat, ImageSize { width, height }, filter);
                assert!(out.pixels().all(|p| *p == Rgb([3, 128, 255])), "{filter:?} {width}×{height}");
            }
        }
    }

    #[test]
    fn halving_averages_pairs() {
        let source =
            RgbImage::from_raw(4, 1, vec![0, 0, 0, 100, 100, 100, 200, 200, 200, 20, 20, 20]).unwrap();
        let out = resize(&source, ImageSize { width: 2, height: 1 }, Filter::Bilinear);
        // Triangle of radius 2 around 1.0: distances 0.5, 0.5, 1.5 weigh 0.75, 0.75, 0.25.
        assert_eq!(out.get_pixel(0, 0).0[0], 71, "(0.75·0 + 0.75·100 + 0.25·200) / 1.75");
        assert_eq!(out.get_pixel(1, 0).0[0], 109, "(0.25·100 + 0.75·200 + 0.75·20) / 1.75");
    }
}
