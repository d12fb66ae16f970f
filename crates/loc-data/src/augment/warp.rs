//! Pixels through a window: bilinear, one output row at a time, in whole numbers.

use super::Move;

/// What surrounds the photo and covers its holes.
const GREY: u8 = 127;
/// Weights add up to this.
const ONE: u16 = 64;

/// Where one output row or column reads: between `first` and `second` by `weight` of [`ONE`]; nothing outside.
type Tap = Option<(usize, usize, u16)>;

pub(super) fn warp(photo: &[u8], (width, height): (usize, usize), moved: &Move, out: &mut [u8]) {
    let [left, top, window_width, window_height] = moved.window;
    let rows = taps(height, top, window_height, false);
    let columns = taps(width, left, window_width, moved.mirrored);
    let mut blended = vec![0_u16; 3 * width];
    for (out, tap) in out.chunks_exact_mut(3 * width).zip(&rows) {
        let Some((first, second, weight)) = *tap else {
            out.fill(GREY);
            continue;
        };
        let row = |y: usize| &photo[3 * width * y..][..3 * width];
        for ((sum, a), b) in blended.iter_mut().zip(row(first)).zip(row(second)) {
            *sum = u16::from(*a) * (ONE - weight) + u16::from(*b) * weight;
        }
        for (pixel, tap) in out.as_chunks_mut::<3>().0.iter_mut().zip(&columns) {
            *pixel = tap.map_or([GREY; 3], |(first, second, weight)| {
                let (a, b) = (&blended[3 * first..][..3], &blended[3 * second..][..3]);
                [0, 1, 2].map(|c| blend(a[c], b[c], weight))
            });
        }
        if let Some((matrix, offset)) = &moved.colour {
            out.as_chunks_mut::<3>()
                .0
                .iter_mut()
                .for_each(|pixel| *pixel = recolour(*pixel, matrix, *offset));
        }
    }
    if let Some(hole) = moved.cutout {
        let [x1, y1, x2, y2] = hole.xyxy();
        let ((x1, x2), (y1, y2)) = (cells(x1, x2, width), cells(y1, y2, height));
        for row in out.chunks_exact_mut(3 * width).take(y2).skip(y1) {
            row[3 * x1..3 * x2].fill(GREY);
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "at most 255 after the shift")]
fn blend(a: u16, b: u16, weight: u16) -> u8 {
    let sum = u32::from(a) * u32::from(ONE - weight) + u32::from(b) * u32::from(weight);
    ((sum + 2048) >> 12) as u8
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, as colours should")]
fn recolour(pixel: [u8; 3], matrix: &[[f32; 3]; 3], offset: [f32; 3]) -> [u8; 3] {
    let rgb = pixel.map(f32::from);
    [0, 1, 2].map(|c| {
        let [r, g, b] = matrix[c];
        (r * rgb[0] + g * rgb[1] + b * rgb[2] + offset[c] + 0.5) as u8
    })
}

/// Where each of `size` cells reads: cell i of a window from `start`, `length` long, in shares of the size.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a photo's side is small, and places outside were sorted out"
)]
fn taps(size: usize, start: f32, length: f32, mirrored: bool) -> Vec<Tap> {
    let last = size.saturating_sub(1);
    let tap = |i: usize| {
        let i = if mirrored { last - i } else { i };
        // Centres of pixels lie at halves.
        let place = start * size as f32 + (i as f32 + 0.5) * length - 0.5;
        if !(-0.5..=last as f32 + 0.5).contains(&place) {
            return None;
        }
        let place = place.clamp(0.0, last as f32);
        let first = place as usize;
        Some((first, (first + 1).min(last), ((place - first as f32) * f32::from(ONE) + 0.5) as u16))
    };
    (0..size).map(tap).collect()
}

/// The cells from one place to another.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "places lie in 0..1, a photo's side is small"
)]
fn cells(from: f32, to: f32, size: usize) -> (usize, usize) {
    let cell = |place: f32| ((place * size as f32).round() as usize).min(size);
    (cell(from), cell(to).max(cell(from)))
}
