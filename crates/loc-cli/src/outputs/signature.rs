//! The signature in pictures, plots and annotations written by loc: the command, and a checksum of the rest of the file. A
//! file that was changed afterwards is no longer recognised as loc's output.

/// Length of the PNG signature and the header's chunk, behind which other chunks may begin.
const PNG_HEADER: usize = 8 + 25;

/// Formats that can hold a signature.
enum Format {
    /// A `tEXt` chunk behind the header.
    Png,
    /// A comment segment behind the JFIF header.
    Jpeg,
    /// A comment behind the root element.
    Xml,
}

impl Format {
    fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', ..] if bytes.len() > PNG_HEADER => Some(Self::Png),
            [0xff, 0xd8, ..] if Self::after_jfif(bytes) <= bytes.len() => Some(Self::Jpeg),
            [b'<', ..] => Some(Self::Xml),
            _ => None,
        }
    }

    /// The position of the signature in a file without one.
    fn place(&self, bytes: &[u8]) -> usize {
        match self {
            Self::Png => PNG_HEADER,
            Self::Jpeg => Self::after_jfif(bytes),
            Self::Xml => bytes.len(),
        }
    }

    fn after_jfif(bytes: &[u8]) -> usize {
        match bytes {
            [_, _, 0xff, 0xe0, high, low, ..] => 4 + usize::from(u16::from_be_bytes([*high, *low])),
            _ => 2,
        }
    }

    /// The signature of a file whose other bytes are `rest`; its length does not depend on them.
    fn mark(&self, by: &str, rest: &[u8]) -> Vec<u8> {
        let text = format!("{by}, CRC-32 {:08x}", crc32fast::hash(rest));
        let length = |of: &[u8]| u16::try_from(of.len()).unwrap_or_default();
        match self {
            Self::Png => {
                let chunk = [b"tEXtSoftware\0", text.as_bytes()].concat();
                let data = u32::from(length(&chunk[4..])).to_be_bytes();
                [&data[..], &chunk, &crc32fast::hash(&chunk).to_be_bytes()].concat()
            }
            Self::Jpeg => {
                let segment = (length(text.as_bytes()) + 2).to_be_bytes();
                [&[0xff, 0xfe], &segment[..], text.as_bytes()].concat()
            }
            Self::Xml => format!("<!-- {text} -->\n").into_bytes(),
        }
    }
}

/// Adds the signature; unchanged if the format cannot hold one.
pub(super) fn signed(mut bytes: Vec<u8>, by: &str) -> Vec<u8> {
    if let Some(format) = Format::of(&bytes) {
        let (place, mark) = (format.place(&bytes), format.mark(by, &bytes));
        bytes.splice(place..place, mark);
    }
    bytes
}

/// Whether the file is as [`signed`] returned it.
pub(super) fn is_signed(bytes: &[u8], by: &str) -> bool {
    let Some(format) = Format::of(bytes) else { return false };
    let length = format.mark(by, &[]).len();
    let place = match format {
        Format::Xml => bytes.len().saturating_sub(length),
        _ => format.place(bytes),
    };
    let Some(end) = place.checked_add(length).filter(|end| *end <= bytes.len()) else { return false };
    let rest = [&bytes[..place], &bytes[end..]].concat();
    bytes[place..end] == format.mark(by, &rest)
}

#[cfg(test)]
mod tests {
    use image::ImageFormat;

    use super::*;

    fn picture(format: ImageFormat) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image::RgbImage::from_fn(20, 10, |x, y| image::Rgb([x as u8, y as u8, 7]))
            .write_to(&mut bytes, format)
            .unwrap();
        bytes.into_inner()
    }

    #[test]
    fn marked_files_are_known_again_and_read_as_before() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            let plain = picture(format);
            let ours = signed(plain.clone(), "loc predict");
            assert!(!is_signed(&plain, "loc predict") && is_signed(&ours, "loc predict"), "{format:?}");
            let pixels = |bytes: &[u8]| image::load_from_memory_with_format(bytes, format).unwrap();
            assert_eq!(pixels(&plain), pixels(&ours), "{format:?}");
        }
        let ours = signed(b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>\n".to_vec(), "loc lr-find");
        assert!(is_signed(&ours, "loc lr-find"));
        assert!(String::from_utf8(ours).unwrap().contains("<!-- loc lr-find, CRC-32 "));
    }

    #[test]
    fn another_command_another_byte_and_a_cut_are_not_ours() {
        let files = [
            picture(ImageFormat::Png),
            picture(ImageFormat::Jpeg),
            b"<annotation>\n</annotation>\n".to_vec(),
        ];
        for plain in files {
            let ours = signed(plain, "loc predict");
            assert!(!is_signed(&ours, "loc data show"));
            for at in 0..ours.len() {
                let mut changed = ours.clone();
                changed[at] ^= 1;
                assert!(!is_signed(&changed, "loc predict"), "byte {at}");
                assert!(!is_signed(&ours[..at], "loc predict"), "cut at {at}");
            }
        }
        for odd in [&b""[..], b"<", b"\xff\xd8", b"\xff\xd8\xff\xe0\xff\xff", b"\x89PNG", b"text"] {
            assert!(!is_signed(odd, "loc predict"));
            assert!(signed(odd.to_vec(), "x").starts_with(odd));
        }
    }
}
