//! Helpers of the golden tests: files written by the PyTorch scripts, comparison, one operation forward and backward.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![allow(dead_code, reason = "each test binary uses only some of it")]

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Result, Tensor, Var};
use loc_model::Backend;
use loc_model::layers::compose;
use loc_net::exec::table::kernel_of;
use loc_net::kernels::Activation;
use loc_net::kernels::layer::{ForwardPass, Gradients, SavedPass};
use loc_net::kernels::parts::Parts;
use loc_net::{Op, Shape};

pub(crate) const BACKENDS: [Backend; 2] = [Backend::Kernels, Backend::Composed];

/// Reads `tests/golden/NAME.safetensors`.
pub(crate) fn golden(name: &str) -> HashMap<String, Tensor> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.safetensors"));
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

/// Returns the values of a tensor as f64, row-major.
pub(crate) fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Returns the largest difference between two tensors, relative to the reference's largest value.
#[track_caller]
pub(crate) fn difference(got: &Tensor, reference: &Tensor) -> f64 {
    assert_eq!(got.dims(), reference.dims(), "shape");
    let (got, reference) = (numbers(got), numbers(reference));
    let scale = reference.iter().fold(1e-30f64, |m, v| m.max(v.abs()));
    // A NaN must make the comparison fail; `max` would ignore it.
    let largest = |m: f64, (g, r): (&f64, &f64)| if (g - r).abs() <= m { m } else { (g - r).abs() };
    got.iter().zip(&reference).fold(0.0, largest) / scale
}

#[track_caller]
pub(crate) fn assert_close(what: &str, got: &Tensor, reference: &Tensor, tolerance: f64) {
    let error = difference(got, reference);
    assert!(error <= tolerance, "{what}: error {error:e} of the largest value, tolerance {tolerance:e}");
}

/// Computes an operation with Candle. `inputs` are x, or x, weight and bias.
pub(crate) fn apply(op: &Op, inputs: &[Tensor]) -> Result<Tensor> {
    let (inputs, params) = inputs.split_at(input_count(op));
    compose(op, &inputs.iter().collect::<Vec<_>>(), params)
}

/// Returns how many of the tensors are inputs; the others are parameters.
fn input_count(op: &Op) -> usize {
    if matches!(op, Op::RegionPool(_)) { 2 } else { 1 }
}

/// Returns the output, and the gradient of `Σ y · gy` with respect to each input.
pub(crate) fn forward_backward(
    op: &Op,
    inputs: &[Tensor],
    gy: &Tensor,
    backend: Backend,
) -> (Tensor, Vec<Tensor>) {
    match backend {
        Backend::Kernels => by_kernel(op, inputs, gy),
        Backend::Composed => {
            let vars: Vec<Var> = inputs.iter().map(|t| Var::from_tensor(t).unwrap()).collect();
            let leaves: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
            let y = apply(op, &leaves).unwrap();
            let grads = (&y * gy).unwrap().sum_all().unwrap().backward().unwrap();
            // Without a gradient: zeros, as the kernel writes.
            let gradient = |v: &Tensor| grads.get(v).cloned().unwrap_or_else(|| v.zeros_like().unwrap());
            (y, leaves.iter().map(gradient).collect())
        }
    }
}

/// The same computation with loc-net's kernel, in f32.
fn by_kernel(op: &Op, inputs: &[Tensor], gy: &Tensor) -> (Tensor, Vec<Tensor>) {
    let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let shape = |t: &Tensor| Shape(t.dims()[1..].to_vec());
    let n = inputs[0].dim(0).unwrap();
    let count = input_count(op);
    let shapes: Vec<Shape> = inputs[..count].iter().map(shape).collect();
    let kernel = kernel_of(op, &shapes.iter().collect::<Vec<_>>(), &shape(gy), Activation::None);
    let (values, mut gy_values) = (inputs.iter().map(flat).collect::<Vec<_>>(), flat(gy));
    let slices: Vec<&[f32]> = values.iter().map(Vec::as_slice).collect();
    let (x, params) = slices.split_at(count);
    let (mut y, mut saved) = (vec![7.0; gy_values.len()], Vec::new());
    kernel.forward(ForwardPass { n, inputs: x, params, y: &mut y, saved: Some(&mut saved) });
    let mut gradients: Vec<Vec<f32>> = values.iter().map(|values| vec![7.0; values.len()]).collect();
    if kernel.passes_gradient() {
        gradients[0].copy_from_slice(&gy_values);
    } else {
        let (input_gradients, param_gradients) = gradients.split_at_mut(count);
        let pass = SavedPass { inputs: x, params, y: &y, saved: &saved };
        let gradients = Gradients {
            output: &mut gy_values,
            inputs: &mut input_gradients.iter_mut().map(|gx| Some(gx.as_mut_slice())).collect::<Vec<_>>(),
            params: &mut param_gradients.iter_mut().map(Vec::as_mut_slice).collect::<Vec<_>>(),
        };
        kernel.backward(&Parts::of(n), &pass, gradients);
    }
    let tensor =
        |values: Vec<f32>, like: &Tensor| Tensor::from_vec(values, like.dims(), &Device::Cpu).unwrap();
    let gradients = gradients.into_iter().zip(inputs).map(|(values, like)| tensor(values, like));
    let gradients = gradients.collect();
    (tensor(y, gy), gradients)
}

/// Returns a 32-bit hash of an index and a stream: `hash32` of the golden scripts.
pub(crate) fn hash32(index: usize, stream: u32) -> u32 {
    let index = u32::try_from(index).unwrap();
    let mut x = index.wrapping_mul(0x9E37_79B1).wrapping_add(stream.wrapping_mul(0x85EB_CA77));
    x ^= x >> 16;
    x = x.wrapping_mul(0x85EB_CA6B);
    x ^= x >> 13;
    x = x.wrapping_mul(0xC2B2_AE35);
    x ^ (x >> 16)
}

/// Returns a tensor of numbers in −1..1 that depend only on the stream.
pub(crate) fn random(dims: &[usize], stream: u32, dtype: DType) -> Tensor {
    let len = dims.iter().product();
    let values: Vec<f64> = (0..len).map(|i| f64::from(hash32(i, stream)) / 2_147_483_648.0 - 1.0).collect();
    Tensor::from_vec(values, dims, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

/// Same as [`random`], rounded to multiples of `1 / steps`: many ties and zeros.
pub(crate) fn tied(dims: &[usize], stream: u32, steps: f64, dtype: DType) -> Tensor {
    let rounded = (random(dims, stream, DType::F64) * steps).unwrap().round().unwrap();
    (rounded / steps).unwrap().to_dtype(dtype).unwrap()
}
