//! The expected position of each distribution of logits; the first bin is at 0, the last at 1.

use candle_core::{D, Result, Tensor};
use loc_net::ops::SoftmaxExpectation;

use super::LayerForm;
use crate::ModelError;
use crate::export::{LastNode, LayerNodes, int, size};

impl LayerForm for SoftmaxExpectation {
    /// x `[N, E·bins]`; the result is `[N, E]`.
    fn compose(&self, inputs: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let bins = self.bins;
        let (n, all) = inputs[0].dims2()?;
        let logits = inputs[0].reshape((n * all / bins, bins))?;
        // The shift cancels, so its gradient is zero.
        let weights = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?.exp()?;
        let places: Vec<f64> = (0..bins).map(|bin| bin as f64 / (bins - 1) as f64).collect();
        let places = Tensor::from_vec(places, (bins, 1), logits.device())?.to_dtype(logits.dtype())?;
        let moments = weights.matmul(&places)?;
        (moments / weights.sum_keepdim(D::Minus1)?)?.reshape((n, all / bins))
    }

    fn onnx(&self, nodes: &mut LayerNodes) -> std::result::Result<LastNode, ModelError> {
        let (bins, edges) = (self.bins, nodes.output_shape.len());
        let places: Vec<f32> = (0..bins).map(|bin| bin as f32 / (bins - 1) as f32).collect();
        let places = nodes.constant("places", &[bins, 1], &places)?;
        let (apart, flat) = (
            nodes.sizes("apart", &[-1, size(edges)?, size(bins)?]),
            nodes.sizes("flat", &[-1, size(edges)?]),
        );
        let logits = nodes.step("Reshape", "logits", vec![nodes.input(), apart], vec![]);
        let weights = nodes.step("Softmax", "weights", vec![logits], vec![int("axis", 2)]);
        let means = nodes.step("MatMul", "means", vec![weights, places], vec![]);
        Ok(LastNode::new("Reshape", vec![means, flat], vec![]))
    }
}
