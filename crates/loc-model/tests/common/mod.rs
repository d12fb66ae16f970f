//! What the golden tests share: the files beside the PyTorch scripts, comparison, one operation both ways.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Result, Tensor, Var};
use loc_model::ops::{self, Backend};
use loc_net::Op;
use loc_net::ops::*;

pub(crate) const FORMS: [Backend; 2] = [Backend::Kernels, Backend::Composed];

/// Reads `tests/golden/NAME.safetensors`.
pub(crate) fn golden(name: &str) -> HashMap<String, Tensor> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.safetensors"));
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

/// The values of a tensor as f64, row-major.
pub(crate) fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// The largest difference between two tensors, over the reference's largest value.
#[track_caller]
pub(crate) fn difference(got: &Tensor, reference: &Tensor) -> f64 {
    assert_eq!(got.dims(), reference.dims(), "shape");
    let (got, reference) = (numbers(got), numbers(reference));
    let scale = reference.iter().fold(1e-30f64, |m, v| m.max(v.abs()));
    // NaN must fail: `max` would drop it.
    let largest = |m: f64, (g, r): (&f64, &f64)| if (g - r).abs() <= m { m } else { (g - r).abs() };
    got.iter().zip(&reference).fold(0.0, largest) / scale
}

#[track_caller]
pub(crate) fn assert_close(what: &str, got: &Tensor, reference: &Tensor, tolerance: f64) {
    let error = difference(got, reference);
    assert!(error <= tolerance, "{what}: {error:e} of the largest value, {tolerance:e} is allowed");
}

/// Applies one operation of the network. `inputs` are x, or x, weight and bias.
pub(crate) fn apply(op: &Op, inputs: &[Tensor], form: Backend) -> Result<Tensor> {
    match (op, inputs) {
        (Op::Conv2d(conv), [x, w, b]) => ops::conv2d(x, w, b, conv, form),
        (Op::Linear(_), [x, w, b]) => ops::linear(x, w, b, form),
        (Op::MaxPool2d(MaxPool2d(pool)), [x]) => ops::maxpool2d(x, *pool, form),
        (Op::AvgPool2d(AvgPool2d(pool)), [x]) => ops::avgpool2d(x, *pool, form),
        (Op::Relu(Relu), [x]) => ops::relu(x, form),
        (Op::Relu6(Relu6), [x]) => ops::relu6(x, form),
        (Op::ChannelAffine(ChannelAffine { limit }), [x, w, b]) => ops::affine(x, w, b, *limit),
        (Op::Upsample(Upsample { size }), [x]) => ops::upsample(x, *size),
        (Op::MeanMaxPool(MeanMaxPool(axis)), [x]) => ops::profile(x, *axis),
        (Op::SoftmaxExpectation(SoftmaxExpectation { bins }), [x]) => ops::expectation(x, *bins),
        (Op::GroupMean(GroupMean { parts }), [x]) => ops::mean(x, *parts),
        (Op::Sigmoid(Sigmoid), [x]) => ops::sigmoid(x),
        (Op::Normalize(Normalize { mean, std }), [x]) => ops::normalize(x, *mean, *std),
        _ => panic!("{op:?} does not take {} inputs", inputs.len()),
    }
}

/// The output, and the gradient of `Σ y · gy` with respect to each input.
pub(crate) fn both_ways(op: &Op, inputs: &[Tensor], gy: &Tensor, form: Backend) -> (Tensor, Vec<Tensor>) {
    both_ways_of(|leaves| apply(op, leaves, form), inputs, gy)
}

/// As [`both_ways`], of any function.
pub(crate) fn both_ways_of(
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
    inputs: &[Tensor],
    gy: &Tensor,
) -> (Tensor, Vec<Tensor>) {
    let vars: Vec<Var> = inputs.iter().map(|t| Var::from_tensor(t).unwrap()).collect();
    let leaves: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let y = f(&leaves).unwrap();
    let grads = (&y * gy).unwrap().sum_all().unwrap().backward().unwrap();
    (y, leaves.iter().map(|v| grads.get(v).unwrap().clone()).collect())
}

/// A 32-bit hash of an index, by stream: `hash32` of the golden scripts.
pub(crate) fn hash32(index: usize, stream: u32) -> u32 {
    let index = u32::try_from(index).unwrap();
    let mut x = index.wrapping_mul(0x9E37_79B1).wrapping_add(stream.wrapping_mul(0x85EB_CA77));
    x ^= x >> 16;
    x = x.wrapping_mul(0x85EB_CA6B);
    x ^= x >> 13;
    x = x.wrapping_mul(0xC2B2_AE35);
    x ^ (x >> 16)
}

/// A tensor of numbers in −1..1, a function of the stream.
pub(crate) fn random(dims: &[usize], stream: u32, dtype: DType) -> Tensor {
    let len = dims.iter().product();
    let values: Vec<f64> = (0..len).map(|i| f64::from(hash32(i, stream)) / 2_147_483_648.0 - 1.0).collect();
    Tensor::from_vec(values, dims, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

/// As [`random`], rounded to `1 / steps`: full of ties and zeros.
pub(crate) fn tied(dims: &[usize], stream: u32, steps: f64, dtype: DType) -> Tensor {
    let rounded = (random(dims, stream, DType::F64) * steps).unwrap().round().unwrap();
    (rounded / steps).unwrap().to_dtype(dtype).unwrap()
}
