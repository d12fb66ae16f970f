//! The network configuration that a model file stores, and the list of layers built from it.

use serde::{Deserialize, Serialize};

use super::backbones::{self, Backbone};
use super::heads::{self, ClassFeatures, Head};
use crate::ops::Normalize;
use crate::{ConfigError, NetError, Network, NetworkBuilder, Source};

/// The configuration of a network, from which its layers are built; stored as JSON under `network` in a model file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Size of the input photos.
    pub input: InputShape,
    /// Number of classes, at least 1.
    pub classes: usize,
    /// The layers that turn a photo into features.
    pub backbone: Backbone,
    /// The layers that turn features into logits and a box.
    pub head: Head,
    /// Where the class is read.
    #[serde(default, skip_serializing_if = "ClassFeatures::is_whole")]
    pub class_features: ClassFeatures,
    /// Whether there is also a logit that an object is present at all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub presence: bool,
    /// Size of the input of the second look, if there is one: a network of the same layers reads the part of the photo around
    /// the first look's box.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_look: Option<InputShape>,
}

/// Height and width of the input photos, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputShape {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// Mean and standard deviation of each colour channel, in 0..1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalization {
    /// The mean, which is subtracted.
    pub mean: [f32; 3],
    /// The standard deviation, by which the difference is divided; above 0.
    pub std: [f32; 3],
}

impl Normalization {
    /// The normalisation that changes nothing.
    pub const IDENTITY: Self = Self { mean: [0.0; 3], std: [1.0; 3] };
}

impl NetworkConfig {
    /// A network that reads the class from the whole photo, without presence.
    #[must_use]
    pub fn new(input: InputShape, classes: usize, backbone: Backbone, head: Head) -> Self {
        Self {
            input,
            classes,
            backbone,
            head,
            class_features: ClassFeatures::Whole,
            presence: false,
            second_look: None,
        }
    }

    /// Returns the configuration of the second look's network, if there is a second look.
    #[must_use]
    pub fn second(&self) -> Option<Self> {
        self.second_look.map(|input| Self { input, presence: false, second_look: None, ..self.clone() })
    }

    /// The tutorial's network.
    #[must_use]
    pub fn five_conv(input: InputShape, classes: usize) -> Self {
        Self::new(input, classes, Backbone::FiveConv, Head::Mlp)
    }

    /// Builds the list of layers, those of the first look. The normalisation comes first; it is omitted if it changes nothing.
    ///
    /// # Errors
    ///
    /// [`NetError`] if the number of classes is 0, the backbone does not accept the input size, or the head cannot read the
    /// class in a region.
    pub fn build(&self, normalization: &Normalization) -> Result<Network, NetError> {
        if self.classes == 0 {
            return Err(NetError::Config(ConfigError::NoClass));
        }
        let mut net = NetworkBuilder::new(self.input.height, self.input.width);
        let mut x = Source::Input;
        if *normalization != Normalization::IDENTITY {
            let Normalization { mean, std } = *normalization;
            x = net.add("normalize", Normalize { mean, std }, x)?;
        }
        let features = backbones::add(self.backbone, &mut net, x, self.class_features)?;
        net.end_backbone();
        let (logits, boxes) = heads::add(self.head, &mut net, features, self.classes)?;
        if self.presence {
            heads::presence(self.head, &mut net, features, logits)?;
        }
        net.finish(logits, boxes)
    }
}
