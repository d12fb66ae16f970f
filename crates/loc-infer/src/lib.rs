//! One photo in, one class and one box out: the prediction library of loc.
//!
//! [`Localizer`] loads a model once and predicts from many threads; [`draw`](mod@draw) shows what it found. The
//! core needs no network: geometry ([`BBox`], [`Frame`]), the model's metadata ([`ModelMeta`]), [`preprocess`] (the
//! only way in this workspace from an image to a tensor) and [`postprocess`]. What runs the network is an
//! [`Engine`]: `native` by default, `candle` and `onnx` behind features, or your own.
//!
//! No annotation is read here, nothing is printed. What a [`Localizer`] has is its own, but for the threads that help it:
//! those of rayon's current pool, unless [`LoadOptions::threads`] gives it some, and for that pool one count a process of
//! the predictions under way, which says how much help each may ask for. The README says more under "Threads".

#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]

mod bbox;
#[cfg(feature = "draw")]
pub mod draw;
pub mod engine;
mod error;
mod file;
mod load;
mod localizer;
mod meta;
mod parallel;
pub mod postprocess;
pub mod preprocess;

pub use bbox::{BBox, ImageSize, NormBox};
pub use engine::{Engine, RawOutput};
pub use error::{BoxError, Error, Remedy};
pub use file::read_file;
pub use load::LoadOptions;
pub use localizer::{Localizer, Source};
pub use meta::{FORMAT, Filter, Fit, InputSpec, ModelMeta, wrong_classes};
pub use postprocess::Localization;
pub use preprocess::{Frame, Limits, Photo};

/// The README's code is compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
