//! Converts the list of layers to an ONNX graph. Each layer becomes one or several nodes, as defined in its file in
//! `layers`; the final softmax, which computes the probabilities, is not a layer.

use std::collections::BTreeSet;

use loc_net::{Layer, Network, Shape, Source, Weight, Weights};

use super::messages::{
    Attribute, Dimension, FLOAT, Graph, INT64, Node, Tensor, TensorShape, TensorType, Type, ValueInfo,
};
use super::{BOXES, INPUT, PRESENCE, PROBABILITIES};
use crate::ModelError;
use crate::layers::layer_impl;
use crate::weights::little_endian;

/// Returns the graph of a network whose weights have been checked.
///
/// Uses only operators that ONNX Runtime, tract, rten and candle-onnx support, and that are the same in the operator
/// sets 11 and 13.
pub(super) fn graph(network: &Network, weights: &Weights, temperature: f32) -> Result<Graph, ModelError> {
    let mut builder = Builder::new(network);
    for param in network.params() {
        if let Some(weight) = weights.0.get(&param.name) {
            builder.initializer.push(tensor(&param.name, weight)?);
        }
    }
    for (index, layer) in network.layers().iter().enumerate() {
        builder.layer(index, layer)?;
    }
    builder.softmax(temperature);
    let mut output = vec![
        value(PROBABILITIES, vec![batch(), fixed(network.classes())?]),
        value(BOXES, vec![batch(), fixed(4)?]),
    ];
    if let Some(layer) = network.presence() {
        let (name, logit) = (builder.unique("presence_sigmoid"), builder.outputs[layer].clone());
        builder.push("Sigmoid", &name, vec![logit], PRESENCE.into(), vec![]);
        output.push(value(PRESENCE, vec![batch(), fixed(1)?]));
    }

    let mut input = vec![batch()];
    for &size in &network.input().0 {
        input.push(fixed(size)?);
    }
    Ok(Graph {
        node: builder.node,
        name: "loc".into(),
        initializer: builder.initializer,
        input: vec![value(INPUT, input)],
        output,
    })
}

pub(crate) struct Builder<'a> {
    network: &'a Network,
    node: Vec<Node>,
    initializer: Vec<Tensor>,
    /// The names in use, of values and of nodes.
    used_names: BTreeSet<String>,
    /// The name of the output of each layer added so far.
    outputs: Vec<String>,
}

impl<'a> Builder<'a> {
    fn new(network: &'a Network) -> Self {
        let params = network.params().iter().map(|p| p.name.clone());
        let presence = network.presence().map(|_| PRESENCE.to_owned());
        let used_names = params.chain([INPUT, PROBABILITIES, BOXES].map(str::to_owned)).chain(presence);
        let used_names = used_names.collect();
        Self { network, node: vec![], initializer: vec![], used_names, outputs: vec![] }
    }

    /// Returns an unused name that starts with `prefix`.
    fn unique(&mut self, prefix: &str) -> String {
        let mut name = prefix.to_owned();
        while !self.used_names.insert(name.clone()) {
            name.push('_');
        }
        name
    }

    fn layer(&mut self, index: usize, layer: &'a Layer) -> Result<(), ModelError> {
        let read = |source: &Source| match source {
            Source::Input => INPUT.to_owned(),
            Source::Layer(i) => self.outputs[*i].clone(),
        };
        let inputs: Vec<String> = layer.inputs.iter().map(read).collect();
        let name = self.unique(&layer.name);
        let output = if index == self.network.boxes() { BOXES.to_owned() } else { name.clone() };
        let network = self.network;
        let mut nodes = LayerNodes {
            inputs,
            input_shape: network.source_shape(layer.inputs[0]),
            output_shape: network.shape(index),
            layer: &layer.name,
            name: name.clone(),
            builder: self,
        };
        let LastNode { op, inputs, attributes } = layer_impl(&layer.op).onnx(&mut nodes)?;
        self.push(op, &name, inputs, output.clone(), attributes);
        self.outputs.push(output);
        Ok(())
    }

    /// Adds the probabilities: softmax over the logits, divided by a temperature other than 1.
    fn softmax(&mut self, temperature: f32) {
        let mut logits = self.outputs[self.network.logits()].clone();
        let name = self.unique("softmax");
        if temperature != 1.0 {
            let divisor = self.unique("softmax.temperature");
            self.initializer.push(Tensor {
                dims: vec![1],
                data_type: Some(FLOAT),
                name: divisor.clone(),
                raw_data: little_endian(&[temperature]),
            });
            let scaled = self.unique("softmax.scaled");
            self.push("Div", &scaled, vec![logits, divisor], scaled.clone(), vec![]);
            logits = scaled;
        }
        self.push("Softmax", &name, vec![logits], PROBABILITIES.into(), vec![int("axis", 1)]);
    }

    fn push(&mut self, op: &str, name: &str, input: Vec<String>, output: String, attribute: Vec<Attribute>) {
        self.node.push(Node {
            input,
            output: vec![output],
            name: name.into(),
            op_type: op.into(),
            attribute,
        });
    }
}

/// The nodes of a layer, while its implementation adds them.
pub(crate) struct LayerNodes<'a, 'b> {
    /// The names of the layer's inputs.
    pub(crate) inputs: Vec<String>,
    /// The shape of the first input, for one photo.
    pub(crate) input_shape: &'a Shape,
    /// The shape of the output, for one photo.
    pub(crate) output_shape: &'a Shape,
    /// The layer's name in the network.
    layer: &'a str,
    /// The name of its last node.
    name: String,
    builder: &'b mut Builder<'a>,
}

/// A layer's last node; its output is the layer's output.
pub(crate) struct LastNode {
    op: &'static str,
    inputs: Vec<String>,
    attributes: Vec<Attribute>,
}

impl LastNode {
    pub(crate) fn new(op: &'static str, inputs: Vec<String>, attributes: Vec<Attribute>) -> Self {
        Self { op, inputs, attributes }
    }
}

impl LayerNodes<'_, '_> {
    /// Returns the first input.
    pub(crate) fn input(&self) -> String {
        self.inputs[0].clone()
    }

    /// Returns the name of a parameter.
    pub(crate) fn param(&self, name: &str) -> String {
        format!("{}.{name}", self.layer)
    }

    /// Returns the first input, the weight and the bias.
    pub(crate) fn with_params(&self) -> Vec<String> {
        vec![self.input(), self.param("weight"), self.param("bias")]
    }

    /// Adds a constant and returns its name.
    pub(crate) fn constant(
        &mut self,
        suffix: &str,
        dims: &[usize],
        values: &[f32],
    ) -> Result<String, ModelError> {
        let name = self.builder.unique(&format!("{}.{suffix}", self.name));
        self.builder.initializer.push(Tensor {
            dims: dims.iter().map(|&d| size(d)).collect::<Result<_, _>>()?,
            data_type: Some(FLOAT),
            name: name.clone(),
            raw_data: little_endian(values),
        });
        Ok(name)
    }

    /// Adds the target shape of a reshape and returns its name.
    pub(crate) fn sizes(&mut self, suffix: &str, values: &[i64]) -> String {
        let name = self.builder.unique(&format!("{}.{suffix}", self.name));
        self.builder.initializer.push(Tensor {
            dims: vec![values.len() as i64],
            data_type: Some(INT64),
            name: name.clone(),
            raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        });
        name
    }

    /// Adds a node before the last one and returns the name of its output.
    pub(crate) fn step(
        &mut self,
        op: &str,
        suffix: &str,
        inputs: Vec<String>,
        attributes: Vec<Attribute>,
    ) -> String {
        let name = self.builder.unique(&format!("{}.{suffix}", self.name));
        self.builder.push(op, &name, inputs, name.clone(), attributes);
        name
    }
}

fn tensor(name: &str, weight: &Weight) -> Result<Tensor, ModelError> {
    Ok(Tensor {
        dims: weight.shape.iter().map(|&d| size(d)).collect::<Result<_, _>>()?,
        data_type: Some(FLOAT),
        name: name.to_owned(),
        raw_data: little_endian(&weight.data),
    })
}

pub(crate) fn int(name: &str, value: i64) -> Attribute {
    Attribute { name: name.into(), i: Some(value), ints: vec![], kind: Some(Attribute::INT) }
}

pub(crate) fn ints(name: &str, values: &[usize]) -> Result<Attribute, ModelError> {
    let ints = values.iter().map(|&v| size(v)).collect::<Result<_, _>>()?;
    Ok(Attribute { name: name.into(), i: None, ints, kind: Some(Attribute::INTS) })
}

pub(crate) fn pair(name: &str, (vertical, horizontal): (usize, usize)) -> Result<Attribute, ModelError> {
    ints(name, &[vertical, horizontal])
}

pub(crate) fn size(n: usize) -> Result<i64, ModelError> {
    i64::try_from(n).map_err(|_| ModelError::Export(format!("a size of {n} does not fit the format")))
}

fn value(name: &str, dim: Vec<Dimension>) -> ValueInfo {
    let tensor_type = TensorType { elem_type: Some(FLOAT), shape: Some(TensorShape { dim }) };
    ValueInfo { name: name.into(), value_type: Some(Type { tensor_type: Some(tensor_type) }) }
}

fn batch() -> Dimension {
    Dimension { dim_value: None, dim_param: Some("batch".into()) }
}

fn fixed(n: usize) -> Result<Dimension, ModelError> {
    Ok(Dimension { dim_value: Some(size(n)?), dim_param: None })
}
