//! Flattens a feature map to a vector.

use candle_core::{Result, Tensor};
use loc_net::ops::Flatten;

use super::LayerImpl;
use crate::ModelError;
use crate::export::{LastNode, LayerNodes, int};

impl LayerImpl for Flatten {
    fn compose(&self, inputs: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        inputs[0].flatten_from(1)
    }

    fn onnx(&self, nodes: &mut LayerNodes) -> std::result::Result<LastNode, ModelError> {
        Ok(LastNode::new("Flatten", nodes.inputs.clone(), vec![int("axis", 1)]))
    }
}
