//! The heads: the layers from a backbone's features to logits and a box.

use serde::{Deserialize, Serialize};

use crate::ops::{
    Add, AvgPool2d, Axis, Concat, Conv2d, Detach, Flatten, GroupMean, Linear, MeanMaxPool, Pool, RegionPool,
    Relu, Sigmoid, SoftmaxExpectation, Upsample,
};
use crate::{ConfigError, NetError, NetworkBuilder, Source};

/// The kind of head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Head {
    /// The tutorial's head: three linear layers for the classes, three for the box.
    Mlp,
    /// One linear layer for the classes; for the box, distributions of its edges over the rows and columns of a map.
    Edges,
    /// Same as `Edges`, with four box branches that are trained independently; the box is the mean of their boxes.
    Edges4,
}

/// Where the class is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClassFeatures {
    /// From the features of the whole photo.
    #[default]
    Whole,
    /// From the features inside the predicted box; in training inside the true one.
    Region,
}

impl ClassFeatures {
    /// Returns whether it is [`ClassFeatures::Whole`], which model files do not mention.
    pub(crate) fn is_whole(&self) -> bool {
        *self == Self::Whole
    }
}

/// The layers at which a backbone's features are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Features {
    /// A map with enough resolution for positions.
    pub(crate) fine: Source,
    /// The last map: of all maps the one that separates classes best.
    pub(crate) coarse: Source,
    /// Features of the whole photo, a vector; not there if the class is read in the box.
    pub(crate) whole: Option<Source>,
    /// The map whose mean over a box tells its class.
    pub(crate) region: Source,
}

/// Hidden features of the tutorial's head, per branch.
const HIDDEN: [usize; 2] = [240, 120];
/// Channels of the box branch.
const BOX_CHANNELS: usize = 32;
/// Bins of an edge's distribution: positions at sixteenths of the photo; the expected value gives positions in between.
pub(crate) const BINS: usize = 17;

/// Adds a head and returns its logits `[classes]` and its box `[4]`.
pub(crate) fn add(
    head: Head,
    net: &mut NetworkBuilder,
    features: Features,
    classes: usize,
) -> Result<(Source, Source), NetError> {
    match head {
        Head::Mlp => mlp(net, features.whole.ok_or(NetError::Config(ConfigError::NoRegion))?, classes),
        Head::Edges => edges(net, features, classes, &["box"]),
        Head::Edges4 => edges(net, features, classes, &["box1", "box2", "box3", "box4"]),
    }
}

/// Adds the tutorial's head: three linear layers for the classes, three for the box.
fn mlp(net: &mut NetworkBuilder, x: Source, classes: usize) -> Result<(Source, Source), NetError> {
    net.dropout(x);
    let mut stack = |prefix: &str, out_features: usize| {
        let mut h = x;
        for (i, features) in HIDDEN.into_iter().enumerate() {
            h = net.add(&format!("{prefix}_fc{}", i + 1), Linear { out_features: features }, h)?;
            h = net.add(&format!("{prefix}_relu{}", i + 1), Relu, h)?;
        }
        net.add(&format!("{prefix}_out"), Linear { out_features }, h)
    };
    let logits = stack("class", classes)?; // [classes]
    let raw = stack("box", 4)?;
    Ok((logits, net.add("box", Sigmoid, raw)?)) // [4]
}

/// Adds the head with edges as distributions over positions (Li et al. 2020, Generalized Focal Loss). They are computed
/// from the row and column profiles of a map made from two scales: rows give top and bottom, columns left and right.
/// With several box branches the box is the mean of their boxes. The classes are one linear layer: on the whole photo's
/// features, or on those inside the box.
fn edges(
    net: &mut NetworkBuilder,
    features: Features,
    classes: usize,
    branches: &[&str],
) -> Result<(Source, Source), NetError> {
    let class_of = |net: &mut NetworkBuilder, features: Source| {
        net.dropout(features);
        net.add("class_out", Linear { out_features: classes }, features)
    };
    if let Some(whole) = features.whole {
        let logits = class_of(net, whole)?;
        return Ok((logits, box_of(net, features, branches)?));
    }
    let bbox = box_of(net, features, branches)?;
    let inside = inside(net, features, bbox)?;
    Ok((class_of(net, inside)?, bbox))
}

/// Adds the box: the mean of the boxes of the branches.
fn box_of(net: &mut NetworkBuilder, features: Features, branches: &[&str]) -> Result<Source, NetError> {
    let mut logits_of_edges = Vec::new();
    for branch in branches {
        logits_of_edges.extend(box_branch(net, features, branch)?);
    }
    let edges = net.join("box_edges", Concat, &logits_of_edges)?; // [branches·4·17]
    if let [_] = branches {
        return net.add("box", SoftmaxExpectation { bins: BINS }, edges); // [4]
    }
    let each = net.add("box_each", SoftmaxExpectation { bins: BINS }, edges)?; // [branches·4]
    net.add("box", GroupMean { parts: branches.len() }, each) // [4]
}

/// Adds the features inside a box: the means of one map, and means and maxima of the fine one.
fn inside(
    net: &mut NetworkBuilder,
    Features { fine, region, .. }: Features,
    bbox: Source,
) -> Result<Source, NetError> {
    let bbox = net.add("class_box", Detach, bbox)?;
    let means = net.join("class_region", RegionPool { max: false }, &[region, bbox])?; // [1280]
    let fine = net.join("class_fine", RegionPool { max: true }, &[fine, bbox])?; // [2·112]
    net.join("class_features", Concat, &[means, fine])
}

/// Adds a box branch that reads two maps, and returns the logits of each edge's bins `[17]`. `at` is the prefix of its
/// layers' names.
fn box_branch(
    net: &mut NetworkBuilder,
    Features { fine, coarse, .. }: Features,
    at: &str,
) -> Result<[Source; 4], NetError> {
    let size = net.shape(fine).chw().map(|(_, h, w)| (h, w)).unwrap_or_default();
    let mut x = net.add(&format!("{at}_fine"), Conv2d::square(BOX_CHANNELS, 1), fine)?;
    if coarse != fine {
        let narrow = net.add(&format!("{at}_coarse"), Conv2d::square(BOX_CHANNELS, 1), coarse)?;
        let large = net.add(&format!("{at}_enlarged"), Upsample { size }, narrow)?;
        x = net.join(&format!("{at}_sum"), Add, &[x, large])?;
    }
    x = net.add(&format!("{at}_relu1"), Relu, x)?;
    net.dropout(x);
    let conv3x3 = Conv2d { padding: (1, 1), ..Conv2d::square(BOX_CHANNELS, 3) };
    x = net.add(&format!("{at}_mix"), conv3x3, x)?;
    x = net.add(&format!("{at}_relu2"), Relu, x)?; // [32, h, w]

    let mut profile = |name: &str, axis: Axis| {
        let (kernel, padding) = match axis {
            Axis::Rows => ((3, 1), (1, 0)),
            Axis::Columns => ((1, 3), (0, 1)),
        };
        let mut x = net.add(&format!("{at}_{name}_profile"), MeanMaxPool(axis), x)?; // [64, h, 1] or [64, 1, w]
        let conv = Conv2d { kernel, padding, ..Conv2d::square(BOX_CHANNELS, 1) };
        x = net.add(&format!("{at}_{name}"), conv, x)?;
        x = net.add(&format!("{at}_{name}_relu"), Relu, x)?;
        x = net.add(&format!("{at}_{name}_flat"), Flatten, x)?; // [32·h] or [32·w]
        net.dropout(x);
        Ok::<_, NetError>(x)
    };
    let (rows, columns) = (profile("rows", Axis::Rows)?, profile("columns", Axis::Columns)?);
    let mut edge = |name: &str, from: Source| {
        net.add(&format!("{at}_{name}"), Linear { out_features: BINS }, from) // [17]
    };
    Ok([edge("left", columns)?, edge("top", rows)?, edge("right", columns)?, edge("bottom", rows)?])
}

/// Adds the mean of each channel, as a vector.
pub(crate) fn mean(net: &mut NetworkBuilder, name: &str, map: Source) -> Result<Source, NetError> {
    let (h, w) = net.shape(map).chw().map(|(_, h, w)| (h, w)).unwrap_or_default();
    let pooled = net.add(&format!("{name}_mean"), AvgPool2d(Pool { kernel: (h, w), stride: (h, w) }), map)?;
    net.add(name, Flatten, pooled)
}
