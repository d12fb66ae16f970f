//! Average pooling: the mean of each window, any kernel and stride. Its backward spreads each gradient evenly.

pub mod reference;
#[cfg(test)]
mod tests;

use rayon::prelude::*;

use super::PoolShape;
use super::layer::{Gradients, LayerKernel, Pass};
use super::parts::Parts;
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

/// The layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AvgPool(
    /// Map and window.
    pub PoolShape,
);

impl LayerKernel for AvgPool {
    fn forward(&self, n: usize, inputs: &[&[f32]], _: &[&[f32]], y: &mut [f32], _: Option<&mut Vec<u8>>) {
        forward(&self.0, n, inputs[0], y);
    }

    fn backward(&self, parts: &Parts, _: &Pass, gradients: Gradients) {
        if let [Some(gx)] = gradients.inputs {
            backward(&self.0, parts.photos(), gradients.output, gx);
        }
    }
}
