//! Stochastic gradient descent with momentum, its state by tensor name so that a resume is exact.

use std::collections::BTreeMap;

use candle_core::Tensor;
use candle_core::backprop::GradStore;
use loc_model::Model;
use loc_net::{Weight, Weights};

use crate::TrainError;

/// SGD as PyTorch defines it (`torch.optim.SGD`, dampening 0):
///
/// ```text
/// v ← momentum · v + g        (v begins as g)
/// p ← p − lr · v
/// ```
#[derive(Debug)]
pub(crate) struct Sgd {
    lr: f64,
    momentum: f64,
    velocity: BTreeMap<String, Tensor>,
}

impl Sgd {
    pub(crate) fn new(lr: f64, momentum: f64) -> Self {
        Self { lr, momentum, velocity: BTreeMap::new() }
    }

    /// Moves every parameter of the model by its gradient.
    pub(crate) fn step(&mut self, model: &Model, gradients: &GradStore) -> Result<(), TrainError> {
        for (name, var) in model.vars() {
            let Some(gradient) = gradients.get(var) else { continue };
            let step = if self.momentum == 0.0 {
                gradient.clone()
            } else {
                let velocity = match self.velocity.get(name) {
                    Some(v) => ((v * self.momentum)? + gradient)?,
                    None => gradient.clone(),
                }
                .detach();
                self.velocity.insert(name.clone(), velocity.clone());
                velocity
            };
            var.set(&(var.as_detached_tensor() - (step * self.lr)?)?)?;
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
            self.velocity.insert(name.clone(), v);
        }
        Ok(())
    }
}
