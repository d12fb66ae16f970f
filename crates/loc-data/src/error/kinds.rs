//! The kinds of errors that an application may want to tell apart: no data set, no split, no loader.

use std::fmt;
use std::path::PathBuf;

use super::count;
use crate::content_type::ContentType;
use crate::file_index::describe_files;
use crate::formats::HEADER;
use crate::{Diagnostic, ExtensionCounts, Format, Hint, summary};

/// Why a path is not a data set: what was looked for, what was found, and a hint. Its text includes that of its cause, as
/// that of [`DataError`](crate::DataError).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoDataSetError {
    /// The path does not exist.
    #[error("does not exist")]
    Missing,
    /// The path is a device, a pipe or a socket.
    #[error("is neither a folder nor a regular file")]
    NotAFileOrFolder,
    /// The folder holds too many files to be a data set.
    #[error("holds more than {limit} files (hint: name the data set's own folder)")]
    TooManyFiles {
        /// The largest number allowed.
        limit: usize,
    },
    /// The path is a file, and the given format has one file per photo.
    #[error("is a file, and the format `{format}` is a folder of files")]
    FileForFolderFormat {
        /// The given format.
        format: Format,
    },
    /// The path is a file that is no table: a photo, an archive, a model.
    #[error("is {0}, not a data set (hint: {hint})", hint = .0.data_set_hint())]
    Foreign(ContentType),
    /// The path is the annotation of a single photo.
    #[error("is one annotation of many (hint: name the folder it lies in)")]
    OneAnnotation,
    /// The path is an XML file of another kind.
    #[error("{message}{}", hinted(hint.as_ref()))]
    ForeignXml {
        /// What it is.
        message: String,
        /// What to do about it.
        hint: Option<Hint>,
    },
    /// The path is an XML file of no known kind.
    #[error("is not an annotation (hint: name the folder that the annotations lie in)")]
    UnknownXml,
    /// The folder holds no annotations, but a CSV file that is no text.
    #[error("no annotations found; {} is {content} (hint: {})", csv.display(), content.data_set_hint())]
    ForeignCsv {
        /// The CSV file.
        csv: PathBuf,
        /// What it is.
        content: ContentType,
    },
    /// The folder holds no annotations, but a CSV file with another header.
    #[error("no annotations found; {}: {message}{}", csv.display(), hinted(Some(hint)))]
    CsvHeader {
        /// The CSV file.
        csv: PathBuf,
        /// What is wrong with its header.
        message: String,
        /// What to do about it.
        hint: Hint,
    },
    /// The folder holds no annotations, but a CSV file that cannot be read.
    #[error("no annotations found; {}: {error}", csv.display())]
    UnreadableCsv {
        /// The CSV file.
        csv: PathBuf,
        /// Why not.
        #[source]
        error: std::io::Error,
    },
    /// The folder holds no annotations, but a JSON file of another kind: its path, and what it is.
    #[error("no annotations found; {0}")]
    Json(String),
    /// The folder holds no annotations.
    #[error(
        "no annotations found among {}{} (hint: Pascal VOC, COCO, YOLO, labelme, Label Studio, Create ML and VoTT are read, and CSV with the header \
         {HEADER})",
        describe_files(*photos, others), EmptyFolder(empty.as_ref())
    )]
    NoAnnotations {
        /// Number of photos of supported formats.
        photos: usize,
        /// The other files.
        others: ExtensionCounts,
        /// A folder for annotations that is empty.
        empty: Option<PathBuf>,
    },
    /// There are no annotations of a format.
    #[error("no {format} annotations found{}", recognise(*given))]
    NoneOfFormat {
        /// The format.
        format: Format,
        /// Whether it was given, and not recognised.
        given: bool,
    },
    /// The annotations name no photo, or none of the photos is a sample.
    #[error("{}", NoSample(warnings))]
    NoSample {
        /// What is wrong with the photos.
        warnings: Vec<Diagnostic>,
    },
}

fn recognise(given: bool) -> &'static str {
    if given { " (hint: leave the format out to have it recognised)" } else { ": the file holds no photo" }
}

fn hinted(hint: Option<&Hint>) -> String {
    hint.map_or_else(String::new, |hint| format!(" (hint: {hint})"))
}

struct EmptyFolder<'a>(Option<&'a PathBuf>);

impl fmt::Display for EmptyFolder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |folder| write!(f, "; the folder {} is empty", folder.display()))
    }
}

struct NoSample<'a>(&'a [Diagnostic]);

impl fmt::Display for NoSample<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &summary(self.0)[..] {
            [] => f.write_str("holds no annotated photo"),
            lines => write!(f, "no photo is valid\n  {}", lines.join("\n  ")),
        }
    }
}

/// Why a data set cannot be split as requested.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// No sample can be drawn for validation.
    #[error(
        "{} in {} leave none for validation: no class has two samples that are not copies of each other (hint: annotate \
         more photos)",
        count(*samples, "sample"), count(*classes, "class")
    )]
    NoValidation {
        /// Number of samples.
        samples: usize,
        /// Number of their classes.
        classes: usize,
    },
    /// There are fewer samples than folds.
    #[error("{samples} samples do not make {folds} folds")]
    Folds {
        /// Number of samples.
        samples: usize,
        /// Number of folds.
        folds: usize,
    },
}

/// Why a loader's threads cannot prepare batches. Its text includes that of its cause, as that of
/// [`DataError`](crate::DataError).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoaderError {
    /// The threads that decode cannot be started.
    #[error("{0}")]
    Pool(rayon::ThreadPoolBuildError),
    /// The thread that prepares batches cannot be started.
    #[error("{0}")]
    Spawn(#[source] std::io::Error),
    /// The thread that prepares batches panicked.
    #[error("the thread that prepares batches ended early")]
    Ended,
}
