//! Reference implementation of the linear layer, generic over f32 and f64.

use super::Features;
use crate::kernels::Float;

/// Reference of [`super::forward`].
pub fn forward<F: Float>(f: Features, n: usize, x: &[F], w: &[F], b: &[F], y: &mut [F]) {
    for (i, o) in (0..n).flat_map(|i| (0..f.output).map(move |o| (i, o))) {
        let mut sum = b[o];
        for j in 0..f.input {
            sum += x[i * f.input + j] * w[o * f.input + j];
        }
        y[i * f.output + o] = sum;
    }
}

/// Reference of [`super::backward_weights`].
pub fn backward_weights<F: Float>(f: Features, n: usize, x: &[F], gy: &[F], gw: &mut [F], gb: &mut [F]) {
    gw.fill(F::default());
    gb.fill(F::default());
    for (i, o) in (0..n).flat_map(|i| (0..f.output).map(move |o| (i, o))) {
        let g = gy[i * f.output + o];
        gb[o] += g;
        for j in 0..f.input {
            gw[o * f.input + j] += g * x[i * f.input + j];
        }
    }
}

/// Reference of [`super::backward_input`].
pub fn backward_input<F: Float>(f: Features, n: usize, w: &[F], gy: &[F], gx: &mut [F]) {
    gx.fill(F::default());
    for (i, o) in (0..n).flat_map(|i| (0..f.output).map(move |o| (i, o))) {
        for j in 0..f.input {
            gx[i * f.input + j] += gy[i * f.output + o] * w[o * f.input + j];
        }
    }
}
