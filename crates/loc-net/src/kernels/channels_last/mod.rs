//! Convolutions of maps with the channels last, `[n, height, width, channels]`: what EfficientNet-Lite0 consists of.
//!
//! With the channels last, a 1×1 convolution is one matrix product over the cells of all photos, and a depthwise
//! convolution has full vectors on maps of any size, since the lanes are channels. A network's photos, features and
//! outputs are planar (`[n, channels, height, width]`); [`Layout`] says which of the two a layer's output has.
//!
//! `pointwise`: 1×1. `depthwise`: 3×3 or 5×5, a kernel for each channel. `stem`: a few planar input channels.
//! `convert`: from one layout to the other. `planar_inputs`: a kernel that needs planar inputs, between the others.

#![allow(
    clippy::needless_range_loop,
    reason = "an index for several arrays of vectors; iterators are not inlined everywhere"
)]

mod backward;
mod convert;
mod depthwise;
mod mask;
mod planar_inputs;
mod pointwise;
mod stem;
#[cfg(test)]
mod tests;

pub use convert::{from_planar, to_planar};
pub use planar_inputs::PlanarInputs;

use super::layer::{ForwardPass, Gradients, LayerKernel, SavedPass};
use super::parts::Parts;
use super::{Activation, ConvShape, product};
use crate::buffers::Aligned;
use backward::InputWeights;

/// The order of the values of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `[channels, height, width]`
    Planar,
    /// `[height, width, channels]`
    ChannelsLast,
}

/// The convolutions that are computed with the channels last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// 1×1.
    Pointwise,
    /// 3×3 or 5×5, a kernel for each channel.
    Depthwise,
    /// A few input channels, which are planar: only the output has the channels last.
    Stem,
}

impl Form {
    /// Returns the form of a convolution, or `None` if it has none of them.
    #[must_use]
    pub fn of(shape: &ConvShape) -> Option<Self> {
        let unpadded = (shape.padding, shape.extra) == ((0, 0), (0, 0));
        if (shape.kernel, shape.stride, shape.groups) == ((1, 1), (1, 1), 1) && unpadded {
            Some(Self::Pointwise)
        } else if depthwise::supports(shape) {
            Some(Self::Depthwise)
        } else if stem::supports(shape) {
            Some(Self::Stem)
        } else {
            None
        }
    }
}

/// A convolution with the channels last as a layer, with the activation of its outputs.
#[derive(Debug)]
pub struct ConvLast {
    form: Form,
    shape: ConvShape,
    activation: Activation,
    /// What [`LayerKernel::pack`] prepared: the parameters as the forward pass reads them, and the weights as the input
    /// gradient reads them.
    packed: Option<Aligned>,
    for_input: Option<InputWeights>,
}

impl ConvLast {
    /// Returns the layer, or `None` if the convolution has no [`Form`].
    #[must_use]
    pub fn new(shape: ConvShape, activation: Activation) -> Option<Self> {
        Some(Self { form: Form::of(&shape)?, shape, activation, packed: None, for_input: None })
    }

    /// Returns the weights in the order in which the forward pass reads them, then the biases.
    fn packed(&self, params: &[&[f32]]) -> Aligned {
        let [w, b] = params else { panic!("weight and bias") };
        let (shape, outs) = (&self.shape, self.shape.out_channels);
        assert_eq!((w.len(), b.len()), (shape.weight_len(), outs), "weight and bias");
        let mut packed = Aligned::zeros(w.len() + outs);
        let (weights, biases) = packed.split_at_mut(w.len());
        biases[..outs].copy_from_slice(b);
        match self.form {
            Form::Pointwise => pointwise::pack_transposed(w, (shape.in_channels, outs), weights),
            Form::Depthwise | Form::Stem => convert::transpose(outs, shape.fan_in(), w, weights),
        }
        packed
    }
}

impl LayerKernel for ConvLast {
    fn pack(&mut self, params: &[&[f32]], training: bool) {
        self.packed = Some(self.packed(params));
        self.for_input = training.then(|| InputWeights::new(self, params[0]));
    }

    fn forward(&self, pass: ForwardPass) {
        let ForwardPass { n, inputs, params, y, .. } = pass;
        let (shape, x) = (&self.shape, inputs[0]);
        let lens = (product(&[n, shape.in_len()]), product(&[n, shape.out_len()]));
        assert_eq!((x.len(), y.len()), lens, "input and output");
        let own;
        let packed = match &self.packed {
            Some(packed) => packed,
            None => {
                own = self.packed(params);
                &own
            }
        };
        let (weights, biases) = packed.split_at(shape.weight_len());
        let biases = &biases[..shape.out_channels];
        match self.form {
            Form::Pointwise => {
                let size = (x.len() / shape.in_channels, shape.out_channels, shape.in_channels);
                pointwise::forward(size, x, weights, biases, self.activation, y);
            }
            Form::Depthwise => depthwise::forward(shape, self.activation, n, x, weights, biases, y),
            Form::Stem => stem::forward(shape, self.activation, n, x, weights, biases, y),
        }
    }

    fn backward(&self, parts: &Parts, pass: &SavedPass, gradients: Gradients) {
        let Gradients { output, inputs, params } = gradients;
        let gx = inputs.first_mut().and_then(Option::as_deref_mut);
        let params = match params {
            [gw, gb] => Some((&mut **gw, &mut **gb)),
            _ => None,
        };
        backward::run(self, parts, pass, output, gx, params);
    }
}
