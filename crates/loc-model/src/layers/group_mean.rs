//! The mean of equal parts of each vector.

use candle_core::{Result, Tensor};
use loc_net::ops::GroupMean;

use super::LayerImpl;
use crate::ModelError;
use crate::export::{LastNode, LayerNodes, int, ints, size};

impl LayerImpl for GroupMean {
    /// x `[N, parts·n]`; the result is `[N, n]`.
    fn compose(&self, inputs: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let (n, columns) = inputs[0].dims2()?;
        inputs[0].reshape((n, self.parts, columns / self.parts))?.mean(1)
    }

    fn onnx(&self, nodes: &mut LayerNodes) -> std::result::Result<LastNode, ModelError> {
        let by_part = nodes.sizes("apart", &[-1, size(self.parts)?, size(nodes.output_shape.len())?]);
        let parts = nodes.step("Reshape", "parts", vec![nodes.input(), by_part], vec![]);
        Ok(LastNode::new("ReduceMean", vec![parts], vec![ints("axes", &[1])?, int("keepdims", 0)]))
    }
}
