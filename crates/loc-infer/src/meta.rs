//! The classes and the input of a model: this crate's part of the model file's metadata. The key `network` belongs to
//! loc-net, other keys to training.

use std::collections::BTreeSet;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::confidence::{ExpectedIou, Margins, Novelty};
use crate::{ClassNamesError, Decode, Error, ImageSize, InputSpec, MetadataError};

/// Version of the model file's metadata that this build writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// What prediction needs besides the network. Serialises to the keys `format`, `classes`, `input` and, where they are not
/// the default, `temperature`, `presence_threshold`, `margins`, `expected_iou`, `novelty` and `second_look` of the model file's JSON.
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
    /// What tells photos of the model's kind from others; none if it was not fitted.
    pub novelty: Option<Novelty>,
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

/// The keys of the metadata that this crate reads.
#[derive(Deserialize)]
struct MetaJson {
    classes: Vec<String>,
    input: InputSpec,
    temperature: Option<f32>,
    presence_threshold: Option<f32>,
    margins: Option<Margins>,
    expected_iou: Option<ExpectedIou>,
    novelty: Option<Novelty>,
    second_look: Option<SecondLook>,
}

#[derive(Deserialize)]
#[serde(expecting = "a JSON object with the key `format`")]
struct FormatJson {
    format: u32,
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
            novelty: None,
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
            novelty: json.novelty,
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
        if self.novelty.as_ref().is_some_and(|novelty| !novelty.is_valid()) {
            return Err(Error::Metadata(MetadataError::Novelty));
        }
        if let Some(threshold) = self.presence_threshold.filter(|t| !(0.0..=1.0).contains(t)) {
            return Err(Error::Metadata(MetadataError::PresenceThreshold(threshold)));
        }
        if let Some(second) = &self.second_look {
            if !SecondLook::MARGINS.contains(&second.margin) {
                return Err(Error::Metadata(MetadataError::Margin(second.margin)));
            }
            if self.input.decode == Decode::Reduced {
                return Err(Error::Metadata(MetadataError::ReducedForTwoLooks));
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
        let mut json = serializer.serialize_struct("ModelMeta", 9)?;
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
        match &self.novelty {
            Some(novelty) => json.serialize_field("novelty", novelty)?,
            None => json.skip_field("novelty")?,
        }
        match &self.second_look {
            None => json.skip_field("second_look")?,
            Some(second) => json.serialize_field("second_look", second)?,
        }
        json.end()
    }
}

#[cfg(test)]
mod tests;
