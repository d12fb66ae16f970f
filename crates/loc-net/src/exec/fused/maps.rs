//! Buffers of the fused plan: the maps between the blocks, and the scratch space of the kernels.

use crate::kernels::conv_block::rows;
use crate::kernels::conv_block::tiles::{self, average};

/// Buffers of one thread.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// A strip of the photo, converted to floats.
    pub(super) photo: Vec<f32>,
    pub(super) rows: rows::Scratch,
    pub(super) tiles: tiles::Scratch,
}

/// The maps between the convolutions, for a group of photos.
#[derive(Debug, Default)]
pub(super) struct Maps {
    /// One photo's output map of each block except the last.
    pub(super) between: Vec<Vec<f32>>,
    /// The input maps of the last convolution, for all photos of the group.
    pub(super) before_last: Vec<f32>,
    pub(super) input: average::Input,
    pub(super) scratch: Scratch,
}
