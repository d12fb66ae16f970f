//! Decodes bytes to an upright RGB photo, within limits. The content determines the format, not the file name.

use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, RgbImage};

use super::jpeg_decoder::Jpeg;
use super::kind::{FileKind, READ};
use super::{exif, jpeg, rgb};
use crate::error::{catch_panic, start_of};
use crate::{Error, ImageSize, file};

/// Limits on the size of a photo. They are checked with the header, before memory for the pixels is allocated.
///
/// Decoding needs at most about four times `max_alloc` of memory (the coefficients of a progressive JPEG, the pixels as
/// stored, as RGB, and upright).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest width, in pixels; 20,000 by default.
    pub max_width: u32,
    /// Largest height, in pixels; 20,000 by default.
    pub max_height: u32,
    /// Largest size, in bytes, of the file, of its pixels as stored and of its pixels as RGB; 256 MiB by default.
    pub max_alloc: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_width: 20_000, max_height: 20_000, max_alloc: 256 << 20 }
    }
}

/// A decoded photo.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Photo {
    /// The pixels, upright (EXIF orientation applied). Never empty.
    pub rgb: RgbImage,
    /// The format of the content; the file's extension may be that of another format.
    pub format: ImageFormat,
    /// How the stored pixels were rotated or flipped to be upright.
    pub orientation: Orientation,
}

impl Photo {
    /// Width and height, upright.
    #[must_use]
    pub fn size(&self) -> ImageSize {
        ImageSize::of(&self.rgb)
    }
}

/// Decodes a photo: JPEG, PNG or BMP, with the feature `formats` also GIF (first frame), WebP and TIFF (first page).
///
/// The pixels are converted to RGB8 ([`to_rgb8`](super::to_rgb8)), and the EXIF orientation is applied. Colour profiles
/// and gamma are not applied: the stored values are used as they are, as in PIL and OpenCV. CMYK and YCCK JPEGs are
/// read as Adobe writes them (inverted): red = C·K/255, and so on.
///
/// # Errors
///
/// [`Error`] if the bytes are not such an image, exceed the limits, have no pixels, or are damaged. A JPEG without its
/// end-of-image marker is an error, although most decoders would fill the missing part with grey; bytes after the
/// marker are ignored.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Photo, Error> {
    catch_panic("the decoder", || decode_as(bytes, limits, READ))
}

/// Decodes a file's photo as [`decode`] does.
///
/// # Errors
///
/// [`Error::At`] with the path if the file cannot be read, is not a regular file, is larger than
/// [`Limits::max_alloc`], or for the reasons of [`decode`].
pub fn decode_path(path: impl AsRef<Path>, limits: &Limits) -> Result<Photo, Error> {
    let path = path.as_ref();
    let bytes = file::read_file(path, limits.max_alloc)?;
    catch_panic("the decoder", || decode_as(&bytes, limits, format_by_extension(path)))
        .map_err(|error| error.at(path))
}

/// Reads the width and height of an encoded photo, upright, from its header; the pixels may still be damaged.
///
/// # Errors
///
/// As [`decode`], for errors in the header.
pub fn upright_size(bytes: &[u8], limits: &Limits) -> Result<ImageSize, Error> {
    let opened = Opened::new(bytes, limits, READ)?;
    Ok(exif::orient_size(opened.stored(), opened.orientation))
}

fn decode_as(bytes: &[u8], limits: &Limits, expected: &'static str) -> Result<Photo, Error> {
    Opened::new(bytes, limits, expected)?.decode()
}

/// A photo whose header was read: its size is within the limits.
pub(super) struct Opened<'a> {
    bytes: &'a [u8],
    pub(super) format: ImageFormat,
    decoder: Box<dyn ImageDecoder + 'a>,
    pub(super) orientation: Orientation,
}

impl<'a> Opened<'a> {
    /// Reads the header. `expected` is the name of the format that the bytes should have.
    pub(super) fn new(bytes: &'a [u8], limits: &Limits, expected: &'static str) -> Result<Self, Error> {
        let (format, decoder, orientation) = open(bytes, limits, expected)?;
        Ok(Self { bytes, format, decoder, orientation })
    }

    /// The size of the stored photo.
    pub(super) fn stored(&self) -> ImageSize {
        let (width, height) = self.decoder.dimensions();
        ImageSize { width, height }
    }

    /// Decodes all pixels.
    pub(super) fn decode(self) -> Result<Photo, Error> {
        let Self { bytes, format, decoder, orientation } = self;
        if format == ImageFormat::Jpeg && !jpeg::is_complete(bytes) {
            return Err(Error::Truncated { bytes: bytes.len() });
        }
        let stored = DynamicImage::from_decoder(decoder).map_err(|error| damaged(format, error))?;
        let mut upright = DynamicImage::ImageRgb8(rgb::to_rgb8(stored));
        upright.apply_orientation(orientation);
        Ok(Photo { rgb: upright.into_rgb8(), format, orientation })
    }
}

/// Reads the header: the format, a decoder within the limits, the orientation.
fn open<'a>(
    bytes: &'a [u8],
    limits: &Limits,
    expected: &'static str,
) -> Result<(ImageFormat, Box<dyn ImageDecoder + 'a>, Orientation), Error> {
    if bytes.is_empty() {
        return Err(Error::Empty);
    }
    let Some(kind) = FileKind::of_content(bytes) else {
        return Err(Error::NotAPhoto { expected, start: start_of(bytes) });
    };
    let Some(format) = kind.format() else {
        return Err(Error::UnsupportedFormat { what: kind.what(), hint: kind.hint() });
    };
    // A JPEG that is truncated in its header gets the same error as one that is truncated in its pixels.
    let header = |error| match error {
        ImageError::Limits(_) => damaged(format, error),
        _ if format == ImageFormat::Jpeg && !jpeg::is_complete(bytes) => {
            Error::Truncated { bytes: bytes.len() }
        }
        error => damaged(format, error),
    };
    // Opened without limits on the size, so that the error can contain it.
    let mut decoder: Box<dyn ImageDecoder + 'a> = if format == ImageFormat::Jpeg {
        Box::new(Jpeg::open(bytes).map_err(header)?)
    } else {
        let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
        reader.limits(image_limits(limits));
        Box::new(reader.into_decoder().map_err(header)?)
    };
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(Error::ZeroSize { width, height });
    }
    if matches!(decoder.color_type(), ColorType::Rgb32F | ColorType::Rgba32F) {
        // The range of their values is unknown: 0 to 1, 0 to 255, or a length in metres.
        return Err(Error::UnsupportedFormat {
            what: "a TIFF photo of floating-point numbers",
            hint: "convert it to 8 bits a channel",
        });
    }
    let rgb = 3 * u64::from(width) * u64::from(height);
    if width > limits.max_width
        || height > limits.max_height
        || rgb.max(decoder.total_bytes()) > limits.max_alloc
    {
        return Err(Error::TooLarge { width, height, limits: *limits });
    }
    let orientation = exif::orientation(format, bytes, &mut decoder);
    Ok((format, decoder, orientation))
}

/// The limit on the decoder's memory. Width and height are checked in `open`, whose error has the numbers.
fn image_limits(limits: &Limits) -> image::Limits {
    let mut image_limits = image::Limits::no_limits();
    image_limits.max_alloc = Some(limits.max_alloc);
    image_limits
}

fn damaged(format: ImageFormat, error: ImageError) -> Error {
    Error::Decode { format: FileKind::of_format(format).map_or("photo", FileKind::format_name), error }
}

/// The name of the format of a file extension.
pub(super) fn format_by_extension(path: &Path) -> &'static str {
    FileKind::of_ending(path).filter(|kind| kind.is_read()).map_or(READ, FileKind::format_name)
}
