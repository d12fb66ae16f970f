//! A network built layer by layer, each shape checked as it is added.

use super::network::{Layer, Network, Op, Param, ParamKind, Shape, Source};
use crate::{Axis, NetError};

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
            Op::ChannelAffine { limit } => {
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
            Op::MeanMaxPool(axis) => {
                let (c, h, w) = map()?;
                match axis {
                    Axis::Rows => Shape(vec![2 * c, h, 1]),
                    Axis::Columns => Shape(vec![2 * c, 1, w]),
                }
            }
            Op::SoftmaxExpectation { bins } => match input.0[..] {
                [n] if *bins > 1 && n > 0 && n.is_multiple_of(*bins) => Shape(vec![n / bins]),
                _ => return Err(fail(format!("{input} are no distributions over {bins} places"))),
            },
            Op::GroupMean { parts } => match input.0[..] {
                [n] if *parts > 0 && n > 0 && n.is_multiple_of(*parts) => Shape(vec![n / parts]),
                _ => return Err(fail(format!("{input} does not have {parts} equal parts"))),
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
