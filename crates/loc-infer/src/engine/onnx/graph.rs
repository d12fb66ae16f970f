//! Checks that a graph can be run: it has only operators that loc exports, each with its inputs and attributes, and its
//! values are not larger than those of a network. candle-onnx indexes inputs and allocates outputs without checks, so
//! the shapes of an untrusted file are computed here first.

use std::collections::HashMap;

use candle_onnx::onnx::attribute_proto::AttributeType;
use candle_onnx::onnx::tensor_proto::DataType;
use candle_onnx::onnx::{GraphProto, NodeProto, TensorProto};

/// Maximum number of values of all nodes together for one photo: 1 GiB as f32.
const MAX_VALUES: usize = 1 << 28;
/// Largest kernel, stride and padding.
const MAX_WINDOW: usize = 256;

type Shape = Vec<usize>;

/// An input of a node: its shape, and its values if it is a constant of integers, which is a shape.
#[derive(Clone)]
struct Input {
    shape: Shape,
    sizes: Option<Vec<i64>>,
}

/// Checks a graph whose input of one photo is `(name, shape)`.
///
/// # Errors
///
/// The first node that is wrong, with its operator, and the reason.
pub(super) fn check(graph: &GraphProto, input: (&str, &[usize])) -> Result<(), String> {
    let mut known: HashMap<&str, Input> = HashMap::new();
    known.insert(input.0, Input { shape: input.1.to_vec(), sizes: None });
    for tensor in &graph.initializer {
        known.insert(&tensor.name, of_tensor(tensor)?);
    }
    let mut remaining = MAX_VALUES;
    for node in &graph.node {
        let fail = |reason: String| {
            format!(
                "node `{}` (operator `{}`): {reason}",
                node.name.escape_debug(),
                node.op_type.escape_debug()
            )
        };
        let [output] = &node.output[..] else {
            return Err(fail(format!("{} outputs, but one is needed", node.output.len())));
        };
        let find = |name: &String| {
            known.get(name.as_str()).cloned().ok_or_else(|| {
                fail(format!("reads `{}`, which no earlier node produces", name.escape_debug()))
            })
        };
        let inputs: Vec<Input> = node.input.iter().map(find).collect::<Result<_, _>>()?;
        let shape = output_shape(node, &inputs).map_err(fail)?;
        let values = shape.iter().try_fold(1_usize, |n, d| n.checked_mul(*d));
        remaining = values.and_then(|n| remaining.checked_sub(n)).ok_or_else(|| {
            fail(format!("the shape {shape:?} and the earlier ones have more than {MAX_VALUES} values"))
        })?;
        known.insert(output, Input { shape, sizes: None });
    }
    Ok(())
}

fn of_tensor(tensor: &TensorProto) -> Result<Input, String> {
    let dims = tensor.dims.iter().map(|d| usize::try_from(*d));
    let shape = dims
        .collect::<Result<Shape, _>>()
        .map_err(|_| format!("tensor `{}` has the shape {:?}", tensor.name.escape_debug(), tensor.dims))?;
    let sizes = (tensor.data_type == DataType::Int64 as i32).then(|| {
        if tensor.int64_data.is_empty() {
            tensor
                .raw_data
                .chunks_exact(8)
                .map(|b| b.iter().rev().fold(0, |n, b| n << 8 | i64::from(*b)))
                .collect()
        } else {
            tensor.int64_data.clone()
        }
    });
    Ok(Input { shape, sizes })
}

fn output_shape(node: &NodeProto, inputs: &[Input]) -> Result<Shape, String> {
    let allowed: (std::ops::RangeInclusive<usize>, &[&str]) = match node.op_type.as_str() {
        "Conv" => (2..=3, &["kernel_shape", "strides", "pads", "group"]),
        "MaxPool" | "AveragePool" => (1..=1, &["kernel_shape", "strides"]),
        "Relu" | "Sigmoid" | "Identity" | "Neg" => (1..=1, &[]),
        "Clip" => (3..=3, &[]),
        "Softmax" | "Flatten" => (1..=1, &["axis"]),
        "Gemm" => (3..=3, &["transB"]),
        "Add" | "Sub" | "Mul" | "Div" | "Min" | "MatMul" | "Reshape" => (2..=2, &[]),
        "Concat" => (1..=64, &["axis"]),
        "ReduceMean" | "ReduceMax" => (1..=1, &["axes", "keepdims"]),
        _ => return Err("the operator is not supported: only graphs that loc exported can be run".into()),
    };
    if !node.domain.is_empty() {
        return Err(format!("the domain `{}` is not supported", node.domain.escape_debug()));
    }
    if !allowed.0.contains(&inputs.len()) {
        return Err(format!("{} inputs", inputs.len()));
    }
    if let Some(other) = node.attribute.iter().find(|a| !allowed.1.contains(&a.name.as_str())) {
        return Err(format!("the attribute `{}` is not supported", other.name.escape_debug()));
    }
    let x = &inputs[0].shape;
    match node.op_type.as_str() {
        "Conv" => convolution(node, inputs),
        "MaxPool" | "AveragePool" => {
            let [n, c, h, w] = four_dims(x)?;
            let (kernel, stride) = (pair(node, "kernel_shape")?, pair(node, "strides")?);
            Ok(vec![n, c, output_size(h, kernel[0], stride[0])?, output_size(w, kernel[1], stride[1])?])
        }
        "Clip" if inputs[1..].iter().any(|limit| limit.shape.iter().product::<usize>() != 1) => {
            Err("its limits are not scalars".into())
        }
        "Softmax" => axis(node, x).map(|_| x.clone()),
        "Flatten" if int(node, "axis")? != 1 || x.is_empty() || x[0] == 0 => {
            Err(format!("needs the axis 1 of a batch, got {x:?}"))
        }
        "Flatten" => Ok(vec![x[0], x[1..].iter().product()]),
        "Gemm" => {
            let ([rows, k], [columns, other]) = (two_dims(x)?, two_dims(&inputs[1].shape)?);
            if k != other || int(node, "transB")? != 1 {
                return Err(format!("cannot multiply {x:?} by {:?}", inputs[1].shape));
            }
            let product = vec![rows, columns];
            let sum = broadcast(&product, &inputs[2].shape)?;
            if sum == product { Ok(sum) } else { Err(format!("cannot add {:?}", inputs[2].shape)) }
        }
        "Add" | "Sub" | "Mul" | "Div" | "Min" => broadcast(x, &inputs[1].shape),
        "MatMul" => product(x, &inputs[1].shape),
        "Reshape" => reshape(x, inputs[1].sizes.as_deref().ok_or("its shape is not a constant")?),
        "Concat" => {
            let along = axis(node, x)?;
            let mut concatenated = x.clone();
            for other in &inputs[1..] {
                let compatible = other.shape.len() == x.len()
                    && (0..x.len()).all(|d| d == along || other.shape[d] == x[d]);
                if !compatible {
                    return Err(format!("cannot concatenate {x:?} and {:?}", other.shape));
                }
                concatenated[along] = concatenated[along].saturating_add(other.shape[along]);
            }
            Ok(concatenated)
        }
        "ReduceMean" | "ReduceMax" => {
            let [along] = ints(node, "axes")?[..] else { return Err("one axis is needed".into()) };
            let along = usize::try_from(along).ok().filter(|d| *d < x.len()).ok_or("no such axis")?;
            if x.contains(&0) {
                return Err(format!("cannot reduce {x:?}"));
            }
            let mut reduced = x.clone();
            match int(node, "keepdims")? {
                0 => _ = reduced.remove(along),
                1 => reduced[along] = 1,
                other => return Err(format!("keepdims is {other}")),
            }
            Ok(reduced)
        }
        _ => Ok(x.clone()),
    }
}

fn convolution(node: &NodeProto, inputs: &[Input]) -> Result<Shape, String> {
    let ([n, c, h, w], [out, group_channels, kh, kw]) =
        (four_dims(&inputs[0].shape)?, four_dims(&inputs[1].shape)?);
    let groups = usize::try_from(int(node, "group")?)
        .ok()
        .filter(|g| *g > 0)
        .ok_or("the number of groups is invalid")?;
    let stride = pair(node, "strides")?;
    if pair(node, "kernel_shape")? != [kh, kw] {
        return Err(format!("the weight's shape is {:?}", inputs[1].shape));
    }
    if group_channels.checked_mul(groups) != Some(c) || out == 0 || !out.is_multiple_of(groups) {
        return Err(format!("{c} channels in and {out} out do not divide into {groups} groups"));
    }
    if inputs.get(2).is_some_and(|bias| bias.shape != [out]) {
        return Err(format!("the bias has the shape {:?} for {out} channels", inputs[2].shape));
    }
    let pads = ints(node, "pads")?;
    let [top, left, bottom, right] = pads[..] else { return Err(format!("the padding is {pads:?}")) };
    let all = |a: i64, b: i64| match (usize::try_from(a), usize::try_from(b)) {
        (Ok(a), Ok(b)) if a <= MAX_WINDOW && b <= MAX_WINDOW => Ok(a + b),
        _ => Err(format!("the padding is {pads:?}")),
    };
    let (h, w) = (h.saturating_add(all(top, bottom)?), w.saturating_add(all(left, right)?));
    Ok(vec![n, out, output_size(h, kh, stride[0])?, output_size(w, kw, stride[1])?])
}

fn output_size(size: usize, kernel: usize, stride: usize) -> Result<usize, String> {
    if size < kernel {
        return Err(format!("a window of {kernel} does not fit into {size}"));
    }
    Ok((size - kernel) / stride + 1)
}

fn product(a: &[usize], b: &[usize]) -> Result<Shape, String> {
    let fail = || format!("cannot multiply {a:?} by {b:?}");
    let ([outer_a @ .., rows, k], [outer_b @ .., other, columns]) = (a, b) else { return Err(fail()) };
    if k != other {
        return Err(fail());
    }
    let mut shape = broadcast(outer_a, outer_b)?;
    shape.extend([rows, columns]);
    Ok(shape)
}

fn broadcast(a: &[usize], b: &[usize]) -> Result<Shape, String> {
    let rank = a.len().max(b.len());
    let at = |shape: &[usize], d: usize| (d + shape.len()).checked_sub(rank).map_or(1, |d| shape[d]);
    let dims = (0..rank).map(|d| match (at(a, d), at(b, d)) {
        (x, y) if x == y || y == 1 => Ok(x),
        (1, y) => Ok(y),
        _ => Err(format!("{a:?} and {b:?} cannot be broadcast")),
    });
    dims.collect()
}

fn reshape(x: &[usize], sizes: &[i64]) -> Result<Shape, String> {
    let fail = || format!("cannot reshape {x:?} to {sizes:?}");
    let all: usize = x.iter().product();
    let mut shape = Shape::new();
    for (d, size) in sizes.iter().enumerate() {
        shape.push(match size {
            0 => *x.get(d).ok_or_else(fail)?,
            -1 => 1,
            size => usize::try_from(*size).map_err(|_| fail())?,
        });
    }
    let rest =
        shape.iter().try_fold(1_usize, |n, d| n.checked_mul(*d)).filter(|n| *n > 0).ok_or_else(fail)?;
    match sizes.iter().filter(|size| **size == -1).count() {
        0 if rest == all => {}
        1 if all.is_multiple_of(rest) => {
            let inferred = sizes.iter().position(|size| *size == -1).ok_or_else(fail)?;
            shape[inferred] = all / rest;
        }
        _ => return Err(fail()),
    }
    Ok(shape)
}

fn four_dims(shape: &[usize]) -> Result<[usize; 4], String> {
    shape.try_into().map_err(|_| format!("needs four dimensions, got {shape:?}"))
}

fn two_dims(shape: &[usize]) -> Result<[usize; 2], String> {
    shape.try_into().map_err(|_| format!("needs two dimensions, got {shape:?}"))
}

fn axis(node: &NodeProto, shape: &[usize]) -> Result<usize, String> {
    let axis = int(node, "axis")?;
    usize::try_from(axis)
        .ok()
        .filter(|d| *d < shape.len())
        .ok_or_else(|| format!("{shape:?} has no axis {axis}"))
}

/// Two sizes of a window, each at least 1.
fn pair(node: &NodeProto, name: &str) -> Result<[usize; 2], String> {
    let found = ints(node, name)?;
    let sizes: Vec<usize> = found.iter().filter_map(|v| usize::try_from(*v).ok()).collect();
    match sizes[..] {
        [a @ 1..=MAX_WINDOW, b @ 1..=MAX_WINDOW] if found.len() == 2 => Ok([a, b]),
        _ => Err(format!("`{name}` is {found:?}, two numbers of 1 to {MAX_WINDOW} are needed")),
    }
}

fn int(node: &NodeProto, name: &str) -> Result<i64, String> {
    let found = node.attribute.iter().find(|a| a.name == name);
    let found = found.filter(|a| a.r#type == AttributeType::Int as i32);
    found.map(|a| a.i).ok_or_else(|| format!("has no integer attribute `{name}`"))
}

fn ints<'a>(node: &'a NodeProto, name: &str) -> Result<&'a [i64], String> {
    let found = node.attribute.iter().find(|a| a.name == name);
    let found = found.filter(|a| a.r#type == AttributeType::Ints as i32);
    found.map(|a| &a.ints[..]).ok_or_else(|| format!("has no attribute `{name}` with integers"))
}
