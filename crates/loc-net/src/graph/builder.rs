//! Builds a network layer by layer; the shape of each layer is checked when it is added.

use super::network::{Layer, Network, Param, Source};
use super::ops::{Op, ParamSpec};
use super::shape::Shape;
use crate::{ConfigError, NetError};

/// Builds a [`Network`] layer by layer and checks each shape.
#[derive(Debug)]
pub struct NetworkBuilder {
    input: Shape,
    layers: Vec<Layer>,
    shapes: Vec<Shape>,
    params: Vec<Param>,
    backbone: usize,
    presence: Option<Source>,
}

impl NetworkBuilder {
    /// Starts a network whose input is photos of `[3, height, width]`.
    #[must_use]
    pub fn new(height: usize, width: usize) -> Self {
        Self {
            input: Shape(vec![3, height, width]),
            layers: vec![],
            shapes: vec![],
            params: vec![],
            backbone: 0,
            presence: None,
        }
    }

    /// Returns the shape of a source, for one photo.
    #[must_use]
    pub fn shape(&self, source: Source) -> &Shape {
        match source {
            Source::Input => &self.input,
            Source::Layer(index) => &self.shapes[index],
        }
    }

    /// Adds a layer with one input and returns the source of its output.
    ///
    /// # Errors
    ///
    /// Those of [`NetworkBuilder::join`].
    pub fn add(&mut self, name: &str, op: impl Into<Op>, from: Source) -> Result<Source, NetError> {
        self.join(name, op, &[from])
    }

    /// Marks the layers added so far as the backbone.
    pub fn end_backbone(&mut self) {
        self.backbone = self.layers.len();
    }

    /// Applies dropout to a layer's output in training.
    pub fn dropout(&mut self, of: Source) {
        if let Source::Layer(index) = of {
            self.layers[index].dropout = true;
        }
    }

    /// Adds a layer with any number of inputs and returns the source of its output.
    ///
    /// # Errors
    ///
    /// [`NetError::Layer`] if the name is in use, a source does not exist, or the number of sources or a shape does not
    /// fit.
    pub fn join(&mut self, name: &str, op: impl Into<Op>, from: &[Source]) -> Result<Source, NetError> {
        let op = op.into();
        let fail = |reason: String| NetError::Layer { layer: name.to_owned(), reason };
        if self.layers.iter().any(|l| l.name == name) {
            return Err(fail("another layer has this name".into()));
        }
        if from.iter().any(|from| matches!(from, Source::Layer(i) if *i >= self.layers.len())) {
            return Err(fail("reads a layer that does not come before it".into()));
        }
        let operation = op.operation();
        if !operation.accepts(from.len()) {
            return Err(fail(format!("does not accept {} inputs", from.len())));
        }
        let inputs: Vec<&Shape> = from.iter().map(|source| self.shape(*source)).collect();
        let shape = operation.output(&inputs).map_err(fail)?;
        let index = self.layers.len();
        let params = operation.params(&inputs).into_iter().map(|param| {
            let ParamSpec { suffix, shape, kind, fan_in } = param;
            Param { name: format!("{name}.{suffix}"), shape, kind, fan_in, layer: index }
        });
        let params: Vec<Param> = params.collect();
        self.params.extend(params);
        self.layers.push(Layer { name: name.to_owned(), op, inputs: from.to_vec(), dropout: false });
        self.shapes.push(shape);
        Ok(Source::Layer(index))
    }

    /// Returns the first input of a layer; of the photo the photo itself.
    pub(crate) fn input_of(&self, source: Source) -> Source {
        match source {
            Source::Input => Source::Input,
            Source::Layer(layer) => self.layers[layer].inputs[0],
        }
    }

    /// Makes a layer the logit `[1]` that an object is present.
    pub fn presence(&mut self, source: Source) {
        self.presence = Some(source);
    }

    /// Finishes the network: `logits` is the output of the class head, `boxes` the output of the box head.
    ///
    /// # Errors
    ///
    /// [`NetError::Config`] if an output is not a vector of the right length, or is the input itself.
    pub fn finish(self, logits: Source, boxes: Source) -> Result<Network, NetError> {
        let output = |output: &'static str, source: Source, features: Option<usize>| match source {
            Source::Layer(i) if i < self.shapes.len() => match (&self.shapes[i].0[..], features) {
                ([n], None) if *n > 0 => Ok(i),
                ([n], Some(f)) if *n == f => Ok(i),
                _ => {
                    let shape = self.shapes[i].clone();
                    Err(NetError::Config(ConfigError::OutputShape { output, shape: shape.0 }))
                }
            },
            _ => Err(NetError::Config(ConfigError::OutputSource { output })),
        };
        let logits = output("logits", logits, None)?;
        let boxes = output("boxes", boxes, Some(4))?;
        let presence = self.presence.map(|source| output("presence", source, Some(1))).transpose()?;
        Ok(Network {
            input: self.input,
            layers: self.layers,
            shapes: self.shapes,
            params: self.params,
            logits,
            boxes,
            presence,
            backbone: self.backbone,
        })
    }
}
