//! From a photo to a box. Unit: photos per second (criterion's `elem/s`). Photos are decoded one at a time on one
//! thread; the engine uses all threads. Input: a generated 256×256 JPEG (quality 92, about 30 kB), which needs no
//! resize, and larger ones, which do, decoded in full and at a reduced size. The benches named `floor` measure the decoder alone and the network alone:
//! the difference to the total is the cost of the other steps. Each result is checked before it is timed.

#![allow(clippy::expect_used, reason = "a bench that fails must stop")]
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::borrow::Cow;
use std::hint::black_box;

use common::model::Model;
use common::{jpeg_of, photo};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use image::RgbImage;
use loc_infer::preprocess::{Prepared, decode, fit, prepare, to_planar};
use loc_infer::{Decode, InputSpec, Limits, Localizer};

fn preprocess(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("preprocess");
    group.throughput(Throughput::Elements(1));
    let spec = InputSpec::default();
    let mut input = vec![0.0; spec.values()];
    for (name, width, height, decode_as) in [
        ("jpeg 256x256", 256, 256, Decode::Full),
        ("jpeg 1600x1200", 1600, 1200, Decode::Full),
        ("jpeg 1600x1200, reduced", 1600, 1200, Decode::Reduced),
        ("jpeg 4000x3000, reduced", 4000, 3000, Decode::Reduced),
    ] {
        let spec = InputSpec { decode: decode_as, ..spec };
        let source = photo(width, height, 1);
        let jpeg = jpeg_of(&source);
        let mut prepare = |bytes: &[u8]| {
            let Prepared { input: fitted, frame, .. } =
                prepare(bytes, &Limits::default(), &spec).expect("a valid photo");
            to_planar(fitted.as_raw(), &mut input);
            (frame, input[input.len() / 2])
        };
        let (frame, green) = prepare(&jpeg);
        let expected = fit(Cow::Borrowed(&source), &spec).0.as_raw()[3 * (spec.values() / 6) + 1];
        assert_eq!((frame.original.width, frame.original.height), (width, height));
        assert!(
            (green * 255.0 - f32::from(expected)).abs() < 24.0,
            "the pixel in the middle is that of the photo"
        );
        group.bench_function(name, |b| b.iter(|| prepare(black_box(&jpeg))));
        group.bench_function(format!("floor: {name}, the decoder alone"), |b| {
            b.iter(|| image::load_from_memory(black_box(&jpeg)).expect("a valid photo"));
        });
    }
    group.finish();
}

fn predict(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("predict");
    let localizer = Localizer::from_bytes(&Model::new(1).file()).expect("a valid model");
    let jpeg = jpeg_of(&photo(256, 256, 1));
    let expected = localizer.predict_encoded(&jpeg).expect("a prediction");
    let found = expected.clone().found().expect("a model that always answers");
    assert!(found.bbox.area() > 0.0 && found.confidence >= 0.5);
    group.throughput(Throughput::Elements(1));
    group.bench_function("jpeg 256x256, one", |b| {
        b.iter(|| localizer.predict_encoded(black_box(&jpeg)).expect("a prediction"));
    });
    let decoded = decode(&jpeg, &Limits::default()).expect("a valid photo").rgb;
    group.bench_function("floor: the network alone, one", |b| {
        b.iter(|| localizer.predict(black_box(&decoded)).expect("a prediction"));
    });
    let batch: Vec<&[u8]> = vec![&jpeg; 32];
    assert!(localizer.predict_batch(&batch).into_iter().all(|a| a.is_ok_and(|a| a == expected)));
    group.throughput(Throughput::Elements(32));
    group.bench_function("jpeg 256x256, batch of 32", |b| {
        b.iter(|| localizer.predict_batch(black_box(&batch)))
    });
    let photos = vec![decoded; 32];
    group.bench_function("floor: the network alone, batch of 32", |b| {
        b.iter(|| localizer.predict_batch(black_box(&photos)));
    });
    group.finish();
    callers(criterion, &localizer, &photos[0]);
}

/// One photo at a time on each of several threads: they share the cores, and none should have to wait for another.
fn callers(criterion: &mut Criterion, localizer: &Localizer, photo: &RgbImage) {
    const EACH: u64 = 16;
    let mut group = criterion.benchmark_group("callers");
    for callers in [1, 2, 4] {
        group.throughput(Throughput::Elements(callers * EACH));
        group.bench_function(format!("{callers}, the network alone"), |b| {
            b.iter(|| {
                std::thread::scope(|scope| {
                    for _ in 0..callers {
                        let one = || drop(localizer.predict(black_box(photo)).expect("a prediction"));
                        scope.spawn(move || (0..EACH).for_each(|_| one()));
                    }
                });
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = preprocess, predict
}
criterion_main!(benches);
