//! Annotations to samples, samples to splits, splits to batches: the data side of loc.
//!
//! [`Dataset::open`] reads a folder of photos with Pascal VOC XML or CSV annotations into [`Sample`]s, or into one
//! error that lists everything wrong with it; [`check`](mod@check) lists it in any case. [`stats`] says what the set
//! looks like, [`split`] parts it, [`loader`] makes batches of it, [`augment`] moves their photos. [`shapes`] draws a set of its own.
//!
//! Photos are decoded and fitted by loc-infer alone: training sees, pixel for pixel, what prediction will see. No
//! tensor library is known here, and nothing is printed.

#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]

mod assemble;
pub mod augment;
mod bounded;
pub mod cell;
pub mod check;
mod claim;
mod classes;
pub mod content;
mod copies;
mod dataset;
mod error;
mod finder;
mod finding;
mod formats;
mod group;
pub mod keys;
pub mod loader;
mod memory;
#[cfg(feature = "draw")]
pub mod mosaic;
mod near;
mod photo;
pub mod random;
#[doc(hidden)]
pub mod readers;
mod sample;
pub mod shapes;
pub mod split;
pub mod stats;
mod tally;
mod tree;
mod units;

pub use augment::Augment;
pub use classes::class_list;
pub use dataset::{Dataset, Exif, LeftOut, Objects, Opened, ReadOptions, Tolerance};
pub use error::DataError;
pub use finding::{Finding, Kind, Severity, summary};
pub use formats::Format;
pub use loader::{Batch, Batches, Loader};
pub use loc_infer::{BBox, ImageSize, NormBox};
pub use memory::available as available_memory;
pub use sample::Sample;
pub use split::{Part, Split};
pub use stats::Stats;
pub use tally::Tally;
