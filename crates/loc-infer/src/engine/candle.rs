//! Candle as the engine: loc's own model files on a CUDA device. On the CPU it is slower than `native`, with the same
//! results.

use candle_core::{Device, Tensor};
use loc_model::{Model, ModelError};

use super::native::ModelFile;
use super::{Engine, RawOutput};
use crate::{Error, ModelMeta};

/// A model on a Candle device.
#[derive(Debug)]
pub struct Candle {
    model: Model,
    /// `[3, height, width]`.
    input: Vec<usize>,
}

impl Candle {
    /// Runs a model that is already on its device.
    #[must_use]
    pub fn new(model: Model) -> Self {
        let input = model.network().input().0.clone();
        Self { model, input }
    }

    /// Reads a model file's bytes and puts the weights of each look on a device.
    ///
    /// # Errors
    ///
    /// [`Error`] if it is not a model file or its parts do not fit together; [`Error::Engine`] if the device fails.
    pub fn read(bytes: &[u8], device: &Device) -> Result<(ModelMeta, Vec<Self>), Error> {
        let ModelFile { meta, looks } = ModelFile::parse(bytes)?;
        let mut engines = Vec::with_capacity(looks.len());
        for (network, weights) in looks {
            let model = Model::new(network, &weights, device).map_err(|error| match error {
                ModelError::Net(error) => Error::Weights(error.into()),
                error => failed(error),
            })?;
            engines.push(Self::new(model));
        }
        Ok((meta, engines))
    }
}

impl Engine for Candle {
    fn run(&self, images: &[f32], n: usize) -> Result<RawOutput, Error> {
        let shape: Vec<usize> = [n].iter().chain(&self.input).copied().collect(); // [n, 3, height, width]
        let images = Tensor::from_slice(images, shape, self.model.device()).map_err(failed)?;
        let output = self.model.infer(&images).map_err(failed)?;
        let values = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        Ok(RawOutput {
            logits: values(&output.logits).map_err(failed)?, // [n, classes]
            boxes: values(&output.boxes).map_err(failed)?,   // [n, 4]
            presence: output.presence.as_ref().map_or(Ok(Vec::new()), values).map_err(failed)?, // [n]
            edges: output.edges.as_ref().map_or(Ok(Vec::new()), values).map_err(failed)?,
            features: Vec::new(),
        })
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Engine { engine: "candle", error: error.into() }
}
