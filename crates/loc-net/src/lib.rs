//! The network of loc without a framework: the layers as data, and CPU kernels for each of them.
//!
//! Four floors, each using only those below it:
//!
//! | module | contents |
//! |---|---|
//! | [`exec`] | runs a network on the CPU: prediction and training |
//! | [`graph`] | a network as data: layers, shapes, parameters; backbones and heads |
//! | [`kernels`] | computations on slices, forward and backward |
//! | [`parallel`] | threads |
//!
//! `weights` reads safetensors and compares them with a network. A [`Network`] is a list of [`Layer`]s in topological
//! order with checked shapes and PyTorch's parameter names; [`NetworkConfig`] is stored in a model file and builds that
//! list; [`Forward`] predicts. Training (Candle), export (ONNX) and the printed summary use the same list from other
//! crates.

#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "used by the fused plan only"))]
mod buffers;
mod error;
pub mod exec;
pub mod graph;
pub mod kernels;
pub mod parallel;
#[cfg(test)]
#[path = "../../../xtask/src/skip.rs"]
mod skip;
mod weights;
mod window;

pub use error::NetError;
pub use exec::{Forward, Output};
pub use graph::{
    Backbone, Head, InputShape, Layer, Network, NetworkBuilder, NetworkConfig, Normalization, Op, Param,
    ParamKind, Shape, Source, ops,
};
pub use kernels::image_input::ImageBatch;
pub use weights::{METADATA_KEY, Number, Weight, WeightFile, Weights};
