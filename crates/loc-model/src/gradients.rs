//! The gradients of a model's parameters: some are computed by Candle, the others by the kernels.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use crate::ModelError;
use crate::gradient_buffers::Collected;
use crate::inplace;

/// The gradients of a model's parameters.
#[derive(Debug)]
pub struct Gradients {
    pub(crate) vars: BTreeMap<String, Var>,
    pub(crate) store: GradStore,
    pub(crate) collected: Collected,
}

impl Gradients {
    /// Returns the gradient of a parameter, in its shape, or `None` if the loss does not depend on it.
    ///
    /// # Errors
    ///
    /// A Candle error if the device fails.
    pub fn get(&self, name: &str) -> Result<Option<Tensor>, ModelError> {
        let Some(var) = self.vars.get(name) else { return Ok(None) };
        if let Some(values) = self.collected.get(name) {
            return Ok(Some(Tensor::from_slice(values, var.shape(), var.device())?));
        }
        Ok(self.store.get(var).cloned())
    }

    /// Iterates over the buffers of the gradients that loc-net's kernels computed, to add those of other processes. The
    /// buffers of equal models have the same lengths and order.
    pub fn buffers_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.collected.buffers_mut()
    }

    /// Computes `target ← scale · target + rate · gradient` in place, for a tensor of the parameter's shape: the basic
    /// step of optimizers. Returns false if there is no gradient.
    ///
    /// # Errors
    ///
    /// A Candle error if the shapes differ or the device fails.
    pub fn add_to(&self, name: &str, target: &Var, scale: f64, rate: f64) -> Result<bool, ModelError> {
        if let Some(values) = self.collected.get(name) {
            inplace::scale_add_slice(target, scale, values, rate)?;
            return Ok(true);
        }
        let Some(gradient) = self.vars.get(name).and_then(|var| self.store.get(var)) else {
            return Ok(false);
        };
        inplace::scale_add(target, scale, gradient, rate)?;
        Ok(true)
    }

    /// Computes `target ← scale · target + rate · gradient²` in place; otherwise as [`Gradients::add_to`].
    ///
    /// # Errors
    ///
    /// A Candle error if the shapes differ or the device fails.
    pub fn add_square_to(&self, name: &str, target: &Var, scale: f64, rate: f64) -> Result<bool, ModelError> {
        if let Some(values) = self.collected.get(name) {
            inplace::scale_add_square_slice(target, scale, values, rate)?;
            return Ok(true);
        }
        let Some(gradient) = self.vars.get(name).and_then(|var| self.store.get(var)) else {
            return Ok(false);
        };
        inplace::scale_add(target, scale, &gradient.sqr()?, rate)?;
        Ok(true)
    }

    /// Returns whether all gradients are finite.
    ///
    /// # Errors
    ///
    /// A Candle error if the device fails.
    pub fn are_finite(&self) -> Result<bool, ModelError> {
        // Infinities and NaN have the largest exponent; a maximum of integers runs at the speed of memory.
        let largest = |values: &[f32]| values.iter().fold(0, |max, v| max.max(v.to_bits() & 0x7fff_ffff));
        for (name, var) in &self.vars {
            let finite = if let Some(values) = self.collected.get(name) {
                largest(values) < f32::INFINITY.to_bits()
            } else if let Some(gradient) = self.store.get(var) {
                // ∞ · 0 is NaN.
                (gradient * 0.0)?.sum_all()?.to_scalar::<f32>()? == 0.0
            } else {
                true
            };
            if !finite {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns the square root of the sum of the squares of all gradients.
    ///
    /// # Errors
    ///
    /// A Candle error if the device fails.
    pub fn norm(&self) -> Result<f64, ModelError> {
        let squares = |values: &[f32]| values.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>();
        let mut sum = 0.0;
        for (name, var) in &self.vars {
            if let Some(values) = self.collected.get(name) {
                sum += squares(values);
            } else if let Some(gradient) = self.store.get(var) {
                sum += squares(&gradient.flatten_all()?.to_vec1::<f32>()?);
            }
        }
        Ok(sum.sqrt())
    }
}
