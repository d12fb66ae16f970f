//! The list of layers as an ONNX graph. One layer becomes one node, but for the normalisation (two) and the softmax
//! that makes probabilities of the logits (no layer). Which file it lands in is none of its business.

use std::collections::BTreeSet;

use loc_net::{Conv2d, Layer, Network, Op, Pool, Source, Weight, Weights};

use super::messages::{
    Attribute, Dimension, FLOAT, Graph, Node, Tensor, TensorShape, TensorType, Type, ValueInfo,
};
use super::{BOXES, INPUT, PROBABILITIES};
use crate::ModelError;
use crate::weights::little_endian;

/// The graph of a network whose weights have been checked.
///
/// Only operators that ONNX Runtime, tract, rten and candle-onnx know, in the form that operator sets 11 and 13
/// share.
pub(super) fn graph(network: &Network, weights: &Weights) -> Result<Graph, ModelError> {
    let mut builder = Builder::new(network);
    for param in network.params() {
        if let Some(weight) = weights.0.get(&param.name) {
            builder.initializer.push(tensor(&param.name, weight)?);
        }
    }
    for (index, layer) in network.layers().iter().enumerate() {
        builder.layer(index, layer)?;
    }
    builder.softmax();

    let mut input = vec![batch()];
    for &size in &network.input().0 {
        input.push(fixed(size)?);
    }
    Ok(Graph {
        node: builder.node,
        name: "loc".into(),
        initializer: builder.initializer,
        input: vec![value(INPUT, input)],
        output: vec![
            value(PROBABILITIES, vec![batch(), fixed(network.classes())?]),
            value(BOXES, vec![batch(), fixed(4)?]),
        ],
    })
}

struct Builder<'a> {
    network: &'a Network,
    node: Vec<Node>,
    initializer: Vec<Tensor>,
    /// Names in use, of values and of nodes.
    taken: BTreeSet<String>,
    /// Name of each layer's output so far.
    outputs: Vec<String>,
}

impl<'a> Builder<'a> {
    fn new(network: &'a Network) -> Self {
        let params = network.params().iter().map(|p| p.name.clone());
        let taken = params.chain([INPUT, PROBABILITIES, BOXES].map(str::to_owned)).collect();
        Self { network, node: vec![], initializer: vec![], taken, outputs: vec![] }
    }

    /// A name like `wanted` that nothing else has.
    fn unique(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        while !self.taken.insert(name.clone()) {
            name.push('_');
        }
        name
    }

    fn layer(&mut self, index: usize, layer: &Layer) -> Result<(), ModelError> {
        let [source] = layer.inputs[..] else {
            let reason = format!("layer `{}` reads {} layers", layer.name, layer.inputs.len());
            return Err(ModelError::Export(reason));
        };
        let mut x = match source {
            Source::Input => INPUT.to_owned(),
            Source::Layer(i) => self.outputs[i].clone(),
        };
        let name = self.unique(&layer.name);
        let output = if index == self.network.boxes() { BOXES.to_owned() } else { name.clone() };
        let parameters = || vec![format!("{}.weight", layer.name), format!("{}.bias", layer.name)];
        let (op, constants, attribute) = match &layer.op {
            Op::Normalize { mean, std } => {
                let (mean, std) = (self.channels(&name, "mean", mean), self.channels(&name, "std", std));
                let centered = self.unique(&format!("{name}.centered"));
                self.push("Sub", &centered.clone(), vec![x, mean], centered.clone(), vec![]);
                x = centered;
                ("Div", vec![std], vec![])
            }
            Op::Conv2d(conv) => ("Conv", parameters(), convolution(conv)?),
            Op::MaxPool2d(pool) => ("MaxPool", vec![], window(pool)?),
            Op::AvgPool2d(pool) => ("AveragePool", vec![], window(pool)?),
            Op::Relu => ("Relu", vec![], vec![]),
            Op::Flatten => ("Flatten", vec![], vec![int("axis", 1)]),
            Op::Linear { .. } => ("Gemm", parameters(), vec![int("transB", 1)]),
            Op::Sigmoid => ("Sigmoid", vec![], vec![]),
        };
        let mut input = vec![x];
        input.extend(constants);
        self.push(op, &name, input, output.clone(), attribute);
        self.outputs.push(output);
        Ok(())
    }

    /// The probabilities: softmax over the logits.
    fn softmax(&mut self) {
        let logits = self.outputs[self.network.logits()].clone();
        let name = self.unique("softmax");
        self.push("Softmax", &name, vec![logits], PROBABILITIES.into(), vec![int("axis", 1)]);
    }

    /// A constant for each channel, `[1, 3, 1, 1]`.
    fn channels(&mut self, layer: &str, what: &str, values: &[f32; 3]) -> String {
        let name = self.unique(&format!("{layer}.{what}"));
        self.initializer.push(Tensor {
            dims: vec![1, 3, 1, 1],
            data_type: Some(FLOAT),
            name: name.clone(),
            raw_data: little_endian(values),
        });
        name
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

fn convolution(conv: &Conv2d) -> Result<Vec<Attribute>, ModelError> {
    let (vertical, horizontal) = conv.padding;
    Ok(vec![
        pair("kernel_shape", conv.kernel)?,
        pair("strides", conv.stride)?,
        // Above, left, below, right.
        ints("pads", &[vertical, horizontal, vertical, horizontal])?,
        int("group", size(conv.groups)?),
    ])
}

fn window(pool: &Pool) -> Result<Vec<Attribute>, ModelError> {
    Ok(vec![pair("kernel_shape", pool.kernel)?, pair("strides", pool.stride)?])
}

fn tensor(name: &str, weight: &Weight) -> Result<Tensor, ModelError> {
    Ok(Tensor {
        dims: weight.shape.iter().map(|&d| size(d)).collect::<Result<_, _>>()?,
        data_type: Some(FLOAT),
        name: name.to_owned(),
        raw_data: little_endian(&weight.data),
    })
}

fn int(name: &str, value: i64) -> Attribute {
    Attribute { name: name.into(), i: Some(value), ints: vec![], kind: Some(Attribute::INT) }
}

fn ints(name: &str, values: &[usize]) -> Result<Attribute, ModelError> {
    let ints = values.iter().map(|&v| size(v)).collect::<Result<_, _>>()?;
    Ok(Attribute { name: name.into(), i: None, ints, kind: Some(Attribute::INTS) })
}

fn pair(name: &str, (vertical, horizontal): (usize, usize)) -> Result<Attribute, ModelError> {
    ints(name, &[vertical, horizontal])
}

fn size(n: usize) -> Result<i64, ModelError> {
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
