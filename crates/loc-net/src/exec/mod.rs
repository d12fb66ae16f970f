//! Runs a network on the CPU, for prediction and for training.

pub mod backbone;
mod forward;
pub mod fused;

pub use forward::{Forward, Output};

use crate::kernels::{Activation, ConvShape, PoolShape};
use crate::ops::{Conv2d, Pool, Relu, Relu6};
use crate::{Layer, Network, Op, Source};

/// The activation directly behind convolution `index`, if no other layer reads what lies between: both can be one pass.
#[must_use]
pub fn activation_behind(network: &Network, index: usize) -> Option<Activation> {
    let [Layer { op: Op::Conv2d(_), .. }, next] = network.layers().get(index..index + 2)? else {
        return None;
    };
    let readers =
        network.layers().iter().filter(|layer| layer.inputs.contains(&Source::Layer(index))).count();
    match next.op {
        Op::Relu(Relu) if next.inputs == [Source::Layer(index)] && readers == 1 => Some(Activation::Relu),
        Op::Relu6(Relu6) if next.inputs == [Source::Layer(index)] && readers == 1 => Some(Activation::Relu6),
        _ => None,
    }
}

/// A convolution layer as the kernels take it.
#[must_use]
pub fn conv_shape(conv: &Conv2d, in_channels: usize, in_size: (usize, usize)) -> ConvShape {
    let Conv2d { out_channels, kernel, stride, padding, extra, groups } = *conv;
    ConvShape { in_channels, in_size, out_channels, kernel, stride, padding, extra, groups }
}

/// A pooling layer as the kernels take it.
#[must_use]
pub fn pool_shape(pool: Pool, channels: usize, in_size: (usize, usize)) -> PoolShape {
    PoolShape { channels, in_size, kernel: pool.kernel, stride: pool.stride }
}
