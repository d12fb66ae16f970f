//! The logistic function `1 / (1 + e^−x)`.

use super::Float;
use super::layer::{ForwardPass, Gradients, LayerKernel, SavedPass};
use super::parts::Parts;

/// Computes `y = 1 / (1 + e^−x)`.
///
/// # Panics
///
/// If the slices differ in length.
pub fn forward<F: Float>(x: &[F], y: &mut [F]) {
    assert_eq!(x.len(), y.len(), "input and output");
    let one = F::from_f64(1.0);
    y.iter_mut().zip(x).for_each(|(y, x)| *y = one / (one + (F::default() - *x).exp()));
}

/// Computes `gx = gy · y · (1 − y)` from the output `y`.
///
/// # Panics
///
/// If the slices differ in length.
pub fn backward<F: Float>(y: &[F], gy: &[F], gx: &mut [F]) {
    assert_eq!((y.len(), gy.len()), (gx.len(), gx.len()), "output and gradients");
    let one = F::from_f64(1.0);
    gx.iter_mut().zip(y.iter().zip(gy)).for_each(|(gx, (y, gy))| *gx = *gy * *y * (one - *y));
}

/// The sigmoid as a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sigmoid;

impl LayerKernel for Sigmoid {
    fn forward(&self, pass: ForwardPass) {
        let ForwardPass { inputs, y, .. } = pass;
        forward(inputs[0], y);
    }

    fn backward(&self, _: &Parts, pass: &SavedPass, gradients: Gradients) {
        if let [Some(gx)] = gradients.inputs {
            backward(pass.y, gradients.output, gx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{check_gradient, numbers, weighted};

    #[test]
    fn gradient_is_the_difference_quotient() {
        let (x, gy) = (numbers(1, 20), numbers(2, 20));
        let run = |x: &[f64]| {
            let mut y = vec![0.0; 20];
            forward(x, &mut y);
            y
        };
        let mut gx = vec![7.0; 20];
        backward(&run(&x), &gy, &mut gx);
        check_gradient("gx", &x, &gx, |x| weighted(&run(x), &gy));
    }
}
