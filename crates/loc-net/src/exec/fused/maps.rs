//! Buffers of the fused plan: maps between the blocks, and what the kernels need while they run.

use crate::kernels::conv_block::rows;
use crate::kernels::conv_block::tiles::{self, average};

/// Buffers of one thread.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// A strip of the photo, where it has to be converted.
    pub(super) photo: Vec<f32>,
    pub(super) rows: rows::Scratch,
    pub(super) tiles: tiles::Scratch,
}

/// The maps of some photos between the convolutions.
#[derive(Debug, Default)]
pub(super) struct Maps {
    /// One photo's map behind each block but the last.
    pub(super) between: Vec<Vec<f32>>,
    /// The maps before the last convolution.
    pub(super) before_last: Vec<f32>,
    pub(super) input: average::Input,
    pub(super) scratch: Scratch,
}
