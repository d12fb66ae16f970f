//! How a photo becomes a network's input: size, fit, filter and normalisation.

use serde::{Deserialize, Serialize};

use crate::{Error, ImageSize, MetadataError};

/// How a photo becomes the network's input.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "InputJson", into = "InputJson")]
pub struct InputSpec {
    /// Size of the input, each side in 1..=[`InputSpec::MAX_SIDE`].
    pub size: ImageSize,
    /// How a photo of another shape is made to fit.
    pub fit: Fit,
    /// How pixels are interpolated.
    pub filter: Filter,
    /// How much of a photo's file is decoded.
    pub decode: Decode,
    /// Mean of red, green and blue in 0..1. The network's first layer subtracts it.
    pub mean: [f32; 3],
    /// Standard deviation of red, green and blue, above 0. The network's first layer divides by it.
    pub std: [f32; 3],
}

/// How a photo of another shape is made to fit the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Each side is scaled independently; the aspect ratio changes.
    #[default]
    Stretch,
    /// Both sides are scaled by the same factor; the rest is filled with grey 114, half on each side.
    Letterbox,
}

/// How pixels are interpolated. When a side shrinks, the kernel is widened by the same factor (the picture is
/// averaged, not sampled): PIL's `resize` does the same, OpenCV's and PyTorch's defaults do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// The source pixel at the centre; nothing is averaged.
    Nearest,
    /// Triangle with radius 1.
    #[default]
    Bilinear,
    /// Cubic convolution with a = −1/2, radius 2 (Keys 1981, equation 15).
    CatmullRom,
    /// Windowed sinc with radius 3.
    Lanczos3,
}

/// How much of a photo's file is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decode {
    /// All pixels. Models from before [`Decode::Reduced`] have this one.
    #[default]
    Full,
    /// Of a JPEG that is much larger than the input, an averaged photo at 1/8, 1/4 or 1/2 of its size: the smallest of them
    /// whose sides are at least twice those to which the photo is resized. Brightness and colours are resized separately, each at its
    /// own size. All other photos are decoded as with [`Decode::Full`]: smaller ones, other formats, progressive JPEGs, JPEGs
    /// with colours other than grey and YCbCr, damaged ones, and those of [`Filter::Nearest`].
    ///
    /// Not for a model with a second look, which reads parts of the photo at full size.
    Reduced,
}

impl Decode {
    fn is_full(&self) -> bool {
        *self == Self::Full
    }
}

/// The JSON of [`InputSpec`]: width and height are keys beside the others. Unknown keys are refused because they could
/// change the network's input.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InputJson {
    width: u32,
    height: u32,
    fit: Fit,
    filter: Filter,
    // A model that decodes photos in full has the bytes that it always had.
    #[serde(default, skip_serializing_if = "Decode::is_full")]
    decode: Decode,
    mean: [f32; 3],
    std: [f32; 3],
}

impl Default for InputSpec {
    /// The input of the tutorial: 256×256, stretched, bilinear, not normalised.
    fn default() -> Self {
        Self {
            size: ImageSize { width: 256, height: 256 },
            fit: Fit::Stretch,
            filter: Filter::Bilinear,
            decode: Decode::Full,
            mean: [0.0; 3],
            std: [1.0; 3],
        }
    }
}

impl InputSpec {
    /// The longest side an input may have: 200 MB as f32. The limit protects against untrusted model files.
    pub const MAX_SIDE: u32 = 4096;

    /// Number of values of one input: 3 × height × width.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "at most 3 · 4096² after `check`, on 64 bits always")]
    pub fn values(&self) -> usize {
        (3 * u64::from(self.size.width) * u64::from(self.size.height)) as usize
    }

    /// Checks the ranges that the fields document.
    ///
    /// # Errors
    ///
    /// [`Error::Metadata`] with the field and the range.
    pub fn check(&self) -> Result<(), Error> {
        self.check_ranges().map_err(Error::Metadata)
    }

    fn check_ranges(&self) -> Result<(), MetadataError> {
        let (size, mean, std) = (self.size, self.mean, self.std);
        let sides = 1..=Self::MAX_SIDE;
        if !sides.contains(&size.width) || !sides.contains(&size.height) {
            Err(MetadataError::InputSize(size))
        } else if mean.iter().any(|m| !m.is_finite()) {
            Err(MetadataError::Mean(mean))
        } else if std.iter().any(|s| !s.is_finite() || *s <= 0.0) {
            Err(MetadataError::Std(std))
        } else {
            Ok(())
        }
    }
}

impl TryFrom<InputJson> for InputSpec {
    type Error = String;

    fn try_from(json: InputJson) -> Result<Self, String> {
        let InputJson { width, height, fit, filter, decode, mean, std } = json;
        let spec = Self { size: ImageSize { width, height }, fit, filter, decode, mean, std };
        // serde adds line and column to the message; the caller adds that it is about the metadata.
        spec.check_ranges().map_err(|error| format!("`{}`: {error}", error.field()))?;
        Ok(spec)
    }
}

impl From<InputSpec> for InputJson {
    fn from(spec: InputSpec) -> Self {
        let InputSpec { size: ImageSize { width, height }, fit, filter, decode, mean, std } = spec;
        Self { width, height, fit, filter, decode, mean, std }
    }
}
