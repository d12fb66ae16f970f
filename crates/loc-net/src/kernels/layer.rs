//! The interface of all layers to the executor: forward and backward over a batch, on slices.

use std::fmt::Debug;
use std::ops::Range;

use super::parts::Parts;

/// One layer's computation. The shapes lie in the implementation; slices of another length panic.
pub trait LayerKernel: Debug + Send + Sync {
    /// Writes the output of `n` photos. What the backward pass needs besides inputs and output goes to `saved`; without
    /// it no backward pass follows.
    fn forward(
        &self,
        n: usize,
        inputs: &[&[f32]],
        params: &[&[f32]],
        y: &mut [f32],
        saved: Option<&mut Vec<u8>>,
    );

    /// Writes the gradients. The default is that of a layer which passes its output's gradient to each input.
    fn backward(&self, _parts: &Parts, _pass: &Pass, gradients: Gradients) {
        for gx in gradients.inputs.iter_mut().flatten() {
            gx.copy_from_slice(gradients.output);
        }
    }

    /// Whether the gradient of each input is the output's, so that nothing need be computed.
    fn passes_gradient(&self) -> bool {
        false
    }

    /// In how many tasks one photo's output can be computed side by side.
    fn tasks(&self) -> usize {
        1
    }

    /// The values of one photo's output, of `len`, that a task computes.
    fn task(&self, _task: usize, len: usize) -> Range<usize> {
        0..len
    }

    /// Does one of the tasks of a photo: writes its values only.
    fn forward_task(&self, _task: usize, inputs: &[&[f32]], params: &[&[f32]], y: &mut [f32]) {
        self.forward(1, inputs, params, y, None);
    }
}

/// A forward pass, for the backward pass.
#[derive(Debug)]
pub struct Pass<'a> {
    /// What the layer read.
    pub inputs: &'a [&'a [f32]],
    /// Its parameters.
    pub params: &'a [&'a [f32]],
    /// Its output.
    pub y: &'a [f32],
    /// What it saved.
    pub saved: &'a [u8],
}

/// The gradients of one layer.
#[derive(Debug)]
pub struct Gradients<'a, 'i, 'p> {
    /// Of the output; may be used as a buffer.
    pub output: &'a mut [f32],
    /// Of each input, overwritten; `None` where it is not needed.
    pub inputs: &'a mut [Option<&'i mut [f32]>],
    /// Of each parameter, overwritten; empty where they are not trained.
    pub params: &'a mut [&'p mut [f32]],
}
