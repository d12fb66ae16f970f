//! The training loop of loc: configuration and recipes, optimizer, checkpoints, resume, record.
//!
//! [`Config`] says what is done, [`Run`] where it is recorded, [`train`] does it and [`evaluate`] judges it. The only
//! crate that knows time. It emits [`Event`]s and prints nothing.

mod average;
mod beginning;
mod checkpoint;
mod config;
mod disk;
mod error;
mod event;
mod fault;
mod feed;
mod heads;
mod interval;
mod keys;
mod layers;
mod lock;
mod lr_find;
mod memory;
mod metrics;
mod model_file;
mod names;
mod optimizer;
mod prepare;
pub mod pretrained;
mod ranges;
mod record;
mod resume;
mod reuse;
mod run_dir;
mod schedule;
mod state;
mod step;
#[cfg(test)]
mod testing;
mod trainer;

pub use config::{Begin, Config, Initialisation, Keep, Normalize, SplitBy};
pub use error::TrainError;
pub use event::{Event, Stop};
pub use interval::{Comparison, Intervals};
pub use layers::{Layer, RECIPES};
pub use lr_find::{LrFind, Tried, lr_find};
pub use metrics::{Baseline, ClassMetrics, Evaluation, Loss, MedianBox, baseline_only, evaluate};
pub use model_file::{Metrics, ModelFile};
pub use optimizer::Rule;
pub use prepare::{choose_split, read_options};
pub use record::Row;
pub use resume::resume;
pub use run_dir::{Provenance, Run, Status};
pub use schedule::Schedule;
pub use trainer::{Outcome, train};
