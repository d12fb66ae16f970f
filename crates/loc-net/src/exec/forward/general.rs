//! One layer over some photos by the general kernels.

use crate::exec::{conv_shape, pool_shape};
use crate::kernels::{
    Activation, activation as activations, avgpool, channel_affine, conv2d, expectation, group_mean, linear,
    maxpool, mean_max, upsample,
};
use crate::ops::{
    Add, AvgPool2d, Axis, ChannelAffine, Concat, Flatten, GroupMean, Linear, MaxPool2d, MeanMaxPool,
    Normalize, Relu, Relu6, Sigmoid, SoftmaxExpectation, Upsample,
};
use crate::{Network, Op, Weights};

/// A layer by the general kernels, over n photos; of a convolution with what is done with its outputs.
pub(crate) fn run_layer(
    network: &Network,
    weights: &Weights,
    (index, activation): (usize, Option<Activation>),
    n: usize,
    inputs: &[&[f32]],
    y: &mut [f32],
    argmax: &mut [u8],
) {
    let layer = &network.layers()[index];
    let param = |suffix: &str| weights.values(&format!("{}.{suffix}", layer.name));
    let x = inputs[0];
    let shape = network.source_shape(layer.inputs[0]);
    // Layers on feature maps; the builder refuses them on vectors.
    let (channels, height, width) = shape.chw().unwrap_or((shape.len(), 1, 1));
    let in_size = (height, width);
    match &layer.op {
        Op::Normalize(Normalize { mean, std }) => {
            let planes = y.chunks_exact_mut(height * width).zip(x.chunks_exact(height * width));
            for ((y, x), (mean, std)) in planes.zip(mean.iter().zip(std).cycle()) {
                y.iter_mut().zip(x).for_each(|(y, x)| *y = (x - mean) / std);
            }
        }
        Op::Conv2d(conv) => {
            let shape = conv_shape(conv, channels, in_size);
            let activation = activation.unwrap_or(Activation::None);
            conv2d::activated(&shape, activation, n, x, param("weight"), param("bias"), y);
        }
        Op::MaxPool2d(MaxPool2d(pool)) => {
            let argmax = &mut argmax[..y.len()];
            maxpool::forward(&pool_shape(*pool, channels, in_size), n, x, y, argmax);
        }
        Op::AvgPool2d(AvgPool2d(pool)) => avgpool::forward(&pool_shape(*pool, channels, in_size), n, x, y),
        Op::Relu(Relu) => activations::forward(x, y),
        Op::Flatten(Flatten) => y.copy_from_slice(x),
        Op::Linear(Linear { out_features }) => {
            let features = linear::Features { input: shape.len(), output: *out_features };
            let (w, b) = (param("weight"), param("bias"));
            linear::forward(features, n, x, w, b, y);
        }
        Op::Relu6(Relu6) => activations::forward6(x, y),
        Op::ChannelAffine(ChannelAffine { limit }) => {
            let (w, b) = (param("weight"), param("bias"));
            let shape = channel_affine::ChannelAffineShape {
                channels: w.len(),
                cells: shape.len() / w.len(),
                limit: *limit,
            };
            channel_affine::forward(&shape, n, x, (w, b), y);
        }
        Op::Add(Add) => y.iter_mut().zip(x.iter().zip(inputs[1])).for_each(|(y, (a, b))| *y = a + b),
        Op::Concat(Concat) => {
            for (photo, y) in y.chunks_exact_mut(y.len() / n).enumerate() {
                let mut rest = y;
                for x in inputs {
                    let x = &x[photo * (x.len() / n)..][..x.len() / n];
                    let (own, after) = rest.split_at_mut(x.len());
                    own.copy_from_slice(x);
                    rest = after;
                }
            }
        }
        Op::Upsample(Upsample { size }) => {
            upsample::forward(&upsample::UpsampleShape { channels, in_size, out_size: *size }, n, x, y);
        }
        Op::MeanMaxPool(MeanMaxPool(axis)) => {
            let shape = mean_max::MeanMaxShape { channels, in_size, of_rows: *axis == Axis::Rows };
            mean_max::forward(&shape, n, x, y);
        }
        Op::SoftmaxExpectation(SoftmaxExpectation { bins }) => expectation::forward(*bins, x, y),
        Op::GroupMean(GroupMean { parts }) => group_mean::forward(*parts, n, x, y),
        Op::Sigmoid(Sigmoid) => y.iter_mut().zip(x).for_each(|(y, x)| *y = 1.0 / (1.0 + (-x).exp())),
    }
}
