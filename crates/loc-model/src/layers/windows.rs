//! Strided slices of a tensor, built from operations whose gradients are correct in Candle.

use candle_core::{Result, Tensor};

/// Returns `count` entries along `dim`: `start, start + step, …`.
///
/// Candle has no strided narrow: the axis is cut to `count × step` entries (padded with zeros, which are not selected)
/// and split in two, and the first entry of each step is kept.
pub(super) fn strided(x: &Tensor, dim: usize, start: usize, step: usize, count: usize) -> Result<Tensor> {
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
