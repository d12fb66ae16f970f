//! What a model file says of its network, and how it becomes a list of layers.

use serde::{Deserialize, Serialize};

use super::backbones::{self, Backbone};
use super::heads::{self, Head};
use crate::ops::Normalize;
use crate::{ConfigError, NetError, Network, NetworkBuilder, Source};

/// Everything needed to rebuild a network's layers; stored as JSON under `network` in a model file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Size of the photos it takes.
    pub input: InputShape,
    /// Number of classes, at least 1.
    pub classes: usize,
    /// The layers that turn a photo into features.
    pub backbone: Backbone,
    /// The layers that turn features into logits and a box.
    pub head: Head,
}

/// Height and width of the photos a network takes, in pixels.
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
    /// Subtracted.
    pub mean: [f32; 3],
    /// Divided by, above 0.
    pub std: [f32; 3],
}

impl Normalization {
    /// Leaves the photo as it is.
    pub const IDENTITY: Self = Self { mean: [0.0; 3], std: [1.0; 3] };
}

impl NetworkConfig {
    /// The tutorial's network.
    #[must_use]
    pub fn five_conv(input: InputShape, classes: usize) -> Self {
        Self { input, classes, backbone: Backbone::FiveConv, head: Head::Mlp }
    }

    /// The list of layers, the normalisation first (left out where it would do nothing).
    ///
    /// # Errors
    ///
    /// [`NetError`] if there is no class or the backbone does not admit the input size.
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
        let features = backbones::add(self.backbone, &mut net, x)?;
        net.end_backbone();
        let (logits, boxes) = heads::add(self.head, &mut net, features, self.classes)?;
        net.finish(logits, boxes)
    }
}
