//! The loss that keeps features close to those of an earlier network (feature distillation).

use candle_core::{Error, Tensor};

use super::reduce::batch_mean;
use super::{expect, rows};

/// Mean squared distance of features from other features of the same photos, such as those of the network at the start of
/// training (a "hint" in Romero et al. 2015, FitNets).
///
/// ```text
/// L = 1/(N·C) · Σ_{n, c} (f[n, c] − g[n, c])²
/// ∂L/∂f[n, c] = 2 · (f[n, c] − g[n, c]) / (N·C)
/// ```
///
/// Equal to PyTorch's `F.mse_loss`.
///
/// # Shapes
///
/// both `[N, C]`; the result is a scalar.
///
/// # Errors
///
/// A Candle error that names both shapes if they do not fit.
pub fn distance(features: &Tensor, before: &Tensor) -> Result<Tensor, Error> {
    let (n, c) = rows("features", features)?;
    expect("features before", before, &[n, c], features.dtype())?;
    batch_mean(&(features - before)?.sqr()?, n)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::super::testing::check_gradient;
    use super::*;

    #[test]
    fn is_the_mean_over_photos_and_features() {
        let f = [0.5f64, -1.0, 2.0, 0.0, 0.25, 1.0];
        let before = Tensor::new(&[[0.5f64, 1.0, 2.5], [1.0, 0.25, 0.0]], &Device::Cpu).unwrap();
        let features = Tensor::from_slice(&f, (2, 3), &Device::Cpu).unwrap();
        // PyTorch: F.mse_loss(features, before)
        let loss: f64 = distance(&features, &before).unwrap().to_scalar().unwrap();
        assert!((loss - (4.0 + 0.25 + 1.0 + 1.0) / 6.0).abs() < 1e-15, "{loss}");
        check_gradient(&f, &[2, 3], |f| distance(f, &before));
        assert!(distance(&features, &before.t().unwrap()).is_err());
    }
}
