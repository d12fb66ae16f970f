//! Checkpoints: the state of a run and its model files, saved so that a kill at any time loses nothing saved.

mod model_file;
mod recover;
mod save;
mod state;

pub use self::model_file::{BeforeAfter, CalibrationRecord, Metrics, ModelFile};
pub(crate) use self::recover::{Found, find, repair};
pub(crate) use self::save::{model_bytes, save};
pub(crate) use self::state::{Best, PresenceSums, RunFingerprint, Saved, State, tensors};
