//! Concatenation of vectors.

use candle_core::{Result, Tensor};
use loc_net::ops::Concat;

use super::LayerImpl;
use crate::ModelError;
use crate::export::{LastNode, LayerNodes, int};

impl LayerImpl for Concat {
    fn compose(&self, inputs: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Tensor::cat(inputs, 1)
    }

    fn onnx(&self, nodes: &mut LayerNodes) -> std::result::Result<LastNode, ModelError> {
        Ok(LastNode::new("Concat", nodes.inputs.clone(), vec![int("axis", 1)]))
    }
}
