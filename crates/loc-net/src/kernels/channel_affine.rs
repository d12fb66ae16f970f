//! `x · weight + bias` for each channel, clipped at ± a limit.

use super::Float;

/// Channels, cells of each, and the limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChannelAffineShape {
    /// Channels of input and output.
    pub channels: usize,
    /// Cells of a channel, 1 for a vector.
    pub cells: usize,
    /// The largest value that is left, above 0.
    pub limit: f32,
}

/// `y[n, channels, cells]` of `x` in the same layout, `weight[channels]` and `bias[channels]`.
///
/// # Panics
///
/// If a slice has not the length its shape says.
pub fn forward<F: Float>(shape: &ChannelAffineShape, n: usize, x: &[F], (w, b): (&[F], &[F]), y: &mut [F]) {
    let len = n * shape.channels * shape.cells;
    assert_eq!((x.len(), y.len()), (len, len), "input and output");
    assert_eq!((w.len(), b.len()), (shape.channels, shape.channels), "weight and bias");
    let limit = F::from_f64(f64::from(shape.limit));
    let least = F::default() - limit;
    let planes = y.chunks_exact_mut(shape.cells).zip(x.chunks_exact(shape.cells));
    for ((y, x), (w, b)) in planes.zip(w.iter().zip(b).cycle()) {
        for (y, x) in y.iter_mut().zip(x) {
            let v = *x * *w + *b;
            // In this order a NaN stays one.
            let v = if v < least { least } else { v };
            *y = if v > limit { limit } else { v };
        }
    }
}

/// The gradients of input, weight and bias. A clipped value has none; the limit itself has, as in PyTorch.
///
/// # Panics
///
/// If a slice has not the length its shape says.
pub fn backward<F: Float>(
    shape: &ChannelAffineShape,
    n: usize,
    (x, w, b): (&[F], &[F], &[F]),
    gy: &[F],
    gx: &mut [F],
    (gw, gb): (&mut [F], &mut [F]),
) {
    let len = n * shape.channels * shape.cells;
    assert_eq!((x.len(), gy.len(), gx.len()), (len, len, len), "input and gradients");
    assert_eq!((gw.len(), gb.len()), (shape.channels, shape.channels), "weight and bias gradient");
    let limit = F::from_f64(f64::from(shape.limit));
    let least = F::default() - limit;
    gw.fill(F::default());
    gb.fill(F::default());
    let planes =
        gx.chunks_exact_mut(shape.cells).zip(x.chunks_exact(shape.cells).zip(gy.chunks_exact(shape.cells)));
    for (plane, (gx, (x, gy))) in planes.enumerate() {
        let channel = plane % shape.channels;
        for (gx, (x, gy)) in gx.iter_mut().zip(x.iter().zip(gy)) {
            let v = *x * w[channel] + b[channel];
            let g = if v >= least && v <= limit { *gy } else { F::default() };
            gw[channel] += g * *x;
            gb[channel] += g;
            *gx = g * w[channel];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{check_gradient, numbers, weighted};

    #[test]
    fn scales_shifts_and_clips() {
        let mut y = [7.0f32; 4];
        let shape = ChannelAffineShape { channels: 2, cells: 2, limit: 6.0 };
        forward(&shape, 1, &[1.0, 2.0, -1.0, f32::NAN], (&[3.0, 0.5], &[1.0, -9.0]), &mut y);
        assert_eq!(y[..3], [4.0, 6.0, -6.0]);
        assert!(y[3].is_nan());
    }

    #[test]
    fn gradients_are_the_difference_quotients() {
        let shape = ChannelAffineShape { channels: 3, cells: 4, limit: 0.5 };
        let (x, w, b, gy) = (numbers(1, 24), numbers(2, 3), numbers(3, 3), numbers(4, 24));
        let loss = |x: &[f64], w: &[f64], b: &[f64]| {
            let mut y = vec![0.0; 24];
            forward(&shape, 2, x, (w, b), &mut y);
            weighted(&y, &gy)
        };
        let (mut gx, mut gw, mut gb) = (vec![7.0; 24], vec![7.0; 3], vec![7.0; 3]);
        backward(&shape, 2, (&x, &w, &b), &gy, &mut gx, (&mut gw, &mut gb));
        check_gradient("gx", &x, &gx, |x| loss(x, &w, &b));
        check_gradient("gw", &w, &gw, |w| loss(&x, w, &b));
        check_gradient("gb", &b, &gb, |b| loss(&x, &w, b));
    }
}
