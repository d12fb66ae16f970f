//! What a model file says of its network, and how it becomes a list of layers.

use serde::{Deserialize, Serialize};

use super::{backbones, heads};
use crate::ops::Normalize;
use crate::{NetError, Network, NetworkBuilder, Source};

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

/// Which backbone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Backbone {
    /// The tutorial's five convolutions.
    FiveConv,
    /// Our own: four convolutions of the tutorial's kind, three smaller ones on two scales.
    Compact,
    /// EfficientNet-Lite0, made to begin from pretrained weights.
    Lite0,
}

/// Which heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Head {
    /// The tutorial's: three linear layers for the classes, three for the box.
    Mlp,
    /// One linear layer for the classes; for the box, distributions of its edges over the rows and columns of a map.
    Edges,
    /// As `Edges`, with four of what reads the box, each trained by itself: the box is the mean of theirs.
    Edges4,
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
            return Err(NetError::Config("classes is 0, at least 1 is needed".into()));
        }
        let mut net = NetworkBuilder::new(self.input.height, self.input.width);
        let mut x = Source::Input;
        if *normalization != Normalization::IDENTITY {
            let Normalization { mean, std } = *normalization;
            x = net.add("normalize", Normalize { mean, std }, x)?;
        }
        let features = match self.backbone {
            Backbone::FiveConv => backbones::five_conv(&mut net, x)?,
            Backbone::Compact => backbones::compact(&mut net, x)?,
            Backbone::Lite0 => backbones::lite0(&mut net, x)?,
        };
        net.end_backbone();
        let (logits, boxes) = heads::add(self.head, &mut net, features, self.classes)?;
        net.finish(logits, boxes)
    }
}
