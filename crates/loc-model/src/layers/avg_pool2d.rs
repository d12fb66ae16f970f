//! Average pooling, any kernel and stride (the tutorial's windows overlap: 4×4, stride 2).

use candle_core::{Error, Result, Tensor};
use loc_net::ops::{AvgPool2d, Pool};

use super::LayerImpl;
use crate::ModelError;
use crate::export::{LastNode, LayerNodes, pair};

impl LayerImpl for AvgPool2d {
    /// x `[N, C, h, w]`; the result is `[N, C, oh, ow]`. Cells outside all windows get no gradient.
    fn compose(&self, inputs: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let (_, _, height, width) = inputs[0].dims4()?;
        let Some(size) = self.0.output((height, width)) else {
            let dims = inputs[0].dims();
            return Err(Error::Msg(format!("avgpool2d: {:?} does not fit an input of {dims:?}", self.0)));
        };
        composed(inputs[0], self.0, size)
    }

    fn onnx(&self, nodes: &mut LayerNodes) -> std::result::Result<LastNode, ModelError> {
        let attributes = vec![pair("kernel_shape", self.0.kernel)?, pair("strides", self.0.stride)?];
        Ok(LastNode::new("AveragePool", nodes.inputs.clone(), attributes))
    }
}

/// The mean along each row, then along each column: two products with constant matrices.
fn composed(x: &Tensor, pool: Pool, (oh, ow): (usize, usize)) -> Result<Tensor> {
    let Pool { kernel, stride } = pool;
    let (n, c, h, w) = x.dims4()?;
    let row_means = means(x, w, kernel.1, stride.1, ow)?;
    let column_means = means(x, h, kernel.0, stride.0, oh)?;
    let y = x.reshape((n * c * h, w))?.matmul(&row_means)?; // [n·c·h, ow]
    let y = y.reshape((n * c, h, ow))?.transpose(1, 2)?.reshape((n * c * ow, h))?.matmul(&column_means)?; // [n·c·ow, oh]
    y.reshape((n * c, ow, oh))?.transpose(1, 2)?.reshape((n, c, oh, ow))
}

/// The matrix `[size, count]` whose column j holds 1/kernel at the cells of window j.
fn means(like: &Tensor, size: usize, kernel: usize, stride: usize, count: usize) -> Result<Tensor> {
    let mut matrix = vec![0.0f64; size * count];
    for window in 0..count {
        for cell in window * stride..window * stride + kernel {
            matrix[cell * count + window] = 1.0 / kernel as f64;
        }
    }
    Tensor::from_vec(matrix, (size, count), like.device())?.to_dtype(like.dtype())
}
