//! EfficientNet-Lite0 (Tan and Le 2019, in the form made for small devices: relu6, no squeeze-and-excitation), its
//! batch normalisation folded into the convolutions.

use crate::graph::heads::{Features, mean};
use crate::ops::{Add, ChannelAffine, Conv2d, Relu6};
use crate::{ConfigError, NetError, NetworkBuilder, Source};

/// Blocks of a kind: how many, kernel, stride of the first, factor of the width within, channels.
const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
];
/// Channels before the first block, and behind the last.
const STEM: usize = 32;
const TOP: usize = 1280;
/// The block whose output, a sixteenth of the photo's size, says where things are.
const FINE: usize = 10;
/// Standardised features beyond this are cut: a few outliers would rule a head.
const LIMIT: f32 = 6.0;
/// The smallest side: the last map has then 2×2 cells.
const SMALLEST_SIDE: usize = 64;
/// A side beyond this is no single-object photo but a mistake.
const LARGEST_SIDE: usize = 2048;

/// The layers for any input size they admit. Photos are expected as `(v − 127) / 128` of their bytes.
///
/// # Errors
///
/// [`NetError::Config`] for an input size that is not admitted; it says which are.
pub(crate) fn lite0(net: &mut NetworkBuilder, x: Source) -> Result<Features, NetError> {
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
    let mut x = conv(net, "stem", (STEM, 3, 2, 1), true, x)?; // [32, 112, 112]
    let (mut fine, mut channels, mut block) = (x, STEM, 0);
    for (count, kernel, stride, factor, out) in STAGES {
        for i in 0..count {
            let stride = if i == 0 { stride } else { 1 };
            let name = format!("block{block}");
            let mut h = x;
            if factor > 1 {
                h = conv(net, &format!("{name}.expand"), (factor * channels, 1, 1, 1), true, h)?;
            }
            let wide = factor * channels;
            h = conv(net, &format!("{name}.depthwise"), (wide, kernel, stride, wide), true, h)?;
            h = conv(net, &format!("{name}.project"), (out, 1, 1, 1), false, h)?;
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
    let top = conv(net, "top", (TOP, 1, 1, 1), true, x)?; // [1280, 7, 7]
    let whole = mean(net, "whole", top)?; // [1280]
    let mut standard = |name: &str, x: Source| net.add(name, ChannelAffine { limit: LIMIT }, x);
    Ok(Features {
        fine: standard("fine_standard", fine)?,
        coarse: standard("coarse_standard", x)?,
        whole: standard("whole_standard", whole)?,
    })
}

/// A convolution `(channels, kernel, stride, groups)` with TensorFlow's padding, and relu6.
fn conv(
    net: &mut NetworkBuilder,
    name: &str,
    (channels, kernel, stride, groups): (usize, usize, usize, usize),
    relu: bool,
    x: Source,
) -> Result<Source, NetError> {
    let size = net.shape(x).chw().map(|(_, h, w)| (h, w)).unwrap_or_default();
    let conv = Conv2d { stride: (stride, stride), groups, ..Conv2d::square(channels, kernel) }.same(size);
    let x = net.add(name, conv, x)?;
    if relu { net.add(&format!("{name}.relu"), Relu6, x) } else { Ok(x) }
}

#[cfg(test)]
mod tests {
    use crate::{Backbone, Head, InputShape, NetworkConfig, Normalization};

    #[test]
    fn has_lite0s_parameters_and_shapes() {
        let config = |side| NetworkConfig {
            input: InputShape { height: side, width: side },
            classes: 2,
            backbone: Backbone::Lite0,
            head: Head::Edges,
        };
        let net = config(224).build(&Normalization::IDENTITY).unwrap();
        let own =
            net.params().iter().filter(|p| p.layer < net.backbone_layers() && !p.name.contains("_standard"));
        // 4,652,008 of EfficientNet-Lite0, less 1,281,000 of its classifier, less a scale for each of the 21,008
        // channels that batch normalisation is folded into.
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
