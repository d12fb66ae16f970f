//! One layer over some photos by the general kernels.

use crate::kernels::relu::Activation;
use crate::kernels::{ConvShape, PoolShape, avgpool2d, conv2d, linear, maps, maxpool2d, relu};
use crate::{Network, Op, Weights};

/// A layer by the general kernels, over n photos; of a convolution with what is done with its outputs.
pub(crate) fn run_layer(
    network: &Network,
    weights: &Weights,
    (index, activation): (usize, Option<Activation>),
    n: usize,
    inputs: &[&[f32]],
    y: &mut [f32],
    winners: &mut [u8],
) {
    let layer = &network.layers()[index];
    let param = |suffix: &str| weights.values(&format!("{}.{suffix}", layer.name));
    let x = inputs[0];
    let shape = network.source_shape(layer.inputs[0]);
    // Layers on feature maps; the builder refuses them on vectors.
    let (channels, height, width) = shape.chw().unwrap_or((shape.len(), 1, 1));
    let in_size = (height, width);
    match &layer.op {
        Op::Normalize { mean, std } => {
            let planes = y.chunks_exact_mut(height * width).zip(x.chunks_exact(height * width));
            for ((y, x), (mean, std)) in planes.zip(mean.iter().zip(std).cycle()) {
                y.iter_mut().zip(x).for_each(|(y, x)| *y = (x - mean) / std);
            }
        }
        Op::Conv2d(conv) => {
            let shape = ConvShape { in_channels: channels, in_size, conv: conv.clone() };
            let activation = activation.unwrap_or(Activation::None);
            conv2d::activated(&shape, activation, n, x, param("weight"), param("bias"), y);
        }
        Op::MaxPool2d(pool) => {
            let winners = &mut winners[..y.len()];
            maxpool2d::forward(&PoolShape { channels, in_size, pool: *pool }, n, x, y, winners);
        }
        Op::AvgPool2d(pool) => avgpool2d::forward(&PoolShape { channels, in_size, pool: *pool }, n, x, y),
        Op::Relu => relu::forward(x, y),
        Op::Flatten => y.copy_from_slice(x),
        Op::Linear { out_features } => {
            let features = linear::Features { input: shape.len(), output: *out_features };
            let (w, b) = (param("weight"), param("bias"));
            linear::forward(features, n, x, w, b, y);
        }
        Op::Relu6 => relu::forward6(x, y),
        Op::Affine { limit } => {
            let (w, b) = (param("weight"), param("bias"));
            let photos = x.chunks_exact(shape.len()).zip(y.chunks_exact_mut(shape.len()));
            photos.for_each(|(x, y)| maps::affine(x, w, b, *limit, y));
        }
        Op::Add => y.iter_mut().zip(x.iter().zip(inputs[1])).for_each(|(y, (a, b))| *y = a + b),
        Op::Concat => {
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
        Op::Upsample { size } => maps::upsample(x, in_size, *size, y),
        Op::Profile(axis) => {
            let photos = x.chunks_exact(shape.len()).zip(y.chunks_exact_mut(network.shape(index).len()));
            photos.for_each(|(x, y)| maps::profile(x, in_size, *axis, y));
        }
        Op::Expectation { bins } => maps::expectation(x, *bins, y),
        Op::Mean { parts } => {
            let photos = x.chunks_exact(shape.len()).zip(y.chunks_exact_mut(shape.len() / parts));
            photos.for_each(|(x, y)| maps::mean(x, y));
        }
        Op::Sigmoid => y.iter_mut().zip(x).for_each(|(y, x)| *y = 1.0 / (1.0 + (-x).exp())),
    }
}
