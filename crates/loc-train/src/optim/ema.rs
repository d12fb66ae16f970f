//! The exponential moving average (EMA) of the weights, which is evaluated and saved in place of the last step's.

use loc_model::Model;
use loc_model::inplace::scale_add;

use crate::error::TrainError;

/// The moving average of a model's parameters (Polyak and Juditsky 1992): `a ← d · a + (1 − d) · p` with `d =
/// min(decay, (1 + t) / (10 + t))` after t steps, so that the initial weights fade quickly.
#[derive(Debug)]
pub(crate) struct Ema {
    decay: f64,
    pub(crate) model: Model,
}

impl Ema {
    /// Starts with the model's parameters; none if `decay` is 0.
    pub(crate) fn of(model: &Model, decay: f64) -> Result<Option<Self>, TrainError> {
        if decay == 0.0 {
            return Ok(None);
        }
        Ok(Some(Self { decay, model: model.copy()? }))
    }

    pub(crate) fn update(&self, model: &Model, steps: usize) -> Result<(), TrainError> {
        let t = steps as f64;
        let decay = self.decay.min((1.0 + t) / (10.0 + t));
        for (name, var) in self.model.vars() {
            scale_add(var, decay, &model.vars()[name], 1.0 - decay)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;
    use crate::testing::{bias, model};

    #[test]
    fn the_average_follows_and_forgets_the_beginning() {
        let model = model();
        let average = Ema::of(&model, 0.9).unwrap().unwrap();
        assert!(Ema::of(&model, 0.0).unwrap().is_none());
        let before = bias(&model)[0];
        model.vars()["class_out.bias"].set(&Tensor::new(&[1.0f32, 1.0], &Device::Cpu).unwrap()).unwrap();
        average.update(&model, 1).unwrap();
        let d = 2.0 / 11.0;
        assert!((bias(&average.model)[0] - (d * before + 1.0 - d)).abs() < 1e-6);
    }
}
