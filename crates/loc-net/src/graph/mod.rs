//! The network as data: operations, layers, backbones and heads, with checked shapes. No computation on photos here.

mod backbones;
mod builder;
mod config;
mod heads;
mod network;

pub use builder::NetworkBuilder;
pub use config::{Backbone, Head, InputShape, NetworkConfig, Normalization};
pub use network::{Axis, Conv2d, Layer, Network, Op, Param, ParamKind, Pool, Shape, Source};
