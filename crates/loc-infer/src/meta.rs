//! The classes and the input of a model: this crate's part of the model file's metadata. The key `network` belongs to
//! loc-net, other keys to training.

use std::collections::BTreeSet;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::confidence::{ExpectedIou, Margins};
use crate::{ClassNamesError, Error, ImageSize, MetadataError};

/// Version of the model file's metadata that this build writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// What prediction needs besides the network. Serialises to the keys `format`, `classes`, `input` and, where they are not
/// the default, `temperature`, `presence_threshold`, `margins`, `expected_iou` and `second_look` of the model file's JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelMeta {
    /// Names of the classes; the index is the class. At least one, all different, none empty.
    pub classes: Vec<String>,
    /// How a photo becomes the network's input.
    pub input: InputSpec,
    /// The logits are divided by this before the softmax, within [`ModelMeta::TEMPERATURES`]: calibration (Guo et al. 2017,
    /// On calibration of modern neural networks). It changes the probabilities, never the predicted class.
    pub temperature: f32,
    /// From this probability on, 0..=1, a model that says whether there is an object takes one to be there; none for a model that
    /// does not, or was never evaluated ([`ModelMeta::NEUTRAL`]).
    pub presence_threshold: Option<f32>,
    /// Margins between which the true box lies; none if they were not fitted.
    pub margins: Option<Margins>,
    /// How to compute the expected IoU of a box; none if it was not fitted.
    pub expected_iou: Option<ExpectedIou>,
    /// The second look, if there is one.
    pub second_look: Option<SecondLook>,
}

/// The second look: a second network reads the part of the photo around the first one's box; its answer is the prediction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondLook {
    /// Width of its input, in pixels.
    pub width: u32,
    /// Height of its input, in pixels.
    pub height: u32,
    /// The sides of the part of the photo, in sides of the first box; within [`SecondLook::MARGINS`].
    pub margin: f32,
}

impl SecondLook {
    /// The margins that a second look may have.
    pub const MARGINS: std::ops::RangeInclusive<f32> = 1.0..=4.0;

    /// How the part of the photo becomes the input of the second look; `first` is the first look's.
    #[must_use]
    pub fn input(&self, first: &InputSpec) -> InputSpec {
        InputSpec { size: ImageSize { width: self.width, height: self.height }, ..*first }
    }
}

/// How a photo becomes the network's input.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "InputJson", into = "InputJson")]
pub struct InputSpec {
    /// Size of the input, each side in 1..=[`InputSpec::MAX_SIDE`].
    pub size: ImageSize,
    /// How a photo of another shape is made to fit.
    pub fit: Fit,
    /// How pixels are interpolated.
    pub filter: Filter,
    /// Mean of red, green and blue in 0..1. The network's first layer subtracts it.
    pub mean: [f32; 3],
    /// Standard deviation of red, green and blue, above 0. The network's first layer divides by it.
    pub std: [f32; 3],
}

/// How a photo of another shape is made to fit the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Each side is scaled independently; the aspect ratio changes.
    #[default]
    Stretch,
    /// Both sides are scaled by the same factor; the rest is filled with grey 114, half on each side.
    Letterbox,
}

/// How pixels are interpolated. When a side shrinks, the kernel is widened by the same factor (the picture is
/// averaged, not sampled): PIL's `resize` does the same, OpenCV's and PyTorch's defaults do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// The source pixel at the centre; nothing is averaged.
    Nearest,
    /// Triangle with radius 1.
    #[default]
    Bilinear,
    /// Cubic convolution with a = −1/2, radius 2 (Keys 1981, equation 15).
    CatmullRom,
    /// Windowed sinc with radius 3.
    Lanczos3,
}

/// The JSON of [`InputSpec`]: width and height are keys beside the others. Unknown keys are refused because they could
/// change the network's input.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InputJson {
    width: u32,
    height: u32,
    fit: Fit,
    filter: Filter,
    mean: [f32; 3],
    std: [f32; 3],
}

/// The keys of the metadata that this crate reads.
#[derive(Deserialize)]
struct MetaJson {
    classes: Vec<String>,
    input: InputSpec,
    temperature: Option<f32>,
    presence_threshold: Option<f32>,
    margins: Option<Margins>,
    expected_iou: Option<ExpectedIou>,
    second_look: Option<SecondLook>,
}

#[derive(Deserialize)]
#[serde(expecting = "a JSON object with the key `format`")]
struct FormatJson {
    format: u32,
}

impl Default for InputSpec {
    /// The input of the tutorial: 256×256, stretched, bilinear, not normalised.
    fn default() -> Self {
        Self {
            size: ImageSize { width: 256, height: 256 },
            fit: Fit::Stretch,
            filter: Filter::Bilinear,
            mean: [0.0; 3],
            std: [1.0; 3],
        }
    }
}

impl InputSpec {
    /// The longest side an input may have: 200 MB as f32. The limit protects against untrusted model files.
    pub const MAX_SIDE: u32 = 4096;

    /// Number of values of one input: 3 × height × width.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "at most 3 · 4096² after `check`, on 64 bits always")]
    pub fn values(&self) -> usize {
        (3 * u64::from(self.size.width) * u64::from(self.size.height)) as usize
    }

    /// Checks the ranges that the fields document.
    ///
    /// # Errors
    ///
    /// [`Error::Metadata`] with the field and the range.
    pub fn check(&self) -> Result<(), Error> {
        self.check_ranges().map_err(Error::Metadata)
    }

    fn check_ranges(&self) -> Result<(), MetadataError> {
        let (size, mean, std) = (self.size, self.mean, self.std);
        let sides = 1..=Self::MAX_SIDE;
        if !sides.contains(&size.width) || !sides.contains(&size.height) {
            Err(MetadataError::InputSize(size))
        } else if mean.iter().any(|m| !m.is_finite()) {
            Err(MetadataError::Mean(mean))
        } else if std.iter().any(|s| !s.is_finite() || *s <= 0.0) {
            Err(MetadataError::Std(std))
        } else {
            Ok(())
        }
    }
}

impl ModelMeta {
    /// The temperatures that a model may have.
    pub const TEMPERATURES: std::ops::RangeInclusive<f32> = 0.01..=100.0;

    /// The threshold of presence of a model that has none of its own.
    pub const NEUTRAL: f32 = 0.5;

    /// Classes and input, checked; not calibrated: the temperature is 1.
    ///
    /// # Errors
    ///
    /// As [`ModelMeta::check`].
    pub fn new(classes: Vec<String>, input: InputSpec) -> Result<Self, Error> {
        let meta = Self {
            classes,
            input,
            temperature: 1.0,
            presence_threshold: None,
            margins: None,
            expected_iou: None,
            second_look: None,
        };
        meta.check()?;
        Ok(meta)
    }

    /// Parses the JSON of a model file; keys of other crates (`network`, `recipe`, …) are ignored.
    ///
    /// # Errors
    ///
    /// [`Error::NewerFormat`] if a newer loc wrote it, [`Error::MetadataJson`] if it is not such JSON,
    /// [`Error::Metadata`] if a value is out of its range.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        // The format first: everything else may differ in a later format.
        let FormatJson { format } = serde_json::from_str(json).map_err(Error::MetadataJson)?;
        if format > FORMAT {
            return Err(Error::NewerFormat { found: format });
        }
        if format != FORMAT {
            return Err(Error::Metadata(MetadataError::Format { found: format }));
        }
        let json: MetaJson = serde_json::from_str(json).map_err(Error::MetadataJson)?;
        let meta = Self {
            classes: json.classes,
            input: json.input,
            temperature: json.temperature.unwrap_or(1.0),
            presence_threshold: json.presence_threshold,
            margins: json.margins,
            expected_iou: json.expected_iou,
            second_look: json.second_look,
        };
        meta.check()?;
        Ok(meta)
    }

    /// Checks the ranges that the fields document.
    ///
    /// # Errors
    ///
    /// [`Error::Metadata`] with the field and what is wrong.
    pub fn check(&self) -> Result<(), Error> {
        check_class_names(&self.classes)
            .map_err(|error| Error::Metadata(MetadataError::ClassNames(error)))?;
        if !Self::TEMPERATURES.contains(&self.temperature) {
            return Err(Error::Metadata(MetadataError::Temperature(self.temperature)));
        }
        if let Some(margins) = self.margins.filter(|margins| !margins.is_valid()) {
            return Err(Error::Metadata(MetadataError::Margins(margins)));
        }
        if let Some(model) = self.expected_iou.filter(|model| !model.is_valid()) {
            return Err(Error::Metadata(MetadataError::ExpectedIou(model)));
        }
        if let Some(threshold) = self.presence_threshold.filter(|t| !(0.0..=1.0).contains(t)) {
            return Err(Error::Metadata(MetadataError::PresenceThreshold(threshold)));
        }
        if let Some(second) = &self.second_look {
            if !SecondLook::MARGINS.contains(&second.margin) {
                return Err(Error::Metadata(MetadataError::Margin(second.margin)));
            }
            second.input(&self.input).check()?;
        }
        self.input.check()
    }
}

/// Checks a list of class names: at least one name is required, all distinct, none empty.
///
/// # Errors
///
/// [`ClassNamesError`] with the first rule that is broken.
pub fn check_class_names(names: &[String]) -> Result<(), ClassNamesError> {
    let mut seen = BTreeSet::new();
    if names.is_empty() {
        return Err(ClassNamesError::NoClass);
    }
    if names.iter().any(|name| name.trim().is_empty()) {
        return Err(ClassNamesError::EmptyName { names: names.to_vec() });
    }
    match names.iter().find(|name| !seen.insert(*name)) {
        Some(name) => Err(ClassNamesError::Duplicate { name: name.clone() }),
        None => Ok(()),
    }
}

impl Serialize for ModelMeta {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_struct("ModelMeta", 8)?;
        json.serialize_field("format", &FORMAT)?;
        json.serialize_field("classes", &self.classes)?;
        json.serialize_field("input", &self.input)?;
        // A model that was never calibrated has the bytes that it always had.
        if self.temperature == 1.0 {
            json.skip_field("temperature")?;
        } else {
            json.serialize_field("temperature", &self.temperature)?;
        }
        match self.presence_threshold {
            Some(threshold) => json.serialize_field("presence_threshold", &threshold)?,
            None => json.skip_field("presence_threshold")?,
        }
        match &self.margins {
            Some(margins) => json.serialize_field("margins", margins)?,
            None => json.skip_field("margins")?,
        }
        match &self.expected_iou {
            Some(model) => json.serialize_field("expected_iou", model)?,
            None => json.skip_field("expected_iou")?,
        }
        match &self.second_look {
            None => json.skip_field("second_look")?,
            Some(second) => json.serialize_field("second_look", second)?,
        }
        json.end()
    }
}

impl TryFrom<InputJson> for InputSpec {
    type Error = String;

    fn try_from(json: InputJson) -> Result<Self, String> {
        let InputJson { width, height, fit, filter, mean, std } = json;
        let spec = Self { size: ImageSize { width, height }, fit, filter, mean, std };
        // serde adds line and column to the message; the caller adds that it is about the metadata.
        spec.check_ranges().map_err(|error| format!("`{}`: {error}", error.field()))?;
        Ok(spec)
    }
}

impl From<InputSpec> for InputJson {
    fn from(spec: InputSpec) -> Self {
        let InputSpec { size: ImageSize { width, height }, fit, filter, mean, std } = spec;
        Self { width, height, fit, filter, mean, std }
    }
}

#[cfg(test)]
mod tests;
