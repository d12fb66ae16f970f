//! The expected position of each distribution of logits; the first bin is at 0, the last at 1.

use candle_core::{D, Result, Tensor};
use loc_net::ops::SoftmaxExpectation;

use super::LayerImpl;
use crate::ModelError;
use crate::export::{LastNode, LayerNodes, int, size};

impl LayerImpl for SoftmaxExpectation {
    /// x `[N, E·bins]`; the result is `[N, E]`.
    fn compose(&self, inputs: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let bins = self.bins;
        let (n, columns) = inputs[0].dims2()?;
        let logits = inputs[0].reshape((n * columns / bins, bins))?;
        // The shift cancels, so its gradient is zero.
        let weights = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?.exp()?;
        let positions: Vec<f64> = (0..bins).map(|bin| bin as f64 / (bins - 1) as f64).collect();
        let positions = Tensor::from_vec(positions, (bins, 1), logits.device())?.to_dtype(logits.dtype())?;
        let moments = weights.matmul(&positions)?;
        (moments / weights.sum_keepdim(D::Minus1)?)?.reshape((n, columns / bins))
    }

    fn onnx(&self, nodes: &mut LayerNodes) -> std::result::Result<LastNode, ModelError> {
        let (bins, edges) = (self.bins, nodes.output_shape.len());
        let positions: Vec<f32> = (0..bins).map(|bin| bin as f32 / (bins - 1) as f32).collect();
        let positions = nodes.constant("places", &[bins, 1], &positions)?;
        let (by_edge, per_photo) = (
            nodes.sizes("apart", &[-1, size(edges)?, size(bins)?]),
            nodes.sizes("flat", &[-1, size(edges)?]),
        );
        let logits = nodes.step("Reshape", "logits", vec![nodes.input(), by_edge], vec![]);
        let weights = nodes.step("Softmax", "weights", vec![logits], vec![int("axis", 2)]);
        let means = nodes.step("MatMul", "means", vec![weights, positions], vec![]);
        Ok(LastNode::new("Reshape", vec![means, per_photo], vec![]))
    }
}
