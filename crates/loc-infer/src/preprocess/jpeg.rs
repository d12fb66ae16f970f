//! The markers of a JPEG: whether the file is complete, and the segments before the pixels. The decoder accepts a file
//! that was cut short and fills the missing pixels with grey; the check here makes that an error.

pub(super) const MARKER: u8 = 0xFF;
const START_OF_IMAGE: u8 = 0xD8;
pub(super) const END_OF_IMAGE: u8 = 0xD9;
const START_OF_SCAN: u8 = 0xDA;

/// Whether the image that begins here reaches its end-of-image marker after at least one scan.
///
/// Segments are skipped by their length, so the end marker of an EXIF thumbnail does not count. Bytes after the end (a
/// second image, maker notes, garbage) are ignored.
pub(super) fn is_complete(bytes: &[u8]) -> bool {
    find_end(bytes).is_some()
}

/// Reads the markers up to the end of the image (ITU-T T.81, annex B); `None` if the bytes end before it.
fn find_end(bytes: &[u8]) -> Option<()> {
    let mut scans = 0;
    for Segment { marker, content, .. } in segments(bytes)? {
        match marker {
            END_OF_IMAGE => return (scans > 0).then_some(()),
            START_OF_SCAN if content.is_some() => scans += 1,
            _ => {}
        }
    }
    None
}

/// The content, without the prefix, of the first segment with this marker and prefix before the pixels.
pub(super) fn segment<'a>(bytes: &'a [u8], marker: u8, prefix: &[u8]) -> Option<&'a [u8]> {
    segments(bytes)?
        .take_while(|segment| !matches!(segment.marker, START_OF_SCAN | END_OF_IMAGE))
        .filter(|segment| segment.marker == marker)
        .find_map(|segment| segment.content?.strip_prefix(prefix))
}

/// The markers of the image that begins here, in turn, up to where the bytes end; `None` if no image begins here.
pub(super) fn segments(bytes: &[u8]) -> Option<impl Iterator<Item = Segment<'_>>> {
    let mut rest = bytes.strip_prefix(&[MARKER, START_OF_IMAGE])?;
    Some(std::iter::from_fn(move || {
        let segment = next_segment(rest)?;
        rest = segment.rest;
        Some(segment)
    }))
}

/// A marker with its segment.
pub(super) struct Segment<'a> {
    pub(super) marker: u8,
    /// The content of the segment; `None` for markers without one.
    pub(super) content: Option<&'a [u8]>,
    /// The bytes after the segment.
    pub(super) rest: &'a [u8],
}

fn next_segment(bytes: &[u8]) -> Option<Segment<'_>> {
    let (marker, rest) = next_marker(bytes)?;
    // TEM, RST0..7, a repeated start of image and the end have no segment.
    if matches!(marker, 0x01 | 0xD0..=END_OF_IMAGE) {
        return Some(Segment { marker, content: None, rest });
    }
    let length = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
    // The length includes its own two bytes.
    let (segment, rest) = rest.split_at_checked(length.max(2))?;
    Some(Segment { marker, content: segment.get(2..), rest })
}

/// The next marker and the bytes after it. Skips entropy-coded data (in which 00 follows each FF) and stray bytes, as
/// decoders do.
fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let mut rest = bytes;
    loop {
        let at = memchr::memchr(MARKER, rest)?;
        rest = rest.get(at + 1..)?;
        // Any number of FF may precede a marker's second byte.
        let code = rest.iter().position(|b| *b != MARKER)?;
        let marker = rest[code];
        rest = &rest[code + 1..];
        if marker != 0 {
            return Some((marker, rest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Start of image, an EXIF-like segment with a complete thumbnail, a scan header of two bytes.
    const HEAD: &[u8] = b"\xff\xd8\xff\xe1\x00\x0a\xff\xd8\xff\xda\x00\x02\xff\xd9\xff\xda\x00\x02";

    #[test]
    fn the_end_is_the_end_marker_of_the_image_itself() {
        for (what, scan, complete) in [
            ("whole", &b"abc\xff\xd9"[..], true),
            ("stuffed and restarted", b"a\xff\x00b\xff\xd0c\xff\xd9", true),
            ("fill bytes", b"abc\xff\xff\xff\xd9", true),
            ("second scan", b"a\xff\xc4\x00\x03\xd9\xff\xda\x00\x02b\xff\xd9", true),
            ("garbage after it", b"abc\xff\xd9 and more \xff", true),
            ("cut in the scan", b"abc", false),
            ("cut in the end marker", b"abc\xff", false),
            ("end marker inside a table", b"abc\xff\xc4\x00\x08\xff\xd9\xff\xd9", false),
            ("stuffed end", b"abc\xff\x00\xd9", false),
        ] {
            assert_eq!(is_complete(&[HEAD, scan].concat()), complete, "{what}");
        }
        for cut in 0..HEAD.len() {
            assert!(!is_complete(&HEAD[..cut]), "cut at {cut}");
        }
        assert!(!is_complete(b"\xff\xd8\xff\xd9"), "an end without a scan");
    }
}
