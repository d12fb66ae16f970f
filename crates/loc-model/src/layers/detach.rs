//! The input without its gradient.

use candle_core::{Result, Tensor};
use loc_net::ops::Detach;

use super::LayerImpl;
use crate::ModelError;
use crate::export::{LastNode, LayerNodes};

impl LayerImpl for Detach {
    fn compose(&self, inputs: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(inputs[0].detach())
    }

    fn onnx(&self, nodes: &mut LayerNodes) -> std::result::Result<LastNode, ModelError> {
        Ok(LastNode::new("Identity", vec![nodes.input()], vec![]))
    }
}
