//! Reference implementation of max-pooling, generic over f32 and f64.

use crate::kernels::{Float, PoolShape};

/// Reference of [`super::forward`].
///
/// # Panics
///
/// If the window has more than 256 cells: its argmax is one byte.
pub fn forward<F: Float>(shape: &PoolShape, n: usize, x: &[F], y: &mut [F], argmax: &mut [u8]) {
    let ((h, w), (oh, ow)) = (shape.in_size, shape.out_size());
    let (kernel, stride) = (shape.kernel, shape.stride);
    assert!(kernel.0 * kernel.1 <= 256, "the argmax is one byte");
    for (at, (y, index)) in y.iter_mut().zip(argmax).take(n * shape.out_len()).enumerate() {
        let (plane, i, j) = (at / (oh * ow), at / ow % oh, at % ow);
        let cell = |k: usize| x[(plane * h + i * stride.0 + k / kernel.1) * w + j * stride.1 + k % kernel.1];
        (*y, *index) = (cell(0), 0);
        for k in 1..=u8::MAX {
            if usize::from(k) >= kernel.0 * kernel.1 {
                break;
            }
            let v = cell(usize::from(k));
            let nan = |v: F| v.partial_cmp(&v).is_none();
            if v > *y || (nan(v) && !nan(*y)) {
                (*y, *index) = (v, k);
            }
        }
    }
}

/// Reference of [`super::backward`].
pub fn backward<F: Float>(shape: &PoolShape, n: usize, argmax: &[u8], gy: &[F], gx: &mut [F]) {
    let ((h, w), (oh, ow)) = (shape.in_size, shape.out_size());
    let (kernel, stride) = (shape.kernel, shape.stride);
    gx.fill(F::default());
    for row in 0..n * shape.channels * oh {
        let first = (row / oh * h + row % oh * stride.0) * w;
        for j in 0..ow {
            let k = usize::from(argmax[row * ow + j]);
            gx[first + k / kernel.1 * w + j * stride.1 + k % kernel.1] += gy[row * ow + j];
        }
    }
}
