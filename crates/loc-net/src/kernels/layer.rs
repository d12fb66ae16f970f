//! The interface between layers and executor: forward and backward over a batch, on slices.

use std::fmt::Debug;
use std::ops::Range;

use super::parts::Parts;

/// The computation of a layer. The implementation holds the shapes; slices of another length panic.
pub trait LayerKernel: Debug + Send + Sync {
    /// Prepares passes with these parameters, until it is called again. Without it, each pass prepares them for itself.
    /// With `training` there are backward passes, too.
    fn pack(&mut self, _params: &[&[f32]], _training: bool) {}

    /// Computes the output of a batch.
    fn forward(&self, pass: ForwardPass);

    /// Computes the gradients. The default copies the output gradient to each input.
    fn backward(&self, _parts: &Parts, _pass: &SavedPass, gradients: Gradients) {
        for gx in gradients.inputs.iter_mut().flatten() {
            gx.copy_from_slice(gradients.output);
        }
    }

    /// Returns whether the gradient of each input equals the output gradient, so that it need not be computed.
    fn passes_gradient(&self) -> bool {
        false
    }

    /// Returns the number of tasks into which the computation of one photo's output can be split.
    fn tasks(&self) -> usize {
        1
    }

    /// Returns the range of values that a task computes, of one photo's `len` output values.
    fn task(&self, _task: usize, len: usize) -> Range<usize> {
        0..len
    }

    /// Runs one task of a photo; `y` holds only this task's values.
    fn forward_task(&self, _task: usize, inputs: &[&[f32]], params: &[&[f32]], y: &mut [f32]) {
        self.forward(ForwardPass { n: 1, inputs, params, y, saved: None });
    }
}

/// The arguments of a layer's forward pass over a batch.
#[derive(Debug)]
pub struct ForwardPass<'a> {
    /// The number of photos.
    pub n: usize,
    /// The inputs.
    pub inputs: &'a [&'a [f32]],
    /// The parameters.
    pub params: &'a [&'a [f32]],
    /// The output, overwritten.
    pub y: &'a mut [f32],
    /// Receives what the backward pass needs besides inputs and output; `None` if no backward pass follows.
    pub saved: Option<&'a mut Vec<u8>>,
}

/// The values of a forward pass that the backward pass reads.
#[derive(Debug)]
pub struct SavedPass<'a> {
    /// The inputs.
    pub inputs: &'a [&'a [f32]],
    /// The parameters.
    pub params: &'a [&'a [f32]],
    /// The output.
    pub y: &'a [f32],
    /// What `forward` saved.
    pub saved: &'a [u8],
}

/// The gradients of one layer.
#[derive(Debug)]
pub struct Gradients<'a, 'i, 'p> {
    /// The gradient of the output; may be used as a buffer.
    pub output: &'a mut [f32],
    /// The gradient of each input, overwritten; `None` if it is not needed.
    pub inputs: &'a mut [Option<&'i mut [f32]>],
    /// The gradient of each parameter, overwritten; empty if the parameters are not trained.
    pub params: &'a mut [&'p mut [f32]],
}
