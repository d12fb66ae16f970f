//! The built-in engine: a model file's layers on loc-net's kernels.

use std::io::Read;

use loc_net::{Forward, ImageBatch, NetError, Network, NetworkConfig, Normalization, WeightFile, Weights};
use serde::Deserialize;

use super::{Engine, RawOutput};
use crate::{Error, MetadataError, ModelMeta};

/// loc-net's forward pass.
#[derive(Debug)]
pub struct Native {
    forward: Forward,
}

/// A model file, its parts checked against each other (the engine checks the weights). Every engine for
/// loc's own files starts from it.
#[derive(Debug)]
pub(crate) struct ModelFile {
    pub(crate) meta: ModelMeta,
    /// The network and the weights of each look, one or two.
    pub(crate) looks: Vec<(Network, Weights)>,
}

/// The part of the metadata that belongs to loc-net.
#[derive(Deserialize)]
struct NetworkJson {
    network: NetworkConfig,
}

impl Native {
    /// Packs the weights for the network.
    ///
    /// # Errors
    ///
    /// [`Error::Weights`] if they are not exactly the network's, [`Error::NonFiniteWeights`] if they are infinite or
    /// NaN.
    pub fn new(network: Network, weights: Weights) -> Result<Self, Error> {
        let forward = Forward::new(network, weights).map_err(weights_error)?;
        Ok(Self { forward })
    }

    /// As [`Native::new`], with weights that may be infinite or NaN.
    ///
    /// # Errors
    ///
    /// [`Error::Weights`] if they are not exactly the network's.
    pub fn with_nonfinite(network: Network, weights: Weights) -> Result<Self, Error> {
        let forward = Forward::with_nonfinite(network, weights).map_err(weights_error)?;
        Ok(Self { forward })
    }

    /// The same engine, which also returns the features that the class is read from.
    ///
    /// # Errors
    ///
    /// [`Error::Weights`] if the network does not store them.
    pub fn with_features(self) -> Result<Self, Error> {
        Ok(Self { forward: self.forward.with_features().map_err(weights_error)? })
    }

    /// Reads a model file's bytes; of a model with two looks the first.
    ///
    /// # Errors
    ///
    /// [`Error`] if it is not a model file, if its parts do not fit together, or if a weight is not finite.
    pub fn read(bytes: &[u8]) -> Result<(ModelMeta, Self), Error> {
        let ModelFile { meta, mut looks } = ModelFile::parse(bytes)?;
        let (network, weights) = looks.swap_remove(0);
        Ok((ModelMeta { second_look: None, ..meta }, Self::new(network, weights)?))
    }

    fn run_photos(&self, photos: ImageBatch, n: usize) -> Result<RawOutput, Error> {
        let loc_net::Output { logits, boxes, edges, presence, features } = self
            .forward
            .run(photos, n)
            .map_err(|error| Error::Engine { engine: "native", error: error.into() })?;
        Ok(RawOutput { logits, boxes, edges, presence, features })
    }
}

impl Engine for Native {
    fn run(&self, images: &[f32], n: usize) -> Result<RawOutput, Error> {
        self.run_photos(ImageBatch::Floats(images), n)
    }

    fn run_bytes(&self, images: &[u8], n: usize) -> Result<RawOutput, Error> {
        self.run_photos(ImageBatch::Bytes(images), n)
    }
}

impl ModelFile {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Self::of(WeightFile::parse(bytes))
    }

    /// Reads a file of `length` bytes, but not more than its header describes.
    pub(crate) fn read(source: impl Read, length: u64) -> Result<Self, Error> {
        Self::of(WeightFile::read(source, length))
    }

    fn of(file: Result<WeightFile, NetError>) -> Result<Self, Error> {
        let WeightFile { weights, metadata } = file.map_err(|error| Error::Weights(error.into()))?;
        let json = metadata.ok_or(Error::NoMetadata)?;
        let meta = ModelMeta::from_json(&json)?;
        let NetworkJson { network } = serde_json::from_str(&json).map_err(Error::MetadataJson)?;
        check_agreement(&meta, &network)?;
        let normalization = Normalization { mean: meta.input.mean, std: meta.input.std };
        let build = |config: &NetworkConfig| {
            config.build(&normalization).map_err(|error| Error::Weights(error.into()))
        };
        let first = build(&network)?;
        let looks = match network.second() {
            None => vec![(first, weights)],
            Some(second) => {
                let second = build(&second)?;
                let (of_first, of_second) = weights.split_looks(&second);
                vec![(first, of_first), (second, of_second)]
            }
        };
        Ok(Self { meta, looks })
    }
}

fn weights_error(error: NetError) -> Error {
    match error {
        NetError::Mismatch { nonfinite_only: true, .. } => Error::NonFiniteWeights(error.into()),
        _ => Error::Weights(error.into()),
    }
}

/// Checks that the two copies of classes and input size in the metadata agree: this crate's and the network's.
fn check_agreement(meta: &ModelMeta, network: &NetworkConfig) -> Result<(), Error> {
    if meta.classes.len() != network.classes {
        let error = MetadataError::ClassCount { names: meta.classes.clone(), network: network.classes };
        return Err(Error::Metadata(error));
    }
    let (size, input) = (meta.input.size, network.input);
    if usize::try_from(size.width) != Ok(input.width) || usize::try_from(size.height) != Ok(input.height) {
        let error = MetadataError::InputMismatch { size, width: input.width, height: input.height };
        return Err(Error::Metadata(error));
    }
    let sides = |look: crate::SecondLook| (usize::try_from(look.width), usize::try_from(look.height));
    let named = meta.second_look.map(sides);
    let built = network.second_look.map(|input| (input.width, input.height));
    if named != built.map(|(width, height)| (Ok(width), Ok(height))) {
        let error = MetadataError::SecondLook { metadata: meta.second_look, network: built };
        return Err(Error::Metadata(error));
    }
    Ok(())
}
