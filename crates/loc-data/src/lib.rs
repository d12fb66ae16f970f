//! Annotations to samples, samples to splits, splits to batches: the data side of loc.
//!
//! [`Dataset::open`] reads a folder of annotated photos, in any [`Format`], into [`Sample`]s, or returns one error with all
//! problems; [`check`](mod@check) lists all problems in any case, and repairs a copy; [`convert`] writes other formats. [`stats`] and [`histograms`] compute statistics,
//! [`split`] splits the data set, [`loader`] makes batches, [`augment`] augments photos, [`shapes`] draws an embedded sample set.
//!
//! loc-infer decodes and resizes the photos, so training sees the same pixels as prediction. This crate uses no tensor
//! library and prints nothing.

#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]

pub mod atomic_file;
pub mod augment;
mod box_units;
mod build_samples;
pub mod check;
mod classes;
pub mod content_type;
pub mod convert;
mod copy_groups;
mod crop_jitter;
pub mod csv_escape;
mod dataset;
mod diagnostic;
mod diagnostics;
mod duplicates;
mod error;
mod extension_counts;
mod file_index;
mod findings;
mod formats;
#[doc(hidden)]
pub mod fuzz_entry;
pub mod histograms;
pub mod keys;
pub mod loader;
mod memory;
#[cfg(feature = "draw")]
pub mod mosaic;
mod new_folder;
mod photo;
mod photo_lookup;
mod photo_matching;
mod photo_records;
mod photo_store;
pub mod random;
mod read_options;
mod remedy;
mod sample;
pub mod shapes;
mod similar_names;
pub mod split;
pub mod stats;
mod unannotated;

pub use augment::Augment;
pub use classes::class_list;
pub use crop_jitter::CropJitter;
pub use dataset::{Dataset, OpenedDataset, SkippedPhotos};
pub use diagnostic::{Diagnostic, DiagnosticKind, Severity, summary};
pub use error::{DataError, LoaderError, NoDataSetError, SplitError};
pub use extension_counts::ExtensionCounts;
pub use findings::{PhotoFindings, findings};
pub use formats::Format;
pub use loader::{Batch, Batches, Loader};
pub use loc_infer::{BBox, ImageSize, NormBox};
pub use memory::available as available_memory;
pub use photo_store::{PhotoCache, PhotoStore};
pub use read_options::{
    Exif, InvalidPhotoPolicy, MultiObjectPolicy, ReadOptions, ReadProgress, UnlabelledPolicy,
};
pub use remedy::{Hint, Remedy};
pub use sample::{LabelledObject, Sample};
pub use split::{Split, Subset};
pub use stats::Stats;
