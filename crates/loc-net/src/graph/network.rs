//! A network: a list of layers with their shapes and parameters.

use super::ops::{Op, SoftmaxExpectation};
use super::shape::{ParamKind, Shape};

/// The source of a layer's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The photo: RGB in 0..1, planar.
    Input,
    /// The output of the layer with this index.
    Layer(usize),
}

/// A layer of the network.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Unique name; for a layer with parameters, PyTorch's module name.
    pub name: String,
    /// The operation.
    pub op: Op,
    /// The sources it reads; each comes earlier in the list.
    pub inputs: Vec<Source>,
    /// Whether training applies dropout to its output.
    pub dropout: bool,
}

/// A parameter tensor of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// PyTorch's name, such as `conv1.weight`.
    pub name: String,
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Weight, scale or bias.
    pub kind: ParamKind,
    /// Number of inputs that contribute to one output value (for a bias: that of the layer's weight).
    pub fan_in: usize,
    /// Index of the layer that has the parameter.
    pub layer: usize,
}

/// A list of layers in topological order, with checked shapes and two outputs or three.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    pub(crate) input: Shape,
    pub(crate) layers: Vec<Layer>,
    pub(crate) shapes: Vec<Shape>,
    pub(crate) params: Vec<Param>,
    pub(crate) logits: usize,
    pub(crate) boxes: usize,
    pub(crate) presence: Option<usize>,
    pub(crate) backbone: usize,
}

impl Network {
    /// Returns the shape of one input photo: `[3, height, width]`.
    #[must_use]
    pub fn input(&self) -> &Shape {
        &self.input
    }

    /// Returns the layers; each reads only the input and earlier layers.
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Returns the output shape of layer `index`, for one photo.
    #[must_use]
    pub fn shape(&self, index: usize) -> &Shape {
        &self.shapes[index]
    }

    /// Returns the shape of a source, for one photo.
    #[must_use]
    pub fn source_shape(&self, source: Source) -> &Shape {
        match source {
            Source::Input => &self.input,
            Source::Layer(index) => &self.shapes[index],
        }
    }

    /// Returns all parameters in the order of the layers, each weight before its bias (the order of a `state_dict`).
    #[must_use]
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// Returns the number of backbone layers: these come first, the layers of the heads follow.
    #[must_use]
    pub fn backbone_layers(&self) -> usize {
        self.backbone
    }

    /// Returns the taps: the backbone layers that the heads read, in their order.
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

    /// Returns the index of the layer whose output is the class logits `[classes]`.
    #[must_use]
    pub fn logits(&self) -> usize {
        self.logits
    }

    /// Returns the index of the layer whose output is the box `[4]`: x1, y1, x2, y2 in 0..1.
    #[must_use]
    pub fn boxes(&self) -> usize {
        self.boxes
    }

    /// Returns the number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.shapes[self.logits].len()
    }

    /// Returns the index of the layer whose output is the logits of the box's edges, and the number of bins. The output has
    /// shape `[4·bins]`, or `[boxes·4·bins]` if the box is the mean of several boxes. `None` if the head does not use
    /// distributions of edges.
    #[must_use]
    pub fn edges(&self) -> Option<(usize, usize)> {
        let end = &self.layers[self.boxes];
        let each = match (&end.op, end.inputs[0]) {
            (Op::GroupMean(_), Source::Layer(each)) => &self.layers[each],
            _ => end,
        };
        match (&each.op, each.inputs[0]) {
            (Op::SoftmaxExpectation(SoftmaxExpectation { bins }), Source::Layer(edges)) => {
                Some((edges, *bins))
            }
            _ => None,
        }
    }

    /// Returns the index of the layer whose output is the logit `[1]` that an object is present. `None` if the network always
    /// answers.
    #[must_use]
    pub fn presence(&self) -> Option<usize> {
        self.presence
    }

    /// Returns the index of the layer whose output is the box that the class is read in, `[4]`; `None` if the class is
    /// read from the whole photo. Training puts true boxes in its place.
    #[must_use]
    pub fn region_box(&self) -> Option<usize> {
        self.layers.iter().position(|layer| matches!(layer.op, Op::Detach(_)))
    }

    /// Returns the layers that make up a prediction: logits, box, and where there are any the logits of the edges and that
    /// of presence.
    #[must_use]
    pub fn outputs(&self) -> Vec<usize> {
        let edges = self.edges().map(|(layer, _)| layer);
        [self.logits, self.boxes].into_iter().chain(edges).chain(self.presence).collect()
    }

    /// Returns the index of the layer with the features of the whole photo that the class is read from: a vector, or a map of
    /// which the class reads a part.
    #[must_use]
    pub fn class_features(&self) -> usize {
        let mut at = self.logits;
        loop {
            let layer = &self.layers[at];
            let Some(Source::Layer(before)) = layer.inputs.first() else { return at };
            let pools = |at: usize| matches!(self.layers[at].op, Op::RegionPool(_));
            match layer.op {
                Op::Linear(_) | Op::Relu(_) | Op::RegionPool(_) => at = *before,
                // The features of several maps: those of the first, which are the most.
                Op::Concat(_) if pools(*before) => at = *before,
                _ => return at,
            }
        }
    }

    /// Returns the number of these features: the length of the vector, or the channels of the map.
    #[must_use]
    pub fn class_feature_count(&self) -> usize {
        let shape = &self.shapes[self.class_features()];
        shape.chw().map_or(shape.len(), |(channels, ..)| channels)
    }

    /// Returns the number of trainable values.
    #[must_use]
    pub fn parameter_count(&self) -> usize {
        self.params.iter().map(|p| p.shape.iter().product::<usize>()).sum()
    }

    /// Returns the number of multiply-adds of layer `index`, for one photo.
    #[must_use]
    pub fn multiply_adds(&self, index: usize) -> usize {
        let layer = &self.layers[index];
        let inputs: Vec<&Shape> = layer.inputs.iter().map(|source| self.source_shape(*source)).collect();
        layer.op.operation().multiply_adds(&inputs, &self.shapes[index])
    }
}
