//! The backbones, one file each: the layers that turn a photo into features.

mod compact;
mod five_conv;
mod lite0;

use serde::{Deserialize, Serialize};

use super::heads::{ClassFeatures, Features};
use crate::{NetError, NetworkBuilder, Source};

/// The kind of backbone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Backbone {
    /// The tutorial's five convolutions.
    FiveConv,
    /// Four convolutions like the tutorial's, then three smaller ones on two scales.
    Compact,
    /// EfficientNet-Lite0, meant to start from pretrained weights.
    Lite0,
}

/// Adds a backbone and returns the layers at which its features are read.
pub(super) fn add(
    backbone: Backbone,
    net: &mut NetworkBuilder,
    x: Source,
    class: ClassFeatures,
) -> Result<Features, NetError> {
    match backbone {
        Backbone::FiveConv => five_conv::five_conv(net, x, class),
        Backbone::Compact => compact::compact(net, x, class),
        Backbone::Lite0 => lite0::lite0(net, x, class),
    }
}
