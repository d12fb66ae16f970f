//! The type of a file by its first bytes, for errors about unexpected files.

use std::fmt;
use std::path::Path;

use loc_infer::preprocess::FileKind;

use crate::formats::text;

/// How many bytes of a file are looked at.
const LOOKED_AT: usize = 8 << 10;

/// The type of a file. Its `Display` is a noun with its article: "a JPEG photo".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContentType {
    /// A photo, a video, a document.
    File(&'static FileKind),
    /// An archive.
    Archive(&'static str),
    /// A file of a spreadsheet program.
    Spreadsheet(&'static str),
    /// A model.
    Model(&'static str),
    /// Another known type.
    Other(&'static str),
    /// JSON text.
    Json,
    /// A web page.
    Html,
    /// XML text.
    Xml,
    /// Binary data of unknown type.
    Binary,
}

/// The first bytes of other files.
const SIGNATURES: [(&[u8], ContentType); 14] = [
    (b"\x1f\x8b", ContentType::Archive("a gzip archive")),
    (b"7z\xbc\xaf\x27\x1c", ContentType::Archive("a 7z archive")),
    (b"Rar!\x1a\x07", ContentType::Archive("a RAR archive")),
    (b"\xfd7zXZ\0", ContentType::Archive("an xz archive")),
    (b"BZh", ContentType::Archive("a bzip2 archive")),
    (b"\x28\xb5\x2f\xfd", ContentType::Archive("a Zstandard archive")),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        ContentType::Spreadsheet("a file of Microsoft Office (.xls or the like)"),
    ),
    (b"SQLite format 3\0", ContentType::Other("an SQLite database")),
    (b"PAR1", ContentType::Other("a Parquet file")),
    (b"\x93NUMPY", ContentType::Other("a NumPy file")),
    (b"\x89HDF", ContentType::Other("an HDF5 file")),
    (b"{\\rtf", ContentType::Other("an RTF document")),
    (b"\x7fELF", ContentType::Other("a program")),
    (b"MZ", ContentType::Other("a program")),
];

impl ContentType {
    /// The type of the bytes; `None` if they are empty or plain text such as CSV or TOML.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let head = &bytes[..bytes.len().min(LOOKED_AT)];
        if let Some(model) = model(bytes.len(), head) {
            return Some(model);
        }
        let control = |b: &u8| b.is_ascii_control() && !b.is_ascii_whitespace() && *b != 0x1b;
        if text::detect_encoding(head).is_none() && head.iter().any(control) {
            // A stray control character in a text is reported by the text's reader.
            let kind = binary(head);
            if kind != Self::Binary || head.contains(&0) {
                return Some(kind);
            }
        }
        let start = text::head(head);
        let start = start.trim_start_matches('\u{feff}').trim_start();
        match start.as_bytes() {
            text if text.starts_with(b"{\\rtf") => Some(binary(head)),
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
            // A photo's first letters may begin a header: `BMW`, `P1 `.
            text => FileKind::of_content(text).filter(|kind| !kind.is_photo()).map(Self::File),
        }
    }

    /// The type of a file; `None` if it cannot be read, is not a regular file, or is plain text.
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

    /// The hint if a data set was expected.
    #[must_use]
    pub fn data_set_hint(self) -> &'static str {
        match self {
            Self::File(kind) if kind.is_photo() => {
                "name the folder that holds the photos and their annotations"
            }
            Self::File(kind) => kind.hint(),
            Self::Archive(_) => "unpack it, and name the folder",
            Self::Spreadsheet(_) => "save the sheet as CSV with the encoding UTF-8",
            Self::Model(_) => "name a data set: a folder, or a CSV file",
            Self::Json => "JSON is read if it is COCO, labelme, Label Studio, Create ML or VoTT",
            Self::Html => "a web page was saved under this name: download the file itself",
            Self::Xml => "name the folder that the XML files lie in",
            Self::Other(_) | Self::Binary => "name a folder with photos and annotations, or a CSV file",
        }
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File(kind) => kind.what(),
            Self::Archive(what) | Self::Spreadsheet(what) | Self::Other(what) | Self::Model(what) => what,
            Self::Json => "JSON",
            Self::Html => "a web page (HTML)",
            Self::Xml => "XML",
            Self::Binary => "a file of binary data",
        })
    }
}

/// A file of `length` bytes that begins like a model.
fn model(length: usize, head: &[u8]) -> Option<ContentType> {
    // A safetensors file begins with its header's length, and the header is JSON.
    if let [a, b, c, d, e, f, g, h, b'{', ..] = *head {
        let header = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        if header <= length as u64 {
            return Some(ContentType::Model("a model (safetensors)"));
        }
    }
    // PyTorch's archive.
    if head.starts_with(b"PK\x03\x04") && contains(head, b"/data.pkl") {
        return Some(ContentType::Model("a PyTorch file (.pth)"));
    }
    // A pickle of protocol 2 to 5, and the first fields of an ONNX file.
    match head {
        [0x80, 2..=5, ..] => Some(ContentType::Model("a Python pickle, perhaps a PyTorch file (.pth)")),
        [0x08, 1..=20, 0x12, ..] => Some(ContentType::Model("a model (ONNX)")),
        _ => None,
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The type of binary data.
fn binary(head: &[u8]) -> ContentType {
    if head.starts_with(b"PK\x03\x04") {
        // The names of an archive's first files stand in the clear.
        for (part, what) in [
            (&b"xl/"[..], "an Excel workbook"),
            (b"opendocument.spreadsheet", "an OpenDocument spreadsheet"),
            (b"[Content_Types].xml", "an office document (.xlsx or the like)"),
        ] {
            if contains(head, part) {
                return ContentType::Spreadsheet(what);
            }
        }
    }
    if head.get(257..262) == Some(b"ustar") {
        return ContentType::Archive("a tar archive");
    }
    let known = SIGNATURES.into_iter().find(|(start, _)| head.starts_with(start)).map(|(_, content)| content);
    known.or_else(|| FileKind::of_content(head).map(ContentType::File)).unwrap_or(ContentType::Binary)
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
            (&zip("photos/a.jpg"), "a ZIP archive"),
            (&zip("xl/workbook.xml"), "an Excel workbook"),
            (&zip("archive/data.pkl"), "a PyTorch file (.pth)"),
            (b"\x1f\x8b\x08\0\0\0", "a gzip archive"),
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
            let found = ContentType::of(bytes).map(|content| content.to_string());
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
            b"filename,class\na.jpg,c\x01\n\x1a",
        ] {
            assert_eq!(ContentType::of(text), None, "{}", text.escape_ascii());
        }
    }
}
