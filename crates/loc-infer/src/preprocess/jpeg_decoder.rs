//! A decoder of JPEGs for the crate `image`, by zune-jpeg as its own, with the same pixels and errors. But it reads the bytes where
//! they are, and the header once: of a large photo of which only the header is wanted, `image` would copy the whole file.

use image::error::{DecodingError, ImageFormatHint, UnsupportedError, UnsupportedErrorKind};
use image::{ColorType, ImageDecoder, ImageError, ImageFormat, ImageResult};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

/// A JPEG whose header was read.
pub(super) struct Jpeg<'a> {
    decoder: JpegDecoder<ZCursor<&'a [u8]>>,
    size: (u32, u32),
    color_type: ColorType,
}

impl<'a> Jpeg<'a> {
    /// Reads the header. The size is not limited.
    pub(super) fn open(bytes: &'a [u8]) -> ImageResult<Self> {
        let options = DecoderOptions::default()
            .set_strict_mode(false)
            .set_max_width(usize::MAX)
            .set_max_height(usize::MAX);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        decoder.decode_headers().map_err(error_of)?;
        let header = || DecodeErrors::FormatStatic("no size in the header");
        let (width, height) = decoder.dimensions().ok_or_else(|| error_of(header()))?;
        let side = |side: usize| u32::try_from(side).map_err(|_| error_of(header()));
        let (colors, color_type) = match decoder.input_colorspace() {
            Some(ColorSpace::Luma) => (ColorSpace::Luma, ColorType::L8),
            _ => (ColorSpace::RGB, ColorType::Rgb8),
        };
        decoder.set_options(options.jpeg_set_out_colorspace(colors));
        Ok(Self { decoder, size: (side(width)?, side(height)?), color_type })
    }
}

impl ImageDecoder for Jpeg<'_> {
    fn dimensions(&self) -> (u32, u32) {
        self.size
    }

    fn color_type(&self) -> ColorType {
        self.color_type
    }

    fn read_image(mut self, buf: &mut [u8]) -> ImageResult<()> {
        self.decoder.decode_into(buf).map_err(error_of)
    }

    fn read_image_boxed(self: Box<Self>, buf: &mut [u8]) -> ImageResult<()> {
        (*self).read_image(buf)
    }
}

/// As the errors of `image`'s own decoder.
fn error_of(error: DecodeErrors) -> ImageError {
    let format = ImageFormatHint::from(ImageFormat::Jpeg);
    match error {
        DecodeErrors::Unsupported(what) => {
            let kind = UnsupportedErrorKind::GenericFeature(format!("{what:?}"));
            ImageError::Unsupported(UnsupportedError::from_format_and_kind(format, kind))
        }
        error => ImageError::Decoding(DecodingError::new(format, error)),
    }
}
