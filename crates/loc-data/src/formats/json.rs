//! JSON whose values remember where they stand, so that a finding can name the line. What the fields mean: one file a
//! format.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use encoding_rs::Encoding;
use rayon::prelude::*;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;

use super::number::quoted;
use super::registry::JsonReader;
use super::text;
use super::{ANOTHER_FILE, Annotation, Annotations, Format, Request, read_limited};
use crate::diagnostics::MOST;
use crate::file_index::FileIndex;
use crate::{Diagnostic, DiagnosticKind, ImageSize, Severity};

/// Longest JSON file that is read, in bytes: a million boxes.
const SIZE_LIMIT: u64 = 512 << 20;

/// Most JSON files that are looked into to find out what they are: others lie among annotations, too.
const MOST_TRIED: usize = 200;

/// The VGG Image Annotator: a project; its JSON export has a key for each photo instead.
const VIA: (&[&str], &str, &str) =
    (&["_via_img_metadata"], "a file of the VGG Image Annotator", "export it from VIA as COCO");

/// What is recognised and not read: keys of the outermost object, its name, and the way out.
const NOT_READ: [(&[&str], &str, &str); 7] = [
    VIA,
    (
        &["images", "annotations"],
        "COCO without `categories`, as for captions",
        "boxes stand in the file of instances",
    ),
    (&["categories", "items"], "a file of Datumaro", "convert it with `datum convert -f coco`"),
    (&["label", "image", "line_color"], "a file of an old labelme", "open and save it with labelme"),
    (
        &["objects", "size", "tags"],
        "an annotation of Supervisely",
        "export it from Supervisely as COCO or YOLO",
    ),
    (&["media_attributes"], "a file of Labelbox", "export it from Labelbox as COCO"),
    (&["data_row", "projects"], "a row of Labelbox", "convert it to COCO or CSV"),
];

/// Whether the JSON files of a folder are of a format: the first of them that is of any decides.
pub(super) fn is(files: &FileIndex, request: &Request<'_>, format: Format) -> bool {
    let mut formats = files.jsons.iter().take(MOST_TRIED).filter_map(|path| {
        let text = text_of(path, request.encoding).ok()?;
        of(&top(path, &text).ok()?)
    });
    formats.next() == Some(format)
}

/// Whether the values of an object describe photos, as in the JSON export of the VGG Image Annotator.
fn annotates_photos_by_key(fields: &Fields<'_>) -> bool {
    let first = fields.0.first().and_then(|(_, value)| serde_json::from_str::<Fields<'_>>(value.get()).ok());
    first.is_some_and(|photo| photo.has(&["filename", "regions"]))
}

/// What a JSON file is that is in no format that is read.
pub(super) fn describe(path: &Path, request: &Request<'_>) -> String {
    let place = path.display();
    let text = match text_of(path, request.encoding) {
        Ok(text) => text,
        Err(diagnostic) => return diagnostic.to_string(),
    };
    match top(path, &text) {
        Err(diagnostic) => diagnostic.to_string(),
        Ok(Top::Object(fields)) => match NOT_READ.iter().find(|(keys, ..)| fields.has(keys)) {
            Some((_, what, way)) => format!("{place} is {what}, which is not read (hint: {way})"),
            None if annotates_photos_by_key(&fields) => {
                let (_, what, way) = VIA;
                format!("{place} is {what}, which is not read (hint: {way})")
            }
            None => {
                let keys: Vec<String> = fields.0.iter().take(5).map(|(key, _)| quoted(key)).collect();
                format!("{place} is JSON of no known annotation format: its keys are {}", keys.join(", "))
            }
        },
        Ok(Top::Array(_)) => format!("{place} is a JSON list of no known annotation format"),
    }
}

/// The format of a file by its outermost values; none fits a file of another.
fn of(top: &Top<'_>) -> Option<Format> {
    let fits = |format: &&Format| format.reader().json.is_some_and(|reader| (reader.fits)(top));
    Format::ALL.iter().find(fits).copied()
}

/// Reads all files that fit, in their order; others are passed over.
pub(super) fn read_all(files: &FileIndex, request: &Request<'_>, reader: JsonReader) -> Annotations {
    let read = |path: &PathBuf| {
        let text = match text_of(path, request.encoding) {
            Ok(text) => text,
            Err(why) => return Some(Annotations::broken(path, why)),
        };
        match top(path, &text) {
            Ok(top) => (reader.fits)(&top).then(|| (reader.read)(path, &text, &top)),
            Err(why) => Some(Annotations::broken(path, why)),
        }
    };
    let read: Vec<Annotations> = files.jsons.par_iter().filter_map(read).collect();
    let mut all = Annotations::default();
    read.into_iter().for_each(|one| all.append(one));
    all
}

/// Reads bytes as the first format that fits; `path` is for messages.
pub(crate) fn parse(path: &Path, bytes: Vec<u8>) -> Option<Annotations> {
    let text = text::of_plain(path, bytes, None).ok()?;
    let top = top(path, &text).ok()?;
    let reader = of(&top)?.reader().json?;
    Some((reader.read)(path, &text, &top))
}

/// The keys and values of an object, in their order; the values are not parsed yet.
#[derive(Debug)]
pub(super) struct Fields<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| *value)
    }

    /// Whether all of these keys are there.
    pub(super) fn has(&self, keys: &[&str]) -> bool {
        keys.iter().all(|key| self.get(key).is_some())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let (mut fields, mut seen) = (Vec::new(), HashSet::new());
                while let Some(Key(key)) = map.next_key()? {
                    if !seen.insert(key.clone()) {
                        return Err(M::Error::custom(format!("duplicate field `{key}`")));
                    }
                    fields.push((key, map.next_value()?));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// A key: borrowed where it holds no escape.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// A whole file, parsed as far as its outermost brackets.
#[derive(Debug)]
pub(super) enum Top<'a> {
    Object(Fields<'a>),
    Array(Vec<&'a RawValue>),
}

/// A file's text.
///
/// # Errors
///
/// A finding: why it cannot be read.
pub(super) fn text_of(path: &Path, given: Option<&'static Encoding>) -> Result<String, Diagnostic> {
    let bytes = read_limited(path, SIZE_LIMIT)
        .map_err(|why| Diagnostic::error(DiagnosticKind::Unreadable, path, None, why).hint(ANOTHER_FILE))?;
    text::of_plain(path, bytes, given)
}

/// Parses the outermost brackets; none for text that is no JSON object or array.
///
/// # Errors
///
/// A finding with line and column of what is not well-formed.
pub(super) fn top<'a>(path: &Path, text: &'a str) -> Result<Top<'a>, Diagnostic> {
    let parsed = match text.trim_start().as_bytes() {
        [b'[', ..] => serde_json::from_str(text).map(Top::Array),
        _ => serde_json::from_str(text).map(Top::Object),
    };
    parsed.map_err(|e| {
        let cut = "the file may be cut off; export it again";
        let finding = Diagnostic::error(kind_of(&e), path, line_in(0, &e), message_of(&e));
        let finding = match u32::try_from(e.column()) {
            Ok(column) if column > 0 => finding.column(column),
            _ => finding,
        };
        if e.is_eof() { finding.hint(cut) } else { finding.hint(ANOTHER_FILE) }
    })
}

/// The line of an error in a value that begins `before` lines after the file's first.
fn line_in(before: u32, error: &serde_json::Error) -> Option<u32> {
    u32::try_from(error.line()).ok().filter(|line| *line > 0).map(|line| line.saturating_add(before))
}

/// The parser's words without the place, which the finding has.
fn message_of(error: &serde_json::Error) -> String {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let words = error.to_string();
    let words = words.strip_suffix(&place).unwrap_or(&words);
    if error.is_data() { words.to_owned() } else { format!("is not well-formed JSON: {words}") }
}

fn kind_of(error: &serde_json::Error) -> DiagnosticKind {
    let words = error.to_string();
    if !error.is_data() {
        DiagnosticKind::Syntax
    } else if words.starts_with("missing field") {
        DiagnosticKind::FieldMissing
    } else if words.starts_with("duplicate field") {
        DiagnosticKind::FieldDoubled
    } else {
        DiagnosticKind::Number
    }
}

/// Reads one file and collects what it says, with the diagnostics.
pub(super) struct Parser<'a> {
    pub(super) path: &'a Path,
    text: &'a str,
    /// The byte at which each line begins.
    starts: Vec<usize>,
    pub(super) read: Annotations,
}

impl<'a> Parser<'a> {
    pub(super) fn new(path: &'a Path, text: &'a str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1);
        let starts = std::iter::once(0).chain(newlines).collect();
        Self { path, text, starts, read: Annotations::default() }
    }

    /// The line, from 1, on which a value of this file begins.
    pub(super) fn line(&self, value: &RawValue) -> u32 {
        // Values borrow the text: the distance of the two is the place.
        let at = (value.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        u32::try_from(self.starts.partition_point(|start| *start <= at)).unwrap_or(u32::MAX)
    }

    /// A value as a type; an error names `what` it is.
    pub(super) fn parse<T: Deserialize<'a>>(&mut self, value: &'a RawValue, what: &str) -> Option<T> {
        serde_json::from_str(value.get())
            .map_err(|e| {
                let line = line_in(self.line(value) - 1, &e);
                self.push(
                    Diagnostic::error(kind_of(&e), self.path, line, format!("{what}: {}", message_of(&e)))
                        .hint("export it again with the annotation tool, or correct the value"),
                );
            })
            .ok()
    }

    /// The values of a field that holds a list; without it, none.
    pub(super) fn list(&mut self, fields: &Fields<'a>, key: &str) -> Vec<&'a RawValue> {
        fields.get(key).and_then(|list| self.parse(list, key)).unwrap_or_default()
    }

    pub(super) fn error(
        &mut self,
        kind: DiagnosticKind,
        at: &RawValue,
        message: impl Into<String>,
        hint: &str,
    ) {
        self.push(Diagnostic::error(kind, self.path, Some(self.line(at)), message).hint(hint));
    }

    pub(super) fn warning(&mut self, kind: DiagnosticKind, at: &RawValue, message: impl Into<String>) {
        self.push(Diagnostic::warning(kind, self.path, Some(self.line(at)), message));
    }

    /// Whether there are errors among the diagnostics from number `first` on.
    pub(super) fn errors_since(&self, first: usize) -> bool {
        self.read.diagnostics[first..].iter().any(|d| d.severity == Severity::Error)
    }

    pub(super) fn push(&mut self, finding: Diagnostic) {
        self.read.diagnostics.push(finding);
    }

    /// Whether there are so many diagnostics that reading on helps nobody; then says so.
    pub(super) fn is_full(&mut self) -> bool {
        if self.read.diagnostics.len() < MOST {
            return false;
        }
        if !self.read.incomplete {
            self.read.incomplete = true;
            let message = format!("{MOST} diagnostics up to here: the rest is not read");
            self.push(
                Diagnostic::error(DiagnosticKind::TooMany, self.path, None, message).hint(ANOTHER_FILE),
            );
        }
        true
    }

    /// An annotation without objects yet, of the photo with this name.
    pub(super) fn photo(&self, name: &str, at: &RawValue) -> Annotation {
        Annotation::new(self.path, self.line(at), name.to_owned())
    }

    /// Width and height as a size, if both are whole numbers from 0.
    pub(super) fn size(
        &mut self,
        width: Option<f64>,
        height: Option<f64>,
        at: &RawValue,
    ) -> Option<(ImageSize, u32)> {
        let (width, height) = width.zip(height)?;
        // A whole number is written like one: `640` or `640.0`.
        let whole = |v: f64| super::number::whole(&v.to_string()).ok();
        match whole(width).zip(whole(height)) {
            Some((width, height)) => Some((ImageSize { width, height }, self.line(at))),
            None => {
                let message = format!("the photo's size {width}×{height} is not in whole pixels");
                self.error(DiagnosticKind::Number, at, message, "it is the photo's width and height");
                None
            }
        }
    }
}

/// An identifier: tools write numbers, and some write text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Id {
    Number(i64),
    Text(String),
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfAnyKind;
        impl Visitor<'_> for OfAnyKind {
            type Value = Id;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a text")
            }

            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Id, E> {
                Ok(Id::Number(n))
            }

            fn visit_u64<E: de::Error>(self, n: u64) -> Result<Id, E> {
                i64::try_from(n).map(Id::Number).map_err(|_| E::custom(format!("{n} is too large")))
            }

            fn visit_f64<E: de::Error>(self, n: f64) -> Result<Id, E> {
                // `12.0` is written `12`.
                n.to_string()
                    .parse()
                    .map(Id::Number)
                    .map_err(|_| E::custom(format!("{n} is no whole number")))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Id, E> {
                Ok(Id::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(OfAnyKind)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => write!(f, "{n}"),
            Self::Text(text) => f.write_str(&quoted(text)),
        }
    }
}
