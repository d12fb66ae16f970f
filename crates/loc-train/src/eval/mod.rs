//! Evaluation: a model's answers to samples, their metrics and intervals, the constant answer as a baseline, calibration
//! (temperature, expected IoU, conformal margins), differences between two models, and the answers as records of a run.

mod bootstrap;
mod calibration;
mod conformal;
mod data_summary;
mod evaluate;
mod expected_iou;
mod first_look;
mod judged;
mod metrics;
mod novelty;
mod paired;
mod predictions;
mod presence;

pub(crate) use self::bootstrap::bootstrap;
pub(crate) use self::calibration::log_loss;
pub use self::calibration::{Calibration, ReliabilityBin, at_temperature, best_temperature, calibration};
pub use self::conformal::{MarginFigures, margin_figures, photos_needed};
pub(crate) use self::conformal::{coverage_over_halves, fit_margins};
pub use self::data_summary::{ClassPhotos, Constant, DataSummary, NegativePhotos};
pub(crate) use self::evaluate::evaluate_batches;
pub use self::evaluate::{EvaluateOptions, Reference, baseline_only, evaluate};
pub use self::expected_iou::{ExpectedIouFigures, expected_iou_figures};
pub(crate) use self::expected_iou::{figures_of, fit_expected_iou};
pub use self::first_look::FirstAnswers;
#[cfg(test)]
pub(crate) use self::judged::judged;
pub use self::judged::{Confusion, Judged, confusion, iou_histogram, success_curve, worst_first};
pub use self::metrics::{Baseline, ClassMetrics, Comparison, Evaluation, Intervals, Loss, MedianBox};
pub(crate) use self::novelty::fit_novelty;
pub use self::novelty::{NoveltyFigures, novelty_figures};
pub(crate) use self::paired::Gain;
pub use self::paired::{Difference, Differences, differences};
pub(crate) use self::predictions::{KEPT_CLASSES, write_predictions};
pub use self::predictions::{NegativePrediction, Prediction, Truth};
pub use self::presence::{Presence, Seen, auroc, equal_error_threshold, roc};
