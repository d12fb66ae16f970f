//! The first layers of a network as one: what a fused plan offers to prediction and to training.
//!
//! Where the processor has no fused blocks, no network has such a segment, and every layer runs by its kernel.

use std::fmt::Debug;

use crate::Network;
use crate::kernels::image_input::ImageBatch;
use crate::kernels::parts::Parts;
use crate::parallel::DisjointSlice;

/// Does task `task` of stage `stage`.
pub(crate) type Work<'a> = dyn Fn(usize, usize) + Sync + 'a;

/// The first layers, for prediction.
pub(crate) trait Segment: Debug + Send + Sync {
    /// Number of layers.
    fn layers(&self) -> usize;

    /// Number of parameters: those of the first layers, in the network's order.
    fn params(&self) -> usize;

    /// Takes over the parameters.
    fn pack(&mut self, params: &[&[f32]]);

    /// Runs `n` photos into the output of the last of the layers, photos side by side.
    fn infer(&self, photos: ImageBatch, n: usize, y: &mut [f32]);

    /// Prepares one photo as stages of tasks, and calls `run` with the number of tasks of each stage and what does them.
    fn spread(&self, photo: ImageBatch, y: &DisjointSlice<f32>, run: &mut dyn FnMut(&[usize], &Work));
}

/// The first layers, for training.
pub(crate) trait TrainingSegment: Debug + Send {
    /// Number of layers.
    fn layers(&self) -> usize;

    /// Number of parameters: those of the first layers, in the network's order.
    fn params(&self) -> usize;

    /// Takes over the parameters, unless they are those of before.
    fn pack(&mut self, params: &[&[f32]]);

    /// As [`Segment::infer`].
    fn infer(&self, photos: ImageBatch, n: usize, y: &mut [f32]);

    /// As [`Segment::infer`], and keeps what the backward pass needs.
    fn forward(&mut self, photos: ImageBatch, n: usize, y: &mut [f32]);

    /// The gradients of the parameters, one behind the other, from that of the output; the photos are given again, by parts
    /// of the sum.
    fn backward(&mut self, photos: ImageBatch, parts: &Parts, gy: &[f32], params: &mut [f32]);
}

/// The segment of a network, or `None` where its first layers or the processor do not fit.
pub(crate) fn segment(network: &Network) -> Option<Box<dyn Segment>> {
    #[cfg(target_arch = "x86_64")]
    if let Some(plan) = super::fused::FusedPlan::of(network, false) {
        return Some(Box::new(plan));
    }
    let _ = network;
    None
}

/// As [`segment`], for training.
pub(crate) fn training_segment(network: &Network) -> Option<Box<dyn TrainingSegment>> {
    #[cfg(target_arch = "x86_64")]
    if let Some(plan) = super::fused::FusedPlan::of(network, true) {
        return Some(Box::new(super::fused::FusedTraining::new(plan)));
    }
    let _ = network;
    None
}
