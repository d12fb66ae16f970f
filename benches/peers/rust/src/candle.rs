//! Candle's own operations, used as in its examples. loc also trains with Candle, but with its own kernels.

use std::collections::HashMap;
use std::hint::black_box;

use anyhow::Result;
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Conv2d, Linear, Module, Optimizer, SGD, VarBuilder, conv2d, linear, loss, ops};

use crate::inputs::{Inputs, Outputs, PHOTOS, SHAPE};
use crate::{Task, Tasks};

const LEARNING_RATE: f64 = 0.01;

struct Network {
    pooled: Vec<Conv2d>,
    last: Conv2d,
    class: [Linear; 3],
    bbox: [Linear; 3],
}

impl Network {
    fn new(weights: HashMap<String, Tensor>) -> candle_core::Result<Self> {
        let vb = VarBuilder::from_tensors(weights, DType::F32, &Device::Cpu);
        let conv = |i: usize, from, to| conv2d(from, to, 5, Default::default(), vb.pp(format!("conv{i}")));
        let head = |name: &str, outputs| -> candle_core::Result<_> {
            Ok([
                linear(1728, 240, vb.pp(format!("{name}_fc1")))?,
                linear(240, 120, vb.pp(format!("{name}_fc2")))?,
                linear(120, outputs, vb.pp(format!("{name}_out")))?,
            ])
        };
        Ok(Self {
            pooled: vec![conv(1, 3, 6)?, conv(2, 6, 12)?, conv(3, 12, 24)?, conv(4, 24, 48)?],
            last: conv(5, 48, 192)?,
            class: head("class", 2)?,
            bbox: head("box", 4)?,
        })
    }

    /// Class probabilities and boxes.
    fn forward(&self, photos: &Tensor, training: bool) -> candle_core::Result<(Tensor, Tensor)> {
        let mut x = photos.clone();
        for conv in &self.pooled {
            x = conv.forward(&x)?.max_pool2d(2)?.relu()?;
        }
        x = self.last.forward(&x)?.relu()?;
        x = if training { avg_pool_with_gradient(&x)? } else { x.avg_pool2d_with_stride(4, 2)? };
        let x = x.flatten_from(1)?;
        let head =
            |[fc1, fc2, out]: &[Linear; 3]| out.forward(&fc2.forward(&fc1.forward(&x)?.relu()?)?.relu()?);
        Ok((ops::softmax(&head(&self.class)?, 1)?, ops::sigmoid(&head(&self.bbox)?)?))
    }
}

/// Candle has no gradient of an average pool whose stride is not its kernel, so kernel 4 stride 2 in two steps: kernel
/// 2 stride 2, then the mean of four neighbours. The map is only 3x3 afterwards, so the cost is not measurable.
fn avg_pool_with_gradient(x: &Tensor) -> candle_core::Result<Tensor> {
    let x = x.avg_pool2d(2)?;
    let (_, _, h, w) = x.dims4()?;
    let x = (x.narrow(2, 0, h - 1)? + x.narrow(2, 1, h - 1)?)?;
    let x = (x.narrow(3, 0, w - 1)? + x.narrow(3, 1, w - 1)?)?;
    x * 0.25
}

pub fn tasks(inputs: &Inputs) -> Result<Tasks> {
    let weights = candle_core::safetensors::load(inputs.file("model.safetensors"), &Device::Cpu)?;
    let mut tasks = vec![train_step(inputs, &weights)?];
    let reference = Network::new(weights.clone())?;
    inputs.check(&outputs_of(reference.forward(&batch(inputs, 2)?, false)?)?)?;
    for (name, n) in [("infer_1", 1), ("infer_32", PHOTOS)] {
        let (network, batch) = (Network::new(weights.clone())?, batch(inputs, n)?);
        tasks.push((
            name,
            Box::new(move || {
                black_box(outputs_of(network.forward(&batch, false)?)?);
                Ok(())
            }),
        ));
    }
    Ok(tasks)
}

/// A training step of the tutorial: cross-entropy on the output of softmax, plus the mean squared error of the boxes.
///
/// Only its speed is meaningful: the gradient of Candle's max pool is wrong (a quarter of the true one, and shifted if
/// the map has an odd size), so its weights differ from those of the other peers.
fn train_step(inputs: &Inputs, weights: &HashMap<String, Tensor>) -> Result<Task> {
    let vars: HashMap<String, Var> = weights
        .iter()
        .map(|(name, weight)| Ok((name.clone(), Var::from_tensor(weight)?)))
        .collect::<Result<_>>()?;
    let network =
        Network::new(vars.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect())?;
    let mut optimizer = SGD::new(vars.into_values().collect(), LEARNING_RATE)?;
    let batch = batch(inputs, PHOTOS)?;
    inputs.check(&outputs_of(network.forward(&batch.narrow(0, 0, 2)?, true)?)?)?;
    let labels: Vec<u32> = (0..PHOTOS as u32).map(|i| i % 2).collect();
    let labels = Tensor::from_vec(labels, PHOTOS, &Device::Cpu)?;
    let boxes: Vec<f32> = (0..PHOTOS * 4).map(|i| i as f32 / (PHOTOS * 4 - 1) as f32).collect();
    let boxes = Tensor::from_vec(boxes, (PHOTOS, 4), &Device::Cpu)?;
    Ok((
        "train_step_32",
        Box::new(move || {
            let (cls, loc) = network.forward(&batch, true)?;
            let loss = (loss::cross_entropy(&cls, &labels)? + loss::mse(&loc, &boxes)?)?;
            optimizer.backward_step(&loss)?;
            black_box(loss.to_scalar::<f32>()?);
            Ok(())
        }),
    ))
}

fn batch(inputs: &Inputs, n: usize) -> Result<Tensor> {
    let [channels, height, width] = SHAPE;
    Ok(Tensor::from_slice(inputs.batch(n), (n, channels, height, width), &Device::Cpu)?)
}

fn outputs_of((cls, loc): (Tensor, Tensor)) -> Result<Outputs> {
    Ok(Outputs { cls: cls.flatten_all()?.to_vec1()?, loc: loc.flatten_all()?.to_vec1()? })
}
