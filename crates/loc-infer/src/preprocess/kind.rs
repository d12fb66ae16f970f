//! The kinds of files that are found among photos, with their file extensions: formats that are read, and formats that
//! are only recognised for error messages. The content determines the kind; the extension may be wrong.

mod content;
mod table;

use std::io::Read;
use std::path::Path;

use image::ImageFormat;

use self::table::KINDS;
use crate::file;

/// A kind of file that is found among photos.
#[derive(Debug, PartialEq, Eq)]
pub struct FileKind {
    what: &'static str,
    /// Without the dot, in lower case.
    endings: &'static [&'static str],
    /// The first bytes of its files, if these determine the kind.
    starts: &'static [&'static [u8]],
    /// Its decoder, in builds that have it.
    format: Option<ImageFormat>,
    /// Whether it is a single picture, as from a camera or a scanner.
    photo: bool,
    hint: &'static str,
}

/// The formats that this build reads, as text for errors.
pub(super) const READ: &str =
    if cfg!(feature = "formats") { "JPEG, PNG, BMP, GIF, WebP or TIFF" } else { "JPEG, PNG or BMP" };

/// The number of bytes from the start of a file that determine its kind.
const START: usize = 4096;

impl FileKind {
    /// The kind of a file that starts with these bytes; the first 4,096 are enough.
    #[must_use]
    pub fn of_content(bytes: &[u8]) -> Option<&'static Self> {
        content::container(bytes).or_else(|| {
            KINDS.into_iter().find(|kind| kind.starts.iter().any(|start| bytes.starts_with(start)))
        })
    }

    /// The kind of a file by its extension, in upper or lower case.
    #[must_use]
    pub fn of_ending(path: &Path) -> Option<&'static Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        KINDS.into_iter().find(|kind| kind.endings.contains(&ending.as_str()))
    }

    /// The kind of a decoder's format.
    #[must_use]
    pub fn of_format(format: ImageFormat) -> Option<&'static Self> {
        KINDS.into_iter().find(|kind| kind.format == Some(format))
    }

    /// The kind of a regular file by its content; `None` if the content is not known or cannot be read.
    #[must_use]
    pub fn of_file(path: &Path) -> Option<&'static Self> {
        let (file, _) = file::open(path, u64::MAX).ok()?;
        let mut start = Vec::new();
        file.take(START as u64).read_to_end(&mut start).ok()?;
        Self::of_content(&start)
    }

    /// The kind of a file's content if its extension belongs to another kind. Such a photo is read all the same.
    #[must_use]
    pub fn misnamed(path: &Path) -> Option<&'static Self> {
        let by_extension = Self::of_ending(path)?;
        Self::of_file(path).filter(|kind| *kind != by_extension)
    }

    /// The file extensions of the photos that this build reads, without the dot and in lower case; the usual one of
    /// each format first.
    pub fn read_endings() -> impl Iterator<Item = &'static str> {
        KINDS.into_iter().filter(|kind| kind.is_read()).flat_map(|kind| kind.endings.iter().copied())
    }

    /// What it is, with the article: "a JPEG photo", "an MP4 video".
    #[must_use]
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// What it is, without the article: "JPEG photo", "MP4 video".
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.what.split_once(' ').map_or(self.what, |(_, name)| name)
    }

    /// Whether it is a photo, even if its format is not read.
    #[must_use]
    pub fn is_photo(&self) -> bool {
        self.photo
    }

    /// Whether this build reads it.
    #[must_use]
    pub fn is_read(&self) -> bool {
        match self.format {
            Some(ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::Bmp) => true,
            Some(_) => cfg!(feature = "formats"),
            None => false,
        }
    }

    /// What to do with a file of a kind that is not read.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        self.hint
    }

    /// Its decoder, if this build has it.
    pub(super) fn format(&self) -> Option<ImageFormat> {
        self.format.filter(|_| self.is_read())
    }

    /// The name of the format alone: "JPEG".
    #[must_use]
    pub fn format_name(&self) -> &'static str {
        self.name().strip_suffix(" photo").unwrap_or(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Option<&'static str> {
        FileKind::of_content(bytes).map(FileKind::what)
    }

    #[test]
    fn no_extension_belongs_to_two_kinds() {
        let mut all: Vec<&str> = KINDS.iter().flat_map(|kind| kind.endings.iter().copied()).collect();
        assert!(all.iter().all(|ending| *ending == ending.to_lowercase() && !ending.contains('.')));
        all.sort_unstable();
        assert!(all.windows(2).all(|pair| pair[0] != pair[1]), "{all:?}");
        for kind in KINDS {
            assert!(kind.what.starts_with("a ") || kind.what.starts_with("an "), "{}", kind.what);
        }
    }

    #[test]
    fn the_text_lists_the_formats_that_are_read() {
        let names: Vec<&str> =
            KINDS.iter().filter(|kind| kind.is_read()).map(|kind| kind.format_name()).collect();
        assert_eq!(READ.replace(" or ", ", "), names.join(", "));
        for kind in KINDS.iter().filter(|kind| kind.is_read()) {
            let format = kind.format().unwrap();
            assert!(format.extensions_str().contains(&kind.endings[0]), "{format:?}");
        }
    }

    #[test]
    fn the_documentation_lists_every_extension() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats.md");
        let page = fs_err::read_to_string(path).unwrap();
        for kind in KINDS.iter().filter(|kind| kind.format.is_some()) {
            let row = format!("\n| {} | {} |\n", kind.format_name(), kind.endings.join(", "));
            assert!(page.contains(&row), "docs/formats.md lacks{row}");
        }
    }

    #[test]
    fn brands_distinguish_photos_from_videos() {
        let file = |major: &[u8; 4], compatible: &[[u8; 4]]| {
            let length = u32::try_from(16 + 4 * compatible.len()).unwrap().to_be_bytes();
            [&length, &b"ftyp"[..], major, &[0; 4], compatible.as_flattened(), b"\0\0\0\x08mdat"].concat()
        };
        for (major, compatible, expected) in [
            (b"heic", &[*b"mif1", *b"heic"][..], "a HEIC photo"),
            (b"mif1", &[*b"mif1", *b"heic"], "a HEIC photo"),
            (b"mif1", &[*b"mif1", *b"avif", *b"miaf"], "an AVIF photo"),
            (b"avif", &[], "an AVIF photo"),
            (b"crx ", &[*b"isom"], "a camera's RAW photo"),
            (b"qt  ", &[*b"qt  "], "a QuickTime video"),
            (b"isom", &[*b"iso2", *b"avc1", *b"mp41"], "an MP4 video"),
            (b"3gp4", &[*b"isom"], "an MP4 video"),
        ] {
            assert_eq!(of(&file(major, compatible)), Some(expected));
        }
        assert_eq!(of(b"\0\0\0\0ftyp"), Some("an MP4 video"));
        assert_eq!(of(b"\xff\xff\xff\xffftypheic"), Some("a HEIC photo"));
    }

    #[test]
    fn raw_photos_are_not_recognised_as_tiff() {
        let tiff = |tag: u16, kind: u16, value: u32| {
            let mut bytes = b"II\x2a\0\x08\0\0\0\x02\0\0\x01\x03\0\x01\0\0\0\x40\0\0\0".to_vec();
            bytes.extend(tag.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(1u32.to_le_bytes());
            bytes.extend(value.to_le_bytes());
            bytes.extend([0; 4]);
            bytes
        };
        for (tag, kind, value, raw) in [
            (254, 4, 1, true),
            (254, 4, 0, false),
            (254, 4, 2, false),
            (259, 3, 1, false),
            (259, 3, 34713, true),
            (262, 3, 2, false),
            (262, 3, 32803, true),
            (50706, 1, 0x0401, true),
        ] {
            let bytes = tiff(tag, kind, value);
            let expected = if raw { "a camera's RAW photo" } else { "a TIFF photo" };
            assert_eq!(of(&bytes), Some(expected), "tag {tag}");
            for cut in 4..bytes.len() {
                assert!(of(&bytes[..cut]).is_some(), "cut at {cut}");
            }
        }
        assert_eq!(of(b"II\x2a\0\x10\0\0\0CR\x02\0"), Some("a camera's RAW photo"));
        assert_eq!(of(b"MM\0\x2a\xff\xff\xff\xff"), Some("a TIFF photo"));
    }

    #[test]
    fn svg_is_distinguished_from_other_markup() {
        for (text, expected) in [
            ("<svg xmlns=\"http://www.w3.org/2000/svg\">", true),
            ("\u{feff}<?xml version=\"1.0\"?>\n<!-- x --><svg>", true),
            ("<html><body><svg>", false),
            ("<?xml version=\"1.0\"?><html><svg>", false),
            ("<annotation>", false),
        ] {
            assert_eq!(of(text.as_bytes()) == Some("an SVG drawing"), expected, "{text}");
        }
    }

    #[test]
    fn kinds_by_content_and_by_extension() {
        for (bytes, ending, expected) in [
            (&b"\xff\xd8\xff\xe0"[..], "JFIF", "a JPEG photo"),
            (b"RIFF\x10\0\0\0WEBPVP8 ", "webp", "a WebP photo"),
            (b"RIFF\x10\0\0\0AVI LIST", "avi", "an AVI video"),
            (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm", "webm", "a WebM video"),
            (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska", "mkv", "a Matroska video"),
            (b"P6\n64 48\n255\n", "ppm", "a PNM photo"),
            (b"8BPS\0\x01", "psd", "a Photoshop document"),
            (b"%PDF-1.7", "pdf", "a PDF document"),
            (b"\xff\x0a", "jxl", "a JPEG XL photo"),
            (b"\0\0\0\x0cjP  \r\n\x87\n", "jp2", "a JPEG 2000 photo"),
            (b"FUJIFILMCCD-RAW 0201", "raf", "a camera's RAW photo"),
        ] {
            assert_eq!(of(bytes), Some(expected));
            let path = Path::new("x").with_extension(ending);
            assert_eq!(FileKind::of_ending(&path).map(FileKind::what), Some(expected));
        }
        for bytes in
            [&b""[..], b"RIFF", b"RIFF\0\0\0\0WAVE", b"P", b"P6x", b"II", b"text", b"<html>", b"\0\0\0\x10"]
        {
            assert_eq!(of(bytes), None);
        }
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs_err::write(&path, bytes).unwrap();
            path
        };
        let jpeg = b"\xff\xd8\xff\xe0";
        for (name, bytes, expected) in [
            ("a.heic", &jpeg[..], Some("JPEG")),
            ("a.jpg", b"%PDF-1.7", Some("PDF document")),
            ("a.JPEG", jpeg, None),
            ("a.txt", jpeg, None),
            ("a", jpeg, None),
            ("a.jpg", b"", None),
        ] {
            assert_eq!(FileKind::misnamed(&file(name, bytes)).map(FileKind::format_name), expected, "{name}");
        }
        assert_eq!(FileKind::of_file(&file("b", jpeg)), Some(&table::JPEG));
        for none in [folder.path(), Path::new("/dev/zero"), &folder.path().join("gone.jpg")] {
            assert_eq!(FileKind::of_file(none), None);
        }
    }
}
