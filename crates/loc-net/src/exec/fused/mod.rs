//! The convolutions at the beginning of a network as one pass over each photo, in the fused forms.
//!
//! The plan takes as many layers as the fused forms do, or none. A photo goes through all of it while its maps lie in the
//! second-level cache; photos are spread over the pool. The layouts between the forms stay inside: photos in, features
//! out.
//!
//! | layers | form |
//! |---|---|
//! | `Normalize` | part of reading the photo |
//! | `Conv2d` 5×5, `MaxPool2d` 2×2, `Relu`; up to 8 input channels, at least 3×8 cells behind the pool | `conv_block::rows` |
//! | the same; from 8 input channels (a multiple of 4), output channels a multiple of 8, at least 4×4 outputs | `tiles::pool` |
//! | `Conv2d` as there, `Relu`, `AvgPool2d` | `tiles::average`, which ends the chain |
//!
//! Forms follow each other in this order. Whatever does not fit, and every processor without AVX2 and FMA, takes the
//! general kernels, one a layer.

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
use crate::kernels::image_input::ImageBatch;
use crate::kernels::parts::Parts;
use crate::parallel::DisjointSlice;
use intra_op::IntraOp;

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

    fn spread(&self, photo: ImageBatch, y: &DisjointSlice<f32>, run: &mut dyn FnMut(&[usize], &Work)) {
        self.maps.with(|maps| {
            let spread = IntraOp::new(self, photo, maps, y);
            run(&spread.stages(), &|stage, task| spread.run(stage, task));
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
