//! Optimizers. Their state is kept by tensor name, so that a resume is exact.

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};
use loc_model::inplace::{AdamUpdate, adam_update, scale_add};
use loc_model::{Gradients, Model};
use loc_net::{Weight, Weights};

use crate::config::{Config, OptimizerKind};
use crate::error::TrainError;

/// The numbers of one parameter's update.
#[derive(Clone, Copy)]
struct Update {
    /// Learning rate.
    lr: f64,
    /// Factor of the gradient.
    scale: f64,
    /// Weight decay.
    decay: f64,
}

/// An optimizer with its state for one model.
#[derive(Debug)]
pub(crate) struct Optimizer {
    rule: OptimizerKind,
    momentum: f64,
    nesterov: bool,
    betas: [f64; 2],
    decay: f64,
    clip: f64,
    /// Factor of the learning rate for the backbone.
    backbone: f64,
    /// Number of steps so far.
    steps: usize,
    /// Velocities of SGD, or running means of the gradients.
    first: BTreeMap<String, Var>,
    /// Running means of the squared gradients.
    second: BTreeMap<String, Var>,
}

/// Prefixes of the names of the state's tensors.
const FIRST: &str = "first.";
const SECOND: &str = "second.";

impl Optimizer {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            rule: config.optimizer,
            momentum: config.momentum,
            nesterov: config.nesterov,
            betas: config.adam_betas,
            decay: config.weight_decay,
            clip: config.clip_grad_norm,
            backbone: config.backbone_lr,
            steps: 0,
            first: BTreeMap::new(),
            second: BTreeMap::new(),
        }
    }

    /// Updates every parameter of the model.
    ///
    /// Gradients whose common norm exceeds the limit are scaled down to it. If a gradient is not finite, nothing is
    /// updated and false is returned.
    pub(crate) fn step(&mut self, model: &Model, gradients: &Gradients, lr: f64) -> Result<bool, TrainError> {
        let mut scale = 1.0;
        if self.clip > 0.0 {
            let norm = gradients.norm()?;
            if !norm.is_finite() {
                return Ok(false);
            }
            scale = (self.clip / norm.max(1e-12)).min(1.0);
        } else if !gradients.are_finite()? {
            return Ok(false);
        }
        self.steps += 1;
        let layers = model.network().backbone_layers();
        for param in model.network().params() {
            let name = &param.name;
            let Some(var) = model.vars().get(name) else { continue };
            let lr = if param.layer < layers { lr * self.backbone } else { lr };
            let decay = if var.rank() > 1 { self.decay } else { 0.0 };
            match self.rule {
                OptimizerKind::Sgd => self.descend(name, var, gradients, Update { lr, scale, decay })?,
                OptimizerKind::AdamW => self.adam(name, var, gradients, Update { lr, scale, decay })?,
            }
        }
        Ok(true)
    }

    fn descend(
        &mut self,
        name: &str,
        var: &Var,
        gradients: &Gradients,
        Update { lr, scale, decay }: Update,
    ) -> Result<(), TrainError> {
        if self.momentum == 0.0 {
            gradients.add_to(name, var, 1.0 - lr * decay, -lr * scale)?;
            return Ok(());
        }
        let velocity = buffer(&mut self.first, name, var)?;
        if gradients.add_to(name, velocity, self.momentum, scale)? {
            if decay > 0.0 {
                scale_add(velocity, 1.0, var, decay)?;
            }
            if self.nesterov {
                gradients.add_to(name, var, 1.0 - lr * decay, -lr * scale)?;
                scale_add(var, 1.0, velocity, -lr * self.momentum)?;
            } else {
                scale_add(var, 1.0, velocity, -lr)?;
            }
        }
        Ok(())
    }

    fn adam(
        &mut self,
        name: &str,
        var: &Var,
        gradients: &Gradients,
        Update { lr, scale, decay }: Update,
    ) -> Result<(), TrainError> {
        let mean = buffer(&mut self.first, name, var)?;
        let square = buffer(&mut self.second, name, var)?;
        let [beta1, beta2] = self.betas;
        if gradients.add_to(name, mean, beta1, (1.0 - beta1) * scale)? {
            gradients.add_square_to(name, square, beta2, (1.0 - beta2) * scale * scale)?;
            let t = i32::try_from(self.steps).unwrap_or(i32::MAX);
            let by = AdamUpdate {
                lr,
                decay,
                mean_correction: 1.0 - beta1.powi(t),
                square_correction: 1.0 - beta2.powi(t),
            };
            adam_update(var, mean, square, by)?;
        }
        Ok(())
    }

    /// Returns the state's tensors under distinct names.
    pub(crate) fn state(&self) -> Result<Weights, TrainError> {
        let mut state = Weights::default();
        for (prefix, buffers) in [(FIRST, &self.first), (SECOND, &self.second)] {
            for (name, v) in buffers {
                let weight = Weight { shape: v.dims().to_vec(), data: v.flatten_all()?.to_vec1()? };
                state.0.insert(format!("{prefix}{name}"), weight);
            }
        }
        Ok(state)
    }

    /// Restores the state after so many steps.
    pub(crate) fn restore(&mut self, state: &Weights, steps: usize, model: &Model) -> Result<(), TrainError> {
        self.steps = steps;
        for (prefix, buffers) in [(FIRST, &mut self.first), (SECOND, &mut self.second)] {
            buffers.clear();
            for (name, weight) in &state.0 {
                let Some(name) = name.strip_prefix(prefix) else { continue };
                let v = Tensor::from_slice(&weight.data, &weight.shape[..], model.device())?;
                buffers.insert(name.to_owned(), Var::from_tensor(&v)?);
            }
        }
        Ok(())
    }
}

/// Returns the buffer of a parameter; zeros if it is new.
fn buffer<'a>(buffers: &'a mut BTreeMap<String, Var>, name: &str, like: &Var) -> Result<&'a Var, TrainError> {
    if !buffers.contains_key(name) {
        buffers.insert(name.to_owned(), Var::zeros(like.shape(), like.dtype(), like.device())?);
    }
    Ok(&buffers[name])
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::testing::{bias, model};

    fn weight(model: &Model) -> Vec<f64> {
        let values: Vec<f32> = model.vars()["class_out.weight"].flatten_all().unwrap().to_vec1().unwrap();
        values.into_iter().map(f64::from).collect()
    }

    /// Two steps on one photo, and by hand in f64 what the rule makes of the same gradients.
    fn two_steps(config: &Config, by_hand: impl Fn(&mut [Vec<f64>; 3], &[f64], i32, bool)) {
        let (model, mut optimizer) = (model(), Optimizer::new(config));
        let photo = Tensor::full(0.5f32, (1, 3, 188, 188), &Device::Cpu).unwrap();
        let zeros = |v: &[f64]| vec![0.0; v.len()];
        let begin = |v: Vec<f64>| [v.clone(), zeros(&v), zeros(&v)];
        let (mut b, mut w) = (begin(bias(&model)), begin(weight(&model)));
        for t in 1..=2 {
            let output = model.forward(&photo).unwrap();
            let loss = (output.logits.sqr().unwrap().sum_all().unwrap() * 3.0).unwrap();
            let loss = (loss + output.logits.narrow(1, 0, 1).unwrap().sum_all().unwrap()).unwrap();
            let gradients = model.backward(&loss).unwrap();
            let values = |name: &str| -> Vec<f64> {
                let g =
                    gradients.get(name).unwrap().unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
                let scale = if config.clip_grad_norm > 0.0 {
                    (config.clip_grad_norm / gradients.norm().unwrap()).min(1.0)
                } else {
                    1.0
                };
                g.into_iter().map(|v| f64::from(v) * scale).collect()
            };
            by_hand(&mut b, &values("class_out.bias"), t, false);
            by_hand(&mut w, &values("class_out.weight"), t, true);
            assert!(optimizer.step(&model, &gradients, config.lr).unwrap());
        }
        for (got, expected) in [(bias(&model), &b[0]), (weight(&model), &w[0])] {
            for (got, expected) in got.iter().zip(expected) {
                assert!(
                    (got - expected).abs() < 1e-6 * expected.abs().max(0.1),
                    "{got} where {expected} is right"
                );
            }
        }
    }

    #[test]
    fn sgd_is_pytorchs() {
        for nesterov in [false, true] {
            let config = Config { lr: 0.01, momentum: 0.9, nesterov, weight_decay: 0.1, ..Config::default() };
            two_steps(&config, |[p, v, _], g, _, is_weight| {
                for i in 0..p.len() {
                    let g = g[i] + if is_weight { 0.1 * p[i] } else { 0.0 };
                    v[i] = 0.9 * v[i] + g;
                    p[i] -= 0.01 * if nesterov { g + 0.9 * v[i] } else { v[i] };
                }
            });
        }
    }

    #[test]
    fn adamw_is_pytorchs_and_clipping_scales_the_gradient() {
        for (clip, adam_betas) in [(0.0, [0.9, 0.999]), (0.3, [0.9, 0.999]), (0.0, [0.8, 0.95])] {
            let [beta1, beta2]: [f64; 2] = adam_betas;
            let config = Config {
                lr: 0.01,
                optimizer: OptimizerKind::AdamW,
                adam_betas,
                weight_decay: 0.1,
                clip_grad_norm: clip,
                ..Config::default()
            };
            two_steps(&config, |[p, m, v], g, t, is_weight| {
                for i in 0..p.len() {
                    m[i] = beta1 * m[i] + (1.0 - beta1) * g[i];
                    v[i] = beta2 * v[i] + (1.0 - beta2) * g[i] * g[i];
                    let step =
                        (m[i] / (1.0 - beta1.powi(t))) / ((v[i] / (1.0 - beta2.powi(t))).sqrt() + 1e-8);
                    p[i] -= 0.01 * (step + if is_weight { 0.1 * p[i] } else { 0.0 });
                }
            });
        }
    }

    #[test]
    fn a_gradient_that_is_not_finite_moves_nothing_though_the_loss_is() {
        for (rule, clip) in [
            (OptimizerKind::Sgd, 0.0),
            (OptimizerKind::Sgd, 1.0),
            (OptimizerKind::AdamW, 0.0),
            (OptimizerKind::AdamW, 1.0),
        ] {
            let config = Config { optimizer: rule, clip_grad_norm: clip, momentum: 0.9, ..Config::default() };
            let (model, mut optimizer) = (model(), Optimizer::new(&config));
            let before = model.weights().unwrap();
            let photo = Tensor::full(0.5f32, (1, 3, 188, 188), &Device::Cpu).unwrap();
            // The root's slope at 0 is infinite.
            let logits = model.forward(&photo).unwrap().logits;
            let loss = (&logits - logits.detach()).unwrap().sqrt().unwrap().sum_all().unwrap();
            assert_eq!(loss.to_scalar::<f32>().unwrap(), 0.0, "the loss is finite");
            let gradients = model.backward(&loss).unwrap();
            assert!(!optimizer.step(&model, &gradients, 0.1).unwrap(), "{rule:?} with clip {clip}");
            assert_eq!(model.weights().unwrap(), before, "{rule:?} with clip {clip} moved something");
            assert_eq!(optimizer.steps, 0);
        }
    }
}
