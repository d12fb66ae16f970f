//! The EXIF orientation of a photo, from the EXIF block of each format.

use image::metadata::Orientation;
use image::{ImageDecoder, ImageFormat};

use super::jpeg;
use crate::{BBox, ImageSize};

/// Tag 274 of a TIFF directory.
const ORIENTATION: u16 = 0x0112;
/// The prefix of the block in JPEG; some programs write it in PNG and WebP, too.
const PREFIX: &[u8] = b"Exif\0\0";

/// The orientation in the photo's EXIF block; `NoTransforms` if there is no block or it is damaged, because the photo
/// itself may be intact.
pub(super) fn orientation(format: ImageFormat, bytes: &[u8], decoder: &mut impl ImageDecoder) -> Orientation {
    let block = match format {
        // The first block is used, as in browsers and in PIL; image's decoder would take the last.
        ImageFormat::Jpeg => jpeg::segment(bytes, 0xE1, PREFIX).map(<[u8]>::to_vec),
        // The chunk may follow the pixels, where image's decoder does not read it.
        ImageFormat::Png => png_chunk(bytes, *b"eXIf").map(<[u8]>::to_vec),
        ImageFormat::WebP => decoder.exif_metadata().ok().flatten(),
        _ => return decoder.orientation().unwrap_or(Orientation::NoTransforms),
    };
    block.as_deref().and_then(parse).unwrap_or(Orientation::NoTransforms)
}

/// The size of a stored photo once it is oriented upright; applied again, it returns the stored size.
#[must_use]
pub fn orient_size(size: ImageSize, orientation: Orientation) -> ImageSize {
    if swaps_sides(orientation) { ImageSize { width: size.height, height: size.width } } else { size }
}

/// A box on the stored pixels of a photo of size `stored`, as a box on the upright photo. Both in pixels; ordered edges
/// stay ordered.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "photos beyond 2^24 pixels a side are refused")]
pub fn orient_box(bbox: BBox, stored: ImageSize, orientation: Orientation) -> BBox {
    let BBox { x1, y1, x2, y2 } = bbox;
    let (w, h) = (stored.width as f32, stored.height as f32);
    match orientation {
        Orientation::NoTransforms => bbox,
        Orientation::FlipHorizontal => BBox::new(w - x2, y1, w - x1, y2),
        Orientation::Rotate180 => BBox::new(w - x2, h - y2, w - x1, h - y1),
        Orientation::FlipVertical => BBox::new(x1, h - y2, x2, h - y1),
        Orientation::Rotate90FlipH => BBox::new(y1, x1, y2, x2),
        Orientation::Rotate90 => BBox::new(h - y2, x1, h - y1, x2),
        Orientation::Rotate270FlipH => BBox::new(h - y2, w - x2, h - y1, w - x1),
        Orientation::Rotate270 => BBox::new(y1, w - x2, y2, w - x1),
    }
}

fn swaps_sides(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// The orientation in a TIFF structure of either byte order. EXIF 2.32 requires the type SHORT; all integer types are
/// read, and the first of several values.
fn parse(mut block: &[u8]) -> Option<Orientation> {
    while let Some(rest) = block.strip_prefix(PREFIX) {
        block = rest;
    }
    let little = match block.get(..4)? {
        b"II\x2a\0" => true,
        b"MM\0\x2a" => false,
        _ => return None,
    };
    let number = |at: usize, length: usize| {
        let bytes = block.get(at..at.checked_add(length)?)?;
        let shifted = |sum: u32, byte: &u8| sum << 8 | u32::from(*byte);
        Some(if little { bytes.iter().rev().fold(0, shifted) } else { bytes.iter().fold(0, shifted) })
    };
    let directory = usize::try_from(number(4, 4)?).ok()?;
    let entries = usize::try_from(number(directory, 2)?).ok()?;
    for entry in 0..entries {
        let at = directory.checked_add(2 + 12 * entry)?;
        if number(at, 2)? != u32::from(ORIENTATION) {
            continue;
        }
        let (kind, count) = (number(at + 2, 2)?, number(at + 4, 4)?);
        let length: u32 = match kind {
            // BYTE and SBYTE, SHORT and SSHORT, LONG and SLONG: the values 1 to 8 have the same bytes with and without
            // a sign.
            1 | 6 => 1,
            3 | 8 => 2,
            4 | 9 => 4,
            _ => return None,
        };
        // Values of more than four bytes are stored elsewhere, and the entry has their offset.
        let at = match count {
            0 => return None,
            _ if count.saturating_mul(length) <= 4 => at + 8,
            _ => usize::try_from(number(at + 8, 4)?).ok()?,
        };
        let value = number(at, usize::try_from(length).ok()?)?;
        return Orientation::from_exif(u8::try_from(value).ok()?);
    }
    None
}

/// The content of a PNG's first chunk of this type.
fn png_chunk(bytes: &[u8], kind: [u8; 4]) -> Option<&[u8]> {
    let mut rest = bytes.get(8..)?;
    loop {
        let length = usize::try_from(u32::from_be_bytes(rest.first_chunk().copied()?)).ok()?;
        let name = rest.get(4..8)?;
        let end = length.checked_add(8)?;
        if name == kind {
            return rest.get(8..end);
        }
        // A checksum of four bytes follows the content.
        rest = rest.get(end.checked_add(4)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An EXIF block with one entry of this type and count, its four bytes of value, and `rest` after the directory.
    fn block(little: bool, (kind, count): (u16, u32), value: [u8; 4], rest: &[u8]) -> Vec<u8> {
        let short = |v: u16| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        let long = |v: u32| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        let mut out = if little { b"II\x2a\0".to_vec() } else { b"MM\0\x2a".to_vec() };
        out.extend(long(8));
        out.extend(short(1));
        out.extend(short(ORIENTATION));
        out.extend(short(kind));
        out.extend(long(count));
        out.extend(value);
        out.extend(long(0));
        out.extend(rest);
        out
    }

    #[test]
    fn every_integer_type_in_both_byte_orders() {
        for (kind, big, little) in [
            (1, [6, 0, 0, 0], [6, 0, 0, 0]),
            (3, [0, 6, 0, 0], [6, 0, 0, 0]),
            (4, [0, 0, 0, 6], [6, 0, 0, 0]),
            (6, [6, 0, 0, 0], [6, 0, 0, 0]),
            (8, [0, 6, 0, 0], [6, 0, 0, 0]),
            (9, [0, 0, 0, 6], [6, 0, 0, 0]),
        ] {
            for (order, value) in [(false, big), (true, little)] {
                let block = block(order, (kind, 1), value, b"");
                assert_eq!(parse(&block), Some(Orientation::Rotate90), "type {kind}, little {order}");
                let prefixed = [PREFIX, PREFIX, &block].concat();
                assert_eq!(parse(&prefixed), Some(Orientation::Rotate90), "type {kind}, with a prefix");
            }
        }
        // The first of several values; values that do not fit into the entry follow the directory, at byte 26.
        assert_eq!(parse(&block(true, (3, 2), [6, 0, 1, 0], b"")), Some(Orientation::Rotate90));
        assert_eq!(
            parse(&block(false, (3, 3), [0, 0, 0, 26], &[0, 6, 0, 1, 0, 1])),
            Some(Orientation::Rotate90)
        );
    }

    #[test]
    fn invalid_values_and_types_give_no_orientation() {
        for value in [[0, 0, 0, 0], [0, 9, 0, 0], [1, 6, 0, 0], [255, 255, 0, 0]] {
            assert_eq!(parse(&block(false, (3, 1), value, b"")), None, "{value:?}");
        }
        // ASCII, RATIONAL, FLOAT, no value, a type that does not exist.
        for kind in [(2, 1), (5, 1), (11, 1), (3, 0), (77, 1)] {
            assert_eq!(parse(&block(false, kind, [0, 6, 0, 0], b"")), None, "{kind:?}");
        }
        let complete = block(true, (3, 1), [6, 0, 0, 0], b"");
        for cut in 0..20 {
            assert_eq!(parse(&complete[..cut]), None, "cut at {cut}");
        }
        for directory in [u32::MAX, u32::MAX - 1, 1_000_000] {
            let mut damaged = complete.clone();
            damaged[4..8].copy_from_slice(&directory.to_le_bytes());
            assert_eq!(parse(&damaged), None, "directory at {directory}");
        }
    }

    #[test]
    fn a_truncated_png_gives_no_chunk() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\x02IDATab....\0\0\0\x03eXIfxyz....";
        assert_eq!(png_chunk(png, *b"eXIf"), Some(&b"xyz"[..]));
        for cut in 0..png.len() - 4 {
            assert_eq!(png_chunk(&png[..cut], *b"eXIf"), None, "cut at {cut}");
        }
        assert_eq!(png_chunk(b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIDAT", *b"eXIf"), None);
    }
}
