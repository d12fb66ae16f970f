//! Average pooling: the mean of each window, for any kernel and stride. The backward pass distributes each gradient
//! evenly.

pub mod reference;
#[cfg(test)]
mod tests;

use rayon::prelude::*;

use super::PoolShape;
use super::layer::{ForwardPass, Gradients, LayerKernel, SavedPass};
use super::parts::Parts;
use crate::kernels::product;
use crate::parallel;

/// Computes `y[n, c, oh, ow]` from `x[n, c, h, w]`.
///
/// # Panics
///
/// If a slice does not have the length of its shape.
pub fn forward(shape: &PoolShape, n: usize, x: &[f32], y: &mut [f32]) {
    let (in_len, out_len) = (shape.in_len(), shape.out_len());
    assert_eq!((x.len(), y.len()), (product(&[n, in_len]), product(&[n, out_len])), "input and output");
    parallel::chunks(y, out_len, |photo, y| reference::forward(shape, 1, &x[photo * in_len..][..in_len], y));
}

/// Computes `gx[n, c, h, w]` from the output gradient `gy[n, c, oh, ow]`.
///
/// # Panics
///
/// If a slice does not have the length of its shape.
pub fn backward(shape: &PoolShape, n: usize, gy: &[f32], gx: &mut [f32]) {
    let (in_len, out_len) = (shape.in_len(), shape.out_len());
    assert_eq!((gx.len(), gy.len()), (product(&[n, in_len]), product(&[n, out_len])), "gradients");
    let photos = gx.par_chunks_exact_mut(in_len).zip(gy.par_chunks_exact(out_len));
    photos.for_each(|(gx, gy)| reference::backward(shape, 1, gy, gx));
}

/// Average pooling as a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AvgPool(
    /// Map and window.
    pub PoolShape,
);

impl LayerKernel for AvgPool {
    fn forward(&self, pass: ForwardPass) {
        let ForwardPass { n, inputs, y, .. } = pass;
        forward(&self.0, n, inputs[0], y);
    }

    fn backward(&self, parts: &Parts, _: &SavedPass, gradients: Gradients) {
        if let [Some(gx)] = gradients.inputs {
            backward(&self.0, parts.photos(), gradients.output, gx);
        }
    }
}
