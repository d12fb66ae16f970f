//! From the bytes of a photo to a network's input, decoding only what the input needs.

use std::borrow::Cow;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageFormat, RgbImage};

use super::decode::{Limits, Opened, Photo, format_by_extension};
use super::frame::{Frame, fit, pad};
use super::kind::READ;
use super::{exif, reduced};
use crate::error::catch_panic;
use crate::{Decode, Error, Filter, InputSpec, file};

/// A photo that was decoded for an input.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Prepared {
    /// The input.
    pub input: RgbImage,
    /// Its position in the photo, whose size is [`Frame::original`].
    pub frame: Frame,
    /// The format of the content.
    pub format: ImageFormat,
    /// How the stored pixels were rotated or flipped to be upright.
    pub orientation: Orientation,
}

/// Decodes a photo and fits it into the input, as [`decode`](super::decode()) and [`fit`] do; large JPEGs at a reduced size if the input says so
/// ([`Decode::Reduced`]).
///
/// # Errors
///
/// As [`decode`](super::decode()).
pub fn prepare(bytes: &[u8], limits: &Limits, spec: &InputSpec) -> Result<Prepared, Error> {
    catch_panic("the decoder", || prepare_as(bytes, limits, spec, READ))
}

/// Prepares a file's photo as [`prepare`] does.
///
/// # Errors
///
/// As [`decode_path`](super::decode_path).
pub fn prepare_path(path: impl AsRef<Path>, limits: &Limits, spec: &InputSpec) -> Result<Prepared, Error> {
    let path = path.as_ref();
    let bytes = file::read_file(path, limits.max_alloc)?;
    catch_panic("the decoder", || prepare_as(&bytes, limits, spec, format_by_extension(path)))
        .map_err(|error| error.at(path))
}

fn prepare_as(
    bytes: &[u8],
    limits: &Limits,
    spec: &InputSpec,
    expected: &'static str,
) -> Result<Prepared, Error> {
    let opened = Opened::new(bytes, limits, expected)?;
    if let Some(prepared) = reduced(bytes, &opened, spec) {
        return Ok(prepared);
    }
    let Photo { rgb, format, orientation } = opened.decode()?;
    let (input, frame) = fit(Cow::Owned(rgb), spec);
    Ok(Prepared { input: input.into_owned(), frame, format, orientation })
}

/// Prepares a JPEG at a reduced size; `None` if it is to be decoded in full, which also finds what is wrong with it.
fn reduced(bytes: &[u8], opened: &Opened<'_>, spec: &InputSpec) -> Option<Prepared> {
    let (format, orientation) = (opened.format, opened.orientation);
    // Nearest takes single pixels of the photo, not averages.
    if spec.decode == Decode::Full || format != ImageFormat::Jpeg || spec.filter == Filter::Nearest {
        return None;
    }
    let frame = Frame::of(exif::orient_size(opened.stored(), orientation), spec);
    // The content is resized as stored, and rotated then: that is faster.
    let to = exif::orient_size(frame.content().0, orientation);
    let content = reduced::decode(bytes, opened.stored(), to, spec.filter)?;
    let mut upright = DynamicImage::ImageRgb8(content);
    upright.apply_orientation(orientation);
    Some(Prepared { input: pad(upright.into_rgb8(), &frame), frame, format, orientation })
}
