//! Measures an epoch of the training loop over photos in memory: photos per second, and the fraction of the time in
//! which the loop waits for the next batch. For comparison, the same steps are measured on one prepared batch.

#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a bench that fails must stop, and it prints its results"
)]

use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use loc_data::{Augment, Batch, Dataset, Loader, ReadOptions, shapes};
use loc_infer::InputSpec;
use loc_model::loss::{LossConfig, Truth};
use loc_model::{Model, init};
use loc_net::{InputShape, NetworkConfig, Normalization};

const PHOTOS: usize = 320;
const BATCH: usize = 32;

/// Runs one step. It reads the loss, so the step is finished on return.
fn step(model: &Model, batch: &Batch) {
    let n = batch.labels.len();
    let tensor = |dims: &[usize], values: Vec<f32>| Tensor::from_vec(values, dims, &Device::Cpu);
    let bytes = batch.images.as_slice().expect("contiguous").to_vec();
    let images = Tensor::from_vec(bytes, batch.images.dim(), &Device::Cpu).expect("photos");
    let labels = Tensor::from_vec(batch.labels.clone(), n, &Device::Cpu).expect("labels");
    let boxes = tensor(&[n, 4], batch.boxes.iter().copied().collect()).expect("boxes");
    let output = model.forward(&images).expect("outputs");
    let losses = LossConfig::default().compute(&output, &Truth::all(&labels, &boxes)).expect("losses");
    assert!(losses.total.to_scalar::<f32>().expect("a number").is_finite(), "the loss is finite");
    let gradients = model.backward(&losses.total).expect("gradients");
    for (name, var) in model.vars() {
        assert!(gradients.add_to(name, var, 1.0, -0.01).expect("a step"), "{name} has a gradient");
    }
}

/// Runs an epoch; returns its time, and the time in which the loop waited for data.
fn epoch(loader: &Loader, model: &Model, number: u64) -> (Duration, Duration) {
    let (start, mut waited) = (Instant::now(), Duration::ZERO);
    let mut batches = loader.epoch(0, number, BATCH, &Augment::default());
    loop {
        let wait_start = Instant::now();
        let Some(batch) = batches.next() else { break };
        let batch = batch.expect("a batch");
        waited += wait_start.elapsed();
        step(model, &batch);
    }
    (start.elapsed(), waited)
}

fn training_loop(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("shapes");
    shapes::generate(&out, PHOTOS, 0).expect("the sample set");
    let set = Dataset::open(&out, &ReadOptions::default()).expect("the sample set");
    let all: Vec<usize> = (0..PHOTOS).collect();
    let loader = Loader::new(&set, &all, InputSpec::default(), 0).expect("valid photos");
    let network = NetworkConfig::five_conv(InputShape { height: 256, width: 256 }, set.classes.len())
        .build(&Normalization::IDENTITY)
        .expect("the network");
    let weights = init::weights(&network, init::Scheme::PyTorch, 0);
    let model = Model::new(network, &weights, &Device::Cpu).expect("the model");

    epoch(&loader, &model, 0);
    let (mut total, mut waited) = (Duration::ZERO, Duration::ZERO);
    for number in 1..=5 {
        let (time, wait) = epoch(&loader, &model, number);
        total += time;
        waited += wait;
    }
    let percent = 100.0 * waited.as_secs_f64() / total.as_secs_f64();
    eprintln!("epoch: the loop waits for data {percent:.2} % of the time ({waited:.1?} of {total:.1?})");

    let mut group = c.benchmark_group("epoch");
    group.sample_size(10);
    group.throughput(Throughput::Elements(PHOTOS as u64));
    let mut number = 5;
    group.bench_function(format!("{PHOTOS}_photos"), |b| {
        b.iter(|| {
            number += 1;
            epoch(&loader, &model, number)
        });
    });
    let batch = loader.in_order(BATCH).next().expect("a batch").expect("valid photos");
    group.bench_function(format!("{} steps on one batch", PHOTOS / BATCH), |b| {
        b.iter(|| (0..PHOTOS / BATCH).for_each(|_| step(&model, &batch)));
    });
    group.finish();
}

criterion_group!(benches, training_loop);
criterion_main!(benches);
