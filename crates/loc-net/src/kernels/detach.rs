//! A copy that passes no gradient on.

use super::layer::{ForwardPass, Gradients, LayerKernel, SavedPass};
use super::parts::Parts;

/// Copies its input; the gradient of the input is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detach;

impl LayerKernel for Detach {
    fn forward(&self, pass: ForwardPass) {
        let ForwardPass { inputs, y, .. } = pass;
        y.copy_from_slice(inputs[0]);
    }

    fn backward(&self, _parts: &Parts, _pass: &SavedPass, gradients: Gradients) {
        gradients.inputs.iter_mut().flatten().for_each(|gx| gx.fill(0.0));
    }
}
