//! The network as data: layers, the shapes they give, the parameters they need. No arithmetic on photos here.

use std::fmt;

use crate::NetError;

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
        let all = |size: usize, kernel: usize, stride: usize| {
            ((size.div_ceil(stride) - 1) * stride + kernel).saturating_sub(size)
        };
        let (v, u) = (all(h, self.kernel.0, self.stride.0), all(w, self.kernel.1, self.stride.1));
        Self { padding: (v / 2, u / 2), extra: (v % 2, u % 2), ..self }
    }

    /// Output height and width for an input of `(height, width)`, or nothing where the kernel does not fit.
    #[must_use]
    pub fn output(&self, (h, w): (usize, usize)) -> Option<(usize, usize)> {
        Some((
            cells(h + 2 * self.padding.0 + self.extra.0, self.kernel.0, self.stride.0)?,
            cells(w + 2 * self.padding.1 + self.extra.1, self.kernel.1, self.stride.1)?,
        ))
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
    pub fn output(&self, (h, w): (usize, usize)) -> Option<(usize, usize)> {
        Some((cells(h, self.kernel.0, self.stride.0)?, cells(w, self.kernel.1, self.stride.1)?))
    }
}

fn cells(size: usize, kernel: usize, stride: usize) -> Option<usize> {
    (kernel > 0 && stride > 0 && size >= kernel).then(|| (size - kernel) / stride + 1)
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
    Affine {
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
    Profile(Axis),
    /// Places 0..1 as the means of distributions: the softmax of each `bins` values, each standing for `b / (bins − 1)`.
    Expectation {
        /// Values of a distribution, 2 or more.
        bins: usize,
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
    input: Shape,
    layers: Vec<Layer>,
    shapes: Vec<Shape>,
    params: Vec<Param>,
    logits: usize,
    boxes: usize,
    backbone: usize,
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

    /// Index of the layer whose output is the logits of the box's edges `[4·bins]`, and the bins, where edges are
    /// distributions.
    #[must_use]
    pub fn edges(&self) -> Option<(usize, usize)> {
        let layer = &self.layers[self.boxes];
        match (&layer.op, layer.inputs[0]) {
            (Op::Expectation { bins }, Source::Layer(edges)) => Some((edges, *bins)),
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

/// Builds a [`Network`] layer by layer, checking each shape as it is added.
#[derive(Debug)]
pub struct NetworkBuilder {
    input: Shape,
    layers: Vec<Layer>,
    shapes: Vec<Shape>,
    params: Vec<Param>,
    backbone: usize,
}

impl NetworkBuilder {
    /// Begins a network that takes photos of `[3, height, width]`.
    #[must_use]
    pub fn new(height: usize, width: usize) -> Self {
        Self {
            input: Shape(vec![3, height, width]),
            layers: vec![],
            shapes: vec![],
            params: vec![],
            backbone: 0,
        }
    }

    /// Shape of one photo where a layer would read.
    #[must_use]
    pub fn shape(&self, source: Source) -> &Shape {
        match source {
            Source::Input => &self.input,
            Source::Layer(index) => &self.shapes[index],
        }
    }

    /// Adds a layer that reads one other and returns where its output can be read.
    ///
    /// # Errors
    ///
    /// As of [`NetworkBuilder::join`].
    pub fn add(&mut self, name: &str, op: Op, from: Source) -> Result<Source, NetError> {
        self.join(name, op, &[from])
    }

    /// Says that what was added so far is the backbone.
    pub fn end_backbone(&mut self) {
        self.backbone = self.layers.len();
    }

    /// Lets training drop some of a layer's output.
    pub fn dropout(&mut self, of: Source) {
        if let Source::Layer(index) = of {
            self.layers[index].dropout = true;
        }
    }

    /// Adds a layer and returns where its output can be read.
    ///
    /// # Errors
    ///
    /// [`NetError::Layer`] if the name is taken, a source does not exist, or the number of sources or a shape does not
    /// fit.
    pub fn join(&mut self, name: &str, op: Op, from: &[Source]) -> Result<Source, NetError> {
        let fail = |reason: String| NetError::Layer { layer: name.to_owned(), reason };
        if self.layers.iter().any(|l| l.name == name) {
            return Err(fail("another layer has this name".into()));
        }
        if from.iter().any(|from| matches!(from, Source::Layer(i) if *i >= self.layers.len())) {
            return Err(fail("reads a layer that does not stand before it".into()));
        }
        let fits = match op {
            Op::Add => from.len() == 2,
            Op::Concat => !from.is_empty(),
            _ => from.len() == 1,
        };
        if !fits {
            return Err(fail(format!("{} layers are read", from.len())));
        }
        let inputs: Vec<Shape> = from.iter().map(|source| self.shape(*source).clone()).collect();
        let input = inputs[0].clone();
        let map = || input.chw().ok_or_else(|| fail(format!("needs channels×height×width, got {input}")));
        let index = self.layers.len();
        let mut param = |suffix: &str, shape: Vec<usize>, kind, fan_in| {
            self.params.push(Param { name: format!("{name}.{suffix}"), shape, kind, fan_in, layer: index });
        };
        let shape = match &op {
            Op::Normalize { std, .. } => {
                let (c, ..) = map()?;
                if c != 3 || std.iter().any(|s| !s.is_finite() || *s <= 0.0) {
                    return Err(fail(format!(
                        "needs 3 channels and deviations above 0, got {c} and {std:?}"
                    )));
                }
                input.clone()
            }
            Op::Conv2d(conv) => {
                let (c, h, w) = map()?;
                let (g, out, (kh, kw)) = (conv.groups, conv.out_channels, conv.kernel);
                if g == 0 || out == 0 || c % g != 0 || out % g != 0 {
                    return Err(fail(format!("{c} channels in and {out} out do not divide into {g} groups")));
                }
                let (oh, ow) = conv.output((h, w)).ok_or_else(|| {
                    fail(format!("a {kh}×{kw} kernel does not fit {h}×{w} with padding {:?}", conv.padding))
                })?;
                let fan_in = c / g * kh * kw;
                param("weight", vec![out, c / g, kh, kw], ParamKind::Weight, fan_in);
                param("bias", vec![out], ParamKind::Bias, fan_in);
                Shape(vec![out, oh, ow])
            }
            Op::MaxPool2d(pool) | Op::AvgPool2d(pool) => {
                let (c, h, w) = map()?;
                if matches!(op, Op::MaxPool2d(_)) && pool.kernel.0 * pool.kernel.1 > 256 {
                    return Err(fail(
                        "a max-pool window has at most 256 cells: its winner is one byte".into(),
                    ));
                }
                let (oh, ow) = pool.output((h, w)).ok_or_else(|| {
                    fail(format!("a {}×{} window does not fit {h}×{w}", pool.kernel.0, pool.kernel.1))
                })?;
                Shape(vec![c, oh, ow])
            }
            Op::Relu | Op::Relu6 | Op::Sigmoid => input.clone(),
            Op::Affine { limit } => {
                if limit.is_nan() || *limit <= 0.0 {
                    return Err(fail(format!("the limit {limit} is not above 0")));
                }
                let channels = input.0[0];
                param("weight", vec![channels], ParamKind::Scale, 1);
                param("bias", vec![channels], ParamKind::Bias, 1);
                input.clone()
            }
            Op::Add if inputs[1] == input => input.clone(),
            Op::Add => return Err(fail(format!("{input} and {} are no shape", inputs[1]))),
            Op::Concat => {
                if let Some(map) = inputs.iter().find(|shape| shape.0.len() != 1) {
                    return Err(fail(format!("needs vectors, got {map}")));
                }
                Shape(vec![inputs.iter().map(Shape::len).sum()])
            }
            Op::Upsample { size } => {
                let (c, h, w) = map()?;
                if size.0 < h || size.1 < w {
                    return Err(fail(format!("{}×{} is smaller than {h}×{w}", size.0, size.1)));
                }
                Shape(vec![c, size.0, size.1])
            }
            Op::Profile(axis) => {
                let (c, h, w) = map()?;
                match axis {
                    Axis::Rows => Shape(vec![2 * c, h, 1]),
                    Axis::Columns => Shape(vec![2 * c, 1, w]),
                }
            }
            Op::Expectation { bins } => match input.0[..] {
                [n] if *bins > 1 && n > 0 && n.is_multiple_of(*bins) => Shape(vec![n / bins]),
                _ => return Err(fail(format!("{input} are no distributions over {bins} places"))),
            },
            Op::Flatten => Shape(vec![input.len()]),
            Op::Linear { out_features } => {
                let [features] = input.0[..] else {
                    return Err(fail(format!("needs a vector, got {input}")));
                };
                param("weight", vec![*out_features, features], ParamKind::Weight, features);
                param("bias", vec![*out_features], ParamKind::Bias, features);
                Shape(vec![*out_features])
            }
        };
        self.layers.push(Layer { name: name.to_owned(), op, inputs: from.to_vec(), dropout: false });
        self.shapes.push(shape);
        Ok(Source::Layer(index))
    }

    /// Ends the network: `logits` is the class head's output, `boxes` the box head's.
    ///
    /// # Errors
    ///
    /// [`NetError::Config`] if an output is not a vector of the right length or is the input itself.
    pub fn finish(self, logits: Source, boxes: Source) -> Result<Network, NetError> {
        let output = |what: &str, source: Source, features: Option<usize>| match source {
            Source::Layer(i) if i < self.shapes.len() => match (&self.shapes[i].0[..], features) {
                ([n], None) if *n > 0 => Ok(i),
                ([n], Some(f)) if *n == f => Ok(i),
                _ => Err(NetError::Config(format!("{what} have the shape {}", self.shapes[i]))),
            },
            _ => Err(NetError::Config(format!("{what} are not the output of a layer"))),
        };
        let logits = output("logits", logits, None)?;
        let boxes = output("boxes", boxes, Some(4))?;
        Ok(Network {
            input: self.input,
            layers: self.layers,
            shapes: self.shapes,
            params: self.params,
            logits,
            boxes,
            backbone: self.backbone,
        })
    }
}
