//! What fine-tuning keeps of the initial weights: a fraction of them in the weights that are evaluated and saved, and
//! feature distillation in training.

use candle_core::Tensor;
use loc_model::inplace::scale_add;
use loc_model::loss::features;
use loc_model::{Dropout, Input, Model};
use loc_net::{Forward, ImageBatch, Weights};

use crate::config::Config;
use crate::error::TrainError;

/// The initial weights of a training, and how they are used.
#[derive(Debug)]
pub(crate) struct PretrainedPrior {
    pub(crate) weights: Weights,
    /// The fraction of the initial weights in the interpolated ones, and a model for these.
    mean: Option<(f64, Model)>,
    pub(crate) distillation: Option<FeatureDistillation>,
}

impl PretrainedPrior {
    /// Takes the initial weights from a saved state, or else from the model; none if the configuration does not use
    /// them.
    pub(crate) fn of(
        model: &Model,
        saved: Option<Weights>,
        config: &Config,
    ) -> Result<Option<Self>, TrainError> {
        // A head on a frozen backbone cannot change the features.
        let anchored = config.feature_distill_weight > 0.0 && !model.is_frozen();
        if config.weight_interpolation == 0.0 && !anchored {
            return Ok(None);
        }
        let weights = saved.map_or_else(|| model.weights(), Ok)?;
        let mean = match config.weight_interpolation {
            0.0 => None,
            share => Some((share, model.copy()?)),
        };
        let distillation = match anchored {
            true => Some(FeatureDistillation::of(model, &weights, config.feature_distill_weight)?),
            false => None,
        };
        Ok(Some(Self { weights, mean, distillation }))
    }

    /// Returns the model with weights `s · w₀ + (1 − s) · w`, w₀ the initial ones; the given model if s is 0.
    ///
    /// Interpolated weights can be better than both the pretrained and the fine-tuned ones (Wortsman et al. 2022,
    /// Robust fine-tuning of zero-shot models).
    pub(crate) fn interpolated_with<'a>(&'a self, model: &'a Model) -> Result<&'a Model, TrainError> {
        let Some((share, mean)) = &self.mean else { return Ok(model) };
        mean.set_weights(&self.weights)?;
        for (name, var) in mean.vars() {
            scale_add(var, *share, &model.vars()[name], 1.0 - share)?;
        }
        Ok(mean)
    }
}

/// Feature distillation: keeps the features that the class is predicted from close to those of the initial network.
///
/// The class loss soon nears 0 on the training photos, and no longer notices how the box loss changes the features (Li
/// and Hoiem 2016, Learning without Forgetting; on features as Romero et al. 2015, FitNets).
#[derive(Debug)]
pub(crate) struct FeatureDistillation {
    /// The initial network.
    forward: Forward,
    /// The layer of the backbone whose output is one vector per photo.
    pub(crate) layer: usize,
    weight: f64,
}

impl FeatureDistillation {
    fn of(model: &Model, weights: &Weights, weight: f64) -> Result<Self, TrainError> {
        let network = model.network();
        let whole = network.taps().into_iter().find(|tap| network.shape(*tap).0.len() == 1);
        let layer = whole.unwrap_or_else(|| unreachable!("of every backbone the class reads a vector"));
        Ok(Self { forward: Forward::new(network.clone(), weights.clone())?, layer, weight })
    }

    /// Returns the initial network's features of photos, `[N, C]`, after dropout.
    pub(crate) fn initial(&self, input: &Input, dropout: Option<Dropout>) -> Result<Tensor, TrainError> {
        let Input::Images(photos) = input else {
            unreachable!("kept features are a frozen backbone's, which has no distillation")
        };
        let (n, bytes): (usize, Vec<u8>) = (photos.dim(0)?, photos.flatten_all()?.to_vec1()?);
        let values = match n {
            0 => Vec::new(),
            n => self.forward.features(ImageBatch::Bytes(&bytes), n, &[self.layer])?.concat(),
        };
        let len = self.forward.network().shape(self.layer).len();
        let features = Tensor::from_vec(values, (n, len), photos.device())?;
        Ok(match dropout {
            // The same features are dropped, so that the rest is compared.
            Some(dropout) if n > 0 => {
                dropout.apply(&features, &self.forward.network().layers()[self.layer].name)?
            }
            _ => features,
        })
    }

    /// Returns the weighted loss of a batch's features and those of the initial network, both `[N, C]`.
    pub(crate) fn loss(&self, features: &Tensor, initial: &Tensor) -> Result<Tensor, TrainError> {
        Ok((features::distance(features, initial)? * self.weight)?)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use loc_model::Conditions;

    use super::*;
    use crate::testing::{bias, model};

    #[test]
    fn a_share_of_the_beginning_stays() {
        let model = model();
        let config = |weight_interpolation| Config { weight_interpolation, ..Config::default() };
        assert!(PretrainedPrior::of(&model, None, &config(0.0)).unwrap().is_none());
        model.vars()["class_out.bias"].set(&Tensor::new(&[2.0f32, -1.0], &Device::Cpu).unwrap()).unwrap();
        let beginning = PretrainedPrior::of(&model, None, &config(0.25)).unwrap().unwrap();
        for to in [4.0f32, 8.0] {
            model.vars()["class_out.bias"].set(&Tensor::new(&[to, 3.0], &Device::Cpu).unwrap()).unwrap();
            let mean = bias(beginning.interpolated_with(&model).unwrap());
            assert_eq!(mean, [0.5 + 0.75 * f64::from(to), 2.25 - 0.25]);
        }
    }

    #[test]
    fn the_anchor_is_where_the_features_were_and_pulls_there() {
        let model = model();
        let config = Config { feature_distill_weight: 2.0, ..Config::default() };
        let beginning = PretrainedPrior::of(&model, None, &config).unwrap().unwrap();
        let distillation = beginning.distillation.as_ref().unwrap();
        let (_, height, width) = model.network().input().chw().unwrap();
        let bytes: Vec<u8> = (0..2 * height * width * 3).map(|i| (i * 7 % 251) as u8).collect();
        let photos = Tensor::from_vec(bytes, (2, height, width, 3), &Device::Cpu).unwrap();
        let input = Input::Images(photos);
        for dropout in [None, Some(Dropout { rate: 0.5, key: [1, 1, 1], before: 0 })] {
            let loss = || {
                let (_, features) = model
                    .train_with(&input, &Conditions { dropout, ..Conditions::default() }, distillation.layer)
                    .unwrap();
                distillation.loss(&features, &distillation.initial(&input, dropout).unwrap()).unwrap()
            };
            let value = |loss: &Tensor| loss.to_scalar::<f32>().unwrap();
            assert!(value(&loss()) < 1e-8, "nothing has moved");
            let weights = model.weights().unwrap();
            for var in model.vars().values() {
                var.set(&var.affine(1.02, 0.001).unwrap()).unwrap();
            }
            let away = loss();
            assert!(value(&away) > 1e-5, "{}", value(&away));
            let gradients = model.backward(&away).unwrap();
            for (name, var) in model.vars() {
                if let Some(gradient) = gradients.get(name).unwrap() {
                    let step = (gradient * (1e-3 / gradients.norm().unwrap())).unwrap();
                    var.set(&(var.as_detached_tensor() - step).unwrap()).unwrap();
                }
            }
            assert!(value(&loss()) < value(&away), "a step against the gradient brings them nearer");
            model.set_weights(&weights).unwrap();
        }
        assert!(std::ptr::eq(beginning.interpolated_with(&model).unwrap(), &model), "no share is kept");
    }
}
