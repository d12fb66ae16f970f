//! Expected values of distributions: the softmax of each group of `bins` logits, where bin b has the position
//! `b / (bins − 1)`.

use super::Float;
use super::layer::{ForwardPass, Gradients, LayerKernel, SavedPass};
use super::parts::Parts;

/// Computes the expected position of each distribution of `bins` logits; the first bin is at 0, the last at 1.
///
/// # Panics
///
/// If there are not `bins` logits for each position.
pub fn forward<F: Float>(bins: usize, logits: &[F], positions: &mut [F]) {
    assert_eq!(logits.len(), bins * positions.len(), "logits");
    for (position, logits) in positions.iter_mut().zip(logits.chunks_exact(bins)) {
        let largest = largest(logits);
        let (mut sum, mut moment) = (F::default(), F::default());
        for (bin, logit) in logits.iter().enumerate() {
            let weight = (*logit - largest).exp();
            sum += weight;
            moment += weight * F::from_f64(bin as f64) / F::from_f64((bins - 1) as f64);
        }
        *position = moment / sum;
    }
}

/// Computes the gradient of the logits: for logit b, `p_b · (position_b − expected position)` times the output
/// gradient.
///
/// # Panics
///
/// If there are not `bins` logits for each position.
pub fn backward<F: Float>(bins: usize, logits: &[F], positions: &[F], gy: &[F], gx: &mut [F]) {
    assert_eq!(
        (logits.len(), gx.len()),
        (bins * positions.len(), bins * gy.len()),
        "logits and their gradient"
    );
    let each = logits.chunks_exact(bins).zip(gx.chunks_exact_mut(bins));
    for ((logits, gx), (position, gy)) in each.zip(positions.iter().zip(gy)) {
        let largest = largest(logits);
        let mut sum = F::default();
        for (gx, logit) in gx.iter_mut().zip(logits) {
            *gx = (*logit - largest).exp();
            sum += *gx;
        }
        for (bin, gx) in gx.iter_mut().enumerate() {
            let value = F::from_f64(bin as f64) / F::from_f64((bins - 1) as f64);
            *gx = *gx / sum * (value - *position) * *gy;
        }
    }
}

fn largest<F: Float>(logits: &[F]) -> F {
    logits.iter().skip(1).fold(logits[0], |max, v| if *v > max { *v } else { max })
}

/// The expected values as a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expectation {
    /// Logits per distribution, 2 or more.
    pub bins: usize,
}

impl LayerKernel for Expectation {
    fn forward(&self, pass: ForwardPass) {
        let ForwardPass { inputs, y, .. } = pass;
        forward(self.bins, inputs[0], y);
    }

    fn backward(&self, _: &Parts, pass: &SavedPass, gradients: Gradients) {
        if let [Some(gx)] = gradients.inputs {
            backward(self.bins, pass.inputs[0], pass.y, gradients.output, gx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{check_gradient, numbers, weighted};

    #[test]
    fn expected_positions_follow_the_probabilities() {
        let mut positions = [7.0f32; 4];
        let logits = [0.0, 0.0, 0.0, 1000.0, 0.0, 0.0, 0.0, 50.0, 50.0, -9.0, -9.0, -9.0];
        forward(3, &logits, &mut positions);
        for (got, expected) in positions.into_iter().zip([0.5f32, 0.0, 0.75, 0.5]) {
            assert!((got - expected).abs() < 1e-6, "{positions:?}");
        }
    }

    #[test]
    fn gradient_is_the_difference_quotient() {
        let (x, gy) = (numbers(1, 20), numbers(2, 4));
        let run = |x: &[f64]| {
            let mut y = vec![0.0; 4];
            forward(5, x, &mut y);
            y
        };
        let mut gx = vec![7.0; 20];
        backward(5, &x, &run(&x), &gy, &mut gx);
        check_gradient("gx", &x, &gx, |x| weighted(&run(x), &gy));
    }
}
