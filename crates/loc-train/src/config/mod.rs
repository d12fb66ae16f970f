//! The configuration of a training: its keys, where their values come from, and what they may be.

mod auto;
mod choices;
mod derived;
mod head_warmup;
mod keys;
mod nearest;
mod overlay;
mod recipes;
mod resolve;
mod sources;
#[cfg(test)]
mod tests;
mod validate;

pub use self::auto::{AutoChoice, AutoReason};
pub use self::choices::{
    AUTO, CheckpointRetention, HeadWarmup, Initialisation, Normalize, OptimizerKind, Schedule, SplitBy,
};
pub(crate) use self::derived::input_shape;
pub use self::keys::Config;
pub use self::overlay::{RenamedKeys, Resolved};
pub use self::recipes::RECIPES;
pub use self::sources::ConfigSource;
