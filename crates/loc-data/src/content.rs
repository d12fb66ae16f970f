//! What a file is by its first bytes, in plain words: for the error that something else was given than was wanted.

use std::fmt;
use std::path::Path;

use infer::MatcherType;

use crate::formats::text;

/// How many bytes of a file are looked at.
const LOOKED_AT: usize = 8 << 10;

/// What the bytes of a file are. Its `Display` is a noun with its article: "a JPEG photo".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// A photo of this format.
    Photo(&'static str),
    /// A video of this format.
    Video(&'static str),
    /// An archive or compressed file of this format.
    Archive(&'static str),
    /// A file of a spreadsheet program.
    Spreadsheet(&'static str),
    /// A document, a sound, a program: of this kind.
    Other(&'static str),
    /// A model of this kind.
    Model(&'static str),
    /// JSON text.
    Json,
    /// A web page.
    Html,
    /// XML text.
    Xml,
    /// Bytes that are no text, of no kind that is known.
    Binary,
}

impl Content {
    /// What the bytes are, as far as they are neither empty nor plain text such as CSV or TOML.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let head = &bytes[..bytes.len().min(LOOKED_AT)];
        if let Some(model) = model(bytes.len(), head) {
            return Some(model);
        }
        let wide = text::marked(head).is_some();
        if !wide && head.iter().any(|b| b.is_ascii_control() && !b.is_ascii_whitespace() && *b != 0x1b) {
            return Some(binary(head));
        }
        let start = text::head(head);
        let start = start.trim_start_matches('\u{feff}').trim_start();
        match start.as_bytes() {
            [b'%', b'P', b'D', b'F', ..] => Some(Self::Other("a PDF document")),
            [b'{', b'\\', b'r', b't', b'f', ..] => Some(Self::Other("an RTF document")),
            [b'{', ..] => Some(Self::Json),
            // A table of TOML has a bare name in its brackets.
            [b'[', rest @ ..] => {
                let inner = rest.iter().find(|b| !b.is_ascii_whitespace() && **b != b'[')?;
                matches!(inner, b'{' | b'"' | b']' | b'-' | b'0'..=b'9').then_some(Self::Json)
            }
            [b'<', ..] => {
                let low = start.get(..200).unwrap_or(start).to_ascii_lowercase();
                let html =
                    low.starts_with("<!doctype html") || low.starts_with("<html") || low.contains("<html");
                Some(if html { Self::Html } else { Self::Xml })
            }
            _ => None,
        }
    }

    /// What a file is; nothing if it cannot be read, is no regular file, or is plain text.
    #[must_use]
    pub fn of_file(path: &Path) -> Option<Self> {
        // Opening a FIFO may block for ever.
        let metadata = fs_err::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        let mut file = fs_err::File::open(path).ok()?;
        let mut head = vec![0; LOOKED_AT];
        let mut length = 0;
        while let Ok(read @ 1..) = std::io::Read::read(&mut file, &mut head[length..]) {
            length += read;
        }
        // A model's header may be longer than what is looked at.
        let whole = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
        model(whole, &head[..length]).or_else(|| Self::of(&head[..length]))
    }

    /// What to do where a data set was wanted.
    #[must_use]
    pub fn way_to_data(self) -> &'static str {
        match self {
            Self::Photo(_) => "name the folder that holds the photos and their annotations",
            Self::Video(_) => "take photos out of it, and annotate them",
            Self::Archive(_) => "unpack it, and name the folder",
            Self::Spreadsheet(_) => "save the sheet as CSV with the encoding UTF-8",
            Self::Model(_) => "name a data set: a folder, or a CSV file",
            Self::Json => "COCO and other JSON are not read: convert them to Pascal VOC XML or CSV",
            Self::Html => "a web page was saved under this name: download the file itself",
            Self::Xml => "name the folder that the XML files lie in",
            Self::Other(_) | Self::Binary => "name a folder with photos and annotations, or a CSV file",
        }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Photo(format) => write!(f, "a {format} photo"),
            Self::Video(format) => write!(f, "a video ({format})"),
            Self::Archive(format) => write!(f, "an archive ({format})"),
            Self::Spreadsheet(what) | Self::Other(what) | Self::Model(what) => f.write_str(what),
            Self::Json => f.write_str("JSON"),
            Self::Html => f.write_str("a web page (HTML)"),
            Self::Xml => f.write_str("XML"),
            Self::Binary => f.write_str("a file of binary data"),
        }
    }
}

/// A file of `length` bytes that begins like a model.
fn model(length: usize, head: &[u8]) -> Option<Content> {
    // A safetensors file begins with its header's length, and the header is JSON.
    if let [a, b, c, d, e, f, g, h, b'{', ..] = *head {
        let header = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        if header <= length as u64 {
            return Some(Content::Model("a model (safetensors)"));
        }
    }
    // The name of the first entry of PyTorch's archive.
    if head.starts_with(b"PK\x03\x04") && head.get(30..).is_some_and(|names| contains(names, b"/data.pkl")) {
        return Some(Content::Model("a PyTorch file (.pth)"));
    }
    // A pickle of protocol 2 to 5, and the first fields of an ONNX file.
    match head {
        [0x80, 2..=5, ..] => Some(Content::Model("a Python pickle, perhaps a PyTorch file (.pth)")),
        [0x08, 1..=20, 0x12, ..] => Some(Content::Model("a model (ONNX)")),
        _ => None,
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.get(..200.min(bytes.len())).is_some_and(|near| near.windows(part.len()).any(|w| w == part))
}

/// What bytes are that are no text.
fn binary(head: &[u8]) -> Content {
    let Some(kind) = infer::get(head) else { return Content::Binary };
    match (kind.matcher_type(), kind.extension()) {
        (MatcherType::Image, "jpg") => Content::Photo("JPEG"),
        (MatcherType::Image, "tif") => Content::Photo("TIFF"),
        (MatcherType::Image, "heif") => Content::Photo("HEIC"),
        (MatcherType::Image, "png") => Content::Photo("PNG"),
        (MatcherType::Image, "gif") => Content::Photo("GIF"),
        (MatcherType::Image, "bmp") => Content::Photo("BMP"),
        (MatcherType::Image, "webp") => Content::Photo("WebP"),
        (MatcherType::Image, "avif") => Content::Photo("AVIF"),
        (MatcherType::Image, ending) => Content::Photo(ending),
        (MatcherType::Video, ending) => Content::Video(ending),
        (_, "xlsx") => Content::Spreadsheet("an Excel workbook"),
        (_, "xls" | "doc" | "ppt") => Content::Spreadsheet("a file of Microsoft Office (.xls or the like)"),
        (_, "ods") => Content::Spreadsheet("an OpenDocument spreadsheet"),
        (_, "pdf") => Content::Other("a PDF document"),
        (_, "docx" | "pptx" | "odt" | "odp" | "rtf") => Content::Other("an office document"),
        (_, "sqlite") => Content::Other("an SQLite database"),
        (MatcherType::Archive, "zip") => Content::Archive("ZIP"),
        (MatcherType::Archive, ending) => Content::Archive(ending),
        (MatcherType::Audio, _) => Content::Other("a sound file"),
        (MatcherType::App, _) => Content::Other("a program"),
        (MatcherType::Font, _) => Content::Other("a font"),
        _ => Content::Binary,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_people_hand_over_by_mistake() {
        let zip = |name: &str| {
            [b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", name.as_bytes()].concat()
        };
        let utf16: Vec<u8> = "\u{feff}<html>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let cases: [(&[u8], &str); 23] = [
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG photo"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG photo"),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC photo"),
            (b"GIF89a\x01\0\x01\0", "a GIF photo"),
            (&zip("photos/a.jpg"), "an archive (ZIP)"),
            (&zip("xl/workbook.xml"), "an Excel workbook"),
            (&zip("archive/data.pkl"), "a PyTorch file (.pth)"),
            (b"\x1f\x8b\x08\0\0\0", "an archive (gz)"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a file of Microsoft Office (.xls or the like)"),
            (b"%PDF-1.7\n", "a PDF document"),
            (b"%PDF-1.7\n%\x80\0", "a PDF document"),
            (b"{\"images\": []}", "JSON"),
            (b"\xef\xbb\xbf  \n[ {\"a\": 1} ]", "JSON"),
            (b"[[1, 2]]", "JSON"),
            (b"<!DOCTYPE html><p>", "a web page (HTML)"),
            (b"\n<!-- saved --><HTML>", "a web page (HTML)"),
            (&utf16, "a web page (HTML)"),
            (b"<?xml version='1.0'?><annotations/>", "XML"),
            (b"\x02\0\0\0\0\0\0\0{}", "a model (safetensors)"),
            (b"\x08\x07\x12\x07pytorch", "a model (ONNX)"),
            (b"\x80\x02}q\0.", "a Python pickle, perhaps a PyTorch file (.pth)"),
            (b"SQLite format 3\0", "an SQLite database"),
            (b"ab\0\x01", "a file of binary data"),
        ];
        for (bytes, expected) in cases {
            let found = Content::of(bytes).map(|content| content.to_string());
            assert_eq!(found.as_deref(), Some(expected), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn text_is_left_to_its_reader() {
        for text in [
            &b""[..],
            b"filename,class\n",
            b"\xef\xbb\xbffilename;class\r\n",
            b"[augment]\nflip = 0.5\n",
            b"[[runs]]\n",
            b"epochs = 3\n",
            b"BMW,MZ\n",
            b"K\xe4fer,\xd6l\n",
        ] {
            assert_eq!(Content::of(text), None, "{}", text.escape_ascii());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_have_an_answer(
            magic in proptest::sample::select(vec![
                &b"PK\x03\x04"[..], b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"\x1a\x45\xdf\xa3", b"\0\0\0\x18ftyp", b"dex\n", b"RIFF",
                b"\x04\x22\x4d\x18", b"\x28\xb5\x2f\xfd", b"\xca\xfe\xba\xbe", b"\x80", b"",
            ]),
            rest in proptest::collection::vec(proptest::num::u8::ANY, 0..600),
        ) {
            let _ = Content::of(&[magic, &rest].concat());
        }
    }
}
