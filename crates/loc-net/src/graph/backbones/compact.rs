//! A small backbone: four 5×5 convolutions, which the fused kernels compute, then 3×3 convolutions on small maps.

use crate::graph::heads::{ClassFeatures, Features, mean};
use crate::ops::{AvgPool2d, Conv2d, MaxPool2d, Pool, Relu};
use crate::{ConfigError, NetError, NetworkBuilder, Source};

/// Channels of the 5×5 convolutions.
const CHANNELS: [usize; 4] = [8, 16, 32, 64];
/// Channels of the 3×3 convolutions.
const CHANNELS_3X3: [usize; 3] = [96, 128, 128];
/// The smallest side for which the last pool has one output cell; computed backwards: 2→4→8→12→24→28→56→60→120→124.
const SMALLEST_SIDE: usize = 124;
/// The largest accepted side; a photo of a single object does not need a larger one.
const LARGEST_SIDE: usize = 2048;

/// Adds the layers, for any valid input size.
///
/// # Errors
///
/// [`NetError::Config`] for an input size that is too small or too large; the message gives the limits.
pub(crate) fn compact(
    net: &mut NetworkBuilder,
    mut x: Source,
    class: ClassFeatures,
) -> Result<Features, NetError> {
    let (_, height, width) = net.shape(x).chw().unwrap_or_default(); // [3, 224, 224]
    let sides = SMALLEST_SIDE..=LARGEST_SIDE;
    if !sides.contains(&height) || !sides.contains(&width) {
        let hint = "its recipe uses 224";
        return Err(NetError::Config(ConfigError::InputSize {
            backbone: "compact",
            height,
            width,
            sides,
            hint,
        }));
    }
    for (i, channels) in CHANNELS.into_iter().enumerate() {
        let n = i + 1;
        x = net.add(&format!("conv{n}"), Conv2d::square(channels, 5), x)?;
        if n < CHANNELS.len() {
            x = net.add(&format!("pool{n}"), MaxPool2d(Pool::square(2, 2)), x)?;
        }
        x = net.add(&format!("relu{n}"), Relu, x)?;
        // [8, 110, 110], [16, 53, 53], [32, 24, 24], [64, 20, 20]
    }
    x = net.add("pool4", AvgPool2d(Pool::square(2, 2)), x)?; // [64, 10, 10]
    let fine = conv_same(net, 5, CHANNELS_3X3[0], x)?; // [96, 10, 10]
    x = net.add("pool5", MaxPool2d(Pool::square(2, 2)), fine)?; // [96, 5, 5]
    x = conv_same(net, 6, CHANNELS_3X3[1], x)?;
    let coarse = conv_same(net, 7, CHANNELS_3X3[2], x)?; // [128, 5, 5]
    let whole = match class {
        ClassFeatures::Whole => Some(mean(net, "whole", coarse)?), // [128]
        ClassFeatures::Region => None,
    };
    Ok(Features { fine, coarse, whole, region: coarse })
}

/// Adds a 3×3 convolution that keeps the size, and relu.
fn conv_same(net: &mut NetworkBuilder, n: usize, channels: usize, x: Source) -> Result<Source, NetError> {
    let conv = Conv2d { padding: (1, 1), ..Conv2d::square(channels, 3) };
    let x = net.add(&format!("conv{n}"), conv, x)?;
    net.add(&format!("relu{n}"), Relu, x)
}
