//! The errors of this crate: the problem, its place, the reason, and a hint.

mod kinds;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

pub use self::kinds::{ClassNamesError, MetadataError, NotAModelError, OutputError};
use crate::preprocess::Limits;

/// An error of an engine or of a crate behind a feature.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The errors from loading a model to predicting a box.
///
/// The text of an error includes that of its cause, so that printing the error alone prints everything. `source`
/// returns the cause, for callers that look for a kind; code that prints a chain of errors should skip a cause whose
/// text was already printed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error about a file.
    #[error("{}: {error}", path.display())]
    At {
        /// The file.
        path: PathBuf,
        /// The error.
        #[source]
        error: Box<Error>,
    },
    /// The file cannot be read.
    #[error("{}", unreadable(.0))]
    Read(#[source] std::io::Error),
    /// The path is not that of a file.
    #[error("is {what} where a file is needed (hint: name a file)")]
    NotAFile {
        /// What it is.
        what: &'static str,
    },
    /// The file is larger than the limit.
    #[error("has {bytes} bytes, more than the limit of {limit} (hint: is it the right file?)")]
    FileTooLarge {
        /// Its size.
        bytes: u64,
        /// The largest allowed.
        limit: u64,
    },

    /// The photo is empty.
    #[error("is empty (hint: the download may have failed)")]
    Empty,
    /// The bytes have no known image format.
    #[error("not a {expected}: starts with \"{start}\"{}", hint_for_start(start))]
    NotAPhoto {
        /// The expected format, by the file's extension.
        expected: &'static str,
        /// The first bytes, escaped.
        start: String,
    },
    /// The bytes have a known format that this build does not read.
    #[error("is {what}, which loc does not read (hint: {hint})")]
    UnsupportedFormat {
        /// What it is, with the article: "a HEIC photo", "an MP4 video".
        what: &'static str,
        /// What to try.
        hint: &'static str,
    },
    /// The JPEG ends before its end-of-image marker.
    #[error("JPEG cut short: no end-of-image marker in {bytes} bytes (hint: copy or download it again)")]
    Truncated {
        /// Length of the file.
        bytes: usize,
    },
    /// The photo has no pixels.
    #[error("{width}×{height} photo has no pixel (hint: copy or download it again)")]
    ZeroSize {
        /// Width in its header.
        width: u32,
        /// Height in its header.
        height: u32,
    },
    /// The photo is larger than the limits.
    #[error(
        "{width}×{height} photo is beyond the limits of {}×{} pixels and {} MiB (hint: see `Limits`)",
        limits.max_width, limits.max_height, limits.max_alloc >> 20
    )]
    TooLarge {
        /// Width in its header.
        width: u32,
        /// Height in its header.
        height: u32,
        /// The limits.
        limits: Limits,
    },
    /// The photo's bytes are damaged.
    #[error("{format} cannot be decoded: {error} (hint: {})", hint_for_decoding(error))]
    Decode {
        /// Name of the format.
        format: &'static str,
        /// The error of the decoder.
        #[source]
        error: image::ImageError,
    },

    /// The model file has weights without loc's metadata.
    #[error("no metadata under the key `loc`: plain weights, without classes and input size")]
    NoMetadata,
    /// The metadata is not valid JSON of the expected form.
    #[error("metadata `loc`: {0} (hint: was it edited by hand, or is the file damaged?)")]
    MetadataJson(#[source] serde_json::Error),
    /// A value of the metadata is out of its range.
    #[error("metadata `loc`, `{field}`: {0} (hint: was it edited by hand, or is the file damaged?)", field = .0.field())]
    Metadata(#[source] MetadataError),
    /// The model file was written by a newer version of loc.
    #[error(
        "model file of format {found}: needs loc >= {} (hint: this is loc {}, which reads format {})",
        next_version(), env!("CARGO_PKG_VERSION"), crate::FORMAT
    )]
    NewerFormat {
        /// The file's format.
        found: u32,
    },
    /// The file is not a model.
    #[error("not a model file: {0}")]
    NotAModel(#[source] NotAModelError),
    /// The weights cannot be read, or do not fit the network: of a model file of loc, loc-net's error.
    #[error("{0}")]
    Weights(#[source] BoxError),
    /// Weights are infinite or NaN: of a model file of loc, loc-net's error.
    #[error("{0}")]
    NonFiniteWeights(#[source] BoxError),

    /// The system cannot start as many threads as [`LoadOptions::threads`](crate::LoadOptions::threads) requests.
    #[error("{0}")]
    Threads(#[source] BoxError),

    /// [`LoadOptions::novelty`](crate::LoadOptions::novelty) was requested of a model that was not calibrated for it, or of an
    /// ONNX file, which does not return the features.
    #[error("cannot tell photos of its kind from others: it was not calibrated for that, or is an ONNX file")]
    NoNovelty,
    /// This build has no engine for the model.
    #[error("this build of loc-infer cannot run {what} (hint: {hint})")]
    NoEngine {
        /// What the model is.
        what: &'static str,
        /// What to try.
        hint: &'static str,
    },
    /// The engine failed.
    #[error("engine `{engine}`: {error}")]
    Engine {
        /// Its name.
        engine: &'static str,
        /// Its own error.
        #[source]
        error: BoxError,
    },
    /// The engine or the decoder panicked: a bug, whose message was also passed to the panic hook. The photos of that
    /// call get this error, other photos their predictions.
    #[error(
        "{what} panicked: {message} (hint: this is a fault in its code; report it with the photo and the model)"
    )]
    Panic {
        /// The engine or the decoder.
        what: &'static str,
        /// The panic's message.
        message: String,
    },
    /// The engine's output does not have the required form.
    #[error("the engine's {what}: {error}")]
    Output {
        /// Which part.
        what: &'static str,
        /// What is wrong.
        #[source]
        error: OutputError,
    },
}

/// How to solve an error with another tool or option, if functions of this library are not enough. Applications show it
/// in their own words; it is not part of the error's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Remedy {
    /// Convert PyTorch weights or plain safetensors to a model file of loc, with class names and input size.
    ImportWeights,
    /// Use a model file of loc, or an ONNX file that loc exported.
    UseModelFile,
    /// Export the ONNX file again, with loc.
    ExportAgain,
    /// Load the model with [`LoadOptions::allow_nonfinite`](crate::LoadOptions::allow_nonfinite).
    AllowNonfinite,
    /// Calibrate the model on photos that it was not trained on.
    Calibrate,
}

impl Error {
    /// How to solve it with another tool or option, if that is possible.
    #[must_use]
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::At { error, .. } => error.remedy(),
            Self::NoMetadata => Some(Remedy::ImportWeights),
            Self::NotAModel(error) => Some(error.remedy()),
            Self::NonFiniteWeights(_) => Some(Remedy::AllowNonfinite),
            Self::NoNovelty => Some(Remedy::Calibrate),
            _ => None,
        }
    }

    /// Adds the path of a file; an error that has one already stays as it is.
    #[must_use]
    pub fn at(self, path: &Path) -> Self {
        match self {
            Self::At { .. } => self,
            error => Self::At { path: path.to_owned(), error: Box::new(error) },
        }
    }

    /// The error without the path: for records with the path in a separate field.
    #[must_use]
    pub fn reason(&self) -> &Self {
        match self {
            Self::At { error, .. } => error.reason(),
            error => error,
        }
    }
}

/// Turns a panic in `f` into an error, so that it affects only one photo, or one call of an engine.
pub(crate) fn catch_panic<T>(what: &'static str, f: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| {
        let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(message), _) => (*message).to_owned(),
            (_, Some(message)) => message.clone(),
            _ => "without a message".into(),
        };
        Err(Error::Panic { what, message })
    })
}

/// The next minor version: the format of the metadata changes at most with minor versions.
fn next_version() -> String {
    let minor = env!("CARGO_PKG_VERSION_MINOR").parse::<u32>().map_or(0, |minor| minor + 1);
    format!("{}.{minor}.0", env!("CARGO_PKG_VERSION_MAJOR"))
}

/// The first bytes of a file, escaped, for errors.
pub(crate) fn start_of(bytes: &[u8]) -> String {
    const SHOWN: usize = 24;
    let mut start = bytes[..bytes.len().min(SHOWN)].escape_ascii().to_string();
    if bytes.len() > SHOWN {
        start.push('…');
    }
    start
}

fn unreadable(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "does not exist (hint: is the path right?)".into(),
        _ => format!("{error} (hint: do you have permission to read it?)"),
    }
}

fn hint_for_decoding(error: &image::ImageError) -> &'static str {
    match error {
        image::ImageError::Unsupported(_) => "save it as 8-bit RGB, or convert it to JPEG or PNG",
        _ => "copy or download it again",
    }
}

fn hint_for_start(start: &str) -> &'static str {
    if start.trim_start_matches("\\n").trim_start().starts_with('<') {
        " (hint: looks like HTML, a web page saved under a photo's name)"
    } else {
        " (hint: is it a photo, and complete?)"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_message() {
        let message = |f: fn() -> Result<u8, Error>| catch_panic("the decoder", f).unwrap_err().to_string();
        assert!(message(|| panic!("at {}", 7)).starts_with("the decoder panicked: at 7 (hint: "));
        assert!(message(|| panic!("plain")).starts_with("the decoder panicked: plain (hint: "));
        assert!(message(|| std::panic::panic_any(7)).contains("panicked: without a message"));
        assert_eq!(catch_panic("the decoder", || Ok(7)).unwrap(), 7);
    }
}
