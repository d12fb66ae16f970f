//! Measures training steps and predictions of every backbone, on each available device.
//!
//! `cargo bench -p loc-model --bench network [FILTER]`; with `--features cuda` and a GPU, also CUDA. Criterion's `elem/s` are
//! photos per second. The measured time ends when the device has finished.

#![allow(clippy::unwrap_used, reason = "a bench that fails must stop")]

use std::hint::black_box;

use candle_core::{DType, Device, Tensor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use loc_model::loss::LossConfig;
use loc_model::{Model, init};
use loc_net::{Backbone, Head, InputShape, NetworkConfig, Normalization};

const BATCH: usize = 32;
const RATE: f64 = 1e-4;
/// Backbone, head and side of the photos, as in the recipes.
const NETWORKS: [(&str, Backbone, Head, usize); 3] = [
    ("five_conv", Backbone::FiveConv, Head::Mlp, 256),
    ("compact", Backbone::Compact, Head::Edges, 224),
    ("lite0", Backbone::Lite0, Head::Edges, 224),
];

fn devices() -> Vec<(&'static str, Device)> {
    let mut devices = vec![("cpu", Device::Cpu)];
    if cfg!(feature = "cuda") {
        devices.extend(Device::new_cuda(0).ok().map(|device| ("cuda", device)));
    }
    devices
}

/// Measures predictions of one photo and of a batch, and a training step: forward, loss, backward, SGD.
fn networks(c: &mut Criterion) {
    for ((device_name, device), (name, backbone, head, side)) in
        devices().into_iter().flat_map(|device| NETWORKS.map(|network| (device.clone(), network)))
    {
        let input = InputShape { height: side, width: side };
        let config = NetworkConfig::new(input, 2, backbone, head);
        let net = config.build(&Normalization { mean: [0.5; 3], std: [0.25; 3] }).unwrap();
        let model = Model::new(net.clone(), &init::weights(&net, init::Scheme::He, 0), &device).unwrap();
        let mut group = c.benchmark_group(name);
        group.sample_size(20);
        // Bytes, as the loader returns them.
        let photos = |n: usize| {
            let values = Tensor::rand(0f32, 256.0, &[n, side, side, 3], &device).unwrap();
            values.to_dtype(DType::U8).unwrap()
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
        let boxes = Tensor::rand(0f32, 1.0, &[BATCH, 4], &device).unwrap();
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

criterion_group!(benches, networks);
criterion_main!(benches);
