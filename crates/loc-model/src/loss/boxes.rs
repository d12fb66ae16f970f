//! Mean squared error and smooth L1 of boxes.

use candle_core::{Error, Tensor};

use super::reduce::batch_mean;
use super::{BoxBatch, LossConfig, expect, rows};

/// Mean squared error over all coordinates of the batch.
///
/// ```text
/// L = 1/(4N) · Σ_{n, i} (b̂[n, i] − b[n, i])²
/// ∂L/∂b̂[n, i] = (b̂[n, i] − b[n, i]) / (2N)
/// ```
///
/// b̂ is the predicted and b the true box, x1, y1, x2, y2 in 0..1. Equal to PyTorch's `F.mse_loss`: the mean is over 4N
/// values, so each coordinate has a quarter of the weight it would have in a sum over the coordinates.
///
/// # Shapes
///
/// both `[N, 4]`; the result is a scalar.
///
/// # Errors
///
/// A Candle error that names both shapes if they do not fit.
pub fn mse(predicted: &Tensor, target: &Tensor) -> Result<Tensor, Error> {
    batch_mean(&squares(predicted, target)?, predicted.dim(0)?)
}

/// Returns the squared errors, `[N, 4]`.
fn squares(predicted: &Tensor, target: &Tensor) -> Result<Tensor, Error> {
    check(predicted, target)?;
    (predicted - target)?.sqr()
}

fn check(predicted: &Tensor, target: &Tensor) -> Result<(), Error> {
    let (n, _) = rows("predicted boxes", predicted)?;
    expect("predicted boxes", predicted, &[n, 4], predicted.dtype())?;
    expect("boxes", target, &[n, 4], predicted.dtype())
}

/// Smooth L1 (Girshick 2015, Fast R-CNN, equation 3), the mean over all coordinates: squared below β, linear above.
///
/// ```text
/// d = |b̂ − b|      L = 1/(4N) · Σ ( d < β: d²/(2β), otherwise d − β/2 )
/// ```
///
/// Equal to PyTorch's `F.smooth_l1_loss(beta=β)`. Coordinates are in 0..1, so β should be far below 1.
///
/// # Shapes
///
/// both `[N, 4]`; the result is a scalar.
///
/// # Errors
///
/// A Candle error that names both shapes if they do not fit, or if β is not above 0.
pub fn smooth_l1(predicted: &Tensor, target: &Tensor, beta: f64) -> Result<Tensor, Error> {
    batch_mean(&smooth_distances(predicted, target, beta)?, predicted.dim(0)?)
}

/// Returns the smooth distances, `[N, 4]`.
fn smooth_distances(predicted: &Tensor, target: &Tensor, beta: f64) -> Result<Tensor, Error> {
    check(predicted, target)?;
    if !(beta.is_finite() && beta > 0.0) {
        return Err(Error::Msg(format!("smooth L1: β is {beta}, but must be above 0")));
    }
    let distance = (predicted - target)?.abs()?;
    let squared = (distance.sqr()? * (0.5 / beta))?;
    distance.lt(beta)?.where_cond(&squared, &(&distance - 0.5 * beta)?)
}

pub(super) fn of_squares(batch: &BoxBatch, _: &LossConfig) -> Result<Tensor, Error> {
    batch.photos.mean(&squares(batch.predicted, batch.target)?)
}

pub(super) fn of_smooth_l1(batch: &BoxBatch, config: &LossConfig) -> Result<Tensor, Error> {
    batch.photos.mean(&smooth_distances(batch.predicted, batch.target, config.beta)?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::super::testing::check_gradient;
    use super::*;

    #[test]
    fn is_the_mean_over_samples_and_coordinates() {
        let b = Tensor::new(&[[0.5f64, 0.5, 0.5, 0.5], [0.0, 0.0, 1.0, 1.0]], &Device::Cpu).unwrap();
        let t = Tensor::new(&[[0.5f64, 0.5, 0.5, 0.7], [0.1, 0.0, 1.0, 0.6]], &Device::Cpu).unwrap();
        let loss: f64 = mse(&b, &t).unwrap().to_scalar().unwrap();
        assert!((loss - (0.04 + 0.01 + 0.16) / 8.0).abs() < 1e-15);
        assert_eq!(mse(&b, &b).unwrap().to_scalar::<f64>().unwrap(), 0.0);
    }

    #[test]
    fn smooth_l1_is_quadratic_below_beta_and_linear_above() {
        let b = Tensor::new(&[[0.5f64, 0.52, 0.2, 1.0]], &Device::Cpu).unwrap();
        let t = Tensor::new(&[[0.5f64, 0.5, 0.5, 0.9]], &Device::Cpu).unwrap();
        // PyTorch: F.smooth_l1_loss(b, t, beta=0.05)
        let loss: f64 = smooth_l1(&b, &t, 0.05).unwrap().to_scalar().unwrap();
        assert!((loss - (0.0004 / 0.1 + 0.275 + 0.075) / 4.0).abs() < 1e-12, "{loss}");
        assert!(smooth_l1(&b, &t, 0.0).is_err());
    }

    #[test]
    fn gradient_is_the_difference_quotient() {
        let target = Tensor::new(&[[0.1f64, 0.2, 0.8, 0.9], [0.0, 0.3, 0.3, 1.0]], &Device::Cpu).unwrap();
        let predicted = [0.3, 0.1, 0.8, 0.5, 0.9, 0.8, 0.2, 0.1];
        check_gradient(&predicted, &[2, 4], |b| mse(b, &target));
        check_gradient(&predicted, &[2, 4], |b| smooth_l1(b, &target, 0.15));
    }
}
