//! A grid of samples with their boxes and class names: the quickest look at a data set. The drawing is loc-infer's.

use image::RgbImage;
use image::imageops::{FilterType, replace, resize};
use loc_infer::Limits;
use loc_infer::draw::{Mark, color, draw};
use loc_infer::preprocess::decode_path;
use rayon::prelude::*;

use crate::random::Random;
use crate::{BBox, DataError, Dataset, ImageSize, Sample};

/// Space between the cells and around them, in pixels.
const GAP: u32 = 4;
/// Colour of that space.
const PAPER: image::Rgb<u8> = image::Rgb([32, 32, 32]);
/// Largest side of the whole picture, in pixels.
const LARGEST: u32 = 20_000;

/// Sets the choice's keys apart from those of other uses of the same seed.
const CHOICE: u64 = 0x6D6F_7361_6963_0001;

/// `n` different samples, or all where there are fewer, drawn by `seed`; their indices.
#[must_use]
pub fn choose(dataset: &Dataset, n: usize, seed: u64) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..dataset.samples.len()).collect();
    Random::keyed(&[CHOICE, seed]).shuffle(&mut indices);
    indices.truncate(n);
    indices
}

/// Paints the samples with these `indices` in rows of `columns`, each in a square cell of `cell` pixels: the whole
/// photo, as large as fits, its box, and its class's name.
///
/// # Errors
///
/// [`DataError::Argument`] if there is nothing to show or the picture would be beyond 20,000 pixels on a side,
/// [`DataError::Input`] if a photo cannot be decoded.
///
/// # Panics
///
/// If an index is not below the number of samples.
pub fn mosaic(dataset: &Dataset, indices: &[usize], columns: u32, cell: u32) -> Result<RgbImage, DataError> {
    let argument = |what, value: u32, range: &str| {
        Err(DataError::Argument { what, value: value.to_string(), range: range.to_owned() })
    };
    let count = u32::try_from(indices.len()).unwrap_or(u32::MAX);
    let columns = columns.min(count);
    if count == 0 || columns == 0 {
        return argument("number of samples or columns", 0, "at least one is needed");
    }
    let rows = count.div_ceil(columns);
    let side = |cells: u32| cells.saturating_mul(cell.saturating_add(GAP)).saturating_add(GAP);
    let (width, height) = (side(columns), side(rows));
    if cell < 16 || width.max(height) > LARGEST {
        return argument(
            "cell",
            cell,
            &format!("16 or more, the picture at most {LARGEST} pixels on a side"),
        );
    }
    let cells: Vec<RgbImage> =
        indices.par_iter().map(|i| paint(dataset, &dataset.samples[*i], cell)).collect::<Result<_, _>>()?;
    let mut picture = RgbImage::from_pixel(width, height, PAPER);
    for (at, photo) in (0..).zip(&cells) {
        let corner = |place: u32, length: u32| {
            i64::from(GAP) + i64::from(place) * i64::from(cell + GAP) + i64::from((cell - length) / 2)
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

/// One photo, scaled to fit, with its mark; drawn after scaling, so that lines and letters keep their size.
fn paint(dataset: &Dataset, sample: &Sample, cell: u32) -> Result<RgbImage, DataError> {
    let photo = decode_path(&sample.image, &Limits::default())?.rgb;
    let ImageSize { width, height } = ImageSize::of(&photo);
    let longer = u64::from(width.max(height));
    let scaled =
        |side: u32| u32::try_from(u64::from(side) * u64::from(cell) / longer).unwrap_or(cell).clamp(1, cell);
    let mut small = resize(&photo, scaled(width), scaled(height), FilterType::Triangle);
    let bbox: BBox = sample.bbox.to_norm(sample.size).to_pixels(ImageSize::of(&small));
    let label = dataset.classes.get(sample.class).cloned().unwrap_or_default();
    draw(&mut small, &[Mark { bbox, label, color: color(sample.class) }]);
    Ok(small)
}
