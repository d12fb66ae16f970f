//! The settings and the inputs of training.

use crate::ImageBatch;
#[cfg(doc)]
use crate::Network;

/// Selects what is trained and which outputs a pass computes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingSetup {
    /// Whether a pass starts after the backbone, with the outputs of [`Network::taps`] instead of photos.
    pub from_features: bool,
    /// Whether the parameters of the backbone are frozen.
    pub frozen_backbone: bool,
    /// The layers whose outputs a pass returns, one after the other for each photo.
    pub outputs: Vec<usize>,
}

/// The input of a pass.
#[derive(Debug, Clone, Copy)]
pub enum Images<'a> {
    /// Photos.
    Photos(ImageBatch<'a>),
    /// The outputs of the layers [`Network::taps`], in that order.
    Features(&'a [&'a [f32]]),
}

/// The conditions of a forward pass in training.
#[derive(Clone, Copy, Default)]
pub struct Conditions<'a> {
    /// Dropout, if there is any.
    pub dropout: Option<DropoutMask<'a>>,
    /// `[n, 4]`: the boxes in which the class is read ([`Network::region_box`]) instead of the predicted ones.
    pub region_boxes: Option<&'a [f32]>,
}

/// Fills dropout factors: called with a layer's name and one factor for each photo and channel (for a vector: each photo
/// and value), photo by photo. A factor is 0 or the scale of the values that are kept.
pub type DropoutMask<'a> = &'a (dyn Fn(&str, &mut [f32]) + Sync);
