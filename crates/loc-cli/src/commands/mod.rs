//! The commands, one file each.

pub(crate) mod audit;
pub(crate) mod calibrate;
mod conclusion;
mod configuration;
pub(crate) mod data;
mod evaluation;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod info;
mod labels;
pub(crate) mod lr_find;
mod model;
mod plan;
pub(crate) mod predict;
mod progress;
pub(crate) mod report;
mod saver;
mod second_run;
pub(crate) mod shard;
mod shared;
mod sources;
mod stats_plots;
pub(crate) mod train;
pub(crate) mod val;
pub(crate) mod weights;
