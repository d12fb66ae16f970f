//! Dropout as a function of a key: the same values are dropped whatever computes the network.

use candle_core::{Result, Tensor};

/// What a training step drops: each value with a probability, by a key; those that stay are scaled up, so that the mean
/// stays. Of maps whole channels are dropped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Probability, 0 or more and below 1.
    pub rate: f64,
    /// What decides, with the layer's name and the value's index: seed, epoch and step.
    pub key: [u64; 3],
}

impl Dropout {
    /// Fills the factors of a layer's channels (of a vector: of its values), photo by photo.
    pub(crate) fn factors(&self, layer: &str, factors: &mut [f32]) {
        let [seed, epoch, step] = self.key;
        let stream = crate::init::Stream::new(seed, &format!("dropout {layer} {epoch} {step}"));
        let keep = (1.0 / (1.0 - self.rate)) as f32;
        for (i, factor) in factors.iter_mut().enumerate() {
            *factor = if stream.uniform(i as u64) < self.rate { 0.0 } else { keep };
        }
    }

    /// Drops values of a layer's output. Of maps, `[N, C, h, w]`, whole channels.
    ///
    /// # Errors
    ///
    /// A Candle error if the device fails.
    pub fn apply(&self, x: &Tensor, layer: &str) -> Result<Tensor> {
        let mut dims = x.dims().to_vec();
        dims.iter_mut().skip(2).for_each(|d| *d = 1);
        let mut factors = vec![0.0; dims.iter().product()];
        self.factors(layer, &mut factors);
        x.broadcast_mul(&Tensor::from_vec(factors, dims, x.device())?.to_dtype(x.dtype())?)
    }
}
