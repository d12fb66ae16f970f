//! Training for loc: configuration and recipes, optimizers, evaluation, checkpoints, resume.
//!
//! A [`Config`] describes a training, [`train`] runs it and records it in the folder of a [`Run`], [`resume`]
//! continues it, and [`evaluate`] measures a model. Progress is reported as [`Event`]s; nothing is printed.

mod checkpoint;
mod collective;
mod config;
mod digest;
mod engine;
mod error;
mod eval;
mod event;
mod input;
mod optim;
mod run;
#[cfg(test)]
mod testing;
mod user_cache;
pub mod weights_cache;

pub use checkpoint::{BeforeAfter, CalibrationRecord, Metrics, ModelFile};
pub use collective::{Collective, Local, Processes};
#[cfg(feature = "mpi")]
pub use collective::{Mpi, MpiSession};
pub use config::{
    AUTO, AutoChoice, AutoReason, CheckpointRetention, Config, ConfigSource, HeadWarmup, Initialisation,
    Normalize, OptimizerKind, RECIPES, RenamedKeys, Resolved, Schedule, SplitBy,
};
pub use engine::{
    Audit, AuditOptions, AuditedPhoto, Calibrated, Choices, CurvePoint, DoubtReason, FeatureVerdict,
    KNOWN_PHOTOS, LearningCurve, LrFind, LrRange, MorePhotos, Outcome, ResumeOptions, TrainOptions, Tried,
    audit, audit_settings, calibrate, first_quarters, lr_find, novelties, novelty, resume, resume_with,
    train, train_with,
};
pub use error::{
    ConfigError, MetadataError, ModelFileError, Remedy, ResumeError, ReuseError, RunError, TrainError,
};
pub use eval::{
    Baseline, Calibration, ClassMetrics, ClassPhotos, Comparison, Confusion, Constant, DataSummary,
    Difference, Differences, EvaluateOptions, Evaluation, ExpectedIouFigures, FirstAnswers, Intervals,
    Judged, Loss, MarginFigures, MedianBox, NegativePhotos, NegativePrediction, NoveltyFigures, Prediction,
    Presence, Reference, ReliabilityBin, Seen, Truth, at_temperature, auroc, baseline_only, best_temperature,
    calibration, confusion, differences, equal_error_threshold, evaluate, expected_iou_figures,
    iou_histogram, margin_figures, novelty_figures, photos_needed, roc, success_curve, worst_first,
};
pub use event::{Event, Row, Stop};
pub use input::{choose_split, read_options};
pub use run::{Clock, Provenance, Run, RunLocation, Status};
