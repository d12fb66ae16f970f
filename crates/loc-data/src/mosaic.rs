//! A contact sheet: samples in a grid, with their boxes and class names. loc-infer draws the boxes.

use image::RgbImage;
use image::imageops::{FilterType, replace, resize};
use loc_infer::Limits;
use loc_infer::draw::{LabeledBox, color, draw};
use loc_infer::preprocess::decode_path;
use rayon::prelude::*;

use crate::random::Random;
use crate::{BBox, DataError, Dataset, ImageSize, Sample};

/// Gap between and around the tiles, in pixels.
const GAP: u32 = 4;
/// Colour of the gaps.
const BACKGROUND: image::Rgb<u8> = image::Rgb([32, 32, 32]);
/// Longest side of the picture, in pixels.
const MAX_SIDE: u32 = 20_000;

/// Domain separation: the first part of the random key.
const MOSAIC: u64 = 0x6D6F_7361_6963_0001;

/// Indices of `n` distinct random samples (all of them if there are fewer), a function of `seed`.
#[must_use]
pub fn random_samples(dataset: &Dataset, n: usize, seed: u64) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..dataset.samples.len()).collect();
    Random::keyed(&[MOSAIC, seed]).shuffle(&mut indices);
    indices.truncate(n);
    indices
}

/// Draws the samples with these `indices` in rows of `columns`, each in a square tile with a side of `tile` pixels: the
/// whole photo, as large as fits, with its box and class name.
///
/// # Errors
///
/// [`DataError::Argument`] if there is nothing to show or the picture would be beyond 20,000 pixels on a side,
/// [`DataError::Input`] if a photo cannot be decoded.
///
/// # Panics
///
/// If an index is not below the number of samples.
pub fn mosaic(dataset: &Dataset, indices: &[usize], columns: u32, tile: u32) -> Result<RgbImage, DataError> {
    let argument = |what, value: u32, range: &str| {
        Err(DataError::Argument { what, value: value.to_string(), range: range.to_owned() })
    };
    let count = u32::try_from(indices.len()).unwrap_or(u32::MAX);
    let columns = columns.min(count);
    if count == 0 || columns == 0 {
        return argument("number of samples or columns", 0, "at least one is needed");
    }
    let rows = count.div_ceil(columns);
    let side = |tiles: u32| tiles.saturating_mul(tile.saturating_add(GAP)).saturating_add(GAP);
    let (width, height) = (side(columns), side(rows));
    if tile < 16 || width.max(height) > MAX_SIDE {
        return argument(
            "tile",
            tile,
            &format!("16 or more, the picture at most {MAX_SIDE} pixels on a side"),
        );
    }
    let tiles: Vec<RgbImage> = indices
        .par_iter()
        .map(|i| draw_tile(dataset, &dataset.samples[*i], tile))
        .collect::<Result<_, _>>()?;
    let mut picture = RgbImage::from_pixel(width, height, BACKGROUND);
    for (at, photo) in (0..).zip(&tiles) {
        let corner = |place: u32, length: u32| {
            i64::from(GAP) + i64::from(place) * i64::from(tile + GAP) + i64::from((tile - length) / 2)
        };
        replace(
            &mut picture,
            photo,
            corner(at % columns, photo.width()),
            corner(at / columns, photo.height()),
        );
    }
    Ok(picture)
}

/// One photo, scaled to fit, with its box; drawn after scaling, so that lines and letters keep their size.
fn draw_tile(dataset: &Dataset, sample: &Sample, tile: u32) -> Result<RgbImage, DataError> {
    let photo = decode_path(&sample.image, &Limits::default())?.rgb;
    let ImageSize { width, height } = ImageSize::of(&photo);
    let longer = u64::from(width.max(height));
    let scaled =
        |side: u32| u32::try_from(u64::from(side) * u64::from(tile) / longer).unwrap_or(tile).clamp(1, tile);
    let mut small = resize(&photo, scaled(width), scaled(height), FilterType::Triangle);
    let bbox: BBox = sample.bbox.to_norm(sample.size).to_pixels(ImageSize::of(&small));
    let label = dataset.classes.get(sample.class).cloned().unwrap_or_default();
    draw(&mut small, &[LabeledBox { bbox, label, color: color(sample.class) }]);
    Ok(small)
}
