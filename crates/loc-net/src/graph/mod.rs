//! The network as data: operations, layers, backbones and heads, with checked shapes. Nothing is computed here.

mod backbones;
mod builder;
mod config;
mod heads;
mod network;
pub mod ops;
mod shape;

pub use backbones::Backbone;
pub use builder::NetworkBuilder;
pub use config::{InputShape, NetworkConfig, Normalization};
pub use heads::{ClassFeatures, Head};
pub use network::{Layer, Network, Param, Source};
pub use ops::Op;
pub use shape::{ParamKind, Shape};
