//! The three engines give the same predictions for the same weights.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![cfg(all(feature = "native", feature = "candle", feature = "onnx"))]

mod common;

use candle_core::Device;
use common::model::Model;
use common::{assert_error, photo};
use loc_infer::engine::{candle::Candle, native::Native, onnx::Onnx};
use loc_infer::{Engine, Error, ImageSize, Localizer};

/// Absolute, for probabilities and boxes, both in 0..1: the engines sum a few thousand f32 products in different
/// orders.
const TOLERANCE: f32 = 1e-5;

fn exported(model: &Model) -> Vec<u8> {
    loc_model::export::onnx(&model.network(), &model.weights, &model.json(), 13).unwrap()
}

fn max_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().chain(b).all(|v| v.is_finite()));
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn the_three_engines_agree() {
    for (size, classes, seed, temperature) in [
        (ImageSize { width: 256, height: 256 }, &["cat", "dog"][..], 11, 1.0),
        (ImageSize { width: 210, height: 190 }, &["a", "b", "c"], 12, 1.0),
        (ImageSize { width: 210, height: 190 }, &["a", "b", "c"], 12, 0.05),
    ] {
        let mut model = Model::of(size, classes, seed);
        model.meta.temperature = temperature;
        let (file, onnx) = (model.file(), exported(&model));
        let localizers = [
            Localizer::from_bytes(&file).unwrap(),
            Localizer::from_bytes(&onnx).unwrap(),
            Localizer::with_engine(
                model.meta.clone(),
                Box::new(Candle::read(&file, &Device::Cpu).unwrap().1.remove(0)),
            )
            .unwrap(),
        ];
        let photos: Vec<_> = (0..4).map(|i| photo(180 + 60 * i, 240, i)).collect();
        // The exported graph divides by the temperature itself.
        assert_eq!(localizers.each_ref().map(|l| l.meta().temperature), [temperature, 1.0, temperature]);
        let [native, onnx, candle] = localizers.map(|localizer| {
            assert_eq!(
                (&localizer.meta().classes, localizer.meta().input),
                (&model.meta.classes, model.meta.input)
            );
            let predictions = localizer.predict_batch(&photos);
            predictions.into_iter().map(|one| one.unwrap().found().unwrap()).collect::<Vec<_>>()
        });
        for ((native, onnx), candle) in native.iter().zip(&onnx).zip(&candle) {
            for other in [onnx, candle] {
                assert!(max_difference(&native.probs, &other.probs) <= TOLERANCE, "{native:?}\n{other:?}");
                let size = ImageSize { width: native.width, height: native.height };
                let (a, b) = (native.bbox.to_norm(size), other.bbox.to_norm(size));
                assert!(max_difference(&a.xyxy(), &b.xyxy()) <= TOLERANCE, "{native:?}\n{other:?}");
                assert_eq!(native.class, other.class);
            }
        }
    }
}

/// Compares before softmax and ordering, which could hide a difference.
#[test]
fn raw_outputs_agree() {
    let model = Model::new(13);
    let (_, native) = Native::read(&model.file()).unwrap();
    let candle = Candle::read(&model.file(), &Device::Cpu).unwrap().1.remove(0);
    let (_, onnx) = Onnx::read(&exported(&model)).unwrap();
    let images: Vec<f32> = (0..2 * 3 * 256 * 256).map(|i| (i * 7919 % 1000) as f32 / 1000.0).collect();
    let [native, candle, onnx] = [&native as &dyn Engine, &candle, &onnx].map(|e| e.run(&images, 2).unwrap());
    assert!(max_difference(&native.logits, &candle.logits) <= TOLERANCE);
    assert!(max_difference(&native.boxes, &candle.boxes) <= TOLERANCE);
    assert!(max_difference(&native.boxes, &onnx.boxes) <= TOLERANCE);
    // ONNX returns logarithms of probabilities, which are logits up to a constant.
    for (a, b) in native.logits.chunks(2).zip(onnx.logits.chunks(2)) {
        assert!(((a[0] - a[1]) - (b[0] - b[1])).abs() <= TOLERANCE, "{a:?} and {b:?}");
    }
}

#[test]
fn onnx_files_by_path_and_damaged() {
    let model = Model::new(1);
    let good = exported(&model);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    fs_err::write(&path, &good).unwrap();
    assert_eq!(Localizer::load(&path).unwrap().meta(), &model.meta);
    fs_err::write(&path, &good[..good.len() / 2]).unwrap();
    assert_error(Localizer::load(&path), "model.onnx: not a model file: ONNX cannot be read");
    // A file with a changed bit is an error or a model, and this crate never panics.
    for i in 0..40 {
        let mut bytes = good.clone();
        bytes[i * 13 % 600] ^= 1 << (i % 8);
        match Localizer::from_bytes(&bytes) {
            Ok(_) | Err(Error::Metadata { .. } | Error::MetadataJson(_) | Error::NoMetadata) => {}
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

#[test]
fn candle_loads_by_path_and_its_errors_contain_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    assert_error(Localizer::load_candle(&path, &Device::Cpu), "model.safetensors: does not exist");
    fs_err::write(&path, Model::new(2).file()).unwrap();
    let answer = Localizer::load_candle(&path, &Device::Cpu).unwrap().predict(&photo(50, 40, 0)).unwrap();
    let prediction = answer.found().unwrap();
    assert_eq!((prediction.width, prediction.height), (50, 40));
}
