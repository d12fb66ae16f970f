//! The mean of equal parts of a vector.

use super::Float;
use super::layer::{ForwardPass, Gradients, LayerKernel, SavedPass};
use super::parts::Parts;

/// Computes `y[n, len]` from `x[n, parts·len]`.
///
/// # Panics
///
/// If the slices do not have the same number of photos.
pub fn forward<F: Float>(parts: usize, n: usize, x: &[F], y: &mut [F]) {
    assert_eq!(x.len(), parts * y.len(), "input and output");
    let Some(len) = y.len().checked_div(n).filter(|len| *len > 0) else { return };
    let count = F::from_f64(parts as f64);
    for (x, y) in x.chunks_exact(parts * len).zip(y.chunks_exact_mut(len)) {
        y.fill(F::default());
        for part in x.chunks_exact(len) {
            y.iter_mut().zip(part).for_each(|(y, x)| *y += *x);
        }
        y.iter_mut().for_each(|y| *y = *y / count);
    }
}

/// Computes `gx[n, parts·len]` from the output gradient `gy[n, len]`.
///
/// # Panics
///
/// If the slices do not have the same number of photos.
pub fn backward<F: Float>(parts: usize, n: usize, gy: &[F], gx: &mut [F]) {
    assert_eq!(gx.len(), parts * gy.len(), "gradients");
    let Some(len) = gy.len().checked_div(n).filter(|len| *len > 0) else { return };
    let count = F::from_f64(parts as f64);
    for (gx, gy) in gx.chunks_exact_mut(parts * len).zip(gy.chunks_exact(len)) {
        for part in gx.chunks_exact_mut(len) {
            part.iter_mut().zip(gy).for_each(|(gx, gy)| *gx = *gy / count);
        }
    }
}

/// The mean of equal parts, as a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupMean {
    /// Number of parts, 1 or more.
    pub parts: usize,
}

impl LayerKernel for GroupMean {
    fn forward(&self, pass: ForwardPass) {
        let ForwardPass { n, inputs, y, .. } = pass;
        forward(self.parts, n, inputs[0], y);
    }

    fn backward(&self, parts: &Parts, _: &SavedPass, gradients: Gradients) {
        if let [Some(gx)] = gradients.inputs {
            backward(self.parts, parts.photos(), gradients.output, gx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{check_gradient, numbers, weighted};

    #[test]
    fn mean_over_all_parts_of_a_photo() {
        let mut y = [7.0; 4];
        forward(3, 2, &[1.0, 2.0, 3.0, 6.0, -1.0, 1.0, 0.0, 0.0, 0.0, 3.0, 3.0, 0.0], &mut y);
        assert_eq!(y, [1.0, 3.0, 1.0, 1.0]);
    }

    #[test]
    fn gradient_is_the_difference_quotient() {
        let (x, gy) = (numbers(1, 2 * 12), numbers(2, 2 * 4));
        let mut gx = vec![7.0; x.len()];
        backward(3, 2, &gy, &mut gx);
        check_gradient("gx", &x, &gx, |x| {
            let mut y = vec![0.0; gy.len()];
            forward(3, 2, x, &mut y);
            weighted(&y, &gy)
        });
    }
}
