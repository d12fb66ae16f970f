//! The network as data: operations, layers, backbones and heads, with checked shapes. No computation on photos here.

mod backbones;
mod builder;
mod config;
mod heads;
mod network;
pub mod ops;

pub use builder::NetworkBuilder;
pub use config::{Backbone, Head, InputShape, NetworkConfig, Normalization};
pub use network::{Layer, Network, Param, ParamKind, Shape, Source};
pub use ops::Op;
