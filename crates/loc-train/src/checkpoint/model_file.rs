//! The metadata of a model file: the parts that loc-infer, loc-net and training each define.

use std::fmt;
use std::io::ErrorKind;
use std::path::Path;

use loc_infer::{InputSpec, ModelMeta};
use loc_net::{InputShape, Network, NetworkConfig, Normalization, WeightFile};
use serde::{Deserialize, Serialize};

use crate::config::input_shape;
use crate::error::{MetadataError, RunError, TrainError};
use crate::run::atomic_file;

/// The metadata of a model file: the value of its key `loc`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelFile {
    /// Format version, classes and input.
    #[serde(flatten)]
    pub meta: ModelMeta,
    /// The network.
    pub network: NetworkConfig,
    /// Digest of the configuration that trained it; none for an imported one.
    pub recipe: Option<String>,
    /// Epochs it was trained; none for an imported one.
    pub epoch: Option<usize>,
    /// Metrics on the validation photos at that epoch.
    pub metrics: Option<Metrics>,
    /// The photos and the gain of its calibration; none for a model that was not calibrated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibrated: Option<CalibrationRecord>,
}

/// The metrics in a model file.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Fraction with the right class.
    pub accuracy: f64,
    /// Mean IoU.
    pub mean_iou: f64,
    /// Fraction with the right class and IoU ≥ 0.5.
    pub localization_accuracy: f64,
}

/// A calibration that a model file has: on which photos, and the expected calibration errors before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibrationRecord {
    /// Number of photos.
    pub photos: usize,
    /// SHA-256 of the photos' names in the data set, sorted, a line each.
    pub sha256: String,
    /// Errors of the confidence; none if no temperature was fitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence_ece: Option<BeforeAfter>,
    /// Errors of the expected IoU; before: of the confidence, taken for it. None if it was not fitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_iou_ece: Option<BeforeAfter>,
}

/// An expected calibration error before a calibration, and after it. After: of answers to the photos of each of ten folds,
/// calibrated by the photos of the nine others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BeforeAfter {
    /// At temperature 1.
    pub before: f64,
    /// After it.
    pub after: f64,
}

impl fmt::Display for CalibrationRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "calibrated on {} photos", self.photos)?;
        let mut lead = "; on photos that the fit had not seen, the calibration error";
        for (what, ece) in [("confidence", self.confidence_ece), ("expected IoU", self.expected_iou_ece)] {
            if let Some(BeforeAfter { before, after }) = ece {
                write!(f, "{lead} of the {what} is {after:.3} (before: {before:.3})")?;
                lead = ",";
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Rest {
    network: NetworkConfig,
    recipe: Option<String>,
    epoch: Option<usize>,
    metrics: Option<Metrics>,
    calibrated: Option<CalibrationRecord>,
}

impl ModelFile {
    /// Metadata with classes, input and network alone.
    #[must_use]
    pub fn new(meta: ModelMeta, network: NetworkConfig) -> Self {
        Self { meta, network, recipe: None, epoch: None, metrics: None, calibrated: None }
    }

    /// Reads the JSON.
    ///
    /// # Errors
    ///
    /// [`MetadataError`] with what is missing or wrong.
    pub fn from_json(json: &str) -> Result<Self, MetadataError> {
        let meta = ModelMeta::from_json(json)?;
        let Rest { network, recipe, epoch, metrics, calibrated } = serde_json::from_str(json)?;
        Ok(Self { meta, network, recipe, epoch, metrics, calibrated })
    }

    /// Returns the JSON: the same bytes for the same values.
    ///
    /// # Errors
    ///
    /// [`TrainError::Metadata`] if a number is not finite.
    pub fn to_json(&self) -> Result<String, TrainError> {
        Ok(serde_json::to_string(self).map_err(MetadataError::from)?)
    }

    /// Stores a temperature in a model file, which is replaced atomically. Nothing else in it changes.
    ///
    /// # Errors
    ///
    /// [`TrainError`] if it is no model file, cannot be written, or the temperature is out of range.
    pub fn set_temperature(path: &Path, temperature: f32) -> Result<(), TrainError> {
        Self::replace(path, |file| file.meta.temperature = temperature)
    }

    /// Changes the metadata of a model file, which is replaced atomically. Nothing else in it changes.
    ///
    /// # Errors
    ///
    /// [`TrainError`] if it is no model file, cannot be written, or the metadata would not be valid.
    pub fn replace(path: &Path, change: impl FnOnce(&mut Self)) -> Result<(), TrainError> {
        // A link stays a link.
        let path = fs_err::canonicalize(path)?;
        if fs_err::metadata(&path)?.permissions().readonly() {
            let error = std::io::Error::new(ErrorKind::PermissionDenied, "it is read-only");
            let folder = path.parent().unwrap_or(&path).to_owned();
            return Err(TrainError::run(path, RunError::Write { error, folder }));
        }
        atomic_file::replace(&path, &Self::changed(&path, change)?)
    }

    /// Returns the bytes of a model file with other metadata; the file stays as it is.
    ///
    /// # Errors
    ///
    /// [`TrainError`] if it is no model file, or the metadata would not be valid.
    pub fn changed(path: &Path, change: impl FnOnce(&mut Self)) -> Result<Vec<u8>, TrainError> {
        let WeightFile { weights, metadata } = WeightFile::parse(&fs_err::read(path)?)?;
        let mut file = Self::from_json(&metadata.unwrap_or_default())?;
        change(&mut file);
        file.meta.check().map_err(MetadataError::from)?;
        let json = file.to_json()?;
        Self::from_json(&json)?;
        Ok(loc_model::weights::to_bytes(&weights, Some(&json))?)
    }

    /// Builds the network, with the input's normalization.
    ///
    /// # Errors
    ///
    /// [`TrainError::Net`] if the network does not admit its own configuration, [`TrainError::Metadata`] if it is made for
    /// other classes or another input than the file names.
    pub fn build(&self) -> Result<Network, TrainError> {
        let InputSpec { mean, std, .. } = self.meta.input;
        let (names, input) = (self.meta.classes.len(), input_shape(&self.meta.input));
        if names != self.network.classes || input != self.network.input {
            let InputShape { width, height } = self.network.input;
            let (input, classes) = (self.meta.input.size, self.network.classes);
            return Err(MetadataError::Contradiction { names, input, classes, width, height }.into());
        }
        Ok(self.network.build(&Normalization { mean, std })?)
    }

    /// Returns the metadata of the second look as a model of its own, which reads the part of a photo around an object.
    ///
    /// # Errors
    ///
    /// [`TrainError::Metadata`] if there is no second look.
    pub fn second_look_alone(&self) -> Result<Self, TrainError> {
        let (Some(look), Some(network)) = (self.meta.second_look, self.network.second()) else {
            return Err(MetadataError::NoSecondLook.into());
        };
        let input = look.input(&self.meta.input);
        let meta = ModelMeta { input, second_look: None, presence_threshold: None, ..self.meta.clone() };
        Ok(Self { meta, network, ..self.clone() })
    }

    /// Builds the network of the second look, if there is one.
    ///
    /// # Errors
    ///
    /// [`TrainError::Net`] if the network does not admit the input of the second look.
    pub fn build_second(&self) -> Result<Option<Network>, TrainError> {
        let InputSpec { mean, std, .. } = self.meta.input;
        let build = |config: NetworkConfig| config.build(&Normalization { mean, std });
        Ok(self.network.second().map(build).transpose()?)
    }
}
