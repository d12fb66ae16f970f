//! The tutorial's backbone: five 5×5 convolutions.

use crate::graph::heads::{ClassFeatures, Features};
use crate::ops::{AvgPool2d, Conv2d, Flatten, MaxPool2d, Pool, Relu};
use crate::{ConfigError, NetError, NetworkBuilder, Source};

/// Channels of the five convolutions.
const CHANNELS: [usize; 5] = [6, 12, 24, 48, 192];
/// The smallest side for which the last 4×4 average pool has one window; computed backwards:
/// 1→4→8→16→20→40→44→88→92→184→188.
const SMALLEST_SIDE: usize = 188;
/// The largest accepted side; at 2,048 one activation already has 100 MB.
const LARGEST_SIDE: usize = 2048;

/// Adds the tutorial's convolutions with PyTorch's parameter names, for any valid input size.
///
/// Max-pooling comes before relu: the two commute, in values and gradients, and relu then runs on a quarter of the
/// values.
///
/// # Errors
///
/// [`NetError::Config`] for an input size that is too small or too large; the message gives the limits.
pub(crate) fn five_conv(
    net: &mut NetworkBuilder,
    mut x: Source,
    class: ClassFeatures,
) -> Result<Features, NetError> {
    let (_, height, width) = net.shape(x).chw().unwrap_or_default(); // [3, 256, 256]
    let sides = SMALLEST_SIDE..=LARGEST_SIDE;
    if !sides.contains(&height) || !sides.contains(&width) {
        let hint = "the tutorial uses 256";
        return Err(NetError::Config(ConfigError::InputSize {
            backbone: "five_conv",
            height,
            width,
            sides,
            hint,
        }));
    }
    let mut fine = x;
    for (i, channels) in CHANNELS.into_iter().enumerate() {
        let n = i + 1;
        fine = x;
        x = net.add(&format!("conv{n}"), Conv2d::square(channels, 5), x)?;
        if n < CHANNELS.len() {
            x = net.add(&format!("pool{n}"), MaxPool2d(Pool::square(2, 2)), x)?;
        }
        x = net.add(&format!("relu{n}"), Relu, x)?;
        // [6, 126, 126], [12, 61, 61], [24, 28, 28], [48, 12, 12], [192, 8, 8]
    }
    let coarse = x;
    let whole = match class {
        ClassFeatures::Whole => {
            x = net.add("pool5", AvgPool2d(Pool::square(4, 2)), x)?; // [192, 3, 3]
            Some(net.add("features", Flatten, x)?) // [1728]
        }
        ClassFeatures::Region => None,
    };
    Ok(Features { fine, coarse, whole, region: coarse })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InputShape, Network, NetworkConfig, Normalization};

    fn build(side: usize, classes: usize) -> Result<Network, NetError> {
        let input = InputShape { height: side, width: side };
        NetworkConfig::five_conv(input, classes).build(&Normalization::IDENTITY)
    }

    #[test]
    fn has_the_tutorials_parameters() {
        let net = build(256, 2).unwrap();
        assert_eq!(net.parameter_count(), 1_157_418);
        let names: Vec<&str> = net.params().iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names.len(), 22);
        assert_eq!(names[0], "conv1.weight");
        assert_eq!(names[21], "box_out.bias");
        let fc1 = net.params().iter().find(|p| p.name == "class_fc1.weight").unwrap();
        assert_eq!(fc1.shape, [240, 1728]);
    }

    #[test]
    fn accepts_exactly_the_sizes_in_its_message() {
        for side in [188, 189, 224, 256, 300] {
            build(side, 3).unwrap();
        }
        for side in [0, 4, 187, 2049] {
            let message = build(side, 3).unwrap_err().to_string();
            assert!(message.contains("188 to 2048"), "{message}");
        }
    }

    #[test]
    fn smallest_side_is_the_smallest_that_the_layers_accept() {
        // Without the check of the constant, the layers themselves reject 187.
        let mut net = NetworkBuilder::new(187, 187);
        let mut x = Source::Input;
        for n in 0..5 {
            x = net.add(&format!("c{n}"), Conv2d::square(1, 5), x).unwrap();
            if n < 4 {
                x = net.add(&format!("p{n}"), MaxPool2d(Pool::square(2, 2)), x).unwrap();
            }
        }
        assert!(net.add("avg", AvgPool2d(Pool::square(4, 2)), x).is_err());
    }
}
