//! Strided cells of a tensor, by operations whose gradients Candle has right.

use candle_core::{Result, Tensor};

/// Every `step`-th entry along `dim`: `start, start + step, …`, `count` of them.
///
/// Candle has no strided narrow: the axis is cut to `count × step` (zeros beyond the end, which are not picked),
/// split in two, and the first of each step kept.
pub(super) fn every(x: &Tensor, dim: usize, start: usize, step: usize, count: usize) -> Result<Tensor> {
    if step == 1 {
        return x.narrow(dim, start, count);
    }
    let missing = (start + step * count).saturating_sub(x.dim(dim)?);
    let x = x.pad_with_zeros(dim, 0, missing)?.narrow(dim, start, step * count)?;
    let mut split = x.dims().to_vec();
    split[dim] = count;
    split.insert(dim + 1, step);
    x.reshape(split)?.narrow(dim + 1, 0, 1)?.squeeze(dim + 1)
}
