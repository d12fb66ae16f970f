//! Annotation formats, one file each: the common representation, and the detection of the format.
//!
//! Readers only parse. Whether a photo exists and its boxes are valid is checked in `build_samples`, equally for all formats.

pub(crate) mod csv;
mod header;
pub(crate) mod number;
pub(crate) mod text;
pub(crate) mod voc;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use loc_infer::read_file;
use serde::Serialize;

pub(crate) use self::header::HEADER;
use self::number::quoted;
use crate::file_index::FileIndex;
use crate::{BBox, DataError, Diagnostic, ImageSize, NoDataSetError};

/// An annotation format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// Pascal VOC: one XML file a photo (as LabelImg, VoTT and Roboflow write it).
    Voc,
    /// One row an object: `filename,width,height,class_num,xmin,ymin,xmax,ymax`, or `class` with names.
    Csv,
}

impl Format {
    /// Whether there is one annotation file per photo.
    pub(crate) fn is_file_a_photo(self) -> bool {
        match self {
            Self::Voc => true,
            Self::Csv => false,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Voc => "voc",
            Self::Csv => "csv",
        })
    }
}

impl FromStr for Format {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "voc" => Ok(Self::Voc),
            "csv" => Ok(Self::Csv),
            _ => Err(DataError::Argument {
                what: "data format",
                value: text.to_owned(),
                range: "`voc` and `csv` are known".into(),
            }),
        }
    }
}

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
}

/// Detects the format by content; VOC has precedence over a CSV beside it.
///
/// # Errors
///
/// [`DataError::NoDataSet`] if there is neither, with what was found instead.
pub(crate) fn recognise(tree: &FileIndex) -> Result<Format, DataError> {
    if tree.xmls.iter().any(|path| voc::looks_like(path)) {
        return Ok(Format::Voc);
    }
    if tree.csvs.iter().any(|path| csv::looks_like(path)) {
        return Ok(Format::Csv);
    }
    if !tree.xmls.is_empty() {
        // None of them is an annotation; reading them reports why.
        return Ok(Format::Voc);
    }
    let error = if let Some(path) = tree.csvs.first() {
        match csv::check_header(path) {
            // The file has changed since it was looked at above.
            Ok(()) => return Ok(Format::Csv),
            Err(error) => error,
        }
    } else if let Some(json) = &tree.json {
        NoDataSetError::Json { json: json.clone() }
    } else {
        let (photos, others) = (tree.readable(), tree.other_files());
        NoDataSetError::NoAnnotations { photos, others, empty: tree.empty_annotations.clone() }
    };
    Err(DataError::NoDataSet { path: tree.root.clone(), error: Box::new(error) })
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
