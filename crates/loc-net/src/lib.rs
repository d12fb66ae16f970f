//! The networks of loc without a framework: the layers as data, and CPU kernels for each of them.
//!
//! A [`Network`] is a list of [`Layer`]s in topological order with checked shapes and PyTorch's parameter names.
//! [`NetworkConfig`] is stored in a model file and builds that list; [`Weights`] are the parameters by name. [`Forward`]
//! predicts; [`exec::Training`] computes outputs and gradients of a batch. Training with Candle, ONNX export and the printed
//! summary use the same list from other crates.
//!
//! The modules; each uses only those below it:
//!
//! | module | contents |
//! |---|---|
//! | [`exec`] | runs a network on the CPU: prediction and training |
//! | `weights` | reads safetensors files and compares them with a network |
//! | `graph` | a network as data: layers, shapes, parameters; backbones and heads |
//! | `kernels` | computations on slices, forward and backward; public with the feature `internals` |
//! | [`parallel`] | threads |

mod buffers;
mod error;
pub mod exec;
mod graph;
#[cfg(feature = "internals")]
pub mod kernels;
#[cfg(not(feature = "internals"))]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "tests and benches use more of it, behind the feature `internals`"
)]
mod kernels;
pub mod parallel;
mod pointer;
#[cfg(test)]
#[path = "../../../xtask/src/skip.rs"]
mod skip;
mod weights;
mod window;

pub use error::{ConfigError, FormatError, IsaError, NetError, TensorError};
pub use exec::{Forward, Output};
pub use graph::{
    Backbone, ClassFeatures, Head, InputShape, Layer, Network, NetworkBuilder, NetworkConfig, Normalization,
    Op, Param, ParamKind, Shape, Source, ops,
};
pub use kernels::blend::blend_rows;
pub use kernels::image_input::ImageBatch;
pub use kernels::parts::{Parts, SUM_PARTS, part_of, tree_fold, tree_sum};
pub use kernels::simd::Level;
pub use weights::{METADATA_KEY, Number, Weight, WeightFile, Weights};
