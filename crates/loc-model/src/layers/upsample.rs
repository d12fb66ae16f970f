//! Bilinear upsampling, as PyTorch's `interpolate` with `align_corners=False`: a product with one matrix per axis.

use candle_core::{Result, Tensor};
use loc_net::ops::{Upsample, interpolation};

use super::LayerImpl;
use crate::ModelError;
use crate::export::{LastNode, LayerNodes};

/// Returns the matrix that upsamples an axis, row-major `[from, to]`.
fn matrix(from: usize, to: usize) -> Vec<f64> {
    let mut values = vec![0.0; from * to];
    for (i, cell) in interpolation(from, to).into_iter().enumerate() {
        values[cell.first * to + i] += 1.0 - cell.weight;
        values[cell.second * to + i] += cell.weight;
    }
    values
}

impl LayerImpl for Upsample {
    /// x `[N, C, h, w]`; the result is `[N, C, H, W]`.
    fn compose(&self, inputs: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let (x, (height, width)) = (inputs[0], self.size);
        let (n, channels, h, w) = x.dims4()?;
        let matrix = |from: usize, to: usize| {
            Tensor::from_vec(matrix(from, to), (from, to), x.device())?.to_dtype(x.dtype())
        };
        let rows = x.reshape((n * channels * h, w))?.matmul(&matrix(w, width)?)?;
        let transposed = rows.reshape((n * channels, h, width))?.transpose(1, 2)?.contiguous()?;
        let columns = transposed.reshape((n * channels * width, h))?.matmul(&matrix(h, height)?)?;
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
        let matrix_f32 = |from: usize, to: usize| {
            let mut values = vec![0.0f32; from * to];
            for (i, cell) in interpolation(from, to).into_iter().enumerate() {
                values[cell.first * to + i] += (1.0 - cell.weight) as f32;
                values[cell.second * to + i] += cell.weight as f32;
            }
            values
        };
        let transposed: Vec<f32> = {
            let values = matrix_f32(h, height);
            (0..height * h).map(|i| values[i % h * height + i / h]).collect()
        };
        let columns = nodes.constant("columns", &[w, width], &matrix_f32(w, width))?;
        let rows = nodes.constant("rows", &[height, h], &transposed)?;
        let wide = nodes.step("MatMul", "wide", vec![nodes.input(), columns], vec![]);
        Ok(LastNode::new("MatMul", vec![rows, wide], vec![]))
    }
}
