//! `max(x, 0)`; a NaN stays NaN.

use candle_core::{Result, Tensor};
use loc_net::ops::Relu;

use super::LayerImpl;
use crate::ModelError;
use crate::export::{LastNode, LayerNodes};

impl LayerImpl for Relu {
    /// Selects values instead of multiplying by a mask: 0 · ∞ would be NaN.
    fn compose(&self, inputs: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let zeros = inputs[0].zeros_like()?;
        inputs[0].le(&zeros)?.where_cond(&zeros, inputs[0])
    }

    fn onnx(&self, nodes: &mut LayerNodes) -> std::result::Result<LastNode, ModelError> {
        Ok(LastNode::new("Relu", nodes.inputs.clone(), vec![]))
    }
}
