//! Recognises kinds of files that the first few bytes do not determine: containers, RAW photos in TIFF structures,
//! text.

use super::table::{AVI, AVIF, HEIC, MATROSKA, MP4, PNM, QUICKTIME, RAW, SVG, TIFF, WEBM, WEBP};
use super::{FileKind, START};

/// The kind of a file that its first few bytes do not determine.
pub(super) fn container(bytes: &[u8]) -> Option<&'static FileKind> {
    match bytes {
        [b'R', b'I', b'F', b'F', _, _, _, _, form @ ..] if form.starts_with(b"WEBP") => Some(&WEBP),
        [b'R', b'I', b'F', b'F', _, _, _, _, form @ ..] if form.starts_with(b"AVI ") => Some(&AVI),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some(of_brands(bytes)),
        // Old QuickTime files, which have no brands.
        [_, _, _, _, b'm', b'o', b'o', b'v', ..]
        | [_, _, _, _, b'm', b'd', b'a', b't', ..]
        | [_, _, _, _, b'w', b'i', b'd', b'e', ..] => Some(&QUICKTIME),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => {
            Some(if contains(&bytes[..bytes.len().min(64)], b"webm") { &WEBM } else { &MATROSKA })
        }
        [b'P', b'1'..=b'7', space, ..] if space.is_ascii_whitespace() => Some(&PNM),
        [b'I', b'I', 0x2a, 0, ..] | [b'M', b'M', 0, 0x2a, ..] => {
            Some(if is_raw(bytes).unwrap_or(false) { &RAW } else { &TIFF })
        }
        _ => is_svg(bytes).then_some(&SVG),
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(bytes, part).is_some()
}

/// The brands of an ISO base media file (ISO/IEC 14496-12): the major one, then those it is compatible with.
fn of_brands(bytes: &[u8]) -> &'static FileKind {
    const MAX_BRANDS: usize = 64;
    let length = bytes.first_chunk().map_or(0, |length| u32::from_be_bytes(*length) as usize);
    let end = length.min(bytes.len()).min(4 * MAX_BRANDS);
    let brands = || bytes.get(8..end.max(8)).unwrap_or_default().as_chunks::<4>().0.iter();
    let has = |wanted: &[&[u8; 4]]| brands().any(|brand| wanted.contains(&brand));
    match brands().next() {
        Some(b"qt  ") => &QUICKTIME,
        Some(b"crx ") => &RAW,
        _ if has(&[b"avif", b"avis"]) => &AVIF,
        _ if has(&[b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"]) => &HEIC,
        _ => &MP4,
    }
}

/// Whether a TIFF is a camera's RAW file, or begins with a thumbnail as most of them do: a decoder would return the
/// thumbnail as the photo. Tags are those of TIFF 6.0, TIFF/EP and DNG.
fn is_raw(bytes: &[u8]) -> Option<bool> {
    const MAX_TAGS: u16 = 512;
    let big = bytes.first()? == &b'M';
    let short = |at: usize| {
        let two = *bytes.get(at..)?.first_chunk()?;
        Some(if big { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) })
    };
    let long = |at: usize| {
        let four = *bytes.get(at..)?.first_chunk()?;
        Some(if big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
    };
    if bytes.get(8..10)? == b"CR" {
        return Some(true);
    }
    let directory = usize::try_from(long(4)?).ok()?;
    for i in 0..usize::from(short(directory)?.min(MAX_TAGS)) {
        let entry = directory.checked_add(2 + 12 * i)?;
        let value = entry.checked_add(8)?;
        let raw = match short(entry)? {
            // NewSubfileType: a reduced version of another image in the file.
            254 => long(value)? & 1 == 1,
            // Compression: those of Nikon, Sony and Pentax.
            259 => matches!(short(value)?, 34713 | 32767 | 65535),
            // PhotometricInterpretation: a colour filter array, linear raw.
            262 => matches!(short(value)?, 32803 | 34892),
            // DNGVersion.
            50706 => true,
            _ => false,
        };
        if raw {
            return Some(true);
        }
    }
    Some(false)
}

/// Whether text begins as an SVG document; a web page with an SVG drawing in it does not count.
fn is_svg(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let text = &text[..text.len().min(START)];
    text.starts_with(b"<svg")
        || ((text.starts_with(b"<?xml") || text.starts_with(b"<!--") || text.starts_with(b"<!DOCTYPE svg"))
            && contains(text, b"<svg")
            && !contains(text, b"<html"))
}
