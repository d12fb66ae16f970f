//! Average pooling: the mean of each window, any kernel and stride. Its backward spreads each gradient evenly.

pub mod reference;
#[cfg(test)]
mod tests;

use rayon::prelude::*;

use super::PoolShape;
use crate::parallel;

/// `y[n, c, oh, ow]` of `x[n, c, h, w]`.
///
/// # Panics
///
/// If a slice has not the length its shape says.
pub fn forward(shape: &PoolShape, n: usize, x: &[f32], y: &mut [f32]) {
    let (in_len, out_len) = (shape.in_len(), shape.out_len());
    assert_eq!((x.len(), y.len()), (n * in_len, n * out_len), "input and output");
    parallel::chunks(y, out_len, |photo, y| reference::forward(shape, 1, &x[photo * in_len..][..in_len], y));
}

/// `gx[n, c, h, w]` from the output's gradient `gy[n, c, oh, ow]`.
///
/// # Panics
///
/// If a slice has not the length its shape says.
pub fn backward(shape: &PoolShape, n: usize, gy: &[f32], gx: &mut [f32]) {
    let (in_len, out_len) = (shape.in_len(), shape.out_len());
    assert_eq!((gx.len(), gy.len()), (n * in_len, n * out_len), "gradients");
    let photos = gx.par_chunks_exact_mut(in_len).zip(gy.par_chunks_exact(out_len));
    photos.for_each(|(gx, gy)| reference::backward(shape, 1, gy, gx));
}
