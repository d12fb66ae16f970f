//! Evaluation: metrics over samples, their intervals, and the constant answer as a baseline.

mod bootstrap;
mod evaluate;
mod metrics;

pub(crate) use self::bootstrap::bootstrap;
pub(crate) use self::evaluate::evaluate_batches;
pub use self::evaluate::{EvaluateOptions, baseline_only, evaluate};
pub use self::metrics::{Baseline, ClassMetrics, Comparison, Evaluation, Intervals, Loss, MedianBox};
