//! Stochastic gradient descent with momentum, its state by tensor name so that a resume is exact.

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};
use loc_model::ops::scale_add;
use loc_model::{Gradients, Model};
use loc_net::{Weight, Weights};

use crate::TrainError;

/// SGD as PyTorch defines it (`torch.optim.SGD`, dampening 0):
///
/// ```text
/// v ← momentum · v + g        (v begins as 0, so that the first is g)
/// p ← p − lr · v
/// ```
#[derive(Debug)]
pub(crate) struct Sgd {
    lr: f64,
    momentum: f64,
    velocity: BTreeMap<String, Var>,
}

impl Sgd {
    pub(crate) fn new(lr: f64, momentum: f64) -> Self {
        Self { lr, momentum, velocity: BTreeMap::new() }
    }

    /// Moves every parameter of the model by its gradient.
    pub(crate) fn step(&mut self, model: &Model, gradients: &Gradients) -> Result<(), TrainError> {
        for (name, var) in model.vars() {
            if self.momentum == 0.0 {
                gradients.add_to(name, var, 1.0, -self.lr)?;
                continue;
            }
            let velocity = match self.velocity.get(name) {
                Some(velocity) => velocity,
                None => {
                    let zeros = Var::zeros(var.shape(), var.dtype(), var.device())?;
                    self.velocity.entry(name.clone()).or_insert(zeros)
                }
            };
            if gradients.add_to(name, velocity, self.momentum, 1.0)? {
                scale_add(var, 1.0, velocity, -self.lr)?;
            }
        }
        Ok(())
    }

    /// The velocities, by the parameters' names.
    pub(crate) fn state(&self) -> Result<Weights, TrainError> {
        let mut state = Weights::default();
        for (name, v) in &self.velocity {
            let weight = Weight { shape: v.dims().to_vec(), data: v.flatten_all()?.to_vec1()? };
            state.0.insert(name.clone(), weight);
        }
        Ok(state)
    }

    /// Takes up saved velocities.
    pub(crate) fn restore(&mut self, state: &Weights, model: &Model) -> Result<(), TrainError> {
        self.velocity.clear();
        for (name, weight) in &state.0 {
            let v = Tensor::from_slice(&weight.data, &weight.shape[..], model.device())?;
            self.velocity.insert(name.clone(), Var::from_tensor(&v)?);
        }
        Ok(())
    }
}
