//! Max-pooling. On a tie the first cell in row order gets the whole gradient, as in PyTorch.

use candle_core::{Error, Result, Tensor};
use loc_net::ops::{MaxPool2d, Pool};

use super::LayerImpl;
use super::windows::strided;
use crate::ModelError;
use crate::export::{LastNode, LayerNodes, pair};

impl LayerImpl for MaxPool2d {
    /// x `[N, C, h, w]`; the result is `[N, C, oh, ow]`. A NaN counts as larger than every number; cells outside all
    /// windows get no gradient.
    fn compose(&self, inputs: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let (_, _, height, width) = inputs[0].dims4()?;
        let (kh, kw) = self.0.kernel;
        // The kernels store the argmax as a byte.
        let Some(size) = self.0.output((height, width)).filter(|_| kh * kw <= 256) else {
            return Err(Error::Msg(format!(
                "maxpool2d: {:?} does not fit an input of {height}×{width}",
                self.0
            )));
        };
        composed(inputs[0], self.0, size)
    }

    fn onnx(&self, nodes: &mut LayerNodes) -> std::result::Result<LastNode, ModelError> {
        let attributes = vec![pair("kernel_shape", self.0.kernel)?, pair("strides", self.0.stride)?];
        Ok(LastNode::new("MaxPool", nodes.inputs.clone(), attributes))
    }
}

/// Visits the window's cells in row order and keeps the maximum so far. Each choice is a `where_cond`, which passes the
/// gradient to the chosen side only. This is exact at ties, and works for any kernel and stride; with `max` over a
/// reshaped window every cell of a tie would get the whole gradient.
fn composed(x: &Tensor, pool: Pool, (oh, ow): (usize, usize)) -> Result<Tensor> {
    let Pool { kernel, stride } = pool;
    let mut best: Option<Tensor> = None;
    for u in 0..kernel.0 {
        let rows = strided(x, 2, u, stride.0, oh)?;
        for v in 0..kernel.1 {
            let cell = strided(&rows, 3, v, stride.1, ow)?.contiguous()?;
            best = Some(match best {
                None => cell,
                Some(best) => {
                    let is_nan = best.ne(&best)?;
                    cell.le(&best)?.maximum(&is_nan)?.where_cond(&best, &cell)?
                }
            });
        }
    }
    best.ok_or_else(|| Error::Msg("maxpool2d: a window without cells".into()))
}
