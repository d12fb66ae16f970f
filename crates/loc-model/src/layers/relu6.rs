//! `min(max(x, 0), 6)`; its gradient at both kinks is 0, as in PyTorch.

use candle_core::{Result, Tensor};
use loc_net::ops::Relu6;

use super::LayerImpl;
use crate::ModelError;
use crate::export::{LastNode, LayerNodes};

impl LayerImpl for Relu6 {
    fn compose(&self, inputs: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let x = inputs[0];
        let (zeros, sixes) = (x.zeros_like()?, (x.zeros_like()? + 6.0)?);
        let above = x.le(&zeros)?.where_cond(&zeros, x)?;
        above.ge(&sixes)?.where_cond(&sixes, &above)
    }

    fn onnx(&self, nodes: &mut LayerNodes) -> std::result::Result<LastNode, ModelError> {
        let (low, high) = (nodes.constant("low", &[], &[0.0])?, nodes.constant("high", &[], &[6.0])?);
        Ok(LastNode::new("Clip", vec![nodes.input(), low, high], vec![]))
    }
}
