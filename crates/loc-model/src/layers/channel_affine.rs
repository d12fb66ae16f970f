//! `x · weight + bias` for each channel or feature, clipped to ± a limit.

use candle_core::{Result, Tensor};
use loc_net::ops::ChannelAffine;

use super::{LayerImpl, weight_and_bias};
use crate::ModelError;
use crate::export::{LastNode, LayerNodes, size};

impl LayerImpl for ChannelAffine {
    /// x `[N, C, …]`, weight and bias `[C]`; the result has the shape of x.
    fn compose(&self, inputs: &[&Tensor], params: &[Tensor]) -> Result<Tensor> {
        let (weight, bias) = weight_and_bias(params)?;
        let mut dims = vec![1; inputs[0].rank()];
        dims[1] = weight.elem_count();
        let scaled = inputs[0].broadcast_mul(&weight.reshape(&dims[..])?)?;
        scaled.broadcast_add(&bias.reshape(&dims[..])?)?.clamp(-self.limit, self.limit)
    }

    fn onnx(&self, nodes: &mut LayerNodes) -> std::result::Result<LastNode, ModelError> {
        let output = &nodes.output_shape.0;
        let mut dims = vec![1; output.len() + 1];
        dims[1] = size(output[0])?;
        let shape = nodes.sizes("shape", &dims);
        let [weight, bias] = ["weight", "bias"].map(|what| {
            let parameter = nodes.param(what);
            nodes.step("Reshape", what, vec![parameter, shape.clone()], vec![])
        });
        let scaled = nodes.step("Mul", "scaled", vec![nodes.input(), weight], vec![]);
        let shifted = nodes.step("Add", "shifted", vec![scaled, bias], vec![]);
        let (low, high) =
            (nodes.constant("low", &[], &[-self.limit])?, nodes.constant("high", &[], &[self.limit])?);
        Ok(LastNode::new("Clip", vec![shifted, low, high], vec![]))
    }
}
