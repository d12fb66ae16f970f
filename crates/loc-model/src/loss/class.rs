//! Cross-entropy of logits, and cross-entropy of probabilities as in the tutorial.

use candle_core::{D, DType, Device, Error, Tensor};

use super::reduce::or_one;
use super::{ClassBatch, LossConfig, Photos, expect, rows};

/// Cross-entropy of logits, the mean over the batch.
///
/// ```text
/// L = −1/N · Σ_n ln p[n, y_n]      p[n, k] = e^z[n, k] / Σ_j e^z[n, j]
/// ∂L/∂z[n, k] = (p[n, k] − [k = y_n]) / N
/// ```
///
/// z are the logits, **not** the output of softmax. With uniform probabilities the loss is ln K; its minimum is 0. With
/// one class, loss and gradient are 0.
///
/// # Shapes
///
/// logits `[N, K]`, labels `[N]` (u32, each below K); the result is a scalar.
///
/// # Errors
///
/// A Candle error if shapes or types do not fit, or on the CPU if a label is not below K.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Result<Tensor, Error> {
    weighted_cross_entropy(logits, labels, 0.0, &[])
}

/// [`cross_entropy`] with smoothed labels (Szegedy et al. 2016) and a weight for each class.
///
/// ```text
/// L = −1/Σ_n w[y_n] · Σ_n ( (1 − ε) · w[y_n] · ln p[n, y_n] + ε/K · Σ_k w[k] · ln p[n, k] )
/// ```
///
/// Equal to PyTorch's `F.cross_entropy(weight=w, label_smoothing=ε)`. Without weights, all are 1.
///
/// # Shapes
///
/// logits `[N, K]`, labels `[N]` (u32, each below K), K weights or an empty slice; the result is a scalar.
///
/// # Errors
///
/// Those of [`cross_entropy`]; also if there are weights, but not K of them.
pub fn weighted_cross_entropy(
    logits: &Tensor,
    labels: &Tensor,
    smoothing: f64,
    weights: &[f64],
) -> Result<Tensor, Error> {
    entropy(Photos::all(logits.dims().first().copied().unwrap_or(0)), logits, labels, smoothing, weights)
}

/// [`weighted_cross_entropy`] over the photos with an object.
fn entropy(
    photos: Photos,
    logits: &Tensor,
    labels: &Tensor,
    smoothing: f64,
    weights: &[f64],
) -> Result<Tensor, Error> {
    let (n, classes) = rows("logits", logits)?;
    expect("labels", labels, &[n], DType::U32)?;
    check_labels(labels, classes)?;
    if !weights.is_empty() && weights.len() != classes {
        return Err(Error::Msg(format!("got {} class weights for {classes} classes", weights.len())));
    }
    let logs = log_softmax(logits)?;
    let picked = logs.gather(&labels.unsqueeze(1)?.contiguous()?, 1)?; // [N, 1]
    if smoothing == 0.0 && weights.is_empty() {
        return photos.mean(&picked)?.neg();
    }
    let ones = [1.0].repeat(classes);
    let weights = if weights.is_empty() { &ones } else { weights };
    let weights = Tensor::from_slice(weights, classes, logits.device())?.to_dtype(logits.dtype())?;
    let label_weights = weights.index_select(labels, 0)?; // [N]
    let label_terms = (picked.squeeze(1)? * &label_weights)?;
    let uniform_terms = logs.broadcast_mul(&weights)?.sum(D::Minus1)?;
    let per_photo = ((label_terms * (1.0 - smoothing))? + (uniform_terms * (smoothing / classes as f64))?)?;
    (photos.sum(&per_photo)? / or_one(&photos.sum(&label_weights)?)?)?.neg()
}

/// The tutorial's loss: [`cross_entropy`] of probabilities. This applies softmax twice, which is a mistake.
///
/// ```text
/// L = −1/N · Σ_n ln q[n, y_n]      q = softmax(p)      p = softmax(z)
/// ∂L/∂z = J(p)ᵀ · (q − one-hot(y)) / N      J(p)[i, k] = p_i · ([i = k] − p_k)
/// ```
///
/// PyTorch's `F.cross_entropy` expects logits; the tutorial passes the output of `F.softmax`. Since p is in 0..1, q is
/// between 1/(1 + (K−1)·e) and 1/(1 + (K−1)/e). So the loss cannot fall below ln(1 + (K−1)/e), 0.313 for two classes,
/// even if every prediction is certain and correct. The factor J also flattens the gradient: at equal probabilities of
/// two classes it is half of the gradient of [`cross_entropy`], and it goes to 0 as the network becomes certain, also
/// if it is wrong (there the gradient of [`cross_entropy`] has its maximum). This is why the tutorial's loss stays at
/// ln 2. The function exists to reproduce the tutorial; train with [`cross_entropy`].
///
/// # Shapes
///
/// logits `[N, K]`, labels `[N]` (u32, each below K); the result is a scalar.
///
/// # Errors
///
/// Those of [`cross_entropy`].
pub fn cross_entropy_on_probabilities(logits: &Tensor, labels: &Tensor) -> Result<Tensor, Error> {
    rows("logits", logits)?;
    cross_entropy(&log_softmax(logits)?.exp()?, labels)
}

pub(super) fn of_logits(batch: &ClassBatch, config: &LossConfig) -> Result<Tensor, Error> {
    let (smoothing, weights) = (config.label_smoothing, &config.class_weights);
    entropy(batch.photos, batch.logits, batch.labels, smoothing, weights)
}

pub(super) fn of_probabilities(batch: &ClassBatch, _: &LossConfig) -> Result<Tensor, Error> {
    rows("logits", batch.logits)?;
    entropy(batch.photos, &log_softmax(batch.logits)?.exp()?, batch.labels, 0.0, &[])
}

/// Returns `z − max z − ln Σ e^(z − max z)`, which does not overflow for any logits.
pub(super) fn log_softmax(logits: &Tensor) -> Result<Tensor, Error> {
    // The shift cancels, so its gradient is zero; detached, it is exactly zero.
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?;
    shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(D::Minus1)?.log()?)
}

fn check_labels(labels: &Tensor, classes: usize) -> Result<(), Error> {
    if !matches!(labels.device(), Device::Cpu) {
        return Ok(());
    }
    let bad = labels.to_vec1::<u32>()?.into_iter().enumerate().find(|(_, label)| *label as usize >= classes);
    bad.map_or(Ok(()), |(sample, label)| {
        Err(Error::Msg(format!(
            "label {label} of sample {sample} is not one of the {classes} classes 0..{classes}"
        )))
    })
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::super::testing::check_gradient;
    use super::*;

    fn labels(values: &[u32]) -> Tensor {
        Tensor::new(values, &Device::Cpu).unwrap()
    }

    fn value(loss: fn(&Tensor, &Tensor) -> Result<Tensor, Error>, logits: &[[f64; 2]], of: &[u32]) -> f64 {
        let logits = Tensor::from_slice(logits.as_flattened(), (logits.len(), 2), &Device::Cpu).unwrap();
        loss(&logits, &labels(of)).unwrap().to_scalar().unwrap()
    }

    #[test]
    fn values_follow_the_formulas() {
        // PyTorch: F.cross_entropy(torch.tensor([[1., -2.], [.5, 3.]]).double(), torch.tensor([0, 0])) and the
        // same of softmax(z).
        let logits = [[1.0, -2.0], [0.5, 3.0]];
        assert!((value(cross_entropy, &logits, &[0, 0]) - 1.313_738_542_933_145_8).abs() < 1e-12);
        assert!(
            (value(cross_entropy_on_probabilities, &logits, &[0, 0]) - 0.772_165_721_436_010_9).abs() < 1e-12
        );
        let equal_logits = [[0.7, 0.7]; 3];
        let ln2 = std::f64::consts::LN_2;
        assert!((value(cross_entropy, &equal_logits, &[0, 1, 1]) - ln2).abs() < 1e-12);
        assert!((value(cross_entropy_on_probabilities, &equal_logits, &[0, 1, 1]) - ln2).abs() < 1e-12);
    }

    #[test]
    fn smoothing_and_weights_match_pytorch() {
        // F.cross_entropy(z, y, weight=torch.tensor([.5, 2.]).double(), label_smoothing=.1), and without weights
        let logits = [[1.0, -2.0], [0.5, 3.0], [0.0, 0.25]];
        let z = Tensor::from_slice(logits.as_flattened(), (3, 2), &Device::Cpu).unwrap();
        let y = labels(&[0, 0, 1]);
        let of = |smoothing, weights: &[f64]| {
            weighted_cross_entropy(&z, &y, smoothing, weights).unwrap().to_scalar::<f64>().unwrap()
        };
        let p = |row: usize, k: usize| {
            let [a, b]: [f64; 2] = logits[row];
            (a.exp() + b.exp()).ln() - logits[row][k]
        };
        let by_hand = (0.9 * (0.5 * p(0, 0) + 0.5 * p(1, 0) + 2.0 * p(2, 1))
            + 0.05 * (0..3).map(|n| 0.5 * p(n, 0) + 2.0 * p(n, 1)).sum::<f64>())
            / 3.0;
        assert!((of(0.1, &[0.5, 2.0]) - by_hand).abs() < 1e-12, "{by_hand}");
        assert!((of(0.0, &[3.0, 3.0]) - of(0.0, &[])).abs() < 1e-12);
        assert!(weighted_cross_entropy(&z, &y, 0.0, &[1.0]).is_err());
    }

    #[test]
    fn gradients_are_the_difference_quotients() {
        let logits = [0.3, -1.2, 0.8, 2.0, 2.0, -0.5, 0.0, 0.0, 0.0, -4.0, 3.0, 1.0];
        let of = labels(&[2, 0, 1, 0]);
        check_gradient(&logits, &[4, 3], |z| cross_entropy(z, &of));
        check_gradient(&logits, &[4, 3], |z| cross_entropy_on_probabilities(z, &of));
        check_gradient(&logits, &[4, 3], |z| weighted_cross_entropy(z, &of, 0.1, &[0.5, 2.0, 1.0]));
    }

    #[test]
    fn extreme_logits_stay_finite() {
        let logits = [[1000.0, -1000.0]];
        assert_eq!(value(cross_entropy, &logits, &[0]), 0.0);
        assert_eq!(value(cross_entropy, &logits, &[1]), 2000.0);
        let floor = (1.0 + (-1.0f64).exp()).ln();
        assert!((value(cross_entropy_on_probabilities, &logits, &[0]) - floor).abs() < 1e-12);
    }

    #[test]
    fn on_probabilities_the_loss_has_the_documented_minimum_and_a_flat_gradient() {
        for classes in [2usize, 5] {
            let mut certain = vec![0.0; classes];
            certain[1] = 500.0;
            let z = Tensor::from_vec(certain, (1, classes), &Device::Cpu).unwrap();
            let loss: f64 = cross_entropy_on_probabilities(&z, &labels(&[1])).unwrap().to_scalar().unwrap();
            assert!((loss - (1.0 + (classes as f64 - 1.0) / std::f64::consts::E).ln()).abs() < 1e-12);
        }
        let gradient = |loss: fn(&Tensor, &Tensor) -> Result<Tensor, Error>, logits: [f64; 2], label: u32| {
            let z = Var::new(&[logits], &Device::Cpu).unwrap();
            let grads = loss(&z, &labels(&[label])).unwrap().backward().unwrap();
            grads.get(&z).unwrap().to_vec2::<f64>().unwrap()[0][0].abs()
        };
        assert!((gradient(cross_entropy, [0.0, 0.0], 1) - 0.5).abs() < 1e-12);
        assert!((gradient(cross_entropy_on_probabilities, [0.0, 0.0], 1) - 0.25).abs() < 1e-12);
        assert!(gradient(cross_entropy, [9.0, -9.0], 1) > 0.999, "certain and wrong");
        assert!(gradient(cross_entropy_on_probabilities, [9.0, -9.0], 1) < 1e-7, "certain and wrong");
    }

    #[test]
    fn one_class_has_loss_and_gradient_zero() {
        for loss in [cross_entropy, cross_entropy_on_probabilities] {
            let z = Var::new(&[[3.5f32], [-7.25]], &Device::Cpu).unwrap();
            let value = loss(&z, &labels(&[0, 0])).unwrap();
            assert_eq!(value.to_scalar::<f32>().unwrap(), 0.0);
            let gradient = value.backward().unwrap().get(&z).unwrap().to_vec2::<f32>().unwrap();
            assert_eq!(gradient, [[0.0], [0.0]]);
        }
    }
}
