//! What a training pass is made for, and what it reads.

use crate::ImageBatch;
#[cfg(doc)]
use crate::Network;

/// What is trained, and which outputs a pass gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingSetup {
    /// Whether a pass begins behind the backbone, with the outputs of [`Network::taps`] in place of photos.
    pub from_features: bool,
    /// Whether the parameters of the backbone stay as they are.
    pub frozen_backbone: bool,
    /// The layers whose outputs a pass gives, one behind the other for each photo.
    pub outputs: Vec<usize>,
}

/// What a pass reads.
#[derive(Debug, Clone, Copy)]
pub enum Images<'a> {
    /// Photos.
    Photos(ImageBatch<'a>),
    /// The outputs of the layers [`Network::taps`], in that order.
    Features(&'a [&'a [f32]]),
}

/// What a pass drops: given a layer's name, it fills the factors of the layer's channels (of a vector: of its values),
/// photo by photo. A factor is 0 or the scale of what stays.
pub type DropoutMask<'a> = &'a (dyn Fn(&str, &mut [f32]) + Sync);
