//! The configuration of a training: its keys, where their values come from, and what they may be.

mod choices;
mod derived;
mod head_warmup;
mod key_names;
mod keys;
mod names;
mod nearest;
mod overlay;
mod recipes;
mod resolve;
mod sources;
mod validate;

pub use self::choices::{
    CheckpointRetention, HeadWarmup, Initialisation, Normalize, OptimizerKind, Schedule, SplitBy,
};
pub use self::keys::Config;
pub use self::recipes::RECIPES;
pub use self::sources::ConfigSource;
