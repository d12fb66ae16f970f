//! The learning-rate range test (Smith 2017, Cyclical learning rates): a short training in which the rate grows by a
//! constant factor per step, and the loss at each rate. Nothing is written to disk.

use loc_model::Conditions;

use loc_data::ReadProgress;

use crate::collective::Processes;
use crate::config::Config;
use crate::engine::budget::Budget;
use crate::engine::setup::{Beginning, Prepared};
use crate::error::{ConfigError, TrainError};
use crate::event::{Event, Progress, Stop};
use crate::optim::Optimizer;

/// The learning rates of a test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LrRange {
    /// The first rate, above 0.
    pub low: f64,
    /// The last rate, above `low`.
    pub high: f64,
    /// Number of steps from the first to the last, 2 or more.
    pub steps: usize,
}

/// One step of the test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tried {
    /// The step's learning rate.
    pub lr: f64,
    /// The loss of its batch.
    pub loss: f64,
    /// The exponential moving average of the losses so far, over about twenty steps.
    pub smoothed: f64,
}

/// The result of the test.
#[derive(Debug, Clone, PartialEq)]
pub struct LrFind {
    /// The steps, in order of increasing rate; the test stops early if the loss rises far above its minimum, or is not
    /// finite.
    pub steps: Vec<Tried>,
    /// The rate at which the smoothed loss falls fastest over the logarithm of the rate; none if it never falls.
    pub suggestion: Option<f64>,
}

/// Decay of the smoothed loss.
const MEMORY: f64 = 0.95;
/// The test stops when the smoothed loss is this many times its minimum.
const BLOWN: f64 = 4.0;

/// Tries the rates of a range, a step each, in the configuration's training from its initial weights.
///
/// # Errors
///
/// [`TrainError::Config`] if the range or the number of steps is none; else as [`crate::train`].
pub fn lr_find(
    config: &Config,
    range: LrRange,
    stop: &Stop,
    on: &mut dyn FnMut(Event),
) -> Result<LrFind, TrainError> {
    let LrRange { low, high, steps } = range;
    if !(low > 0.0 && high > low && high.is_finite()) || steps < 2 {
        return Err(TrainError::config("learning rates", ConfigError::LrRange { low, high, steps }));
    }
    let Prepared { train, model, .. } = Prepared::new(
        config,
        Beginning::New { unseen: Vec::new() },
        &Budget::unlimited(),
        &Processes::default(),
        &mut Progress { on, stop, reading: ReadProgress::default() },
    )?;
    let (mut optimizer, loss) = (Optimizer::new(config), config.loss());
    let mut tried: Vec<Tried> = Vec::new();
    let (mut average, mut least) = (0.0, f64::INFINITY);
    'epochs: for epoch in 1.. {
        for batch in train.epoch(config, epoch) {
            let step = tried.len();
            if step == steps || stop.is_requested() {
                break 'epochs;
            }
            let batch = batch?;
            let lr = low * (high / low).powf(step as f64 / (steps - 1) as f64);
            let region_boxes = model.network().region_box().map(|_| batch.boxes.clone());
            let conditions = Conditions { region_boxes, ..Conditions::default() };
            let losses = loss.compute(&model.train(&batch.input, &conditions)?, &batch.truth())?;
            let value = f64::from(losses.total.to_scalar::<f32>()?);
            average = MEMORY * average + (1.0 - MEMORY) * value;
            let smoothed = average / (1.0 - MEMORY.powi(i32::try_from(step + 1).unwrap_or(i32::MAX)));
            least = least.min(smoothed);
            if !value.is_finite() || smoothed > BLOWN * least {
                break 'epochs;
            }
            tried.push(Tried { lr, loss: value, smoothed });
            let gradients = model.backward(&losses.total)?;
            if !optimizer.step(&model, &gradients, lr)? {
                break 'epochs;
            }
            on(Event::Step { epoch: 1, step: step + 1, steps, loss: value });
        }
    }
    Ok(LrFind { suggestion: steepest(&tried), steps: tried })
}

/// Returns the rate at which the smoothed loss falls fastest, without the first steps, whose average covers few
/// losses, and the last.
fn steepest(tried: &[Tried]) -> Option<f64> {
    const SPAN: usize = 5;
    let slope = |i: usize| {
        let (before, after) = (tried[i - SPAN], tried[i + SPAN]);
        (after.smoothed - before.smoothed) / (after.lr / before.lr).ln()
    };
    let inner = (2 * SPAN)..tried.len().saturating_sub(SPAN);
    let best = inner.min_by(|a, b| slope(*a).total_cmp(&slope(*b)))?;
    (slope(best) < 0.0).then(|| tried[best].lr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suggestion_is_where_the_loss_falls_fastest() {
        // A slope in the middle of flat ends, over 1e-5 to 1.
        let tried: Vec<Tried> = (0..101)
            .map(|i| {
                let smoothed = 1.0 / (1.0 + (f64::from(i - 60) / 4.0).exp());
                Tried { lr: 1e-5 * 10f64.powf(f64::from(i) / 20.0), loss: smoothed, smoothed }
            })
            .collect();
        let found = steepest(&tried).unwrap();
        assert!((found / 1e-2 - 1.0).abs() < 0.05, "{found}");
        let rising: Vec<Tried> = tried.iter().map(|t| Tried { smoothed: -t.smoothed, ..*t }).collect();
        assert_eq!(steepest(&rising), None);
        assert_eq!(steepest(&tried[..8]), None);
    }
}
