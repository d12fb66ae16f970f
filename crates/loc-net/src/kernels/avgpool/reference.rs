//! Reference implementation of average pooling, generic over f32 and f64.

use crate::kernels::{Float, PoolShape};

/// Returns 1 / (number of cells in a window).
fn weight<F: Float>(shape: &PoolShape) -> F {
    let mut cells = F::default();
    for _ in 0..shape.kernel.0 * shape.kernel.1 {
        cells += F::from(1);
    }
    F::from(1) / cells
}

/// Calls `f(output index, input index of the window's first column)` for every row of every window.
fn for_each_row(shape: &PoolShape, n: usize, mut f: impl FnMut(usize, usize)) {
    let ((h, w), (oh, ow)) = (shape.in_size, shape.out_size());
    for at in 0..n * shape.channels * oh * ow {
        let (plane, i, j) = (at / (oh * ow), at / ow % oh, at % ow);
        for u in 0..shape.kernel.0 {
            f(at, (plane * h + i * shape.stride.0 + u) * w + j * shape.stride.1);
        }
    }
}

/// Reference of [`super::forward`].
pub fn forward<F: Float>(shape: &PoolShape, n: usize, x: &[F], y: &mut [F]) {
    y.fill(F::default());
    for_each_row(shape, n, |at, from| {
        for v in &x[from..from + shape.kernel.1] {
            y[at] += *v;
        }
    });
    let weight = weight(shape);
    y.iter_mut().for_each(|y| *y = *y * weight);
}

/// Reference of [`super::backward`].
pub fn backward<F: Float>(shape: &PoolShape, n: usize, gy: &[F], gx: &mut [F]) {
    let weight = weight(shape);
    gx.fill(F::default());
    for_each_row(shape, n, |at, from| {
        let g = gy[at] * weight;
        gx[from..from + shape.kernel.1].iter_mut().for_each(|gx| *gx += g);
    });
}
