//! Annotation formats, one file each: the common representation, and the detection of the format.
//!
//! Readers only parse. Whether a photo exists and its boxes are valid is checked in `build_samples`, equally for all formats.

mod coco;
mod createml;
pub(crate) mod csv;
mod header;
pub(crate) mod json;
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
use std::path::{Path, PathBuf};

use loc_infer::read_file;

pub(crate) use self::header::HEADER;
use self::number::quoted;
use crate::split::DeclaredSplit;
use crate::{BBox, Diagnostic, ImageSize, Subset};

/// The annotation of one photo, not yet compared with the photo.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Annotation {
    /// The file it was read from.
    pub(crate) source: PathBuf,
    /// The line of the photo's name in it.
    pub(crate) line: u32,
    /// The photo's name as written.
    pub(crate) photo: String,
    /// The photo's size as written, and its line.
    pub(crate) size: Option<(ImageSize, u32)>,
    /// The objects that could be parsed, in order.
    pub(crate) objects: Vec<Object>,
    /// Whether a part of it could not be parsed (there is a diagnostic): the photo is annotated, but not a sample.
    pub(crate) defective: bool,
    /// What it says if it has no objects.
    pub(crate) empty: Empty,
    /// What else the file that it was read from holds.
    pub(crate) scope: Scope,
    /// What the boxes are measured in.
    pub(crate) unit: Unit,
    /// Another name that the photo may have, if it has not the written one.
    pub(crate) other_name: Option<String>,
    /// Whether the annotation file holds the photo itself, which must be a file of its own.
    pub(crate) embedded: bool,
    /// Whether the photo may be absent: the file lists the photos of a larger set, of which often only some are copied.
    pub(crate) listed: bool,
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
            empty: Empty::Negative,
            scope: Scope::Many,
            unit: Unit::Pixels,
            other_name: None,
            embedded: false,
            listed: false,
            subset: None,
        }
    }

    /// Whether its file is of this photo alone, and so may be named like it.
    pub(crate) fn has_own_file(&self) -> bool {
        self.scope != Scope::Many
    }
}

/// What an annotation without objects says of its photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Empty {
    /// That it shows no object.
    Negative,
    /// Nothing: the file lists the photo, but nobody has annotated it yet.
    Open,
    /// That something is there which is no box, or could not be assigned to a photo: neither an object nor a negative.
    Unclear,
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
    /// The line of its class.
    pub(crate) label_line: u32,
    /// Its box as written: pixels, finite, neither ordered nor inside the photo.
    pub(crate) bbox: BBox,
    /// The line of its box.
    pub(crate) line: u32,
}

/// A class as written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Label {
    /// A number: an index into a list of classes stored elsewhere.
    Number(u32),
    /// A name, exactly as written.
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

/// Checks the name of a class; the text must not be blank.
///
/// # Errors
///
/// Why it is not a valid name.
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

/// Hint for values that are not valid numbers.
pub(crate) const NUMBER_HINT: &str = "write it with ASCII digits and a point, such as 12.5";
/// Hint for files that are much longer or deeper than an annotation.
pub(crate) const ANOTHER_FILE: &str = "is it an annotation? Move other files elsewhere";

/// The annotations of all files.
#[derive(Debug, Default)]
pub(crate) struct Annotations {
    pub(crate) photos: Vec<Annotation>,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Annotation files that could not be parsed: photos of the same name are not reported as photos without an annotation.
    pub(crate) broken: Vec<PathBuf>,
    /// Number of annotations (of one photo each) whose photo's name could not be parsed.
    pub(crate) lost: usize,
    /// Whether a file with several annotations could not be read completely.
    pub(crate) incomplete: bool,
    /// Class names in the data set's own order, if it has one.
    pub(crate) classes: Vec<String>,
    /// The split that the data set declares, if it does.
    pub(crate) split: DeclaredSplit,
}

impl Annotations {
    /// Those of a file that cannot be read.
    pub(crate) fn broken(path: &Path, why: Diagnostic) -> Self {
        Self { diagnostics: vec![why], broken: vec![path.to_owned()], lost: 1, ..Self::default() }
    }

    /// Adds those of another file; its new classes come last. Only one of the two declares a split.
    pub(crate) fn append(&mut self, other: Self) {
        if other.split.says_something() {
            self.split = other.split;
        }
        self.photos.extend(other.photos);
        self.diagnostics.extend(other.diagnostics);
        self.broken.extend(other.broken);
        self.lost += other.lost;
        self.incomplete |= other.incomplete;
        for class in other.classes {
            if !self.classes.contains(&class) {
                self.classes.push(class);
            }
        }
    }
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
///
/// The reason why it could not be read, without the path.
pub(crate) fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    read_file(path, limit).map_err(|error| match error.reason() {
        // Without the hints of photos and models.
        loc_infer::Error::Read(e) => e.to_string(),
        loc_infer::Error::NotAFile { .. } => "is not a regular file".into(),
        loc_infer::Error::FileTooLarge { .. } => {
            format!("is longer than {} MiB, the limit for such a file", limit >> 20)
        }
        other => other.to_string(),
    })
}
