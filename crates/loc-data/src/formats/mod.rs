//! What every annotation format is read into, and how a format is recognised. One file a format.
//!
//! Readers only read: whether a photo exists and a box lies in it is decided in `assemble.rs`, for all formats alike.

mod coco;
mod createml;
pub(crate) mod csv;
mod header;
mod json;
mod label_studio;
mod labelme;
pub(crate) mod number;
mod registry;
pub(crate) mod text;
pub(crate) mod voc;
mod vott;
pub(crate) mod yolo;

pub use self::registry::Format;
pub(crate) use self::registry::{Request, read, recognise};

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use self::number::quoted;
use crate::{BBox, Diagnostic, ImageSize, Subset};

/// What the annotations say of one photo; nothing in it has been compared with the photo.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Annotation {
    /// The file it was read from.
    pub(crate) source: PathBuf,
    /// Where in it the photo is named.
    pub(crate) line: u32,
    /// The photo's name as written.
    pub(crate) photo: String,
    /// The photo's size as written, and where.
    pub(crate) size: Option<(ImageSize, u32)>,
    /// The objects that could be read, in order.
    pub(crate) objects: Vec<Object>,
    /// Whether something in it could not be read (there is a diagnostic): the photo is annotated, but no sample.
    pub(crate) defective: bool,
    /// What else the file that it was read from holds.
    pub(crate) scope: Scope,
    /// What the boxes are measured in.
    pub(crate) unit: Unit,
    /// Another name that the photo may have, if it has not the written one.
    pub(crate) other_name: Option<String>,
    /// The subset that the annotation file stands for, if it does.
    pub(crate) subset: Option<Subset>,
}

impl Annotation {
    /// An annotation without objects, of a file with the annotations of many photos.
    pub(crate) fn new(source: &Path, line: u32, photo: String) -> Self {
        Self {
            source: source.to_owned(),
            line,
            photo,
            size: None,
            objects: Vec::new(),
            defective: false,
            scope: Scope::Many,
            unit: Unit::Pixels,
            other_name: None,
            subset: None,
        }
    }

    /// Whether its file is of this photo alone, and so may be named like it.
    pub(crate) fn has_own_file(&self) -> bool {
        self.scope != Scope::Many
    }
}

/// Whose annotations a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those of many photos.
    Many,
    /// One photo's, which it names.
    One,
    /// One photo's, which has the file's name.
    OneOfSameName,
}

/// What boxes are measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Pixels of the photo.
    Pixels,
    /// Fractions of the photo's width and height.
    Fraction,
}

/// One object of an annotation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Object {
    /// Its class as written.
    pub(crate) label: Label,
    /// Where its class stands.
    pub(crate) label_line: u32,
    /// Its box as written: pixels, finite, neither ordered nor inside the photo.
    pub(crate) bbox: BBox,
    /// Where its box stands.
    pub(crate) line: u32,
}

/// A class as written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Label {
    /// By number: an index into a list of classes kept elsewhere.
    Number(u32),
    /// By name, exactly as written.
    Name(String),
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => write!(f, "{n}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// A class's name as written.
///
/// # Errors
///
/// Why the text, which is not blank, is no name.
pub(crate) fn class_name(text: String) -> Result<Label, String> {
    const LONGEST: usize = 200;
    if text.contains(|c: char| c.is_ascii_control()) {
        return Err(format!("{} holds a line break or another control character", quoted(&text)));
    }
    if text.chars().nth(LONGEST).is_some() {
        return Err(format!("{} is longer than {LONGEST} characters", quoted(&text)));
    }
    Ok(Label::Name(text))
}

/// What to try where a value is no number that can be used.
pub(crate) const NUMBER_HINT: &str = "write it with ASCII digits and a point, such as 12.5";
/// What to try where a file is much longer or deeper than an annotation.
pub(crate) const ANOTHER_FILE: &str = "is it an annotation? Move other files elsewhere";

/// Everything the annotation files of a tree say.
#[derive(Debug, Default)]
pub(crate) struct Annotations {
    pub(crate) photos: Vec<Annotation>,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Annotation files that could not be parsed: photos named like them are not reported as lacking an annotation.
    pub(crate) broken: Vec<PathBuf>,
    /// Annotations of one photo each whose photo's name could not be read.
    pub(crate) lost: usize,
    /// Whether a file of many annotations could not be read, or not to its end.
    pub(crate) incomplete: bool,
    /// Class names in the data set's own order, if it has one.
    pub(crate) classes: Vec<String>,
    /// Folders of photos that are subsets, as the data set declares them.
    pub(crate) subsets: Vec<(Subset, PathBuf)>,
}

impl Annotations {
    /// Those of a file that cannot be read.
    pub(crate) fn broken(path: &Path, why: Diagnostic) -> Self {
        Self { diagnostics: vec![why], broken: vec![path.to_owned()], lost: 1, ..Self::default() }
    }

    /// Adds those of another file; its new classes come last.
    pub(crate) fn append(&mut self, other: Self) {
        self.photos.extend(other.photos);
        self.diagnostics.extend(other.diagnostics);
        self.broken.extend(other.broken);
        self.lost += other.lost;
        self.incomplete |= other.incomplete;
        self.subsets.extend(other.subsets);
        for class in other.classes {
            if !self.classes.contains(&class) {
                self.classes.push(class);
            }
        }
    }
}

/// Reads a whole file of at most `limit` bytes.
///
/// # Errors
///
/// Why it could not be read, or that it is too long; nothing is read beyond the limit.
pub(crate) fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    // Opening a FIFO may block for ever.
    if !fs_err::metadata(path).map_err(|e| e.to_string())?.is_file() {
        return Err("is not a regular file".into());
    }
    let file = fs_err::File::open(path).map_err(|e| e.to_string())?;
    // A photo's buffer is as large as its file, and does not grow there step by step.
    let length = file.metadata().map_or(0, |m| m.len()).min(limit);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0).saturating_add(1));
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() as u64 > limit {
        return Err(format!("is longer than {} MiB, the limit for such a file", limit >> 20));
    }
    Ok(bytes)
}
