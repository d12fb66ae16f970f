//! JPEGs decoded at a reduced size: of each block of 8×8 pixels the 4×4, 2×2 or 1×1 lower frequencies become as many samples.
//! They are an averaged photo at 1/2, 1/4 or 1/8 of its size, without the time for what resizing would average away.
//!
//! Only what most cameras and programs write is decoded here, and only if it is undamaged: baseline or sequential JPEG with 8
//! bits, grey or YCbCr, in one scan. Everything else is decoded in full, with the errors that this gives.

mod bits;
mod header;
mod huffman;
mod idct;
mod scan;

use image::{Rgb, RgbImage};

use self::header::{Component, Header, most_blocks};
use self::scan::Plane;
use super::resize::{Extent, resize_plane};
use crate::{Filter, ImageSize};

/// At a reduced size each side of the photo still has so many times the samples of brightness that are wanted of it. Colours may
/// have half as many.
const AT_LEAST: u64 = 2;

/// Decodes a JPEG of this size at a reduced size, and resizes it, as stored.
///
/// `None` if the photo must be decoded in full: too small for a reduced size, of a kind that is not read here, or damaged.
pub(super) fn decode(bytes: &[u8], photo: ImageSize, to: ImageSize, filter: Filter) -> Option<RgbImage> {
    // Before the header is read, for most photos are not that large.
    samples_of_block(photo, to, &[])?;
    let header = header::read(bytes).filter(|header| header.size == photo)?;
    let samples = samples_of_block(photo, to, &header.components)?;
    let planes = match samples {
        1 => scan::planes::<1, 1>(&header),
        2 => scan::planes::<2, 4>(&header),
        _ => scan::planes::<4, 16>(&header),
    }?;
    Some(colours(&header, samples, &planes, to, filter))
}

/// The samples a side that a block of 8×8 becomes: the fewest of 1, 2 and 4 with which a photo still has [`AT_LEAST`] times the
/// pixels that are wanted, along each side. `None` if 4 are too few.
fn samples_of_block(photo: ImageSize, wanted: ImageSize, components: &[Component]) -> Option<u32> {
    let suffices = |samples: u32, axis: usize| {
        let (photo, wanted) = [(photo.width, wanted.width), (photo.height, wanted.height)][axis];
        let (has, needs) = (u64::from(photo) * u64::from(samples), 8 * AT_LEAST * u64::from(wanted));
        let of_colour = |component: &Component| {
            let [blocks, most] = [component.blocks[axis], most_blocks(components)[axis]].map(u64::from);
            2 * has * blocks >= needs * most
        };
        has >= needs && components.iter().all(of_colour)
    };
    [1, 2, 4].into_iter().find(|samples| suffices(*samples, 0) && suffices(*samples, 1))
}

/// Resizes each plane, and converts the result to RGB as JFIF says (ITU-T T.871, clause 7): colours have fewer samples than
/// brightness, and are not enlarged first.
fn colours(header: &Header<'_>, samples: u32, planes: &[Plane], to: ImageSize, filter: Filter) -> RgbImage {
    let components = &header.components;
    let resized = |(component, plane): (&Component, &Plane)| {
        let extent = |side: u32, axis: usize| {
            let share = f64::from(component.blocks[axis]) / f64::from(most_blocks(components)[axis]);
            Extent::new(f64::from(side) * f64::from(samples) / 8.0 * share)
        };
        let extents = [extent(header.size.width, 0), extent(header.size.height, 1)];
        resize_plane(&plane.samples, plane.stride, extents, to, filter)
    };
    let planes: Vec<Vec<f32>> = components.iter().zip(planes).map(resized).collect();
    let mut rgb = RgbImage::new(to.width, to.height);
    match &planes[..] {
        [y, cb, cr] => {
            for (((pixel, y), cb), cr) in rgb.pixels_mut().zip(y).zip(cb).zip(cr) {
                let (cb, cr) = (cb - 128.0, cr - 128.0);
                let colours = [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb];
                *pixel = Rgb(colours.map(idct::to_byte));
            }
        }
        _ => {
            for (pixel, y) in rgb.pixels_mut().zip(planes.iter().flatten()) {
                *pixel = Rgb([idct::to_byte(*y); 3]);
            }
        }
    }
    rgb
}
