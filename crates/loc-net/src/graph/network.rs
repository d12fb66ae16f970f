//! The network as data: layers, the shapes they give, the parameters they need. No arithmetic on photos here.

use std::fmt;

use crate::window;

/// Dimensions of one photo's activation, without the batch: `[channels, height, width]` or `[features]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape(pub Vec<usize>);

impl Shape {
    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().product()
    }

    /// Whether it holds no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `(channels, height, width)` of a feature map, or nothing for a vector.
    #[must_use]
    pub fn chw(&self) -> Option<(usize, usize, usize)> {
        match self.0[..] {
            [c, h, w] => Some((c, h, w)),
            _ => None,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&dims.join("×"))
    }
}

/// A two-dimensional convolution with bias; pairs are (vertical, horizontal).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conv2d {
    /// Number of output channels.
    pub out_channels: usize,
    /// Kernel height and width.
    pub kernel: (usize, usize),
    /// Steps between output cells.
    pub stride: (usize, usize),
    /// Zeros added above and below, left and right.
    pub padding: (usize, usize),
    /// Zeros added below and right beyond those: TensorFlow's SAME padding is not the same on both sides.
    pub extra: (usize, usize),
    /// Number of groups; the channel counts are multiples of it.
    pub groups: usize,
}

impl Conv2d {
    /// A square kernel, stride 1, no padding, one group.
    #[must_use]
    pub fn square(out_channels: usize, kernel: usize) -> Self {
        Self {
            out_channels,
            kernel: (kernel, kernel),
            stride: (1, 1),
            padding: (0, 0),
            extra: (0, 0),
            groups: 1,
        }
    }

    /// The same with TensorFlow's SAME padding for an input of `(height, width)`: `⌈size / stride⌉` cells a side, an odd
    /// zero below and right.
    #[must_use]
    pub fn same(self, (h, w): (usize, usize)) -> Self {
        let (padding, extra) = window::same_padding((h, w), self.kernel, self.stride);
        Self { padding, extra, ..self }
    }

    /// Output height and width for an input of `(height, width)`, or nothing where the kernel does not fit.
    #[must_use]
    pub fn output(&self, size: (usize, usize)) -> Option<(usize, usize)> {
        window::conv_output(size, self.kernel, self.stride, (self.padding, self.extra))
    }
}

/// A pooling window; pairs are (vertical, horizontal). Cells that the last window does not reach are ignored,
/// as PyTorch does without `ceil_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Window height and width.
    pub kernel: (usize, usize),
    /// Steps between windows.
    pub stride: (usize, usize),
}

impl Pool {
    /// A square window.
    #[must_use]
    pub fn square(kernel: usize, stride: usize) -> Self {
        Self { kernel: (kernel, kernel), stride: (stride, stride) }
    }

    /// Output height and width for an input of `(height, width)`, or nothing where the window does not fit.
    #[must_use]
    pub fn output(&self, size: (usize, usize)) -> Option<(usize, usize)> {
        window::output(size, self.kernel, self.stride)
    }
}

/// A direction over a feature map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// From top to bottom: what is left has a row's place.
    Rows,
    /// From left to right: what is left has a column's place.
    Columns,
}

/// What a layer computes.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// `(x − mean) / std` for each channel.
    Normalize {
        /// Mean of each channel, in the input's unit (0..1).
        mean: [f32; 3],
        /// Standard deviation of each channel.
        std: [f32; 3],
    },
    /// Convolution plus bias; parameters `NAME.weight [out, in/groups, kh, kw]` and `NAME.bias [out]`.
    Conv2d(Conv2d),
    /// The largest cell of each window; on a tie the first in row order, as in PyTorch.
    MaxPool2d(Pool),
    /// The mean of each window.
    AvgPool2d(Pool),
    /// `max(x, 0)`; its gradient at exactly 0 is 0, as in PyTorch.
    Relu,
    /// A feature map as one vector, channel by channel, row by row.
    Flatten,
    /// `x · weightᵀ + bias`; parameters `NAME.weight [out, in]` and `NAME.bias [out]`.
    Linear {
        /// Number of output features.
        out_features: usize,
    },
    /// `1 / (1 + e^−x)`.
    Sigmoid,
    /// `min(max(x, 0), 6)`; its gradient at both kinks is 0, as in PyTorch.
    Relu6,
    /// `x · weight + bias` for each channel or feature, cut at ± `limit`; parameters `NAME.weight [c]` and `NAME.bias [c]`.
    ChannelAffine {
        /// The largest value that is left, above 0.
        limit: f32,
    },
    /// The sum of its two inputs, which have one shape.
    Add,
    /// Vectors, one behind the other.
    Concat,
    /// A map enlarged to `(height, width)`, bilinear between the centres of its cells, at its edges the edge's.
    Upsample {
        /// Height and width of the result, no smaller than the map's.
        size: (usize, usize),
    },
    /// Of each channel the mean, and behind all those the largest, of each row `[2·c, h, 1]` or column `[2·c, 1, w]`.
    MeanMaxPool(Axis),
    /// Places 0..1 as the means of distributions: the softmax of each `bins` values, each standing for `b / (bins − 1)`.
    SoftmaxExpectation {
        /// Values of a distribution, 2 or more.
        bins: usize,
    },
    /// The mean of the parts of a vector, which lie one behind the other: of `[parts·n]` it makes `[n]`.
    GroupMean {
        /// How many, 1 or more.
        parts: usize,
    },
}

/// Where a layer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The photo: RGB in 0..1, planar.
    Input,
    /// The output of the layer with this index.
    Layer(usize),
}

/// One step of the network.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Unique name; for a layer with parameters PyTorch's module name.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// What it reads: each source stands earlier in the list.
    pub inputs: Vec<Source>,
    /// Whether training may drop some of its output.
    pub dropout: bool,
}

/// Whether a parameter multiplies or adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    /// A weight: a convolution's or a linear layer's matrix.
    Weight,
    /// A scale: one factor a channel.
    Scale,
    /// A bias: one number an output channel.
    Bias,
}

/// One parameter tensor of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// PyTorch's name, for example `conv1.weight`.
    pub name: String,
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Weight or bias.
    pub kind: ParamKind,
    /// Number of inputs that one output cell sees (of the layer's weight, also for its bias).
    pub fan_in: usize,
    /// Index of the layer it belongs to.
    pub layer: usize,
}

/// A list of layers in topological order with checked shapes and two outputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    pub(crate) input: Shape,
    pub(crate) layers: Vec<Layer>,
    pub(crate) shapes: Vec<Shape>,
    pub(crate) params: Vec<Param>,
    pub(crate) logits: usize,
    pub(crate) boxes: usize,
    pub(crate) backbone: usize,
}

impl Network {
    /// Shape of one photo: `[3, height, width]`.
    #[must_use]
    pub fn input(&self) -> &Shape {
        &self.input
    }

    /// The layers; each reads only the input and layers before it.
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Shape of one photo's output of layer `index`.
    #[must_use]
    pub fn shape(&self, index: usize) -> &Shape {
        &self.shapes[index]
    }

    /// Shape of one photo where a layer reads.
    #[must_use]
    pub fn source_shape(&self, source: Source) -> &Shape {
        match source {
            Source::Input => &self.input,
            Source::Layer(index) => &self.shapes[index],
        }
    }

    /// Every parameter, in the order of the layers, a weight before its bias (the order of a `state_dict`).
    #[must_use]
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// How many layers, from the first, are the backbone; those behind are the heads.
    #[must_use]
    pub fn backbone_layers(&self) -> usize {
        self.backbone
    }

    /// The layers of the backbone that the heads read, in their order.
    #[must_use]
    pub fn taps(&self) -> Vec<usize> {
        let heads = self.layers[self.backbone..].iter().flat_map(|layer| &layer.inputs);
        let read: std::collections::BTreeSet<usize> = heads
            .filter_map(|source| match source {
                Source::Layer(i) if *i < self.backbone => Some(*i),
                _ => None,
            })
            .collect();
        read.into_iter().collect()
    }

    /// Index of the layer whose output is the class logits `[classes]`.
    #[must_use]
    pub fn logits(&self) -> usize {
        self.logits
    }

    /// Index of the layer whose output is the box `[4]`: x1, y1, x2, y2 in 0..1.
    #[must_use]
    pub fn boxes(&self) -> usize {
        self.boxes
    }

    /// Number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.shapes[self.logits].len()
    }

    /// Index of the layer whose output is the logits of the box's edges `[4·bins]`, or of several boxes', whose mean the
    /// box is, `[boxes·4·bins]`; and the bins. Nothing where edges are no distributions.
    #[must_use]
    pub fn edges(&self) -> Option<(usize, usize)> {
        let end = &self.layers[self.boxes];
        let each = match (&end.op, end.inputs[0]) {
            (Op::GroupMean { .. }, Source::Layer(each)) => &self.layers[each],
            _ => end,
        };
        match (&each.op, each.inputs[0]) {
            (Op::SoftmaxExpectation { bins }, Source::Layer(edges)) => Some((edges, *bins)),
            _ => None,
        }
    }

    /// Number of trainable values.
    #[must_use]
    pub fn parameter_count(&self) -> usize {
        self.params.iter().map(|p| p.shape.iter().product::<usize>()).sum()
    }

    /// Multiply-adds of layer `index` for one photo.
    #[must_use]
    pub fn multiply_adds(&self, index: usize) -> usize {
        let weights = |p: &&Param| p.layer == index && p.kind == ParamKind::Weight;
        let fan_in = self.params.iter().find(weights).map_or(0, |p| p.fan_in);
        fan_in * self.shapes[index].len()
    }
}
