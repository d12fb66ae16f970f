//! Buffers of the fused plan: the maps between the blocks, and the scratch space of the kernels.

use crate::buffers::Aligned;
use crate::kernels::conv_block::rows;
use crate::kernels::conv_block::tiles::{self, average};

/// Buffers of one thread.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// A strip of the photo, converted to floats.
    pub(super) photo: Aligned,
    pub(super) rows: rows::Scratch,
    pub(super) tiles: tiles::Scratch,
}

/// The maps of a group of photos: outputs of the blocks and inputs of the last convolution.
#[derive(Debug, Default)]
pub(super) struct Maps {
    /// One photo's output map of each block except the last.
    pub(super) block_outputs: Vec<Vec<f32>>,
    /// The input maps of the last convolution, for all photos of a group.
    pub(super) last_input: Vec<f32>,
    pub(super) input: average::Input,
    pub(super) scratch: Scratch,
}
