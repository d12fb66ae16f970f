//! A segment: the first layers of a network, run as one unit by a fused plan in prediction and in training.

use std::fmt::Debug;

use crate::kernels::image_input::ImageBatch;
use crate::kernels::parts::Parts;
use crate::parallel::DisjointSlice;

/// Runs task `task` of stage `stage`.
pub(crate) type Work<'a> = dyn Fn(usize, usize) + Sync + 'a;

/// The first layers, in prediction.
pub(crate) trait Segment: Debug + Send + Sync {
    /// Number of layers.
    fn layers(&self) -> usize;

    /// Number of parameters: those of the first layers, in the network's order.
    fn params(&self) -> usize;

    /// Packs the parameters, one slice each.
    fn pack(&mut self, params: &[&[f32]]);

    /// Computes the output of the segment's last layer for `n` photos, one photo after the other in `y`.
    fn infer(&self, photos: ImageBatch, n: usize, y: &mut [f32]);

    /// Splits the work on one photo into stages of tasks. Calls `run` with the number of tasks of each stage and the
    /// function that runs a task.
    fn intra_op(&self, photo: ImageBatch, y: &DisjointSlice<f32>, run: &mut dyn FnMut(&[usize], &Work));
}

/// The first layers, in training.
pub(crate) trait TrainingSegment: Debug + Send {
    /// Number of layers.
    fn layers(&self) -> usize;

    /// Number of parameters: those of the first layers, in the network's order.
    fn params(&self) -> usize;

    /// Packs the parameters. Does nothing if they have not changed.
    fn pack(&mut self, params: &[&[f32]]);

    /// Computes the same as [`Segment::infer`].
    fn infer(&self, photos: ImageBatch, n: usize, y: &mut [f32]);

    /// Computes the same as [`Segment::infer`], and keeps what the backward pass needs.
    fn forward(&mut self, photos: ImageBatch, n: usize, y: &mut [f32]);

    /// Computes the gradients of the parameters, one after the other, from the gradient of the output. `photos` are the
    /// photos of the forward pass; `parts` gives the order of the sums over the batch.
    fn backward(&mut self, photos: ImageBatch, parts: &Parts, gy: &[f32], params: &mut [f32]);
}
