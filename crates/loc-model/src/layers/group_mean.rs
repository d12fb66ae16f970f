//! The mean of equal parts of each vector.

use candle_core::{Result, Tensor};
use loc_net::ops::GroupMean;

use super::LayerForm;
use crate::ModelError;
use crate::export::{LastNode, LayerNodes, int, ints, size};

impl LayerForm for GroupMean {
    /// x `[N, parts·n]`; the result is `[N, n]`.
    fn compose(&self, inputs: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let (n, all) = inputs[0].dims2()?;
        inputs[0].reshape((n, self.parts, all / self.parts))?.mean(1)
    }

    fn onnx(&self, nodes: &mut LayerNodes) -> std::result::Result<LastNode, ModelError> {
        let apart = nodes.sizes("apart", &[-1, size(self.parts)?, size(nodes.output_shape.len())?]);
        let parts = nodes.step("Reshape", "parts", vec![nodes.input(), apart], vec![]);
        Ok(LastNode::new("ReduceMean", vec![parts], vec![ints("axes", &[1])?, int("keepdims", 0)]))
    }
}
