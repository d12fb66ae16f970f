//! One photo in, one class and one box out: the prediction library of loc.
//!
//! [`Localizer`] loads a model once and predicts from many threads; [`draw`](mod@draw) draws predictions. The core needs
//! no network: geometry ([`BBox`], [`Frame`]), the model's metadata ([`ModelMeta`]), [`preprocess`] (the only
//! image-to-tensor path of this workspace), [`postprocess`] and [`confidence`]. An [`Engine`] runs the network: `native` by default,
//! `candle` and `onnx` behind features, or your own.
//!
//! This crate reads no annotations and prints nothing. A [`Localizer`] shares no state with others, except for threads: it
//! uses rayon's current pool, unless [`LoadOptions::threads`] gives it threads of its own, and one counter per process of
//! the running predictions on that pool, which limits the helpers of each. See "Threads" in the README.

#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]

mod bbox;
pub mod confidence;
#[cfg(feature = "draw")]
pub mod draw;
pub mod engine;
mod error;
mod file;
mod input_spec;
mod load;
mod localizer;
mod meta;
mod parallel;
pub mod postprocess;
pub mod preprocess;
mod source;

pub use bbox::{BBox, ImageSize, NormBox};
pub use engine::{Engine, RawOutput};
pub use error::{BoxError, ClassNamesError, Error, MetadataError, NotAModelError, OutputError, Remedy};
pub use file::read_file;
pub use input_spec::{Decode, Filter, Fit, InputSpec};
pub use load::{LoadOptions, SECOND_LOOK_EXTENSION};
pub use localizer::Localizer;
pub use meta::{FORMAT, ModelMeta, SecondLook, check_class_names};
pub use postprocess::{Absent, Answer, Localization};
pub use preprocess::{Frame, Limits, Photo, Window};
pub use source::Source;

/// The README's code is compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
