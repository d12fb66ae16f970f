//! The logistic function `1 / (1 + e^−x)`; `candle_nn` has a kernel and a gradient for it on every device.

use candle_core::{Result, Tensor};
use loc_net::ops::Sigmoid;

use super::LayerImpl;
use crate::ModelError;
use crate::export::{LastNode, LayerNodes};

impl LayerImpl for Sigmoid {
    fn compose(&self, inputs: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        candle_nn::ops::sigmoid(inputs[0])
    }

    fn onnx(&self, nodes: &mut LayerNodes) -> std::result::Result<LastNode, ModelError> {
        Ok(LastNode::new("Sigmoid", nodes.inputs.clone(), vec![]))
    }
}
