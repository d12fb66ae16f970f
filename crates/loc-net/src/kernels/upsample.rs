//! Bilinear upsampling between the centres of the cells: PyTorch's `interpolate` with `align_corners=False`.

use super::Float;
use super::layer::{ForwardPass, Gradients, LayerKernel, SavedPass};
use super::parts::Parts;
use crate::parallel;
use crate::window::interpolation;

/// The input map and the output size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpsampleShape {
    /// Channels of input and output.
    pub channels: usize,
    /// Height and width of the input.
    pub in_size: (usize, usize),
    /// Height and width of the output, at least those of the input.
    pub out_size: (usize, usize),
}

/// Computes `y[n, channels, H, W]` from `x[n, channels, h, w]`.
///
/// # Panics
///
/// If a slice does not have the length of its shape.
pub fn forward<F: Float + Send + Sync>(shape: &UpsampleShape, n: usize, x: &[F], y: &mut [F]) {
    let ((h, w), (height, width)) = (shape.in_size, shape.out_size);
    let planes = n * shape.channels;
    assert_eq!((x.len(), y.len()), (planes * h * w, planes * height * width), "input and output");
    let (rows, columns) = (interpolation(h, height), interpolation(w, width));
    parallel::chunks(y, shape.channels * height * width, |photo, y| {
        let x = &x[photo * shape.channels * h * w..];
        for (x, y) in x.chunks_exact(h * w).zip(y.chunks_exact_mut(height * width)) {
            for (row, vertical) in y.chunks_exact_mut(width).zip(&rows) {
                let row_of = |y: usize| &x[y * w..][..w];
                for (cell, horizontal) in row.iter_mut().zip(&columns) {
                    let weight = F::from_f64(horizontal.weight);
                    let at = |row: &[F]| {
                        row[horizontal.first] + weight * (row[horizontal.second] - row[horizontal.first])
                    };
                    let (above, below) = (at(row_of(vertical.first)), at(row_of(vertical.second)));
                    *cell = above + F::from_f64(vertical.weight) * (below - above);
                }
            }
        }
    });
}

/// Computes `gx[n, channels, h, w]` from the output gradient `gy[n, channels, H, W]`.
///
/// # Panics
///
/// If a slice does not have the length of its shape.
pub fn backward<F: Float + Send + Sync>(shape: &UpsampleShape, n: usize, gy: &[F], gx: &mut [F]) {
    let ((h, w), (height, width)) = (shape.in_size, shape.out_size);
    let planes = n * shape.channels;
    assert_eq!((gx.len(), gy.len()), (planes * h * w, planes * height * width), "gradients");
    let (rows, columns) = (interpolation(h, height), interpolation(w, width));
    let one = F::from_f64(1.0);
    parallel::chunks(gx, shape.channels * h * w, |photo, gx| {
        let gy = &gy[photo * shape.channels * height * width..];
        for (gx, gy) in gx.chunks_exact_mut(h * w).zip(gy.chunks_exact(height * width)) {
            gx.fill(F::default());
            for (gy, vertical) in gy.chunks_exact(width).zip(&rows) {
                for (g, horizontal) in gy.iter().zip(&columns) {
                    for (row, row_weight) in [
                        (vertical.first, one - F::from_f64(vertical.weight)),
                        (vertical.second, F::from_f64(vertical.weight)),
                    ] {
                        let weight = F::from_f64(horizontal.weight);
                        gx[row * w + horizontal.first] += *g * row_weight * (one - weight);
                        gx[row * w + horizontal.second] += *g * row_weight * weight;
                    }
                }
            }
        }
    });
}

impl LayerKernel for UpsampleShape {
    fn forward(&self, pass: ForwardPass) {
        let ForwardPass { n, inputs, y, .. } = pass;
        forward(self, n, inputs[0], y);
    }

    fn backward(&self, parts: &Parts, _: &SavedPass, gradients: Gradients) {
        if let [Some(gx)] = gradients.inputs {
            backward(self, parts.photos(), gradients.output, gx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{check_gradient, numbers, weighted};

    #[test]
    fn values_equal_pytorch() {
        // F.interpolate(x, (3, 4), mode="bilinear") of [[0, 1], [2, 3]]
        let mut y = [7.0f32; 12];
        let shape = UpsampleShape { channels: 1, in_size: (2, 2), out_size: (3, 4) };
        forward(&shape, 1, &[0.0, 1.0, 2.0, 3.0], &mut y);
        let rows = [[0.0, 0.25, 0.75, 1.0], [1.0, 1.25, 1.75, 2.0], [2.0, 2.25, 2.75, 3.0]];
        assert!(y.iter().zip(rows.as_flattened()).all(|(a, b): (&f32, &f32)| (a - b).abs() < 1e-6), "{y:?}");
        forward(&UpsampleShape { out_size: (2, 2), ..shape }, 1, &[0.0, 1.0, 2.0, 3.0], &mut y[..4]);
        assert_eq!(y[..4], [0.0, 1.0, 2.0, 3.0]);
    }

    #[test]
    fn gradient_is_the_difference_quotient() {
        let shape = UpsampleShape { channels: 2, in_size: (3, 2), out_size: (5, 7) };
        let (x, gy) = (numbers(1, 2 * 2 * 6), numbers(2, 2 * 2 * 35));
        let mut gx = vec![7.0; x.len()];
        backward(&shape, 2, &gy, &mut gx);
        check_gradient("gx", &x, &gx, |x| {
            let mut y = vec![0.0; gy.len()];
            forward(&shape, 2, x, &mut y);
            weighted(&y, &gy)
        });
    }
}
