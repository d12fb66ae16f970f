//! A network: a list of layers with their shapes and parameters.

use super::ops::{Op, SoftmaxExpectation};
use super::shape::{ParamKind, Shape};

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

    /// Number of trainable values.
    #[must_use]
    pub fn parameter_count(&self) -> usize {
        self.params.iter().map(|p| p.shape.iter().product::<usize>()).sum()
    }

    /// Multiply-adds of layer `index` for one photo.
    #[must_use]
    pub fn multiply_adds(&self, index: usize) -> usize {
        let layer = &self.layers[index];
        let inputs: Vec<&Shape> = layer.inputs.iter().map(|source| self.source_shape(*source)).collect();
        layer.op.operation().multiply_adds(&inputs, &self.shapes[index])
    }
}
