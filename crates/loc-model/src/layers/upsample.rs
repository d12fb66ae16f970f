//! Bilinear upsampling, as PyTorch's `interpolate` with `align_corners=False`: a product with one matrix per axis.

use candle_core::{Result, Tensor};
use loc_net::ops::{Upsample, between};

use super::LayerForm;
use crate::ModelError;
use crate::export::{LastNode, LayerNodes};

/// Returns the matrix that upsamples an axis, row-major `[from, to]`.
fn matrix(from: usize, to: usize) -> Vec<f64> {
    let mut values = vec![0.0; from * to];
    for (i, at) in between(from, to).into_iter().enumerate() {
        values[at.first * to + i] += 1.0 - at.weight;
        values[at.second * to + i] += at.weight;
    }
    values
}

impl LayerForm for Upsample {
    /// x `[N, C, h, w]`; the result is `[N, C, H, W]`.
    fn compose(&self, inputs: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let (x, (height, width)) = (inputs[0], self.size);
        let (n, channels, h, w) = x.dims4()?;
        let matrix = |from: usize, to: usize| {
            Tensor::from_vec(matrix(from, to), (from, to), x.device())?.to_dtype(x.dtype())
        };
        let rows = x.reshape((n * channels * h, w))?.matmul(&matrix(w, width)?)?;
        let turned = rows.reshape((n * channels, h, width))?.transpose(1, 2)?.contiguous()?;
        let columns = turned.reshape((n * channels * width, h))?.matmul(&matrix(h, height)?)?;
        columns
            .reshape((n * channels, width, height))?
            .transpose(1, 2)?
            .contiguous()?
            .reshape((n, channels, height, width))
    }

    fn onnx(&self, nodes: &mut LayerNodes) -> std::result::Result<LastNode, ModelError> {
        let (_, h, w) = nodes.input_shape.chw().unwrap_or_default();
        let (height, width) = self.size;
        // Summed in f32, as the nodes do.
        let single = |from: usize, to: usize| {
            let mut values = vec![0.0f32; from * to];
            for (i, at) in between(from, to).into_iter().enumerate() {
                values[at.first * to + i] += (1.0 - at.weight) as f32;
                values[at.second * to + i] += at.weight as f32;
            }
            values
        };
        let transposed: Vec<f32> = {
            let values = single(h, height);
            (0..height * h).map(|i| values[i % h * height + i / h]).collect()
        };
        let columns = nodes.constant("columns", &[w, width], &single(w, width))?;
        let rows = nodes.constant("rows", &[height, h], &transposed)?;
        let wide = nodes.step("MatMul", "wide", vec![nodes.input(), columns], vec![]);
        Ok(LastNode::new("MatMul", vec![rows, wide], vec![]))
    }
}
