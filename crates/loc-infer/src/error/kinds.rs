//! Kinds of errors that an application may want to distinguish: metadata, files, output of an engine.

use super::{BoxError, Remedy};
use crate::confidence::{ExpectedIou, Margins};
use crate::{FORMAT, ImageSize, InputSpec, ModelMeta, SecondLook};

/// What is wrong with a value of the metadata. Its text includes that of its cause, as that of [`Error`](crate::Error).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// The format has a number that was never used.
    #[error("{found} does not exist; the first format is {FORMAT}")]
    Format {
        /// The number in the file.
        found: u32,
    },
    /// The names of the classes are not valid.
    #[error("{0}")]
    ClassNames(#[source] ClassNamesError),
    /// There are not as many names as the network has classes.
    #[error("{} names ({}), but the network has {network}", names.len(), names.join(", "))]
    ClassCount {
        /// Names of the classes.
        names: Vec<String>,
        /// Number of classes of the network.
        network: usize,
    },
    /// The input size is out of range.
    #[error("{0} is not within 1×1 and {max}×{max}", max = InputSpec::MAX_SIDE)]
    InputSize(ImageSize),
    /// The input size is not that of the network.
    #[error("{size}, but the network needs {width}×{height}")]
    InputMismatch {
        /// The input size.
        size: ImageSize,
        /// Width of the network's input, in pixels.
        width: usize,
        /// Height of the network's input, in pixels.
        height: usize,
    },
    /// Photos are to be decoded at a reduced size, but a second look reads parts of them at full size.
    #[error("`reduced` is not for a model with a second look, which reads parts of the photo at full size")]
    ReducedForTwoLooks,
    /// The margin of the second look is out of range.
    #[error("a margin of {0} is not within {min} and {max}", min = SecondLook::MARGINS.start(), max = SecondLook::MARGINS.end())]
    Margin(f32),
    /// The second look of the metadata is not that of the network.
    #[error("{metadata:?}, but the network's second look has an input of {network:?} (width, height)")]
    SecondLook {
        /// In the metadata.
        metadata: Option<SecondLook>,
        /// Of the network.
        network: Option<(usize, usize)>,
    },
    /// The file of the second look has other classes or another input than the first look's names.
    #[error(
        "is the second look of another model: its classes or its input are not those that the first look names"
    )]
    OtherSecondLook,
    /// The number of engines is not that of the looks.
    #[error("{engines} engines, but the model has {} look(s)", if *second { 2 } else { 1 })]
    Looks {
        /// Whether the model has a second look.
        second: bool,
        /// The number of engines.
        engines: usize,
    },
    /// A mean is not finite.
    #[error("{0:?} is not finite")]
    Mean([f32; 3]),
    /// A standard deviation is not above 0 and finite.
    #[error("{0:?} is not above 0 and finite")]
    Std([f32; 3]),
    /// A temperature is out of range.
    #[error("{0} is not within {low} and {high}", low = ModelMeta::TEMPERATURES.start(), high = ModelMeta::TEMPERATURES.end())]
    Temperature(f32),
    /// A threshold of presence is no probability.
    #[error("{0} is not within 0 and 1")]
    PresenceThreshold(f32),
    /// The margins are out of range.
    #[error("{0:?}: the coverage must be above 0 and below 1, the quantile 0 or more")]
    Margins(Margins),
    /// A coefficient of the expected IoU is not finite.
    #[error("{0:?} is not finite")]
    ExpectedIou(ExpectedIou),
    /// The values of the novelty are out of range, or not as many as the network has features.
    #[error("its numbers are out of range, or do not fit the network")]
    Novelty,
}

impl MetadataError {
    /// The key with the wrong value.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Format { .. } => "format",
            Self::ClassNames(_) | Self::ClassCount { .. } => "classes",
            Self::InputSize(_) | Self::InputMismatch { .. } => "input",
            Self::ReducedForTwoLooks => "input.decode",
            Self::Mean(_) => "input.mean",
            Self::Std(_) => "input.std",
            Self::Temperature(_) => "temperature",
            Self::Margin(_) | Self::SecondLook { .. } | Self::OtherSecondLook | Self::Looks { .. } => {
                "second_look"
            }
            Self::PresenceThreshold(_) => "presence_threshold",
            Self::Margins(_) => "margins",
            Self::ExpectedIou(_) => "expected_iou",
            Self::Novelty => "novelty",
        }
    }
}

/// What is wrong with a list of class names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClassNamesError {
    /// The list is empty.
    #[error("the list of class names is empty")]
    NoClass,
    /// A name is empty or blank.
    #[error("{names:?} has an empty name")]
    EmptyName {
        /// The list.
        names: Vec<String>,
    },
    /// Two classes have the same name.
    #[error("{name:?} occurs twice")]
    Duplicate {
        /// The name.
        name: String,
    },
}

/// Why a file is not a model. Its text includes that of its cause, as that of [`Error`](crate::Error).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotAModelError {
    /// It is a zip archive or a pickle, as PyTorch writes.
    #[error("looks like PyTorch's own format")]
    PyTorch,
    /// It starts as an ONNX file, but is not valid.
    #[error("ONNX cannot be read: {0}")]
    Onnx(#[source] BoxError),
    /// None of the known types.
    #[error("starts with \"{start}\"")]
    Unknown {
        /// The first bytes, escaped.
        start: String,
    },
}

impl NotAModelError {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::PyTorch => Remedy::ImportWeights,
            Self::Onnx(_) => Remedy::ExportAgain,
            Self::Unknown { .. } => Remedy::UseModelFile,
        }
    }
}

/// What is wrong with the output of an engine.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The number of values is not that of the photos.
    #[error("{found} values where {photos} × {each} are needed")]
    Length {
        /// Number of values.
        found: usize,
        /// Number of photos.
        photos: usize,
        /// Number of values of each photo.
        each: usize,
    },
    /// The number of logits of a photo is not that of the classes.
    #[error("{found} values, but the model has {classes} classes")]
    ClassCount {
        /// Number of logits.
        found: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A logit is NaN or +∞, or all are −∞.
    #[error("{0:?} are not finite")]
    Logits(Vec<f32>),
    /// Values are not those of distributions of edges.
    #[error("no distribution: a value is not finite, or all are −∞")]
    Edges,
    /// A logit of presence is not a number.
    #[error("is not a number")]
    Presence,
    /// An edge of the box is infinite or NaN.
    #[error("{0:?} is not finite")]
    Box([f32; 4]),
}
