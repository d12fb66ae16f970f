//! The errors of this crate: the file, the place in it, the reason, and a hint.

mod kinds;

use std::path::PathBuf;

pub use self::kinds::{LoaderError, NoDataSetError, SplitError};
use crate::{Diagnostic, Hint, Remedy, SkippedPhotos};

/// Most diagnostics that an error prints; the rest is counted.
pub(crate) const SHOWN: usize = 20;
/// Most diagnostics that are printed of a refused data set.
const LISTED: usize = 1000;

/// What can go wrong between a folder of annotated photos and a batch.
///
/// The text of an error includes that of its cause, so that printing the error alone prints everything. `source` returns
/// the cause, for callers that look for a kind; code that prints a chain of errors should skip a cause whose text was already printed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system refused; the message names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file cannot be written.
    #[error("{}: {error}", path.display())]
    Write {
        /// Path of the file.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        error: std::io::Error,
    },
    /// The path holds no data set that can be read.
    #[error("{}: {error}", path.display())]
    NoDataSet {
        /// The path as given.
        path: PathBuf,
        /// Why not.
        #[source]
        error: Box<NoDataSetError>,
    },
    /// Too many photos of the data set are invalid; every error is listed (the first 1,000 in the message).
    #[error(
        "{}: {} of {} photos are invalid\n{}", path.display(), skipped.photos, skipped.total,
        list(&skipped.diagnostics, LISTED)
    )]
    Defects {
        /// The path as given.
        path: PathBuf,
        /// The photos and what is wrong with them.
        skipped: SkippedPhotos,
    },
    /// Photos cannot be decoded although they could when the data set was read.
    #[error("{}: photos have changed since the data set was read\n{}", path.display(), list(diagnostics, SHOWN))]
    Changed {
        /// The data set's folder.
        path: PathBuf,
        /// What is wrong with each.
        diagnostics: Vec<Diagnostic>,
    },
    /// There are so many classes that something else is taken for them.
    #[error("{classes} different classes in {objects} objects: {examples}, …: is this the class column?")]
    Classes {
        /// Different labels.
        classes: usize,
        /// Number of objects that have one of them.
        objects: usize,
        /// The first of the labels.
        examples: String,
    },
    /// A data set cannot be split as asked.
    #[error("split: {0}")]
    Split(#[source] SplitError),
    /// A split file does not fit the data set; every difference is listed (the first 20 in the message).
    #[error("{}: the split file does not fit the data set: {}\n{}", path.display(), count(problems.len(), "problem"), list(problems, SHOWN))]
    SplitFile {
        /// Path of the split file.
        path: PathBuf,
        /// One line for each problem.
        problems: Vec<String>,
    },
    /// The decoded photos would not fit in memory.
    #[error(
        "{photos} photos decoded to {width}×{height} need {} of memory, {} are available (hint: fewer photos, or a \
         smaller input size)", mib(*needed), mib(*available)
    )]
    Memory {
        /// Number of photos.
        photos: usize,
        /// Width of the network's input, in pixels.
        width: u32,
        /// Height of the network's input, in pixels.
        height: u32,
        /// Bytes needed.
        needed: u64,
        /// Bytes available.
        available: u64,
    },
    /// The network's input cannot be prepared as asked.
    #[error(transparent)]
    Input(#[from] loc_infer::Error),
    /// A thread of a loader cannot be started, or ended early.
    #[error("loader: {0}")]
    Threads(#[source] LoaderError),
    /// An argument is outside its range.
    #[error("{what} is {value}: {range}")]
    Argument {
        /// Which argument.
        what: &'static str,
        /// What was given.
        value: String,
        /// What is admitted.
        range: String,
    },
    /// What is to become a folder exists, and is no empty folder.
    #[error("{}: already exists, and is not an empty folder (hint: name a new folder, nothing is overwritten)", .0.display())]
    NotEmpty(PathBuf),
    /// A picture cannot be encoded.
    #[error("{what}: {error}")]
    Picture {
        /// Which picture.
        what: String,
        /// The encoder's error.
        #[source]
        error: image::ImageError,
    },
}

impl DataError {
    /// What to try, where an option of the reader helps. It is not part of the error's text: applications add it in their own
    /// terms.
    #[must_use]
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::Defects { .. } => Some(Hint::option(
                "correct the photos or their annotations, or skip them",
                Remedy::SkipInvalidPhotos,
            )),
            Self::Classes { .. } => Some(Hint::option("if they are classes, list them", Remedy::ListClasses)),
            _ => None,
        }
    }
}

/// "1 error", "2 errors", "2 classes".
pub(crate) fn count(n: usize, noun: &str) -> String {
    match (n, noun.ends_with('s')) {
        (1, _) => format!("1 {noun}"),
        (_, true) => format!("{n} {noun}es"),
        (_, false) => format!("{n} {noun}s"),
    }
}

fn list<T: ToString>(items: &[T], most: usize) -> String {
    let mut lines: Vec<String> = items.iter().take(most).map(|i| format!("  {}", i.to_string())).collect();
    if items.len() > most {
        lines.push(format!("  … and {} more", items.len() - most));
    }
    lines.join("\n")
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defects_are_listed_whole_up_to_a_thousand() {
        let diagnostics: Vec<Diagnostic> = (1..=1005)
            .map(|i| Diagnostic::error(crate::DiagnosticKind::Number, "a.xml", Some(i), "bad"))
            .collect();
        let skipped = SkippedPhotos { photos: 7, total: 20, diagnostics, ..SkippedPhotos::default() };
        let message = DataError::Defects { path: "set".into(), skipped }.to_string();
        assert!(message.starts_with("set: 7 of 20 photos are invalid\n  a.xml:1: bad\n"), "{message}");
        assert!(message.contains("a.xml:1000: bad\n  … and 5 more"), "{message}");
        assert_eq!(message.lines().count(), 1002);
    }

    #[test]
    fn nouns_have_their_plural() {
        let counted = ["error", "class"].map(|noun| [count(1, noun), count(2, noun)].join(", "));
        assert_eq!(counted, ["1 error, 2 errors", "1 class, 2 classes"]);
    }

    #[test]
    fn memory_says_how_much() {
        let error = DataError::Memory {
            photos: 9,
            width: 256,
            height: 256,
            needed: 3 << 20,
            available: (1 << 20) + 1,
        };
        assert!(error.to_string().contains("256×256 need 3 MiB of memory, 2 MiB are available"));
    }
}
