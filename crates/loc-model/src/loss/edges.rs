//! The loss of box edges that are distributions over bins.

use candle_core::{D, DType, Error, Tensor};

use super::class::log_softmax;
use super::expect;
use super::reduce::batch_mean;

/// Distribution focal loss (Li et al. 2020, Generalized Focal Loss, equation 6), the mean over the batch's edges.
///
/// ```text
/// t = (B − 1) · y      l = ⌊t⌋, at most B − 2
/// L = −1/(4N) · Σ_{n, e} ( (l + 1 − t) · ln p[n, e, l] + (t − l) · ln p[n, e, l + 1] )      p = softmax(z)
/// ```
///
/// y is the true edge in 0..1, and bin b is at b/(B − 1). The loss is the cross-entropy of the two bins around y, which
/// concentrates the distribution there. Its minimum is not 0 but the entropy of the two weights. Edges outside 0..1 are
/// clamped.
///
/// # Shapes
///
/// logits `[N, 4, B]` with B of 2 or more, boxes `[N, 4]`; the result is a scalar.
///
/// # Errors
///
/// A Candle error that names both shapes if they do not fit.
pub fn distribution_focal(logits: &Tensor, boxes: &Tensor) -> Result<Tensor, Error> {
    batch_mean(&entropies(logits, boxes)?, logits.dim(0)?)
}

/// Returns the cross-entropy of each edge, `[N, 4]`.
pub(super) fn entropies(logits: &Tensor, boxes: &Tensor) -> Result<Tensor, Error> {
    let (n, edges, bins) = logits.dims3()?;
    if edges != 4 || bins < 2 || n == 0 {
        return Err(Error::Msg(format!(
            "edges: logits [N, 4, 2 or more] are needed, got {:?}",
            logits.dims()
        )));
    }
    expect("boxes", boxes, &[n, 4], logits.dtype())?;
    let last = (bins - 1) as f64;
    let position = (boxes.detach().clamp(0.0, 1.0)? * last)?;
    let low = position.floor()?.clamp(0.0, last - 1.0)?;
    let upper_weight = (&position - &low)?;
    let low = low.to_dtype(DType::U32)?.unsqueeze(2)?;
    let logs = log_softmax(logits)?;
    let log_probability_of =
        |bin: &Tensor| logs.contiguous()?.gather(&bin.contiguous()?, D::Minus1)?.squeeze(2);
    let sum = (((1.0 - &upper_weight)? * log_probability_of(&low)?)?
        + (upper_weight * log_probability_of(&(&low + low.ones_like()?)?)?)?)?;
    sum.neg()
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::super::testing::check_gradient;
    use super::*;

    fn boxes(values: &[f64]) -> Tensor {
        Tensor::from_slice(values, (values.len() / 4, 4), &Device::Cpu).unwrap()
    }

    #[test]
    fn is_the_cross_entropy_of_the_two_nearest_bins() {
        // Equal probabilities of three bins: ln 3 for every edge.
        let uniform = Tensor::zeros((1, 4, 3), DType::F64, &Device::Cpu).unwrap();
        let loss = |y: &[f64]| distribution_focal(&uniform, &boxes(y)).unwrap().to_scalar::<f64>().unwrap();
        for y in [[0.0, 0.25, 0.5, 1.0], [-1.0, 0.1, 0.9, 2.0]] {
            assert!((loss(&y) - 3f64.ln()).abs() < 1e-12);
        }
        // All probability on the middle bin: the loss is 0 at 0.5, and the largest at 1.
        let certain: Vec<f64> = [0.0, 50.0, 0.0].repeat(4);
        let certain = Tensor::from_vec(certain, (1, 4, 3), &Device::Cpu).unwrap();
        let loss =
            |y: f64| distribution_focal(&certain, &boxes(&[y; 4])).unwrap().to_scalar::<f64>().unwrap();
        assert!(loss(0.5) < 1e-12 && (loss(1.0) - 50.0).abs() < 1e-9 && (loss(0.75) - 25.0).abs() < 1e-9);
    }

    #[test]
    fn gradient_is_the_difference_quotient() {
        let target = boxes(&[0.1, 0.0, 0.77, 1.0, 0.5, 0.3, 0.25, 0.99]);
        let logits: Vec<f64> = (0..2 * 4 * 5).map(|i| f64::from(i * 7 % 11) / 5.0 - 1.0).collect();
        check_gradient(&logits, &[2, 4, 5], |z| distribution_focal(z, &target));
    }

    #[test]
    fn unsuitable_shapes_are_rejected() {
        let logits = Tensor::zeros((2, 4, 1), DType::F64, &Device::Cpu).unwrap();
        assert!(distribution_focal(&logits, &boxes(&[0.0; 8])).is_err());
        let logits = Tensor::zeros((2, 4, 5), DType::F64, &Device::Cpu).unwrap();
        assert!(distribution_focal(&logits, &boxes(&[0.0; 4])).is_err());
    }
}
