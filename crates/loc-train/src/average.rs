//! Which weights are judged and saved: those of the last step, their running average, or a mean of that and the weights
//! it all began with.

use candle_core::Tensor;
use loc_model::Model;
use loc_model::ops::scale_add;
use loc_net::Weights;

use crate::TrainError;

/// The running average of a model's parameters, which is what is judged and saved (Polyak and Juditsky 1992):
/// `a ← d · a + (1 − d) · p` with `d = min(decay, (1 + t) / (10 + t))` after t steps, so that it forgets the beginning.
#[derive(Debug)]
pub(crate) struct Average {
    decay: f64,
    pub(crate) model: Model,
}

impl Average {
    /// Begins as the model is; nothing where no average is asked for.
    pub(crate) fn of(model: &Model, decay: f64) -> Result<Option<Self>, TrainError> {
        if decay == 0.0 {
            return Ok(None);
        }
        Ok(Some(Self { decay, model: model.copy()? }))
    }

    pub(crate) fn follow(&self, model: &Model, steps: usize) -> Result<(), TrainError> {
        let t = steps as f64;
        let decay = self.decay.min((1.0 + t) / (10.0 + t));
        for (name, var) in self.model.vars() {
            scale_add(var, decay, &model.vars()[name], 1.0 - decay)?;
        }
        Ok(())
    }
}

/// The weights a training began with, of which those that are judged and saved keep a share: `s · w₀ + (1 − s) · w`.
///
/// Between the weights that a model was fine-tuned from and those it ended with lie some that are better than both
/// (Wortsman et al. 2022, Robust fine-tuning of zero-shot models).
#[derive(Debug)]
pub(crate) struct Beginning {
    share: f64,
    pub(crate) weights: Weights,
    mean: Model,
}

impl Beginning {
    /// The model as it is now; nothing where nothing is to be kept.
    pub(crate) fn of(model: &Model, share: f64) -> Result<Option<Self>, TrainError> {
        if share == 0.0 {
            return Ok(None);
        }
        Ok(Some(Self { share, weights: model.weights()?, mean: model.copy()? }))
    }

    /// The model between the beginning and this one.
    pub(crate) fn mean_with(&self, model: &Model) -> Result<&Model, TrainError> {
        for (name, var) in self.mean.vars() {
            let begin = Tensor::from_slice(self.weights.values(name), var.shape(), var.device())?;
            var.set(&begin)?;
            scale_add(var, self.share, &model.vars()[name], 1.0 - self.share)?;
        }
        Ok(&self.mean)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::testing::{bias, model};

    #[test]
    fn the_average_follows_and_forgets_the_beginning() {
        let model = model();
        let average = Average::of(&model, 0.9).unwrap().unwrap();
        assert!(Average::of(&model, 0.0).unwrap().is_none());
        let before = bias(&model)[0];
        model.vars()["class_out.bias"].set(&Tensor::new(&[1.0f32, 1.0], &Device::Cpu).unwrap()).unwrap();
        average.follow(&model, 1).unwrap();
        let d = 2.0 / 11.0;
        assert!((bias(&average.model)[0] - (d * before + 1.0 - d)).abs() < 1e-6);
    }

    #[test]
    fn a_share_of_the_beginning_stays() {
        let model = model();
        assert!(Beginning::of(&model, 0.0).unwrap().is_none());
        model.vars()["class_out.bias"].set(&Tensor::new(&[2.0f32, -1.0], &Device::Cpu).unwrap()).unwrap();
        let beginning = Beginning::of(&model, 0.25).unwrap().unwrap();
        for to in [4.0f32, 8.0] {
            model.vars()["class_out.bias"].set(&Tensor::new(&[to, 3.0], &Device::Cpu).unwrap()).unwrap();
            let mean = bias(beginning.mean_with(&model).unwrap());
            assert_eq!(mean, [0.5 + 0.75 * f64::from(to), 2.25 - 0.25]);
        }
    }
}
