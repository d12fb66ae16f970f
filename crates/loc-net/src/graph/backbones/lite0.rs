//! EfficientNet-Lite0 (Tan and Le 2019; the variant for small devices, with relu6 and without squeeze-and-excitation). Its
//! batch normalisation is folded into the convolutions.

use crate::graph::heads::{ClassFeatures, Features, mean};
use crate::ops::{Add, ChannelAffine, Conv2d, Relu6};
use crate::{ConfigError, NetError, NetworkBuilder, Source};

/// Some inverted-residual blocks with the same kernel, expansion and output channels.
struct Stage {
    blocks: usize,
    kernel: usize,
    /// Stride of the first block; the others have stride 1.
    stride: usize,
    /// Ratio of the channels inside a block to its input channels.
    expansion: usize,
    channels: usize,
}

const STAGES: [Stage; 7] = [
    Stage { blocks: 1, kernel: 3, stride: 1, expansion: 1, channels: 16 },
    Stage { blocks: 2, kernel: 3, stride: 2, expansion: 6, channels: 24 },
    Stage { blocks: 2, kernel: 5, stride: 2, expansion: 6, channels: 40 },
    Stage { blocks: 3, kernel: 3, stride: 2, expansion: 6, channels: 80 },
    Stage { blocks: 3, kernel: 5, stride: 1, expansion: 6, channels: 112 },
    Stage { blocks: 4, kernel: 5, stride: 2, expansion: 6, channels: 192 },
    Stage { blocks: 1, kernel: 3, stride: 1, expansion: 6, channels: 320 },
];
/// Channels before the first block, and after the last.
const STEM: usize = 32;
const TOP: usize = 1280;
/// The block whose output, a sixteenth of the photo's size, gives positions.
const FINE: usize = 10;
/// Standardised features are clipped at this value: otherwise a few outliers would dominate a head.
const LIMIT: f32 = 6.0;
/// The smallest accepted side: the last map then has 2×2 cells.
const SMALLEST_SIDE: usize = 64;
/// The largest accepted side; a photo of a single object does not need a larger one.
const LARGEST_SIDE: usize = 2048;

/// Adds the layers, for any valid input size. The input is `(v − 127) / 128` for a byte `v`.
///
/// # Errors
///
/// [`NetError::Config`] for an input size that is too small or too large; the message gives the limits.
pub(crate) fn lite0(net: &mut NetworkBuilder, x: Source, class: ClassFeatures) -> Result<Features, NetError> {
    let (_, height, width) = net.shape(x).chw().unwrap_or_default(); // [3, 224, 224]
    let sides = SMALLEST_SIDE..=LARGEST_SIDE;
    if !sides.contains(&height) || !sides.contains(&width) {
        let hint = "it was trained with 224";
        return Err(NetError::Config(ConfigError::InputSize {
            backbone: "lite0",
            height,
            width,
            sides,
            hint,
        }));
    }
    let mut x = conv(net, "stem", Conv2d { stride: (2, 2), ..Conv2d::square(STEM, 3) }, true, x)?; // [32, 112, 112]
    let (mut fine, mut channels, mut block) = (x, STEM, 0);
    for Stage { blocks, kernel, stride, expansion, channels: out } in STAGES {
        for i in 0..blocks {
            let stride = if i == 0 { stride } else { 1 };
            let name = format!("block{block}");
            let mut h = x;
            let wide = expansion * channels;
            if expansion > 1 {
                h = conv(net, &format!("{name}.expand"), Conv2d::square(wide, 1), true, h)?;
            }
            let depthwise = Conv2d { stride: (stride, stride), groups: wide, ..Conv2d::square(wide, kernel) };
            h = conv(net, &format!("{name}.depthwise"), depthwise, true, h)?;
            h = conv(net, &format!("{name}.project"), Conv2d::square(out, 1), false, h)?;
            if stride == 1 && out == channels {
                h = net.join(&format!("{name}.sum"), Add, &[h, x])?;
            }
            (x, channels) = (h, out);
            if block == FINE {
                fine = x;
            }
            block += 1;
        }
        // 16×112², 24×56², 40×28², 80×14², 112×14², 192×7², 320×7²
    }
    let top = conv(net, "top", Conv2d::square(TOP, 1), true, x)?; // [1280, 7, 7]
    let standard =
        |net: &mut NetworkBuilder, name: &str, x: Source| net.add(name, ChannelAffine { limit: LIMIT }, x);
    let whole = match class {
        ClassFeatures::Whole => Some(mean(net, "whole", top)?), // [1280]
        ClassFeatures::Region => None,
    };
    let (fine, coarse) = (standard(net, "fine_standard", fine)?, standard(net, "coarse_standard", x)?);
    let (whole, region) = match whole {
        Some(whole) => (Some(standard(net, "whole_standard", whole)?), coarse),
        None => (None, standard(net, "top_standard", top)?),
    };
    Ok(Features { fine, coarse, whole, region })
}

/// Adds a convolution with TensorFlow's SAME padding and, with `relu`, relu6.
fn conv(
    net: &mut NetworkBuilder,
    name: &str,
    conv: Conv2d,
    relu: bool,
    x: Source,
) -> Result<Source, NetError> {
    let size = net.shape(x).chw().map(|(_, h, w)| (h, w)).unwrap_or_default();
    let x = net.add(name, conv.same(size), x)?;
    if relu { net.add(&format!("{name}.relu"), Relu6, x) } else { Ok(x) }
}

#[cfg(test)]
mod tests {
    use crate::{Backbone, Head, InputShape, NetworkConfig, Normalization};

    #[test]
    fn has_lite0s_parameters_and_shapes() {
        let config = |side| {
            NetworkConfig::new(InputShape { height: side, width: side }, 2, Backbone::Lite0, Head::Edges)
        };
        let net = config(224).build(&Normalization::IDENTITY).unwrap();
        let own =
            net.params().iter().filter(|p| p.layer < net.backbone_layers() && !p.name.contains("_standard"));
        // 4,652,008 parameters of EfficientNet-Lite0, minus 1,281,000 of its classifier, minus the 21,008 scales of the
        // batch normalisation, which are folded into the convolutions.
        assert_eq!(
            own.map(|p| p.shape.iter().product::<usize>()).sum::<usize>(),
            4_652_008 - 1_281_000 - 21_008
        );
        let head: usize = net
            .params()
            .iter()
            .filter(|p| p.layer >= net.backbone_layers())
            .map(|p| p.shape.iter().product::<usize>())
            .sum();
        assert!((60_000..75_000).contains(&head), "{head}");
        let shape = |name: &str| &net.shape(net.layers().iter().position(|l| l.name == name).unwrap()).0;
        assert_eq!(
            (shape("block10.sum")[..].to_vec(), shape("block15.project")[..].to_vec()),
            (vec![112, 14, 14], vec![320, 7, 7])
        );
        for side in [64, 65, 200, 256] {
            config(side).build(&Normalization::IDENTITY).unwrap();
        }
        let message = config(63).build(&Normalization::IDENTITY).unwrap_err().to_string();
        assert!(message.contains("64 to 2048"), "{message}");
    }
}
