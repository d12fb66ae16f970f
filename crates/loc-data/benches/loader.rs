//! Measures the way from files to batches on a generated data set, in photos per second (Criterion's throughput):
//! decoding and resizing, which are done once, and an epoch with and without augmentation, which runs in parallel to
//! the training loop. For comparison: the decoder alone, and a copy of the epoch's bytes.

#![allow(clippy::expect_used, reason = "a bench that fails must stop")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use loc_data::{Augment, Dataset, Loader, ReadOptions, shapes};
use loc_infer::InputSpec;

const PHOTOS: usize = 96;
const BATCH: usize = 32;

fn decoded(bytes: &[u8]) -> usize {
    image::load_from_memory(bytes).expect("a valid photo").into_rgb8().len()
}

fn loader(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("shapes");
    shapes::generate(&out, PHOTOS, 0).expect("the sample set");
    let set = Dataset::open(&out, &ReadOptions::default()).expect("the sample set");
    let all: Vec<usize> = (0..PHOTOS).collect();
    let load = |workers| Loader::new(&set, &all, InputSpec::default(), workers).expect("valid photos");

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
    group.bench_function(format!("decoder_alone/{PHOTOS}_photos/1_thread"), |b| {
        b.iter(|| files.iter().map(|bytes| decoded(black_box(bytes))).sum::<usize>());
    });

    let loader = load(2);
    assert_eq!(loader.len(), PHOTOS);
    // The augmentation of the recipes with pretrained backbones.
    let augment = Augment {
        flip: 0.5,
        window: [0.65, 1.2],
        aspect: 0.15,
        brightness: 0.2,
        contrast: 0.2,
        saturation: 0.2,
        ..Augment::default()
    };
    for (name, augment) in [("unchanged", Augment::default()), ("augmented", augment)] {
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
    group.bench_function("a copy of the epoch's bytes", |b| {
        b.iter(|| copy.copy_from_slice(black_box(&pixels)));
    });
    group.bench_function(format!("open/{PHOTOS}_photos"), |b| {
        b.iter(|| Dataset::open(&out, &ReadOptions::default()).expect("a valid data set"));
    });
    group.finish();
}

criterion_group!(benches, loader);
criterion_main!(benches);
