//! One training step: loss, gradients, and the update of the parameters. On an error nothing is updated.

use loc_data::Dataset;
use loc_model::loss::Losses;
use loc_model::{Conditions, Dropout, Model, RegionJitter};

use crate::config::Config;
use crate::error::TrainError;
use crate::input::TensorBatch;
use crate::optim::{Ema, FeatureDistillation, Optimizer};

/// Everything that a step updates or needs.
pub(crate) struct Learner<'a> {
    pub(crate) config: &'a Config,
    /// For the names of photos in errors.
    pub(crate) dataset: &'a Dataset,
    pub(crate) model: &'a Model,
    pub(crate) optimizer: &'a mut Optimizer,
    pub(crate) ema: Option<&'a Ema>,
    pub(crate) distillation: Option<&'a FeatureDistillation>,
}

/// The position of a step in a training.
#[derive(Clone, Copy)]
pub(crate) struct StepPosition {
    /// Epoch, from 1.
    pub(crate) epoch: usize,
    /// Step in the epoch, from 0.
    pub(crate) step: usize,
    /// Steps in the epoch.
    pub(crate) steps: usize,
    /// Steps taken before this one, in all epochs.
    pub(crate) taken: usize,
}

impl Learner<'_> {
    /// Updates the parameters for a batch. Returns the losses before the update.
    ///
    /// # Errors
    ///
    /// [`TrainError::NotFinite`] for a loss or a gradient that is not finite: nothing has moved then.
    pub(crate) fn step(&mut self, batch: &TensorBatch, at: StepPosition) -> Result<Losses, TrainError> {
        let Self { config, model, .. } = *self;
        let losses = self.losses(batch, &conditions(config, model, batch, at)?)?;
        let value = losses.total.to_scalar::<f32>()?;
        let not_finite = |what: String| {
            let file = |i: &usize| self.dataset.samples[*i].file.clone();
            let photos = batch.indices.iter().map(file).collect();
            TrainError::NotFinite { what, epoch: at.epoch, step: at.step + 1, photos }
        };
        if !value.is_finite() {
            return Err(not_finite(format!("the loss is {value}")));
        }
        let gradients = batch.backward(model, &losses.total)?;
        let lr = config.lr_at(at.epoch, at.step, at.steps);
        if !self.optimizer.step(model, &gradients, lr)? {
            return Err(not_finite(format!("the loss is {value}, but its gradient is not finite")));
        }
        if let Some(ema) = self.ema {
            ema.update(model, at.taken + 1)?;
        }
        Ok(losses)
    }

    /// Returns the losses of a batch; the total includes feature distillation.
    fn losses(&self, batch: &TensorBatch, conditions: &Conditions) -> Result<Losses, TrainError> {
        let compute = |output| self.config.loss().compute(&output, &batch.truth());
        let (output, features) =
            batch.train(self.model, conditions, self.distillation.map(|distillation| distillation.layer))?;
        let losses = compute(output)?;
        let Some((distillation, features)) = self.distillation.zip(features) else { return Ok(losses) };
        let before = distillation.initial(&batch.input, conditions.dropout)?;
        let held = distillation.loss(&batch.gather(&features)?, &batch.gather(&before)?)?;
        Ok(Losses { total: (&losses.total + held)?, ..losses })
    }
}

/// Returns dropout and the boxes in which the class is read: the true ones, shifted.
fn conditions(
    config: &Config,
    model: &Model,
    batch: &TensorBatch,
    at: StepPosition,
) -> Result<Conditions, TrainError> {
    let (key, rows) = ([config.seed, at.epoch as u64, at.step as u64], &batch.share.rows);
    let region_boxes = match model.network().region_box() {
        Some(_) => {
            let boxes = RegionJitter { amount: config.region_jitter, key }.apply(&batch.boxes)?;
            Some(boxes.narrow(0, rows.start, rows.len())?)
        }
        None => None,
    };
    let dropout = Dropout { rate: config.dropout, key, before: rows.start };
    let dropout = (config.dropout > 0.0).then_some(dropout);
    Ok(Conditions { dropout, region_boxes, parts: Some(batch.share.parts) })
}
