//! Model files and the built-in engine.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![cfg(feature = "native")]

mod common;

use common::model::{Model, file};
use common::{assert_error, encode, jpeg_of, photo};
use image::ImageFormat;
use loc_infer::confidence::EdgeSpread;
use loc_infer::{ImageSize, Localizer};
use loc_net::{Backbone, Forward, Head, ImageBatch, InputShape, NetworkConfig, Normalization};

/// A header's length, a header, and these bytes.
fn raw_file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

fn with_json(edit: impl Fn(&mut serde_json::Value)) -> Vec<u8> {
    let model = Model::new(1);
    let mut json = serde_json::from_str(&model.json()).unwrap();
    edit(&mut json);
    file(&model.weights, Some(&json.to_string()))
}

#[test]
fn distributions_of_edges_have_as_many_positions_as_the_networks() {
    for (head, boxes) in [(Head::Edges, 1), (Head::Edges4, 4)] {
        let input = InputShape { height: 128, width: 128 };
        let config = NetworkConfig::new(input, 2, Backbone::Compact, head);
        let network = config.build(&Normalization::IDENTITY).unwrap();
        let (layer, bins) = network.edges().unwrap();
        assert_eq!((bins, network.shape(layer).len()), (EdgeSpread::BINS, boxes * EdgeSpread::LOGITS));
    }
}

#[test]
fn the_prediction_is_that_of_the_network() {
    let model = Model::new(3);
    let localizer = Localizer::from_bytes(&model.file()).unwrap();
    assert_eq!(localizer.meta(), &model.meta);
    let photo = photo(256, 256, 2);
    let result = localizer.predict(&photo).unwrap().found().unwrap();

    // The expected result, computed step by step: planar, 0..1, no resize, softmax, box times the photo's size.
    let mut input = vec![0.0; 3 * 256 * 256];
    for (i, pixel) in photo.pixels().enumerate() {
        for c in 0..3 {
            input[c * 256 * 256 + i] = f32::from(pixel.0[c]) / 255.0;
        }
    }
    let raw = Forward::new(model.network(), model.weights.clone())
        .unwrap()
        .run(ImageBatch::Floats(&input), 1)
        .unwrap();
    let e = [raw.logits[0].exp(), raw.logits[1].exp()];
    for (got, e) in result.probs.iter().zip(e.iter().map(|v| v / (e[0] + e[1]))) {
        assert!((got - e).abs() < 1e-6, "{:?}", result.probs);
    }
    let (b, [x1, y1, x2, y2]) = (result.bbox, [0, 1, 2, 3].map(|i| raw.boxes[i] * 256.0));
    for (got, expected) in [(b.x1, x1.min(x2)), (b.y1, y1.min(y2)), (b.x2, x1.max(x2)), (b.y2, y1.max(y2))] {
        assert!((got - expected).abs() < 1e-3, "{b:?} and {:?}", raw.boxes);
    }
    assert_eq!(result.name, ["cat", "dog"][result.class]);
}

#[test]
fn loading_by_path_and_from_bytes_agree_for_any_size() {
    let folder = tempfile::tempdir().unwrap();
    let size = ImageSize { width: 210, height: 190 };
    let model = Model::of(size, &["one"], 5);
    let path = folder.path().join("model.safetensors");
    fs_err::write(&path, model.file()).unwrap();
    let (loaded, read) = (Localizer::load(&path).unwrap(), Localizer::from_bytes(&model.file()).unwrap());
    let bytes = encode(photo(300, 123, 1), ImageFormat::Png);
    let answer = loaded.predict_encoded(&bytes).unwrap();
    assert_eq!(answer, read.predict_encoded(&bytes).unwrap());
    let result = answer.found().unwrap();
    assert_eq!((result.confidence, result.width, result.height), (1.0, 300, 123));
}

#[test]
fn a_photo_gets_the_same_result_alone_and_in_a_batch() {
    let localizer = Localizer::from_bytes(&Model::new(9).file()).unwrap();
    let photos: Vec<Vec<u8>> = (0..5).map(|i| jpeg_of(&photo(64 + i * 30, 100, i))).collect();
    for (batch, bytes) in localizer.predict_batch(&photos).into_iter().zip(&photos) {
        assert_eq!(batch.unwrap(), localizer.predict_encoded(bytes).unwrap());
    }
}

#[test]
fn errors_name_the_parts_that_do_not_fit_together() {
    let model = Model::new(1);
    let mut extra = model.weights.clone();
    extra.0.insert("class_fc9.bias".into(), extra.0["class_fc1.bias"].clone());
    extra.0.remove("conv1.bias");
    let mut broken = model.weights.clone();
    broken.0.get_mut("conv3.weight").unwrap().data[7] = f32::NAN;
    broken.0.get_mut("conv3.weight").unwrap().data[9] = f32::INFINITY;
    for (what, bytes, expected) in [
        ("plain weights", file(&model.weights, None), vec!["no metadata under the key `loc`"]),
        ("later format", with_json(|j| j["format"] = 2.into()), vec!["needs loc >= 0.2.0", "format 2"]),
        (
            "more names",
            with_json(|j| j["classes"] = ["a", "b", "c"].into()),
            vec!["`classes`: 3 names (a, b, c), but the network has 2"],
        ),
        (
            "other size",
            with_json(|j| j["input"]["width"] = 320.into()),
            vec!["`input`: 320×256, but the network needs 256×256"],
        ),
        ("no network", with_json(|j| j["network"] = serde_json::Value::Null), vec!["metadata `loc`"]),
        (
            "other backbone",
            with_json(|j| j["network"]["backbone"] = "resnet".into()),
            vec!["unknown variant `resnet`"],
        ),
        (
            "a size that five_conv does not accept",
            with_json(|j| {
                (j["network"]["input"]["height"], j["network"]["input"]["width"]) = (64.into(), 64.into());
                (j["input"]["height"], j["input"]["width"]) = (64.into(), 64.into());
            }),
            vec!["five_conv does not accept"],
        ),
        ("no JSON", file(&model.weights, Some("{classes")), vec!["metadata `loc`", "line 1"]),
        (
            "other weights",
            file(&extra, Some(&model.json())),
            vec!["missing `conv1.bias`", "extra `class_fc9.bias`"],
        ),
        ("not finite", file(&broken, Some(&model.json())), vec!["conv3.weight holds 2 non-finite values"]),
        ("cut", model.file()[..1000].to_vec(), vec!["safetensors"]),
        ("cut in the data", model.file()[..200_000].to_vec(), vec!["safetensors"]),
        ("a header too long", raw_file("{", b"").iter().map(|b| b | 0x20).collect(), vec!["safetensors"]),
    ] {
        for part in expected {
            let error = Localizer::from_bytes(&bytes).expect_err(what).to_string();
            assert!(error.contains(part), "{what}: {error}\nmissing: {part}");
        }
    }
}

#[test]
fn errors_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    assert_error(Localizer::load(folder.path()), "is a folder where a file is needed");
    let missing = folder.path().join("best.safetensors");
    assert_error(Localizer::load(&missing), "best.safetensors: does not exist");
    let model = Model::new(1);
    fs_err::write(&missing, file(&model.weights, None)).unwrap();
    assert_error(Localizer::load(&missing), "best.safetensors: no metadata");
    fs_err::write(&missing, b"<html>").unwrap();
    assert_error(Localizer::load(&missing), "best.safetensors: not a");
}

#[test]
fn the_key_network_is_parsed_by_loc_net() {
    let json: serde_json::Value = serde_json::from_str(&Model::new(1).json()).unwrap();
    let config: loc_net::NetworkConfig = serde_json::from_value(json["network"].clone()).unwrap();
    assert_eq!(config, loc_net::NetworkConfig::five_conv(InputShape { height: 256, width: 256 }, 2));
}
