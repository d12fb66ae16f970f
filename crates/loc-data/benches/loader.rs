//! From files to batches, on a set made in code: photos a second for decode and fit (the work done once), batches a
//! second for an epoch (the work done in the training loop's shadow). Higher is better; the throughput line is the
//! number to read. The loaded set is checked before it is timed.

#![allow(clippy::expect_used, reason = "a bench that fails must stop")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use loc_data::{Augment, Dataset, Loader, ReadOptions, shapes};
use loc_infer::InputSpec;

const PHOTOS: usize = 96;
const BATCH: usize = 32;

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
    let loader = load(2);
    assert_eq!(loader.len(), PHOTOS);
    group.throughput(Throughput::Elements((PHOTOS / BATCH) as u64));
    group.bench_function(format!("epoch/batches_of_{BATCH}/2_workers"), |b| {
        let mut epoch = 0;
        b.iter(|| {
            epoch += 1;
            loader
                .epoch(0, epoch, BATCH, &Augment::default())
                .map(|batch| batch.expect("a batch").labels.len())
                .sum::<usize>()
        });
    });
    group.throughput(Throughput::Elements(PHOTOS as u64));
    group.bench_function(format!("open/{PHOTOS}_photos"), |b| {
        b.iter(|| Dataset::open(&out, &ReadOptions::default()).expect("sound"));
    });
    group.finish();
}

criterion_group!(benches, loader);
criterion_main!(benches);
