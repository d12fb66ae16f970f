//! Max-pooling that stores the argmax: one byte per output, the cell's index in the window in row order.
//!
//! On a tie the first cell in row order is the argmax and gets the whole gradient, as in PyTorch. A NaN counts as
//! larger than every number. Cells that no window reaches get no gradient. Windows may overlap.

pub mod reference;
#[cfg(test)]
mod tests;
mod window;

use rayon::prelude::*;

use super::PoolShape;
use super::layer::{ForwardPass, Gradients, LayerKernel, SavedPass};
use super::parts::Parts;
use super::simd::Level;
use crate::buffers::grow;
use crate::kernels::product;
use crate::parallel;
use crate::parallel::DisjointSlice;
use window::Windows;

/// Computes `y[n, c, oh, ow]` and the argmax (same shape) from `x[n, c, h, w]`.
///
/// # Panics
///
/// If a slice does not have the length of its shape, or the window has more than 256 cells.
pub fn forward(shape: &PoolShape, n: usize, x: &[f32], y: &mut [f32], argmax: &mut [u8]) {
    let (in_len, out_len) = (shape.in_len(), shape.out_len());
    assert_eq!(x.len(), product(&[n, in_len]), "input");
    assert_eq!(
        (y.len(), argmax.len()),
        (product(&[n, out_len]), product(&[n, out_len])),
        "output and argmax"
    );
    let argmax = DisjointSlice::new(argmax);
    parallel::chunks(y, out_len, |photo, y| {
        let x = &x[photo * in_len..][..in_len];
        #[expect(unsafe_code, reason = "tasks write photos of one slice")]
        // SAFETY: each task writes the argmax of its own photo.
        let argmax = unsafe { argmax.range(photo * out_len, out_len) };
        if shape.kernel == (2, 2) && shape.stride == (2, 2) {
            Level::current().run(Windows { shape, x, y, argmax });
        } else {
            reference::forward(shape, 1, x, y, argmax);
        }
    });
}

/// Computes `gx[n, c, h, w]` from the argmax and the output gradient `gy[n, c, oh, ow]`.
///
/// # Panics
///
/// If a slice does not have the length of its shape.
pub fn backward(shape: &PoolShape, n: usize, argmax: &[u8], gy: &[f32], gx: &mut [f32]) {
    let (in_len, out_len) = (shape.in_len(), shape.out_len());
    assert_eq!(
        (gy.len(), argmax.len()),
        (product(&[n, out_len]), product(&[n, out_len])),
        "output gradient and argmax"
    );
    assert_eq!(gx.len(), product(&[n, in_len]), "input gradient");
    let photos = gy.par_chunks_exact(out_len).zip(argmax.par_chunks_exact(out_len));
    photos.zip(gx.par_chunks_exact_mut(in_len)).for_each(|((gy, argmax), gx)| {
        if shape.kernel == (2, 2) && shape.stride == (2, 2) {
            window::backward(shape, argmax, gy, gx);
        } else {
            reference::backward(shape, 1, argmax, gy, gx);
        }
    });
}

/// Max-pooling as a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPool(
    /// Map and window.
    pub PoolShape,
);

impl LayerKernel for MaxPool {
    fn forward(&self, pass: ForwardPass) {
        let ForwardPass { n, inputs, y, saved, .. } = pass;
        let mut unused = Vec::new();
        let argmax = saved.unwrap_or(&mut unused);
        grow(argmax, y.len());
        let argmax = &mut argmax[..y.len()];
        forward(&self.0, n, inputs[0], y, argmax);
    }

    fn backward(&self, parts: &Parts, pass: &SavedPass, gradients: Gradients) {
        if let [Some(gx)] = gradients.inputs {
            let argmax = &pass.saved[..gradients.output.len()];
            backward(&self.0, parts.photos(), argmax, gradients.output, gx);
        }
    }
}
