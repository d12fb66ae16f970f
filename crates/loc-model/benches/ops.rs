//! The tutorial's operations, forward and backward, and whole passes of its network, on each device there is.
//!
//! `cargo bench -p loc-model --bench ops [FILTER]`; with `--features cuda` and a device, CUDA as well. How to read it:
//! in `forward/…` and `backward/…` criterion's `elem/s` are floating-point operations a second (a multiply-add counts
//! as two), except for pools and relu, where they are input values a second; in `network/…` they are photos a second.
//! `backward` is what Candle's autograd takes from an output's gradient to all of the op's: its own additions
//! are part of it. The clock stops after the device has finished.

#![allow(clippy::unwrap_used, reason = "a bench that fails must stop")]

use std::hint::black_box;

use candle_core::{Device, Tensor, Var};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use loc_model::loss::LossConfig;
use loc_model::ops::{self, Backend};
use loc_model::{Model, init};
use loc_net::ops::{AvgPool2d, Flatten, MaxPool2d, Relu, Sigmoid};
use loc_net::{InputShape, Network, NetworkConfig, Normalization, Op, Source};

const BATCH: usize = 32;
const RATE: f64 = 0.1;

fn network() -> Network {
    let input = InputShape { height: 256, width: 256 };
    NetworkConfig::five_conv(input, 2).build(&Normalization::IDENTITY).unwrap()
}

fn devices() -> Vec<(&'static str, Device)> {
    let mut devices = vec![("cpu", Device::Cpu)];
    if cfg!(feature = "cuda") {
        devices.extend(Device::new_cuda(0).ok().map(|device| ("cuda", device)));
    }
    devices
}

fn random(dims: &[usize], device: &Device) -> Tensor {
    Tensor::rand(-1f32, 1.0, dims, device).unwrap()
}

fn apply(op: &Op, inputs: &[Tensor], form: Backend) -> Tensor {
    match (op, inputs) {
        (Op::Conv2d(conv), [x, w, b]) => ops::conv2d(x, w, b, conv, form),
        (Op::Linear(_), [x, w, b]) => ops::linear(x, w, b, form),
        (Op::MaxPool2d(MaxPool2d(pool)), [x]) => ops::maxpool2d(x, *pool, form),
        (Op::AvgPool2d(AvgPool2d(pool)), [x]) => ops::avgpool2d(x, *pool, form),
        (Op::Relu(Relu), [x]) => ops::relu(x, form),
        _ => unreachable!("the tutorial's layers"),
    }
    .unwrap()
}

/// Each layer of the network alone, on a batch of random numbers of the shape it sees in there.
fn single_ops(c: &mut Criterion) {
    let net = network();
    for (device_name, device) in devices() {
        let form = Backend::of(&device);
        for (index, layer) in net.layers().iter().enumerate() {
            if matches!(layer.op, Op::Flatten(Flatten) | Op::Sigmoid(Sigmoid) | Op::Normalize(_)) {
                continue;
            }
            let source = layer.inputs[0];
            let mut dims = vec![BATCH];
            dims.extend(&net.source_shape(source).0);
            let mut inputs = vec![random(&dims, &device)];
            // The photo's gradient is not computed; every other input's is.
            if source != Source::Input {
                inputs[0] = Var::from_tensor(&inputs[0]).unwrap().into_inner();
            }
            for param in net.params().iter().filter(|p| p.layer == index) {
                inputs.push(Var::from_tensor(&random(&param.shape, &device)).unwrap().into_inner());
            }
            let (flop, values) = (2 * BATCH * net.multiply_adds(index), dims.iter().product::<usize>());
            let work = |directions: usize| match flop {
                0 => Throughput::Elements(values as u64),
                _ => Throughput::Elements((flop * directions) as u64),
            };
            let mut group = c.benchmark_group("forward");
            group.sample_size(20).throughput(work(1));
            group.bench_function(BenchmarkId::new(&layer.name, device_name), |b| {
                b.iter(|| {
                    let y = apply(&layer.op, &inputs, form);
                    device.synchronize().unwrap();
                    black_box(y)
                });
            });
            group.finish();
            let y = apply(&layer.op, &inputs, form);
            assert!(y.sum_all().unwrap().to_scalar::<f32>().unwrap().is_finite(), "{}", layer.name);
            let mut group = c.benchmark_group("backward");
            group.sample_size(20).throughput(work(if source == Source::Input { 1 } else { 2 }));
            group.bench_function(BenchmarkId::new(&layer.name, device_name), |b| {
                b.iter(|| {
                    let grads = y.backward().unwrap();
                    device.synchronize().unwrap();
                    black_box(grads)
                });
            });
            group.finish();
        }
    }
}

/// The whole network: a photo, a batch, and a training step (forward, loss, backward, SGD).
fn whole_network(c: &mut Criterion) {
    for (device_name, device) in devices() {
        let net = network();
        let model = Model::new(net.clone(), &init::weights(&net, init::Scheme::PyTorch, 0), &device).unwrap();
        let mut group = c.benchmark_group("network");
        group.sample_size(20);
        // Bytes, as the loader gives them.
        let photos = |n: usize| {
            let values = (random(&[n, 256, 256, 3], &device) + 1.0).unwrap() * 127.5;
            values.unwrap().to_dtype(candle_core::DType::U8).unwrap()
        };
        for n in [1, BATCH] {
            let photos = photos(n);
            group.throughput(Throughput::Elements(n as u64));
            group.bench_function(BenchmarkId::new(format!("infer_{n}"), device_name), |b| {
                b.iter(|| {
                    let output = model.infer(&photos).unwrap();
                    device.synchronize().unwrap();
                    black_box(output)
                });
            });
        }
        let photos = photos(BATCH);
        let labels = Tensor::from_iter((0..BATCH).map(|i| i as u32 % 2), &device).unwrap();
        let boxes = random(&[BATCH, 4], &device);
        let step = || {
            let output = model.forward(&photos).unwrap();
            let losses = LossConfig::default().compute(&output, &labels, &boxes).unwrap();
            let gradients = model.backward(&losses.total).unwrap();
            for (name, var) in model.vars() {
                assert!(gradients.add_to(name, var, 1.0, -RATE).unwrap());
            }
            device.synchronize().unwrap();
            losses.total
        };
        group.throughput(Throughput::Elements(BATCH as u64));
        group.bench_function(BenchmarkId::new(format!("train_step_{BATCH}"), device_name), |b| b.iter(step));
        assert!(step().to_scalar::<f32>().unwrap().is_finite());
        group.finish();
    }
}

criterion_group!(benches, whole_network, single_ops);
criterion_main!(benches);
