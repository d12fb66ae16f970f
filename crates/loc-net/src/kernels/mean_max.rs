//! Mean and maximum of each row or each column of a map: `[2·channels, lines]`, the means first.
//!
//! If several cells are the maximum, each of them gets the whole gradient of the maximum. Such
//! ties are common after relu (zeros), but there the gradient of relu is 0.

use super::Float;
use super::layer::{ForwardPass, Gradients, LayerKernel, SavedPass};
use super::parts::Parts;

/// The map that is reduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeanMaxShape {
    /// Channels of the input.
    pub channels: usize,
    /// Height and width of the input.
    pub in_size: (usize, usize),
    /// Whether each row is reduced to one value; otherwise each column.
    pub of_rows: bool,
}

impl MeanMaxShape {
    /// Returns the number of input values per photo.
    #[must_use]
    pub fn in_len(&self) -> usize {
        self.channels * self.in_size.0 * self.in_size.1
    }

    /// Returns the number of output values per photo.
    #[must_use]
    pub fn out_len(&self) -> usize {
        2 * self.channels * self.lines().count
    }

    fn lines(&self) -> Lines {
        let (h, w) = self.in_size;
        match self.of_rows {
            true => Lines { count: h, step: w, len: w, cell_step: 1 },
            false => Lines { count: w, step: 1, len: h, cell_step: w },
        }
    }
}

/// The lines of a channel, which are its rows or its columns.
struct Lines {
    count: usize,
    step: usize,
    len: usize,
    cell_step: usize,
}

/// Computes `y[n, 2·channels, lines]` from `x[n, channels, h, w]`.
///
/// # Panics
///
/// If a slice does not have the length of its shape.
pub fn forward<F: Float>(shape: &MeanMaxShape, n: usize, x: &[F], y: &mut [F]) {
    assert_eq!((x.len(), y.len()), (n * shape.in_len(), n * shape.out_len()), "input and output");
    let lines = shape.lines();
    let plane = shape.in_size.0 * shape.in_size.1;
    let count = F::from_f64(lines.len as f64);
    for (x, y) in x.chunks_exact(shape.in_len()).zip(y.chunks_exact_mut(shape.out_len())) {
        let (means, largest) = y.split_at_mut(shape.channels * lines.count);
        for (i, (mean, largest)) in means.iter_mut().zip(largest).enumerate() {
            let first = i / lines.count * plane + i % lines.count * lines.step;
            let (mut sum, mut max) = (F::default(), x[first]);
            for j in 0..lines.len {
                let v = x[first + j * lines.cell_step];
                sum += v;
                if v > max {
                    max = v;
                }
            }
            (*mean, *largest) = (sum / count, max);
        }
    }
}

/// Computes `gx[n, channels, h, w]` from the input, the output and the output gradient.
///
/// # Panics
///
/// If a slice does not have the length of its shape.
pub fn backward<F: Float>(shape: &MeanMaxShape, n: usize, x: &[F], y: &[F], gy: &[F], gx: &mut [F]) {
    let (in_len, out_len) = (shape.in_len(), shape.out_len());
    assert_eq!((x.len(), gx.len()), (n * in_len, n * in_len), "input and its gradient");
    assert_eq!((y.len(), gy.len()), (n * out_len, n * out_len), "output and its gradient");
    let lines = shape.lines();
    let plane = shape.in_size.0 * shape.in_size.1;
    let count = F::from_f64(lines.len as f64);
    let half = shape.channels * lines.count;
    for photo in 0..n {
        let (x, gx) = (&x[photo * in_len..][..in_len], &mut gx[photo * in_len..][..in_len]);
        let (y, gy) = (&y[photo * out_len..][..out_len], &gy[photo * out_len..][..out_len]);
        for i in 0..half {
            let first = i / lines.count * plane + i % lines.count * lines.step;
            let (mean_gradient, max_gradient, largest) = (gy[i] / count, gy[half + i], y[half + i]);
            for j in 0..lines.len {
                let at = first + j * lines.cell_step;
                gx[at] = if x[at] == largest { mean_gradient + max_gradient } else { mean_gradient };
            }
        }
    }
}

impl LayerKernel for MeanMaxShape {
    fn forward(&self, pass: ForwardPass) {
        let ForwardPass { n, inputs, y, .. } = pass;
        forward(self, n, inputs[0], y);
    }

    fn backward(&self, parts: &Parts, pass: &SavedPass, gradients: Gradients) {
        if let [Some(gx)] = gradients.inputs {
            backward(self, parts.photos(), pass.inputs[0], pass.y, gradients.output, gx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{check_gradient, numbers, weighted};

    fn shape(of_rows: bool) -> MeanMaxShape {
        MeanMaxShape { channels: 2, in_size: (2, 3), of_rows }
    }

    #[test]
    fn means_come_first_then_maxima() {
        let x = [1.0, 2.0, 6.0, 4.0, -1.0, 0.0, -2.0, -3.0, -4.0, 0.0, 0.0, 3.0];
        let (mut rows, mut columns) = ([7.0; 8], [7.0; 12]);
        forward(&shape(true), 1, &x, &mut rows);
        assert_eq!(rows, [3.0, 1.0, -3.0, 1.0, 6.0, 4.0, -2.0, 3.0]);
        forward(&shape(false), 1, &x, &mut columns);
        assert_eq!(columns, [2.5, 0.5, 3.0, -1.0, -1.5, -0.5, 4.0, 2.0, 6.0, 0.0, 0.0, 3.0]);
    }

    #[test]
    fn gradient_is_the_difference_quotient() {
        for of_rows in [true, false] {
            let shape = MeanMaxShape { channels: 3, in_size: (4, 5), of_rows };
            let (x, gy) = (numbers(1, 2 * shape.in_len()), numbers(2, 2 * shape.out_len()));
            let run = |x: &[f64]| {
                let mut y = vec![0.0; gy.len()];
                forward(&shape, 2, x, &mut y);
                y
            };
            let mut gx = vec![7.0; x.len()];
            backward(&shape, 2, &x, &run(&x), &gy, &mut gx);
            check_gradient("gx", &x, &gx, |x| weighted(&run(x), &gy));
        }
    }

    #[test]
    fn every_maximum_of_a_tie_gets_the_gradient() {
        let shape = MeanMaxShape { channels: 1, in_size: (1, 3), of_rows: true };
        let mut gx = [7.0; 3];
        backward(&shape, 1, &[2.0, 1.0, 2.0], &[5.0 / 3.0, 2.0], &[3.0, 10.0], &mut gx);
        assert_eq!(gx, [11.0, 1.0, 11.0]);
    }
}
