//! The mean absolute error of boxes.

use candle_core::{Error, Tensor};

use super::reduce::batch_mean;
use super::{BoxBatch, LossConfig, expect, rows};

/// Mean absolute error over all coordinates of the batch.
///
/// ```text
/// L = 1/(4N) · Σ_{n, i} |b̂[n, i] − b[n, i]|
/// ```
///
/// b̂ is the predicted and b the true box, x1, y1, x2, y2 in 0..1. Equal to PyTorch's `F.l1_loss`. A coordinate without error
/// has gradient 0.
///
/// # Shapes
///
/// both `[N, 4]`; the result is a scalar.
///
/// # Errors
///
/// A Candle error that names both shapes if they do not fit.
pub fn l1(predicted: &Tensor, target: &Tensor) -> Result<Tensor, Error> {
    batch_mean(&distances(predicted, target)?, predicted.dim(0)?)
}

/// Returns the absolute errors, `[N, 4]`.
fn distances(predicted: &Tensor, target: &Tensor) -> Result<Tensor, Error> {
    let (n, _) = rows("predicted boxes", predicted)?;
    expect("predicted boxes", predicted, &[n, 4], predicted.dtype())?;
    expect("boxes", target, &[n, 4], predicted.dtype())?;
    (predicted - target)?.abs()
}

pub(super) fn of_boxes(batch: &BoxBatch, _: &LossConfig) -> Result<Tensor, Error> {
    batch.photos.mean(&distances(batch.predicted, batch.target)?)
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
        let loss: f64 = l1(&b, &t).unwrap().to_scalar().unwrap();
        assert!((loss - 0.7 / 8.0).abs() < 1e-15, "{loss}");
        assert_eq!(l1(&b, &b).unwrap().to_scalar::<f64>().unwrap(), 0.0);
    }

    #[test]
    fn gradient_is_the_difference_quotient() {
        let target = Tensor::new(&[[0.1f64, 0.2, 0.8, 0.9], [0.0, 0.3, 0.3, 1.0]], &Device::Cpu).unwrap();
        let predicted = [0.3, 0.1, 0.7, 0.5, 0.9, 0.8, 0.2, 0.1];
        check_gradient(&predicted, &[2, 4], |b| l1(b, &target));
    }
}
