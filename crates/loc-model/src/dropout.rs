//! Dropout as a function of a key: every backend sets the same values to zero.

use candle_core::{Result, Tensor};

/// Dropout of one training step. Each value is set to zero with a given probability, and the other values are
/// scaled up so that the mean stays the same. In maps whole channels are set to zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Probability, at least 0 and below 1.
    pub rate: f64,
    /// Seed, epoch and step; together with the layer's name and the value's index they determine which values are set
    /// to zero.
    pub key: [u64; 3],
    /// Number of photos of the batch before the first one here: 0, unless another process computes them.
    pub before: usize,
}

impl Dropout {
    /// Fills in the factor of each channel of a layer, or of each value of a vector, photo by photo, of `n` photos.
    pub(crate) fn factors(&self, layer: &str, n: usize, factors: &mut [f32]) {
        let [seed, epoch, step] = self.key;
        let stream = crate::init::Stream::new(seed, &format!("dropout {layer} {epoch} {step}"));
        let keep = (1.0 / (1.0 - self.rate)) as f32;
        let before = self.before * (factors.len() / n.max(1));
        for (i, factor) in (before..).zip(factors) {
            *factor = if stream.uniform(i as u64) < self.rate { 0.0 } else { keep };
        }
    }

    /// Applies dropout to a layer's output. In maps, `[N, C, h, w]`, whole channels are set to zero.
    ///
    /// # Errors
    ///
    /// A Candle error if the device fails.
    pub fn apply(&self, x: &Tensor, layer: &str) -> Result<Tensor> {
        let mut dims = x.dims().to_vec();
        dims.iter_mut().skip(2).for_each(|d| *d = 1);
        let mut factors = vec![0.0; dims.iter().product()];
        self.factors(layer, x.dim(0)?, &mut factors);
        x.broadcast_mul(&Tensor::from_vec(factors, dims, x.device())?.to_dtype(x.dtype())?)
    }
}
