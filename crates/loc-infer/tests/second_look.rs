//! Models with a second look: its answer, from the part of the photo around the first box, is the prediction.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![cfg(feature = "native")]

mod common;

use std::borrow::Cow;

use common::model::{Model, file};
use common::{assert_error, photo};
use image::RgbImage;
use loc_infer::engine::native::Native;
use loc_infer::preprocess::{fit, fit_window};
use loc_infer::{Engine, Error, ImageSize, Localizer, RawOutput, SecondLook, Window};
use loc_net::{InputShape, NetworkConfig, Weights};

const LOOK: SecondLook = SecondLook { width: 200, height: 190, margin: 1.5 };

/// Two models of the same layers, and the model file with both as its looks.
fn models() -> (Model, Model, Vec<u8>) {
    let first = Model::of(ImageSize { width: 192, height: 192 }, &["cat", "dog"], 3);
    let mut second = Model::of(ImageSize { width: LOOK.width, height: LOOK.height }, &["cat", "dog"], 4);
    second.meta.input.mean = first.meta.input.mean;
    let mut both = Model {
        config: NetworkConfig {
            second_look: Some(InputShape { width: 200, height: 190 }),
            ..first.config.clone()
        },
        meta: first.meta.clone(),
        weights: Weights(first.weights.0.clone()).join_looks(Weights(second.weights.0.clone())),
    };
    both.meta.second_look = Some(LOOK);
    let bytes = both.file();
    (first, second, bytes)
}

#[test]
fn the_second_look_reads_the_part_around_the_first_box_and_answers() {
    let (first, second, bytes) = models();
    let localizer = Localizer::from_bytes(&bytes).unwrap();
    assert_eq!(localizer.meta().second_look, Some(LOOK));
    let photos: Vec<RgbImage> = (0..11).map(|i| photo(150 + 20 * i, 220, i)).collect();
    let together = localizer.predict_batch(&photos);
    let (one, two) = (
        Localizer::from_bytes(&first.file()).unwrap(),
        Native::new(second.network(), second.weights).unwrap(),
    );
    for (photo, together) in photos.iter().zip(together) {
        let alone = localizer.predict(photo).unwrap();
        assert_eq!(alone, together.unwrap(), "the same alone and in a batch");
        let alone = alone.found().unwrap();
        let first = one.predict(photo).unwrap().found().unwrap();
        let window = Window::around(first.bbox, LOOK.margin);
        let (input, frame) = fit_window(photo, window, &second.meta.input);
        let output = two.run_bytes(input.as_raw(), 1).unwrap();
        let [x1, y1, x2, y2] = output.boxes[..] else { panic!("a box") };
        let expected =
            frame.to_original(loc_infer::NormBox::new(x1, y1, x2, y2)).ordered().clip(ImageSize::of(photo));
        assert_eq!(alone.bbox, expected);
        assert_eq!(alone.class, usize::from(output.logits[1] > output.logits[0]));
    }
}

/// Fails if the first photo of a batch has this many bytes.
struct Fails(usize);

impl Engine for Fails {
    fn run(&self, images: &[f32], n: usize) -> Result<RawOutput, Error> {
        if n == self.0 {
            return Err(Error::Engine { engine: "fails", error: "as asked".into() });
        }
        assert!(!images.is_empty());
        Ok(RawOutput {
            logits: vec![0.0; 2 * n],
            boxes: [0.2, 0.2, 0.7, 0.7].repeat(n),
            ..RawOutput::default()
        })
    }
}

#[test]
fn there_is_an_engine_for_each_look_and_the_error_of_either_is_an_error() {
    let (first, ..) = models();
    let mut meta = first.meta;
    let engine = |n| -> Box<dyn Engine> { Box::new(Fails(n)) };
    assert_error(Localizer::with_engines(meta.clone(), vec![engine(0), engine(0)]), "2 engines");
    assert_error(Localizer::with_engines(meta.clone(), vec![]), "0 engines");
    meta.second_look = Some(LOOK);
    assert_error(Localizer::with_engine(meta.clone(), engine(0)), "1 engines");
    let photos: Vec<RgbImage> = (0..3).map(|i| photo(100, 90, i)).collect();
    for engines in [vec![engine(1), engine(0)], vec![engine(0), engine(1)]] {
        let localizer = Localizer::with_engines(meta.clone(), engines).unwrap();
        assert_error(localizer.predict(&photos[0]), "engine `fails`: as asked");
        assert!(localizer.predict_batch(&photos).iter().all(Result::is_ok));
    }
    // A batch that fails is tried photo by photo.
    let localizer = Localizer::with_engines(meta, vec![engine(0), engine(3)]).unwrap();
    assert!(localizer.predict_batch(&photos).iter().all(Result::is_ok));
}

#[test]
fn metadata_and_network_agree_on_the_second_look() {
    let (first, _, bytes) = models();
    let with = |edit: &dyn Fn(&mut serde_json::Value)| {
        let mut json = serde_json::from_str(&first.json()).unwrap();
        edit(&mut json);
        Localizer::from_bytes(&file(&first.weights, Some(&json.to_string())))
    };
    assert_error(with(&|json| json["second_look"] = serde_json::to_value(LOOK).unwrap()), "`second_look`");
    let input = serde_json::json!({"width": 200, "height": 190});
    assert_error(with(&|json| json["network"]["second_look"] = input.clone()), "`second_look`");
    let narrow = SecondLook { margin: 0.5, ..LOOK };
    assert_error(with(&|json| json["second_look"] = serde_json::to_value(narrow).unwrap()), "margin of 0.5");
    // The first look alone runs, too.
    let (meta, native) = Native::read(&bytes).unwrap();
    let localizer = Localizer::with_engine(meta, Box::new(native)).unwrap();
    let photo = photo(80, 70, 1);
    let expected = Localizer::from_bytes(&first.file()).unwrap().predict(&photo).unwrap();
    assert_eq!(localizer.predict(&photo).unwrap(), expected);
    let (input, _) = fit(Cow::Borrowed(&photo), &first.meta.input);
    assert_eq!(input.dimensions(), (192, 192));
}

/// The second look of an ONNX model lies beside the first; both give the answers of the model file.
#[cfg(all(feature = "onnx", feature = "candle"))]
#[test]
fn exported_looks_answer_as_the_model_file() {
    use loc_infer::SECOND_LOOK_EXTENSION;
    use loc_net::{Backbone, Head};
    let folder = tempfile::tempdir().unwrap();
    let classes = ["cat", "dog"];
    let size = |side: u32| ImageSize { width: side, height: side };
    let with_edges = |side: u32, seed| {
        let mut model = Model::lite0(size(side), &classes, seed);
        let input = InputShape { width: side as usize, height: side as usize };
        model.config = NetworkConfig::new(input, 2, Backbone::Lite0, Head::Edges);
        model
    };
    let (first, second) = (with_edges(96, 3), with_edges(64, 4));
    let look = SecondLook { width: 64, height: 64, margin: 1.3 };
    let mut both = with_edges(96, 3);
    both.config.second_look = Some(InputShape { width: 64, height: 64 });
    both.meta.second_look = Some(look);
    both.weights = Weights(first.weights.0.clone()).join_looks(Weights(second.weights.0.clone()));
    let path = folder.path().join("model.onnx");
    let graph = |model: &Model, json: &str| {
        loc_model::export::onnx(&model.network(), &model.weights, json, 13).unwrap()
    };
    fs_err::write(&path, graph(&first, &both.json())).unwrap();
    let missing = Localizer::load(&path).unwrap_err().to_string();
    assert!(missing.contains("model.look2.onnx"), "{missing}");
    let mut json: serde_json::Value = serde_json::from_str(&second.json()).unwrap();
    json["look"] = 2.into();
    fs_err::write(path.with_extension(SECOND_LOOK_EXTENSION), graph(&second, &json.to_string())).unwrap();

    let (onnx, native) = (Localizer::load(&path).unwrap(), Localizer::from_bytes(&both.file()).unwrap());
    for photo in [photo(150, 120, 1), photo(90, 200, 2)] {
        let [a, b] = [&onnx, &native].map(|localizer| localizer.predict(&photo).unwrap().found().unwrap());
        assert!(a.bbox.iou(&b.bbox) > 0.9999, "{:?} and {:?}", a.bbox, b.bbox);
        assert!(a.class == b.class && (a.confidence - b.confidence).abs() < 1e-5);
    }
}
