//! From files to batches, on a set made in code: photos a second for decode and fit (the work done once) and for an
//! epoch (the work done in the training loop's shadow), as they are and moved. Higher is better; the throughput line is
//! the number to read. Floors stand beside: the decoder alone, a copy of the epoch's bytes. The loaded set is checked
//! before it is timed.

#![allow(clippy::expect_used, reason = "a bench that fails must stop")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use loc_data::{Augment, Dataset, Loader, ReadOptions, shapes};
use loc_infer::InputSpec;

const PHOTOS: usize = 96;
const BATCH: usize = 32;

fn decoded(bytes: &[u8]) -> usize {
    image::load_from_memory(bytes).expect("a sound photo").into_rgb8().len()
}

fn loader(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("shapes");
    shapes::generate(&out, PHOTOS, 0).expect("the sample set");
    let set = Dataset::open(&out, &ReadOptions::default()).expect("what was just written");
    let all: Vec<usize> = (0..PHOTOS).collect();
    let load = |workers| Loader::new(&set, &all, InputSpec::default(), workers).expect("sound photos");

    let mut group = c.benchmark_group("loader");
    group.sample_size(10);
    group.throughput(Throughput::Elements(PHOTOS as u64));
    for workers in [1, 2] {
        group.bench_function(format!("decode_and_fit/{PHOTOS}_photos/{workers}_workers"), |b| {
            b.iter(|| black_box(load(workers)));
        });
    }
    let files: Vec<Vec<u8>> =
        set.samples.iter().map(|sample| fs_err::read(&sample.image).expect("a photo")).collect();
    group.bench_function(format!("floor: the decoder alone/{PHOTOS}_photos/1_thread"), |b| {
        b.iter(|| files.iter().map(|bytes| decoded(black_box(bytes))).sum::<usize>());
    });

    let loader = load(2);
    assert_eq!(loader.len(), PHOTOS);
    // What the recipes for pretrained backbones do.
    let moves = Augment {
        flip: 0.5,
        window: [0.65, 1.2],
        aspect: 0.15,
        brightness: 0.2,
        contrast: 0.2,
        saturation: 0.2,
        ..Augment::default()
    };
    for (name, augment) in [("as they are", Augment::default()), ("moved", moves)] {
        group.bench_function(format!("epoch/{name}/batches_of_{BATCH}/2_workers"), |b| {
            let mut epoch = 0;
            b.iter(|| {
                epoch += 1;
                let batches = loader.epoch(0, epoch, BATCH, &augment);
                batches.map(|batch| batch.expect("a batch").labels.len()).sum::<usize>()
            });
        });
    }
    let pixels: Vec<u8> = loader.in_order(PHOTOS).flat_map(|batch| batch.expect("a batch").images).collect();
    let mut copy = vec![0; pixels.len()];
    group.bench_function("floor: a copy of the epoch's bytes", |b| {
        b.iter(|| copy.copy_from_slice(black_box(&pixels)));
    });
    group.bench_function(format!("open/{PHOTOS}_photos"), |b| {
        b.iter(|| Dataset::open(&out, &ReadOptions::default()).expect("sound"));
    });
    group.finish();
}

criterion_group!(benches, loader);
criterion_main!(benches);
