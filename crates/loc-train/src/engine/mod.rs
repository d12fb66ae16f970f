//! The training itself: setup, head warm-up, steps, epochs, resume, and the learning-rate range test.

mod audit;
mod budget;
mod calibrate;
mod changed_data;
mod choice;
mod curve;
mod doubt;
mod folds;
mod head_warmup;
mod heads;
mod init_weights;
mod looks_verdict;
mod lr_find;
mod memory;
mod novelty;
mod resume;
mod second_look;
mod setup;
mod start;
mod step;
mod time_left;
mod train;
mod training_data;
mod verdict;

pub use self::audit::{Audit, AuditOptions, AuditedPhoto, audit, audit_settings};
pub use self::calibrate::{Calibrated, calibrate};
pub use self::choice::Choices;
pub use self::curve::{CurvePoint, LearningCurve, MorePhotos, first_quarters};
pub use self::doubt::DoubtReason;
pub use self::lr_find::{LrFind, LrRange, Tried, lr_find};
pub use self::novelty::{KNOWN_PHOTOS, novelties, novelty};
pub use self::resume::{ResumeOptions, resume, resume_with};
pub use self::start::{TrainOptions, train, train_with};
pub use self::train::Outcome;
pub use self::verdict::FeatureVerdict;
