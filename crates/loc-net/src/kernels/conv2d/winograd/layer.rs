//! The convolution as a layer, which keeps its transformed weights from one pass to the next.

use std::borrow::Cow;
use std::ops::Range;

use super::{Buffers, Packed, forward, forward_channels, input, weights};
use crate::buffers::BufferPool;
use crate::kernels::layer::{ForwardPass, Gradients, LayerKernel, SavedPass};
use crate::kernels::parts::Parts;
use crate::kernels::{Activation, ConvShape};

/// A convolution that [`super::supports`] accepts, with the activation of its outputs.
#[derive(Debug)]
pub(crate) struct Conv3x3 {
    shape: ConvShape,
    activation: Activation,
    packed: Option<Packed>,
    buffers: BufferPool<Buffers>,
}

impl Conv3x3 {
    pub(crate) fn new(shape: ConvShape, activation: Activation) -> Self {
        Self { shape, activation, packed: None, buffers: BufferPool::default() }
    }

    /// Returns the transformed weights: those that were packed, or new ones for this pass.
    fn packed(&self, w: &[f32], training: bool) -> Cow<'_, Packed> {
        match &self.packed {
            Some(packed) => Cow::Borrowed(packed),
            None => {
                let mut packed = Packed::default();
                packed.pack(&self.shape, w, training);
                Cow::Owned(packed)
            }
        }
    }

    /// Returns the number of output channels that a task computes for one photo.
    fn task_channels(&self) -> usize {
        match self.shape.out_channels {
            n if n.is_multiple_of(48) => 48,
            n if n.is_multiple_of(32) => 32,
            _ => 16,
        }
    }
}

impl LayerKernel for Conv3x3 {
    fn pack(&mut self, params: &[&[f32]], training: bool) {
        self.packed.get_or_insert_default().pack(&self.shape, params[0], training);
    }

    fn forward(&self, pass: ForwardPass) {
        let ForwardPass { n, inputs, params, y, .. } = pass;
        let packed = self.packed(params[0], false);
        forward(&packed, self.activation, n, inputs[0], params[1], y);
    }

    fn backward(&self, parts: &Parts, pass: &SavedPass, gradients: Gradients) {
        let gy = gradients.output;
        self.activation.backward_in_place(pass.y, gy);
        if let [gw, gb] = gradients.params {
            weights(&self.shape, parts, (pass.inputs[0], gy), &self.buffers, gw, gb);
        }
        if let [Some(gx)] = gradients.inputs {
            input(&self.packed(pass.params[0], true), parts.photos(), gy, gx);
        }
    }

    fn tasks(&self) -> usize {
        self.shape.out_channels / self.task_channels()
    }

    fn task(&self, task: usize, len: usize) -> Range<usize> {
        let each = len / self.tasks();
        task * each..(task + 1) * each
    }

    fn forward_task(&self, task: usize, inputs: &[&[f32]], params: &[&[f32]], y: &mut [f32]) {
        let channels = task * self.task_channels()..(task + 1) * self.task_channels();
        let packed = self.packed(params[0], false);
        forward_channels(&packed, self.activation, inputs[0], params[1], channels, y);
    }
}
