//! The linear layer `y = x · wᵀ + b`.

use candle_core::{Result, Tensor};
use loc_net::ops::Linear;

use super::{LayerImpl, expect, weight_and_bias};
use crate::ModelError;
use crate::export::{LastNode, LayerNodes, int};

impl LayerImpl for Linear {
    /// x `[N, in]`, weight `[out, in]`, bias `[out]`; the result is `[N, out]`.
    fn compose(&self, inputs: &[&Tensor], params: &[Tensor]) -> Result<Tensor> {
        let (w, b) = weight_and_bias(params)?;
        let (_, input) = inputs[0].dims2()?;
        expect("linear weight", w, &[self.out_features, input])?;
        expect("linear bias", b, &[self.out_features])?;
        inputs[0].matmul(&w.t()?)?.broadcast_add(b)
    }

    fn onnx(&self, nodes: &mut LayerNodes) -> std::result::Result<LastNode, ModelError> {
        Ok(LastNode::new("Gemm", nodes.with_params(), vec![int("transB", 1)]))
    }
}
