//! `(x − mean) / std` for each colour channel.

use candle_core::{Result, Tensor};
use loc_net::ops::Normalize;

use super::LayerImpl;
use crate::ModelError;
use crate::export::{LastNode, LayerNodes};

impl LayerImpl for Normalize {
    /// x `[N, 3, h, w]`; the result has the same shape.
    fn compose(&self, inputs: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let x = inputs[0];
        let channels =
            |values: [f32; 3]| Tensor::new(&values, x.device())?.to_dtype(x.dtype())?.reshape((1, 3, 1, 1));
        x.broadcast_sub(&channels(self.mean)?)?.broadcast_div(&channels(self.std)?)
    }

    fn onnx(&self, nodes: &mut LayerNodes) -> std::result::Result<LastNode, ModelError> {
        let dims = [1, 3, 1, 1];
        let (mean, std) =
            (nodes.constant("mean", &dims, &self.mean)?, nodes.constant("std", &dims, &self.std)?);
        let centered = nodes.step("Sub", "centered", vec![nodes.input(), mean], vec![]);
        Ok(LastNode::new("Div", vec![centered, std], vec![]))
    }
}
