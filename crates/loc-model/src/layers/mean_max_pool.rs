//! The mean of each channel, then the maximum of each, over rows or columns.

use candle_core::{Result, Tensor};
use loc_net::ops::{Axis, MeanMaxPool};

use super::LayerImpl;
use crate::ModelError;
use crate::export::{LastNode, LayerNodes, int, ints};

/// Returns the dimension of `[N, C, h, w]` that is reduced.
fn dimension(axis: Axis) -> usize {
    match axis {
        Axis::Rows => 3,
        Axis::Columns => 2,
    }
}

impl LayerImpl for MeanMaxPool {
    /// x `[N, C, h, w]`; the result is `[N, 2·C, h, 1]` or `[N, 2·C, 1, w]`.
    ///
    /// If several cells are the maximum, each gets the whole gradient. Such ties are common after a relu (zeros), but
    /// the relu's gradient is 0 there.
    fn compose(&self, inputs: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let dimension = dimension(self.0);
        Tensor::cat(&[inputs[0].mean_keepdim(dimension)?, inputs[0].max_keepdim(dimension)?], 1)
    }

    fn onnx(&self, nodes: &mut LayerNodes) -> std::result::Result<LastNode, ModelError> {
        let over = || Ok::<_, ModelError>(vec![ints("axes", &[dimension(self.0)])?, int("keepdims", 1)]);
        let mean = nodes.step("ReduceMean", "mean", vec![nodes.input()], over()?);
        let largest = nodes.step("ReduceMax", "largest", vec![nodes.input()], over()?);
        Ok(LastNode::new("Concat", vec![mean, largest], vec![int("axis", 1)]))
    }
}
