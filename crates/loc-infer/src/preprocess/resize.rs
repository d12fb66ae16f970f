//! Resizing an RGB image: separable, antialiased, one output row at a time.

use std::f64::consts::PI;

use image::RgbImage;

use crate::bbox::narrow;
use crate::{Filter, ImageSize};

/// The source pixels of one output pixel along one axis.
struct Taps {
    start: usize,
    /// Their sum is 1.
    weights: Vec<f32>,
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
    let columns = taps(from.width, to.width, filter);
    let rows = taps(from.height, to.height, filter);
    let row_bytes = 3 * index(from.width);
    let pixels = image.as_raw();
    let mut sums = vec![0.0_f32; row_bytes];
    for (out_row, taps) in out.chunks_exact_mut(3 * index(to.width)).zip(&rows) {
        sums.fill(0.0);
        for (row, weight) in pixels.chunks_exact(row_bytes).skip(taps.start).zip(&taps.weights) {
            for (sum, byte) in sums.iter_mut().zip(row) {
                *sum += weight * f32::from(*byte);
            }
        }
        for (pixel, taps) in out_row.chunks_exact_mut(3).zip(&columns) {
            let mut rgb = [0.0_f32; 3];
            for (source, weight) in sums[3 * taps.start..].chunks_exact(3).zip(&taps.weights) {
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

/// The taps of every output pixel along one axis.
fn taps(from: u32, to: u32, filter: Filter) -> Vec<Taps> {
    let ratio = f64::from(from) / f64::from(to);
    (0..to)
        .map(|i| {
            let centre = (f64::from(i) + 0.5) * ratio;
            if filter == Filter::Nearest {
                return Taps { start: floor(centre).min(index(from) - 1), weights: vec![1.0] };
            }
            let widen = ratio.max(1.0);
            let radius = support(filter) * widen;
            let start = floor(centre - radius);
            let end = floor((centre + radius).ceil()).min(index(from)).max(start + 1);
            let weight = |j: usize| kernel(filter, (f64::from(to_u32(j)) + 0.5 - centre) / widen);
            let weights: Vec<f64> = (start..end).map(weight).collect();
            let sum: f64 = weights.iter().sum();
            Taps { start, weights: weights.iter().map(|w| narrow(w / sum)).collect() }
        })
        .collect()
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
