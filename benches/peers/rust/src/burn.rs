//! Burn, inference only, on its backend Flex.
//!
//! Burn has two CPU backends in plain Rust. NdArray is deprecated in favour of Flex. It was tried and is not used: it
//! is as fast for one photo, and two fifths slower for 32. The third backend, with CubeCL, compiles its kernels with
//! LLVM, which would make this comparison too hard to build; it was not tried.

use std::hint::black_box;

use anyhow::{Result, ensure};
use burn::tensor::activation::{relu, sigmoid, softmax};
use burn::tensor::module::{avg_pool2d, conv2d, linear, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData};
use fs_err as fs;
use safetensors::{Dtype, SafeTensors};

use crate::Tasks;
use crate::inputs::{Inputs, Outputs, PHOTOS, SHAPE};

struct Layer<const D: usize> {
    weight: Tensor<D>,
    bias: Tensor<1>,
}

struct Network {
    pooled: Vec<Layer<4>>,
    last: Layer<4>,
    class: [Layer<2>; 3],
    bbox: [Layer<2>; 3],
}

impl Network {
    fn load(bytes: &[u8], device: &Device) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes)?;
        let conv = |i: usize| layer::<4>(&file, &format!("conv{i}"), device);
        let head = |name: &str| -> Result<_> {
            let fc = |layer: &str| fully_connected(&file, &format!("{name}_{layer}"), device);
            Ok([fc("fc1")?, fc("fc2")?, fc("out")?])
        };
        Ok(Self {
            pooled: (1..5).map(conv).collect::<Result<_>>()?,
            last: conv(5)?,
            class: head("class")?,
            bbox: head("box")?,
        })
    }

    fn infer(&self, photos: &Tensor<4>) -> Result<Outputs> {
        let mut x = photos.clone();
        for layer in &self.pooled {
            x = relu(max_pool2d(convolve(x, layer), MaxPoolOptions::new([2, 2])));
        }
        x = relu(convolve(x, &self.last));
        x = avg_pool2d(x, AvgPoolOptions::new([4, 4]).with_stride([2, 2]));
        let x: Tensor<2> = x.flatten(1, 3);
        let head = |[fc1, fc2, out]: &[Layer<2>; 3]| {
            let full = |x, layer: &Layer<2>| linear(x, layer.weight.clone(), Some(layer.bias.clone()));
            full(relu(full(relu(full(x.clone(), fc1)), fc2)), out)
        };
        let values = |output: Tensor<2>| output.into_data().try_into_vec::<f32>();
        Ok(Outputs { cls: values(softmax(head(&self.class), 1))?, loc: values(sigmoid(head(&self.bbox)))? })
    }
}

pub fn tasks(inputs: &Inputs) -> Result<Tasks> {
    let device = Device::flex();
    let weights = fs::read(inputs.file("model.safetensors"))?;
    let batch = |n: usize| {
        let shape = [n, SHAPE[0], SHAPE[1], SHAPE[2]];
        Tensor::<4>::from_data(TensorData::new(inputs.batch(n).to_vec(), shape), &device)
    };
    inputs.check(&Network::load(&weights, &device)?.infer(&batch(2))?)?;
    let mut tasks: Tasks = Vec::new();
    for (name, n) in [("infer_1", 1), ("infer_32", PHOTOS)] {
        let (network, batch) = (Network::load(&weights, &device)?, batch(n));
        tasks.push((
            name,
            Box::new(move || {
                black_box(network.infer(&batch)?);
                Ok(())
            }),
        ));
    }
    Ok(tasks)
}

fn convolve(x: Tensor<4>, layer: &Layer<4>) -> Tensor<4> {
    let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
    conv2d(x, layer.weight.clone(), Some(layer.bias.clone()), options)
}

fn layer<const D: usize>(file: &SafeTensors, name: &str, device: &Device) -> Result<Layer<D>> {
    Ok(Layer {
        weight: tensor(file, &format!("{name}.weight"), device)?,
        bias: tensor(file, &format!("{name}.bias"), device)?,
    })
}

/// Burn stores the weight of a linear layer as [inputs, outputs], PyTorch as [outputs, inputs].
fn fully_connected(file: &SafeTensors, name: &str, device: &Device) -> Result<Layer<2>> {
    let Layer { weight, bias } = layer::<2>(file, name, device)?;
    // Copies the data, so that the transposed weight has a new memory layout and not only other strides.
    let weight = Tensor::from_data(weight.transpose().into_data(), device);
    Ok(Layer { weight, bias })
}

fn tensor<const D: usize>(file: &SafeTensors, name: &str, device: &Device) -> Result<Tensor<D>> {
    let view = file.tensor(name)?;
    let is_valid = view.dtype() == Dtype::F32 && view.shape().len() == D;
    ensure!(is_valid, "{name}: {:?} {:?}", view.dtype(), view.shape());
    let values: Vec<f32> =
        view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    Ok(Tensor::from_data(TensorData::new(values, view.shape().to_vec()), device))
}
