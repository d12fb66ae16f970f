//! The metadata of a model file: the parts that loc-infer, loc-net and training each define.

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

#[derive(Deserialize)]
struct Rest {
    network: NetworkConfig,
    recipe: Option<String>,
    epoch: Option<usize>,
    metrics: Option<Metrics>,
}

impl ModelFile {
    /// Metadata with classes, input and network alone.
    #[must_use]
    pub fn new(meta: ModelMeta, network: NetworkConfig) -> Self {
        Self { meta, network, recipe: None, epoch: None, metrics: None }
    }

    /// Reads the JSON.
    ///
    /// # Errors
    ///
    /// [`MetadataError`] with what is missing or wrong.
    pub fn from_json(json: &str) -> Result<Self, MetadataError> {
        let meta = ModelMeta::from_json(json)?;
        let Rest { network, recipe, epoch, metrics } = serde_json::from_str(json)?;
        Ok(Self { meta, network, recipe, epoch, metrics })
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
        // A link stays a link.
        let path = fs_err::canonicalize(path)?;
        if fs_err::metadata(&path)?.permissions().readonly() {
            let error = std::io::Error::new(ErrorKind::PermissionDenied, "it is read-only");
            let folder = path.parent().unwrap_or(&path).to_owned();
            return Err(TrainError::run(path, RunError::Write { error, folder }));
        }
        let WeightFile { weights, metadata } = WeightFile::parse(&fs_err::read(&path)?)?;
        let mut file = Self::from_json(&metadata.unwrap_or_default())?;
        file.meta.temperature = temperature;
        file.meta.check().map_err(MetadataError::from)?;
        atomic_file::replace(&path, &loc_model::weights::to_bytes(&weights, Some(&file.to_json()?))?)
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
}
