//! A contact sheet: samples in a grid, with their boxes and class names; as they are, augmented, or with what a check found.
//! loc-infer draws the boxes.

use image::RgbImage;
use image::imageops::{FilterType, replace, resize};
use loc_infer::draw::{LabeledBox, color, draw};
use loc_infer::preprocess::decode_path;
use loc_infer::{InputSpec, Limits};
use rayon::prelude::*;

use crate::random::Random;
use crate::{Augment, DataError, Dataset, ImageSize, Loader, NormBox, PhotoFindings};

/// Gap between and around the tiles, in pixels.
const GAP: u32 = 4;
/// Colour of the gaps.
const BACKGROUND: image::Rgb<u8> = image::Rgb([32, 32, 32]);
/// Colour of boxes with findings, which no class has.
pub const FINDING: [u8; 3] = [255, 0, 255];
/// Colour of the note on photos without an object.
const NEGATIVE: [u8; 3] = [128, 128, 128];
/// Colour of a photo that cannot be decoded.
const DAMAGED: image::Rgb<u8> = image::Rgb([64, 0, 64]);
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

/// The grid of a picture.
#[derive(Debug, Clone, Copy)]
pub struct Grid {
    /// Tiles in a row.
    pub columns: u32,
    /// Side of a tile, in pixels.
    pub tile: u32,
}

/// Draws the samples with these `indices` in rows, each in a square tile: the whole photo, as large as fits, with its box and
/// class name.
///
/// # Errors
///
/// [`DataError::Argument`] if there is nothing to show or the picture would be beyond 20,000 pixels on a side,
/// [`DataError::Input`] if a photo cannot be decoded.
///
/// # Panics
///
/// If an index is not below the number of samples.
pub fn mosaic(dataset: &Dataset, indices: &[usize], grid: Grid) -> Result<RgbImage, DataError> {
    grid.check(indices.len())?;
    let draw = |i: &usize| {
        let sample = &dataset.samples[*i];
        let photo = decode_path(&sample.image, &Limits::default())?.rgb;
        let label = match sample.object {
            Some(object) => class_box(dataset, object.class, object.bbox.to_norm(sample.size)),
            None => no_object(),
        };
        Ok(draw_tile(&photo, &[label], grid.tile))
    };
    let tiles: Result<Vec<RgbImage>, DataError> = indices.par_iter().map(draw).collect();
    Ok(grid.arrange(&tiles?))
}

/// Draws samples as [`mosaic`] does, prepared for a network and augmented as in the first epoch of a training.
///
/// # Errors
///
/// As [`mosaic`].
///
/// # Panics
///
/// If an index is not below the number of samples.
pub fn augmented(
    dataset: &Dataset,
    indices: &[usize],
    input: InputSpec,
    augment: &Augment,
    seed: u64,
    grid: Grid,
) -> Result<RgbImage, DataError> {
    grid.check(indices.len())?;
    let loader = Loader::new(dataset, indices, input, 0)?;
    let mut tiles = Vec::new();
    for batch in loader.in_order_augmented(seed, 1, indices.len(), augment) {
        let batch = batch?;
        for (i, photo) in batch.images.outer_iter().enumerate() {
            let bytes = photo.iter().copied().collect();
            let photo = RgbImage::from_raw(input.size.width, input.size.height, bytes).unwrap_or_default();
            let edge = |at: usize| batch.boxes[[i, at]];
            let bbox = NormBox::new(edge(0), edge(1), edge(2), edge(3));
            let class = dataset.samples[batch.indices[i]].class();
            let label = class.map_or_else(no_object, |class| class_box(dataset, class, bbox));
            tiles.push(draw_tile(&photo, &[label], grid.tile));
        }
    }
    Ok(grid.arrange(&tiles))
}

/// Draws photos with findings as [`mosaic`] does, with their boxes as written in [`FINDING`] and the kinds of the findings. A
/// photo that cannot be decoded is a dark tile.
///
/// # Errors
///
/// [`DataError::Argument`] as for [`mosaic`].
pub fn findings(found: &[PhotoFindings], grid: Grid) -> Result<RgbImage, DataError> {
    grid.check(found.len())?;
    let draw = |photo: &PhotoFindings| {
        let (width, height) = (grid.tile, grid.tile * 3 / 4);
        let image = decode_path(&photo.image, &Limits::default())
            .map_or_else(|_| RgbImage::from_pixel(width, height, DAMAGED), |decoded| decoded.rgb);
        let size = ImageSize::of(&image);
        let kinds: Vec<String> = photo.kinds.iter().map(|kind| kind.counted(1)[2..].to_owned()).collect();
        let boxes = photo.boxes.iter().map(|(class, bbox)| Labelled {
            bbox: bbox.to_norm(size),
            label: class.clone(),
            color: FINDING,
        });
        let title = note(kinds.join(", "), FINDING);
        draw_tile(&image, &boxes.chain([title]).collect::<Vec<_>>(), grid.tile)
    };
    let tiles: Vec<RgbImage> = found.par_iter().map(draw).collect();
    Ok(grid.arrange(&tiles))
}

impl Grid {
    /// The picture's width and height for so many tiles.
    fn size(self, count: usize) -> (u32, u32) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let columns = self.columns.min(count).max(1);
        let side = |tiles: u32| tiles.saturating_mul(self.tile.saturating_add(GAP)).saturating_add(GAP);
        (side(columns), side(count.div_ceil(columns)))
    }

    fn check(self, count: usize) -> Result<(), DataError> {
        let argument = |what, value: u32, range: &str| {
            Err(DataError::Argument { what, value: value.to_string(), range: range.to_owned() })
        };
        if count == 0 || self.columns == 0 {
            return argument("number of samples or columns", 0, "at least one is needed");
        }
        let (width, height) = self.size(count);
        if self.tile < 16 || width.max(height) > MAX_SIDE {
            let range = format!("16 or more, the picture at most {MAX_SIDE} pixels on a side");
            return argument("tile", self.tile, &range);
        }
        Ok(())
    }

    /// Places the tiles in rows, each in the middle of its square.
    fn arrange(self, tiles: &[RgbImage]) -> RgbImage {
        let (width, height) = self.size(tiles.len());
        let columns = self.columns.min(u32::try_from(tiles.len()).unwrap_or(u32::MAX)).max(1);
        let mut picture = RgbImage::from_pixel(width, height, BACKGROUND);
        for (at, photo) in (0..).zip(tiles) {
            let corner = |place: u32, length: u32| {
                i64::from(GAP)
                    + i64::from(place) * i64::from(self.tile + GAP)
                    + i64::from((self.tile - length) / 2)
            };
            let (x, y) = (corner(at % columns, photo.width()), corner(at / columns, photo.height()));
            replace(&mut picture, photo, x, y);
        }
        picture
    }
}

/// A box with its text and colour, in fractions of the photo.
struct Labelled {
    bbox: NormBox,
    label: String,
    color: [u8; 3],
}

/// A text in the lower corner: the name of a class stands above its box.
fn note(label: String, color: [u8; 3]) -> Labelled {
    Labelled { bbox: NormBox::new(0.0, 1.0, 0.0, 1.0), label, color }
}

/// What a negative has in place of a box.
fn no_object() -> Labelled {
    note("no object".to_owned(), NEGATIVE)
}

fn class_box(dataset: &Dataset, class: usize, bbox: NormBox) -> Labelled {
    let label = dataset.classes.get(class).cloned().unwrap_or_default();
    Labelled { bbox, label, color: color(class) }
}

/// A photo, scaled to fit, with its boxes; drawn after scaling, so that lines and letters keep their size.
fn draw_tile(photo: &RgbImage, boxes: &[Labelled], tile: u32) -> RgbImage {
    let ImageSize { width, height } = ImageSize::of(photo);
    let longer = u64::from(width.max(height)).max(1);
    let scaled =
        |side: u32| u32::try_from(u64::from(side) * u64::from(tile) / longer).unwrap_or(tile).clamp(1, tile);
    let mut small = resize(photo, scaled(width), scaled(height), FilterType::Triangle);
    let size = ImageSize::of(&small);
    let boxes: Vec<LabeledBox> = boxes
        .iter()
        .map(|b| LabeledBox { bbox: b.bbox.to_pixels(size), label: b.label.clone(), color: b.color })
        .collect();
    draw(&mut small, &boxes);
    small
}
