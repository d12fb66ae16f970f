//! The first convolutions of a network, computed by the fused kernels in one pass over each photo.
//!
//! The plan takes all layers that the fused kernels can compute, or none. A photo passes through the whole plan while
//! its maps are in the level-2 cache; photos are distributed over the threads. The memory layouts between the kernels
//! are internal: the input is photos, the output is features.
//!
//! | layers | kernel |
//! |---|---|
//! | `Normalize` | part of reading the photo |
//! | `Conv2d` 5×5, `MaxPool2d` 2×2, `Relu`; up to 8 input channels, at least 3×8 cells after the pool | `conv_block::rows` |
//! | the same; at least 8 input channels (a multiple of 4), output channels a multiple of 8, at least 4×4 outputs | `tiles::pool` |
//! | `Conv2d` as above, `Relu`, `AvgPool2d` | `tiles::average`, which ends the plan |
//!
//! The kernels follow each other in this order. Layers that do not fit run with the general kernels, one call per
//! layer.

mod infer;
mod intra_op;
mod maps;
mod plan;
#[cfg(test)]
mod tests;
mod train_photo;
mod training;

pub use plan::FusedPlan;
pub use training::FusedTraining;

use super::segment::{Segment, TrainingSegment, Work};
use crate::Network;
use crate::kernels::image_input::ImageBatch;
use crate::kernels::parts::Parts;
use crate::parallel::DisjointSlice;
use intra_op::IntraOp;

/// Returns the segment of a network, or `None` if its first layers do not fit.
pub(crate) fn segment(network: &Network) -> Option<Box<dyn Segment>> {
    Some(Box::new(FusedPlan::of(network, false)?))
}

/// Same as [`segment`], for training.
pub(crate) fn training_segment(network: &Network) -> Option<Box<dyn TrainingSegment>> {
    Some(Box::new(FusedTraining::new(FusedPlan::of(network, true)?)))
}

impl Segment for FusedPlan {
    fn layers(&self) -> usize {
        self.layers()
    }

    fn params(&self) -> usize {
        2 * self.convolutions()
    }

    fn pack(&mut self, params: &[&[f32]]) {
        self.pack(params);
    }

    fn infer(&self, photos: ImageBatch, n: usize, y: &mut [f32]) {
        self.infer(photos, n, y);
    }

    fn intra_op(&self, photo: ImageBatch, y: &DisjointSlice<f32>, run: &mut dyn FnMut(&[usize], &Work)) {
        self.maps.with(|maps| {
            let intra_op = IntraOp::new(self, photo, maps, y);
            run(&intra_op.stages(), &|stage, task| intra_op.run(stage, task));
        });
    }
}

impl TrainingSegment for FusedTraining {
    fn layers(&self) -> usize {
        self.plan().layers()
    }

    fn params(&self) -> usize {
        2 * self.plan().convolutions()
    }

    fn pack(&mut self, params: &[&[f32]]) {
        self.pack(params);
    }

    fn infer(&self, photos: ImageBatch, n: usize, y: &mut [f32]) {
        self.plan().infer(photos, n, y);
    }

    fn forward(&mut self, photos: ImageBatch, n: usize, y: &mut [f32]) {
        self.forward(photos, n, y);
    }

    fn backward(&mut self, photos: ImageBatch, parts: &Parts, gy: &[f32], params: &mut [f32]) {
        self.backward(photos, parts, gy, params);
    }
}
