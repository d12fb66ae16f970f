//! The trainable networks of loc on Candle: operations, losses, weights, PyTorch import, ONNX export.
//!
//! This crate handles tensors and devices. Photos, annotations and the terminal belong to other crates: [`loc_net`] defines
//! the networks, loc-infer the meaning of the input, loc-train the training loop.

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
mod region_jitter;
mod storage;
pub mod weights;

pub use dropout::Dropout;
pub use error::ModelError;
pub use gradients::Gradients;
pub use network::{Backend, Conditions, Input, Model, ModelOutput};
pub use region_jitter::RegionJitter;
