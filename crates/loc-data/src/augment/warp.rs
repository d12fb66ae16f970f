//! Resampling through a window: bilinear, one output row at a time, in integer arithmetic.

use super::{ColourMap, Transform};

/// Value of the border and of cutouts.
const GREY: u8 = 127;
/// The sum of the weights of a tap.
const ONE: u16 = 64;

/// The two source rows (or columns) of an output row (or column): `second` has the weight `weight` of [`ONE`].
struct Tap {
    first: usize,
    second: usize,
    weight: u16,
}

pub(super) fn warp(photo: &[u8], width: usize, height: usize, transform: &Transform, out: &mut [u8]) {
    let [left, top, window_width, window_height] = transform.window;
    let (above, rows) = taps(height, top, window_height, false);
    let (before, columns) = taps(width, left, window_width, transform.mirrored);
    out.fill(GREY);
    let (mut blended, mut packed) = (vec![0_u16; 3 * width], vec![0_u64; width]);
    let mut colours = transform.colour.map(|map| ColourRows::new(map, columns.len()));
    for (out, Tap { first, second, weight }) in out.chunks_exact_mut(3 * width).skip(above).zip(rows) {
        let row = |y: usize| &photo[3 * width * y..][..3 * width];
        for ((sum, a), b) in blended.iter_mut().zip(row(first)).zip(row(second)) {
            *sum = u16::from(*a) * (ONE - weight) + u16::from(*b) * weight;
        }
        packed.iter_mut().zip(blended.as_chunks::<3>().0).for_each(|(packed, rgb)| *packed = pack(*rgb));
        let out = &mut out.as_chunks_mut::<3>().0[before..][..columns.len()];
        for (pixel, Tap { first, second, weight }) in out.iter_mut().zip(&columns) {
            *pixel = blend(packed[*first], packed[*second], *weight);
        }
        if let Some(colours) = &mut colours {
            colours.change(out);
        }
    }
    if let Some(hole) = transform.cutout {
        let [x1, y1, x2, y2] = hole.xyxy();
        let ((x1, x2), (y1, y2)) = (cells(x1, x2, width), cells(y1, y2, height));
        for row in out.chunks_exact_mut(3 * width).take(y2).skip(y1) {
            row[3 * x1..3 * x2].fill(GREY);
        }
    }
}

/// Bits of a channel in a packed pixel: 255 · [`ONE`]² plus half of that square is below 2²⁰.
const LANE: u32 = 21;

/// Packs three channels into one number, so that one multiplication blends all of them.
fn pack([r, g, b]: [u16; 3]) -> u64 {
    u64::from(r) | u64::from(g) << LANE | u64::from(b) << (2 * LANE)
}

/// Blends two packed pixels that were blended vertically already, and rounds to bytes.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a channel is at most 255 after the shift, its neighbour is cut off"
)]
fn blend(a: u64, b: u64, weight: u16) -> [u8; 3] {
    const HALF: u64 = 2048 | 2048 << LANE | 2048 << (2 * LANE);
    let sums = a * u64::from(ONE - weight) + b * u64::from(weight) + HALF;
    [0, 1, 2].map(|channel| (sums >> (12 + channel * LANE)) as u8)
}

/// Applies a colour map to rows of pixels, channel by channel: interleaved channels would not be vectorised.
struct ColourRows {
    map: ColourMap,
    /// The channels of a row.
    planes: [Vec<f32>; 3],
    /// One channel of the result.
    changed: Vec<u8>,
}

impl ColourRows {
    fn new(map: ColourMap, width: usize) -> Self {
        Self { map, planes: [0; 3].map(|_| vec![0.0; width]), changed: vec![0; width] }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the bits above are the exponent's")]
    fn change(&mut self, row: &mut [[u8; 3]]) {
        // 2^23: added to a value of 0 to 255 it leaves the rounded value in the lowest bits. A saturating cast would not be
        // vectorised.
        const ROUND: f32 = 8_388_608.0;
        let [reds, greens, blues] = &mut self.planes;
        for (((pixel, r), g), b) in row.iter().zip(&mut *reds).zip(&mut *greens).zip(&mut *blues) {
            [*r, *g, *b] = pixel.map(f32::from);
        }
        for (c, ([r, g, b], offset)) in self.map.matrix.into_iter().zip(self.map.offset).enumerate() {
            let channels = reds.iter().zip(&*greens).zip(&*blues);
            for (changed, ((red, green), blue)) in self.changed.iter_mut().zip(channels) {
                let value = (r * red + g * green + b * blue + offset).clamp(0.0, 255.0);
                *changed = (value + ROUND).to_bits() as u8;
            }
            row.iter_mut().zip(&self.changed).for_each(|(pixel, changed)| pixel[c] = *changed);
        }
    }
}

/// The number of output cells before the photo, and the taps of the cells inside it. The window begins at `start` and is
/// `length` long, both as fractions of `size`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a photo's side is small, and places outside it return early"
)]
fn taps(size: usize, start: f32, length: f32, mirrored: bool) -> (usize, Vec<Tap>) {
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
        let weight = ((place - first as f32) * f32::from(ONE) + 0.5) as u16;
        Some(Tap { first, second: (first + 1).min(last), weight })
    };
    let before = (0..size).take_while(|i| tap(*i).is_none()).count();
    (before, (before..size).map_while(tap).collect())
}

/// The range of cells between two fractions of `size`.
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
