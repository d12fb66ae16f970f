//! The sum of two inputs.

use candle_core::{Result, Tensor};
use loc_net::ops::Add;

use super::LayerImpl;
use crate::ModelError;
use crate::export::{LastNode, LayerNodes};

impl LayerImpl for Add {
    fn compose(&self, inputs: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        inputs[0] + inputs[1]
    }

    fn onnx(&self, nodes: &mut LayerNodes) -> std::result::Result<LastNode, ModelError> {
        Ok(LastNode::new("Add", nodes.inputs.clone(), vec![]))
    }
}
