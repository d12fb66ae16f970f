//! The table from operations to kernels: one line for each operation.

use crate::kernels::avgpool::AvgPool;
use crate::kernels::channel_affine::ChannelAffineShape;
use crate::kernels::conv2d::winograd::layer::Conv3x3;
use crate::kernels::conv2d::{Conv, winograd};
use crate::kernels::detach::Detach;
use crate::kernels::expectation::Expectation;
use crate::kernels::group_mean::GroupMean;
use crate::kernels::join::{Add, Concat, Copy};
use crate::kernels::layer::LayerKernel;
use crate::kernels::linear::Features;
use crate::kernels::maxpool::MaxPool;
use crate::kernels::mean_max::MeanMaxShape;
use crate::kernels::normalize::Normalize;
use crate::kernels::region_pool::RegionShape;
use crate::kernels::sigmoid::Sigmoid;
use crate::kernels::upsample::UpsampleShape;
use crate::kernels::{Activation, ConvShape, PoolShape};
use crate::ops::{Axis, Conv2d, Pool};
use crate::{Op, Shape};

/// Returns the kernel of an operation, for the shapes of one photo. `activation` is applied to the outputs of a convolution;
/// other operations ignore it.
#[must_use]
pub fn kernel_of(op: &Op, inputs: &[&Shape], output: &Shape, activation: Activation) -> Box<dyn LayerKernel> {
    let input = inputs[0];
    // The builder has already rejected vectors where a map is required.
    let (channels, height, width) = input.chw().unwrap_or((input.len(), 1, 1));
    let in_size = (height, width);
    match op {
        Op::Normalize(op) => Box::new(Normalize { mean: op.mean, std: op.std, cells: height * width }),
        Op::Conv2d(op) => match conv_shape(op, channels, in_size) {
            shape if winograd::supports(&shape) => Box::new(Conv3x3::new(shape, activation)),
            shape => Box::new(Conv { shape, activation }),
        },
        Op::MaxPool2d(op) => Box::new(MaxPool(pool_shape(op.0, channels, in_size))),
        Op::AvgPool2d(op) => Box::new(AvgPool(pool_shape(op.0, channels, in_size))),
        Op::Relu(_) => Box::new(Activation::Relu),
        Op::Relu6(_) => Box::new(Activation::Relu6),
        Op::Flatten(_) => Box::new(Copy),
        Op::Linear(op) => Box::new(Features { input: input.len(), output: op.out_features }),
        Op::Sigmoid(_) => Box::new(Sigmoid),
        Op::ChannelAffine(op) => {
            let channels = output.0[0];
            Box::new(ChannelAffineShape { channels, cells: output.len() / channels, limit: op.limit })
        }
        Op::Add(_) => Box::new(Add),
        Op::Concat(_) => Box::new(Concat { lens: inputs.iter().map(|shape| shape.len()).collect() }),
        Op::Upsample(op) => Box::new(UpsampleShape { channels, in_size, out_size: op.size }),
        Op::MeanMaxPool(op) => Box::new(MeanMaxShape { channels, in_size, of_rows: op.0 == Axis::Rows }),
        Op::SoftmaxExpectation(op) => Box::new(Expectation { bins: op.bins }),
        Op::GroupMean(op) => Box::new(GroupMean { parts: op.parts }),
        Op::Detach(_) => Box::new(Detach),
        Op::RegionPool(op) => Box::new(RegionShape { channels, in_size, max: op.max }),
    }
}

/// Converts a convolution to the kernels' shape type.
pub(super) fn conv_shape(conv: &Conv2d, in_channels: usize, in_size: (usize, usize)) -> ConvShape {
    let Conv2d { out_channels, kernel, stride, padding, extra, groups } = *conv;
    ConvShape { in_channels, in_size, out_channels, kernel, stride, padding, extra, groups }
}

/// Converts a pool to the kernels' shape type.
pub(super) fn pool_shape(pool: Pool, channels: usize, in_size: (usize, usize)) -> PoolShape {
    PoolShape { channels, in_size, kernel: pool.kernel, stride: pool.stride }
}
