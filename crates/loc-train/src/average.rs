//! Which weights are judged and saved: those of the last step, their running average, or a mean of that, the weights it
//! all began with, and what earlier members of a soup came to.

use candle_core::Tensor;
use loc_model::Model;
use loc_model::ops::scale_add;
use loc_net::Weights;

use crate::{Config, TrainError};

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

/// What is judged and saved where it is not what was learned last: the mean of what the members of a soup came to and of
/// what is learned now, and a share that stays of the weights it all began with,
/// `s · w₀ + (1 − s) · (Σ wᵢ + w) / (ended + 1)`.
///
/// Fine-tunings from the same weights come to weights whose mean is better than each (Wortsman et al. 2022, Model soups),
/// and so do the weights between where one began and where it ended (Wortsman et al. 2022, Robust fine-tuning of
/// zero-shot models).
#[derive(Debug)]
pub(crate) struct Mean {
    share: f64,
    pub(crate) beginning: Weights,
    /// The sum of what the members that have ended came to; empty before the first has.
    pub(crate) sum: Weights,
    model: Model,
}

impl Mean {
    /// Of the model as it is now; nothing where what is learned is judged as it is.
    pub(crate) fn of(model: &Model, config: &Config) -> Result<Option<Self>, TrainError> {
        if config.begin_share == 0.0 && config.soup == 1 {
            return Ok(None);
        }
        let (beginning, sum) = (model.weights()?, Weights::default());
        Ok(Some(Self { share: config.begin_share, beginning, sum, model: model.copy()? }))
    }

    /// Counts what a member came to.
    pub(crate) fn add(&mut self, member: &Model) -> Result<(), TrainError> {
        let member = member.weights()?;
        if self.sum.0.is_empty() {
            self.sum = member;
            return Ok(());
        }
        for (name, sum) in &mut self.sum.0 {
            sum.data.iter_mut().zip(member.values(name)).for_each(|(sum, v)| *sum += v);
        }
        Ok(())
    }

    /// The mean with what is learned now, where so many members have ended.
    pub(crate) fn with(&self, model: &Model, ended: usize) -> Result<&Model, TrainError> {
        let each = (1.0 - self.share) / (ended as f64 + 1.0);
        for (name, var) in self.model.vars() {
            let tensor =
                |weights: &Weights| Tensor::from_slice(weights.values(name), var.shape(), var.device());
            var.set(&tensor(&self.beginning)?)?;
            scale_add(var, self.share, &model.vars()[name], each)?;
            if ended > 0 {
                scale_add(var, 1.0, &tensor(&self.sum)?, each)?;
            }
        }
        Ok(&self.model)
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

    fn set(model: &Model, to: [f32; 2]) {
        model.vars()["class_out.bias"].set(&Tensor::new(&to, &Device::Cpu).unwrap()).unwrap();
    }

    #[test]
    fn a_share_of_the_beginning_stays() {
        let (model, config) = (model(), Config { begin_share: 0.25, ..Config::default() });
        assert!(Mean::of(&model, &Config::default()).unwrap().is_none());
        set(&model, [2.0, -1.0]);
        let mean = Mean::of(&model, &config).unwrap().unwrap();
        for to in [4.0f32, 8.0] {
            set(&model, [to, 3.0]);
            let mean = bias(mean.with(&model, 0).unwrap());
            assert_eq!(mean, [0.5 + 0.75 * f64::from(to), 2.25 - 0.25]);
        }
    }

    #[test]
    fn the_members_of_a_soup_count_alike() {
        let (model, config) = (model(), Config { begin_share: 0.5, soup: 3, ..Config::default() });
        set(&model, [8.0, 0.0]);
        let mut mean = Mean::of(&model, &config).unwrap().unwrap();
        set(&model, [1.0, 3.0]);
        mean.add(&model).unwrap();
        set(&model, [3.0, 7.0]);
        assert_eq!(bias(mean.with(&model, 1).unwrap()), [4.0 + 1.0, 2.5]);
        mean.add(&model).unwrap();
        set(&model, [8.0, 2.0]);
        assert_eq!(bias(mean.with(&model, 2).unwrap()), [4.0 + 2.0, 2.0]);
    }
}
