//! The trainable network of loc on Candle: ops, losses, weights, PyTorch import, ONNX export.
//!
//! It knows tensors and devices. It knows no photo, no annotation and no terminal: [`loc_net`] says what the
//! network is, loc-infer what its input means, loc-train when it learns.

pub mod device;
mod dropout;
mod error;
pub mod export;
mod file;
mod floats;
mod gradient_buffers;
mod gradients;
pub mod import;
pub mod init;
pub mod inplace;
pub mod layers;
pub mod loss;
mod network;
pub mod pretrained;
mod storage;
pub mod weights;

pub use dropout::Dropout;
pub use error::ModelError;
pub use gradients::Gradients;
pub use network::{Backend, Input, Model, ModelOutput};
