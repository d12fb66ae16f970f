//! The network of loc without a framework: the layers as data, and CPU kernels for each of them.
//!
//! A [`Network`] is a list of [`Layer`]s in topological order with checked shapes and PyTorch's parameter
//! names. [`NetworkConfig`] is what a model file stores and what builds that list; [`Weights`] are the
//! parameters by name; [`Forward`] runs the list over a batch. The [`kernels`] work on plain slices, forward and
//! backward. Training (Candle), export (ONNX) and the printed summary walk the same list from other crates.

mod backbone;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "the chain, which uses it, is not there"))]
mod buffers;
mod builder;
pub mod chain;
mod config;
mod error;
mod forward;
mod head;
mod header;
pub mod kernels;
mod layer;
pub mod parallel;
#[cfg(test)]
#[path = "../../../xtask/src/skip.rs"]
mod skip;
pub mod tape;
mod weights;

pub use builder::NetworkBuilder;
pub use config::{Backbone, Head, InputShape, NetworkConfig, Normalization};
pub use error::NetError;
pub use forward::{Forward, Output};
pub use layer::{Axis, Conv2d, Layer, Network, Op, Param, ParamKind, Pool, Shape, Source};
pub use weights::{METADATA_KEY, Number, Weight, WeightFile, Weights};
