//! The training loop's epoch over photos in memory: photos a second, and which share of it the loop waits for the next
//! batch. The floor printed beside is the same steps on one batch that is already there.

#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a bench that fails must stop, and says what it found"
)]

use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use loc_data::{Augment, Batch, Dataset, Loader, ReadOptions, shapes};
use loc_infer::InputSpec;
use loc_model::loss::LossConfig;
use loc_model::{Model, init};
use loc_net::{InputShape, NetworkConfig, Normalization};

const PHOTOS: usize = 320;
const BATCH: usize = 32;

/// One step; the loss is looked at, so that it is done when this returns.
fn step(model: &Model, batch: &Batch) {
    let n = batch.labels.len();
    let tensor = |dims: &[usize], values: Vec<f32>| Tensor::from_vec(values, dims, &Device::Cpu);
    let bytes = batch.images.as_slice().expect("contiguous").to_vec();
    let images = Tensor::from_vec(bytes, batch.images.dim(), &Device::Cpu).expect("photos");
    let labels = Tensor::from_vec(batch.labels.clone(), n, &Device::Cpu).expect("labels");
    let boxes = tensor(&[n, 4], batch.boxes.iter().copied().collect()).expect("boxes");
    let output = model.forward(&images).expect("outputs");
    let losses = LossConfig::default().compute(&output, &labels, &boxes).expect("losses");
    assert!(losses.total.to_scalar::<f32>().expect("a number").is_finite(), "the loss is a number");
    let gradients = model.backward(&losses.total).expect("gradients");
    for (name, var) in model.vars() {
        assert!(gradients.add_to(name, var, 1.0, -0.01).expect("a step"), "{name} has a gradient");
    }
}

/// An epoch, and how long of it the loop waited.
fn epoch(loader: &Loader, model: &Model, number: u64) -> (Duration, Duration) {
    let (began, mut waited) = (Instant::now(), Duration::ZERO);
    let mut batches = loader.epoch(0, number, BATCH, &Augment::default());
    loop {
        let asked = Instant::now();
        let Some(batch) = batches.next() else { break };
        let batch = batch.expect("a batch");
        waited += asked.elapsed();
        step(model, &batch);
    }
    (began.elapsed(), waited)
}

fn training_loop(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("shapes");
    shapes::generate(&out, PHOTOS, 0).expect("the sample set");
    let set = Dataset::open(&out, &ReadOptions::default()).expect("what was just written");
    let all: Vec<usize> = (0..PHOTOS).collect();
    let loader = Loader::new(&set, &all, InputSpec::default(), 0).expect("sound photos");
    let network = NetworkConfig::five_conv(InputShape { height: 256, width: 256 }, set.classes.len())
        .build(&Normalization::IDENTITY)
        .expect("the network");
    let weights = init::weights(&network, init::Scheme::PyTorch, 0);
    let model = Model::new(network, &weights, &Device::Cpu).expect("the model");

    epoch(&loader, &model, 0);
    let (mut whole, mut waited) = (Duration::ZERO, Duration::ZERO);
    for number in 1..=5 {
        let (time, wait) = epoch(&loader, &model, number);
        whole += time;
        waited += wait;
    }
    let share = 100.0 * waited.as_secs_f64() / whole.as_secs_f64();
    eprintln!("epoch: the loop waits for data {share:.2} % of the time ({waited:.1?} of {whole:.1?})");

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
    let batch = loader.in_order(BATCH).next().expect("a batch").expect("sound photos");
    group.bench_function(format!("floor: {} steps on one batch", PHOTOS / BATCH), |b| {
        b.iter(|| (0..PHOTOS / BATCH).for_each(|_| step(&model, &batch)));
    });
    group.finish();
}

criterion_group!(benches, training_loop);
criterion_main!(benches);
