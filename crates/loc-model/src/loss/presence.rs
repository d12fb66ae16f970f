//! The loss of presence: whether there is an object at all.

use candle_core::{Error, Tensor};

use super::class::log_softmax;
use super::expect;
use super::reduce::batch_mean;

/// Binary cross-entropy of logits, the mean over the batch.
///
/// ```text
/// L = −1/N · Σ_n ( y[n] · ln σ(z[n]) + (1 − y[n]) · ln(1 − σ(z[n])) )      σ(z) = 1 / (1 + e^−z)
/// ∂L/∂z[n] = (σ(z[n]) − y[n]) / N
/// ```
///
/// z are the logits, and y is 1 where there is an object and 0 where there is none. Equal to PyTorch's
/// `F.binary_cross_entropy_with_logits`. It overflows for no logits.
///
/// # Shapes
///
/// both `[N]`; the result is a scalar.
///
/// # Errors
///
/// A Candle error that names both shapes if they do not fit, or if the batch is empty.
pub fn binary_cross_entropy(logits: &Tensor, present: &Tensor) -> Result<Tensor, Error> {
    let n = logits.dims1()?;
    if n == 0 {
        return Err(Error::Msg("presence: at least one sample is needed".into()));
    }
    expect("present", present, &[n], logits.dtype())?;
    // σ(z) and 1 − σ(z) are the softmax of z and 0.
    let both = log_softmax(&Tensor::stack(&[logits, &logits.zeros_like()?], 1)?)?;
    let chosen = Tensor::stack(&[present, &(1.0 - present)?], 1)?;
    batch_mean(&(both * chosen)?.sum(1)?, n)?.neg()
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::super::testing::check_gradient;
    use super::*;

    #[test]
    fn is_that_of_the_formula() {
        let z = [0.0f64, 2.0, -1.5, 0.25];
        let y = Tensor::new(&[1.0f64, 0.0, 0.0, 1.0], &Device::Cpu).unwrap();
        let of = |z: &Tensor| binary_cross_entropy(z, &y);
        let softplus = |x: f64| x.exp().ln_1p();
        let expected = (softplus(0.0) + softplus(2.0) + softplus(-1.5) + softplus(-0.25)) / 4.0;
        let loss: f64 = of(&Tensor::new(&z, &Device::Cpu).unwrap()).unwrap().to_scalar().unwrap();
        assert!((loss - expected).abs() < 1e-15, "{loss}, {expected}");
        check_gradient(&z, &[4], of);
    }

    #[test]
    fn certain_logits_stay_finite() {
        let y = Tensor::new(&[1.0f32, 0.0], &Device::Cpu).unwrap();
        for (z, expected) in [([3e4f32, -3e4], 0.0), ([-3e4, 3e4], 3e4)] {
            let loss = binary_cross_entropy(&Tensor::new(&z, &Device::Cpu).unwrap(), &y).unwrap();
            assert_eq!(loss.to_scalar::<f32>().unwrap(), expected);
        }
        let empty = Tensor::zeros(0, candle_core::DType::F32, &Device::Cpu).unwrap();
        assert!(binary_cross_entropy(&empty, &empty).is_err());
        assert!(binary_cross_entropy(&y, &empty).is_err());
    }
}
