//! What moves the weights: optimizers, the schedule of the learning rate, averages and what is kept of the start.

mod ema;
mod optimizer;
mod pretrained_prior;
mod schedule;

pub(crate) use self::ema::Ema;
pub(crate) use self::optimizer::Optimizer;
pub(crate) use self::pretrained_prior::{FeatureDistillation, PretrainedPrior};
