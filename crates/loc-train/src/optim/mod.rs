//! Optimizers, the schedule of the learning rate, the moving average, and what fine-tuning keeps of the initial
//! weights.

mod ema;
mod optimizer;
mod pretrained_prior;
mod schedule;

pub(crate) use self::ema::Ema;
pub(crate) use self::optimizer::Optimizer;
pub(crate) use self::pretrained_prior::{FeatureDistillation, PretrainedPrior};
