//! The list of layers as an ONNX graph. A layer becomes one node, or the few it is composed of; the softmax that makes
//! probabilities of the logits is no layer. Which file it lands in is none of its business.

use std::collections::BTreeSet;

use loc_net::ops::{
    Add, AvgPool2d, Axis, ChannelAffine, Concat, Conv2d, Flatten, GroupMean, MaxPool2d, MeanMaxPool,
    Normalize, Pool, Relu, Relu6, Sigmoid, SoftmaxExpectation, Upsample,
};
use loc_net::{Layer, Network, Op, Source, Weight, Weights};

use super::messages::{
    Attribute, Dimension, FLOAT, Graph, INT64, Node, Tensor, TensorShape, TensorType, Type, ValueInfo,
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
        let read = |source: &Source| match source {
            Source::Input => INPUT.to_owned(),
            Source::Layer(i) => self.outputs[*i].clone(),
        };
        let inputs: Vec<String> = layer.inputs.iter().map(read).collect();
        let mut x = inputs[0].clone();
        let name = self.unique(&layer.name);
        let output = if index == self.network.boxes() { BOXES.to_owned() } else { name.clone() };
        let parameters = || vec![format!("{}.weight", layer.name), format!("{}.bias", layer.name)];
        let (op, constants, attribute) = match &layer.op {
            Op::Normalize(Normalize { mean, std }) => {
                let dims = [1, 3, 1, 1];
                let (mean, std) =
                    (self.constant(&name, "mean", &dims, mean)?, self.constant(&name, "std", &dims, std)?);
                x = self.step("Sub", &name, "centered", vec![x, mean], vec![]);
                ("Div", vec![std], vec![])
            }
            Op::Conv2d(conv) => ("Conv", parameters(), convolution(conv)?),
            Op::MaxPool2d(MaxPool2d(pool)) => ("MaxPool", vec![], window(pool)?),
            Op::AvgPool2d(AvgPool2d(pool)) => ("AveragePool", vec![], window(pool)?),
            Op::Relu(Relu) => ("Relu", vec![], vec![]),
            Op::Flatten(Flatten) => ("Flatten", vec![], vec![int("axis", 1)]),
            Op::Linear(_) => ("Gemm", parameters(), vec![int("transB", 1)]),
            Op::Sigmoid(Sigmoid) => ("Sigmoid", vec![], vec![]),
            Op::Relu6(Relu6) => {
                let (low, high) =
                    (self.constant(&name, "low", &[], &[0.0])?, self.constant(&name, "high", &[], &[6.0])?);
                ("Clip", vec![low, high], vec![])
            }
            Op::ChannelAffine(ChannelAffine { limit }) => {
                let mut dims = vec![1; self.network.shape(index).0.len() + 1];
                dims[1] = self.network.shape(index).0[0];
                let dims = dims.into_iter().map(size).collect::<Result<Vec<_>, _>>()?;
                let shape = self.sizes(&name, "shape", &dims);
                let [weight, bias] = ["weight", "bias"].map(|what| {
                    let parameter = format!("{}.{what}", layer.name);
                    self.step("Reshape", &name, what, vec![parameter, shape.clone()], vec![])
                });
                let scaled = self.step("Mul", &name, "scaled", vec![x, weight], vec![]);
                x = self.step("Add", &name, "shifted", vec![scaled, bias], vec![]);
                let (low, high) = (
                    self.constant(&name, "low", &[], &[-limit])?,
                    self.constant(&name, "high", &[], &[*limit])?,
                );
                ("Clip", vec![low, high], vec![])
            }
            Op::Add(Add) => ("Add", vec![inputs[1].clone()], vec![]),
            Op::Concat(Concat) => ("Concat", inputs[1..].to_vec(), vec![int("axis", 1)]),
            Op::Upsample(Upsample { size }) => {
                let (_, h, w) = self.network.source_shape(layer.inputs[0]).chw().unwrap_or_default();
                let columns =
                    self.constant(&name, "columns", &[w, size.1], &interpolation(w, size.1, false))?;
                let rows = self.constant(&name, "rows", &[size.0, h], &interpolation(h, size.0, true))?;
                let wide = self.step("MatMul", &name, "wide", vec![x, columns], vec![]);
                x = rows;
                ("MatMul", vec![wide], vec![])
            }
            Op::MeanMaxPool(MeanMaxPool(axis)) => {
                let along = match axis {
                    Axis::Rows => 3,
                    Axis::Columns => 2,
                };
                let over = || Ok::<_, ModelError>(vec![ints("axes", &[along])?, int("keepdims", 1)]);
                let mean = self.step("ReduceMean", &name, "mean", vec![x.clone()], over()?);
                let largest = self.step("ReduceMax", &name, "largest", vec![x], over()?);
                x = mean;
                ("Concat", vec![largest], vec![int("axis", 1)])
            }
            Op::GroupMean(GroupMean { parts }) => {
                let each = self.network.shape(index).len();
                let apart = self.sizes(&name, "apart", &[-1, size(*parts)?, size(each)?]);
                x = self.step("Reshape", &name, "parts", vec![x, apart], vec![]);
                ("ReduceMean", vec![], vec![ints("axes", &[1])?, int("keepdims", 0)])
            }
            Op::SoftmaxExpectation(SoftmaxExpectation { bins }) => {
                let edges = self.network.shape(index).len();
                let places: Vec<f32> = (0..*bins).map(|bin| bin as f32 / (bins - 1) as f32).collect();
                let places = self.constant(&name, "places", &[*bins, 1], &places)?;
                let (apart, flat) = (
                    self.sizes(&name, "apart", &[-1, size(edges)?, size(*bins)?]),
                    self.sizes(&name, "flat", &[-1, size(edges)?]),
                );
                let logits = self.step("Reshape", &name, "logits", vec![x, apart], vec![]);
                let weights = self.step("Softmax", &name, "weights", vec![logits], vec![int("axis", 2)]);
                x = self.step("MatMul", &name, "means", vec![weights, places], vec![]);
                ("Reshape", vec![flat], vec![])
            }
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

    /// A constant of a layer.
    fn constant(
        &mut self,
        layer: &str,
        what: &str,
        dims: &[usize],
        values: &[f32],
    ) -> Result<String, ModelError> {
        let name = self.unique(&format!("{layer}.{what}"));
        self.initializer.push(Tensor {
            dims: dims.iter().map(|&d| size(d)).collect::<Result<_, _>>()?,
            data_type: Some(FLOAT),
            name: name.clone(),
            raw_data: little_endian(values),
        });
        Ok(name)
    }

    /// A shape that a layer reshapes to.
    fn sizes(&mut self, layer: &str, what: &str, values: &[i64]) -> String {
        let name = self.unique(&format!("{layer}.{what}"));
        self.initializer.push(Tensor {
            dims: vec![values.len() as i64],
            data_type: Some(INT64),
            name: name.clone(),
            raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        });
        name
    }

    /// A node before a layer's last one; its output comes back.
    fn step(
        &mut self,
        op: &str,
        layer: &str,
        what: &str,
        input: Vec<String>,
        attribute: Vec<Attribute>,
    ) -> String {
        let name = self.unique(&format!("{layer}.{what}"));
        self.push(op, &name, input, name.clone(), attribute);
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
    let ((vertical, horizontal), (below, right)) = (conv.padding, conv.extra);
    Ok(vec![
        pair("kernel_shape", conv.kernel)?,
        pair("strides", conv.stride)?,
        // Above, left, below, right.
        ints("pads", &[vertical, horizontal, vertical + below, horizontal + right])?,
        int("group", size(conv.groups)?),
    ])
}

/// The matrix that enlarges an axis: `[from, to]`, or the other way round.
fn interpolation(from: usize, to: usize, turned: bool) -> Vec<f32> {
    let mut values = vec![0.0; from * to];
    for (i, at) in loc_net::kernels::upsample::between(from, to).into_iter().enumerate() {
        for (cell, weight) in [(at.first, 1.0 - at.weight), (at.second, at.weight)] {
            values[if turned { i * from + cell } else { cell * to + i }] += weight as f32;
        }
    }
    values
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
