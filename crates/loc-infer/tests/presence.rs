//! Models that say whether there is an object: an absent one has no box, whatever the engine, and no second look.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::{assert_error, meta, photo};
use image::RgbImage;
use loc_infer::postprocess::presence;
use loc_infer::{
    Absent, Answer, Engine, Error, ImageSize, InputSpec, Localizer, ModelMeta, RawOutput, SecondLook,
};

const SIZE: ImageSize = ImageSize { width: 8, height: 8 };

/// Answers with these logits of presence in turn, from the first photo of each call on.
struct Seeing(Vec<f32>);

impl Engine for Seeing {
    fn run(&self, _: &[f32], n: usize) -> Result<RawOutput, Error> {
        let presence = self.0.iter().copied().cycle().take(if self.0.is_empty() { 0 } else { n }).collect();
        Ok(RawOutput { logits: vec![0.0; 2 * n], boxes: vec![0.5; 4 * n], presence, ..RawOutput::default() })
    }
}

/// An engine that must not be called.
struct Unused;

impl Engine for Unused {
    fn run(&self, _: &[f32], _: usize) -> Result<RawOutput, Error> {
        unreachable!("there is nothing to look at")
    }
}

fn model() -> ModelMeta {
    meta(&["a", "b"], InputSpec { size: SIZE, ..InputSpec::default() })
}

fn seeing(threshold: Option<f32>, logits: &[f32]) -> Localizer {
    let meta = ModelMeta { presence_threshold: threshold, ..model() };
    Localizer::with_engine(meta, Box::new(Seeing(logits.to_vec()))).unwrap()
}

#[test]
fn below_the_threshold_there_is_no_box() {
    let photo = photo(30, 20, 1);
    // The logit 1 has the probability 0.731.
    let likely = presence(1.0);
    assert!((likely - 0.731_058_6).abs() < 1e-6);
    for (threshold, is_found) in [(None, true), (Some(0.7), true), (Some(likely), true), (Some(0.75), false)]
    {
        let answer = seeing(threshold, &[1.0]).predict(&photo).unwrap();
        assert_eq!(answer.presence(), Some(likely), "{threshold:?}");
        match answer {
            Answer::Absent(absent) => {
                assert_eq!(absent, Absent { presence: likely, width: 30, height: 20 });
                assert!(!is_found, "{threshold:?}");
            }
            Answer::Found(found) => assert!(is_found && found.presence == Some(likely), "{threshold:?}"),
        }
    }
    // In a batch each photo has its own.
    let photos = vec![photo; 5];
    let found: Vec<bool> = seeing(Some(0.5), &[3.0, -3.0])
        .predict_batch(&photos)
        .into_iter()
        .map(|a| a.unwrap().found().is_some())
        .collect();
    assert_eq!(found, [true, false, true, false, true]);
}

#[test]
fn a_model_without_presence_always_answers() {
    let localizer = seeing(None, &[]).with_presence_threshold(1.0).unwrap();
    let answer = localizer.predict(&photo(30, 20, 1)).unwrap();
    assert_eq!(answer.presence(), None);
    assert!(answer.found().is_some());
}

#[test]
fn invalid_values_are_refused() {
    let photo = photo(30, 20, 1);
    assert_error(seeing(None, &[f32::NAN]).predict(&photo), "presence: is not a number");
    assert!(seeing(None, &[f32::INFINITY]).predict(&photo).unwrap().presence() == Some(1.0), "certain");
    for threshold in [-0.1, 1.1, f32::NAN] {
        assert_error(seeing(None, &[1.0]).with_presence_threshold(threshold), "`presence_threshold`");
    }
    struct Short;
    impl Engine for Short {
        fn run(&self, _: &[f32], n: usize) -> Result<RawOutput, Error> {
            Ok(RawOutput {
                logits: vec![0.0; 2 * n],
                boxes: vec![0.5; 4 * n],
                presence: vec![1.0; n + 1],
                ..RawOutput::default()
            })
        }
    }
    assert_error(Localizer::with_engine(model(), Box::new(Short)).unwrap().predict(&photo), "presence");
}

#[test]
fn an_absent_object_gets_no_second_look() {
    let second_look = Some(SecondLook { width: 8, height: 8, margin: 1.5 });
    let localizer = |first: f32, second: Box<dyn Engine>| {
        let meta = ModelMeta { second_look, ..model() };
        Localizer::with_engines(meta, vec![Box::new(Seeing(vec![first])), second]).unwrap()
    };
    let photos: Vec<RgbImage> = (0..3).map(|i| photo(30, 20, i)).collect();
    let absent = localizer(-5.0, Box::new(Unused));
    for answer in absent.predict_batch(&photos) {
        assert!(answer.unwrap().found().is_none());
    }
    // The second look sees a part of the photo: its own presence says nothing.
    let found = localizer(5.0, Box::new(Seeing(vec![-5.0]))).predict(&photos[0]).unwrap();
    assert_eq!(found.presence(), Some(presence(5.0)));
    assert!(found.found().is_some());
}

#[cfg(feature = "native")]
mod files {
    use super::*;
    use common::model::Model;
    use loc_infer::LoadOptions;
    use loc_net::{InputShape, NetworkConfig};

    /// A model with random weights and a logit of presence.
    fn with_presence() -> Model {
        let size = ImageSize { width: 192, height: 192 };
        let input = InputShape { width: 192, height: 192 };
        let config = NetworkConfig { presence: true, ..NetworkConfig::five_conv(input, 2) };
        Model::with(config, size, &["cat", "dog"], 3)
    }

    #[test]
    fn a_file_holds_the_threshold_and_options_override_it() {
        let mut model = with_presence();
        let photo = photo(50, 40, 1);
        let likely =
            Localizer::from_bytes(&model.file()).unwrap().predict(&photo).unwrap().presence().unwrap();
        assert!(likely > 0.0 && likely < 1.0);
        model.meta.presence_threshold = Some(f32::midpoint(likely, 1.0));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        fs_err::write(&path, model.file()).unwrap();
        let found = |options: &LoadOptions| {
            Localizer::load_with(&path, options).unwrap().predict(&photo).unwrap().found().is_some()
        };
        assert!(!found(&LoadOptions::default()));
        assert!(found(&LoadOptions::default().presence(likely)));
        let wrong = Localizer::load_with(&path, &LoadOptions::default().presence(2.0));
        assert_error(wrong, "`presence_threshold`: 2 is not within 0 and 1");
    }

    #[cfg(all(feature = "candle", feature = "onnx"))]
    #[test]
    fn every_engine_says_the_same() {
        let model = with_presence();
        let (network, json) = (model.network(), serde_json::to_string(&model.meta).unwrap());
        let photos: Vec<RgbImage> = (0..3).map(|i| photo(50, 40, i)).collect();
        let presence = |localizer: &Localizer| -> Vec<f32> {
            localizer.predict_batch(&photos).into_iter().map(|a| a.unwrap().presence().unwrap()).collect()
        };
        let native = presence(&Localizer::from_bytes(&model.file()).unwrap());
        let (_, engines) =
            loc_infer::engine::candle::Candle::read(&model.file(), &candle_core::Device::Cpu).unwrap();
        let engines = engines.into_iter().map(|engine| Box::new(engine) as Box<dyn Engine>).collect();
        let candle = presence(&Localizer::with_engines(model.meta.clone(), engines).unwrap());
        for opset in loc_model::export::opsets() {
            let bytes = loc_model::export::onnx(&network, &model.weights, &json, opset).unwrap();
            let onnx = presence(&Localizer::from_bytes(&bytes).unwrap());
            for ((native, candle), onnx) in native.iter().zip(&candle).zip(onnx) {
                assert!(
                    (native - candle).abs() < 1e-5 && (native - onnx).abs() < 1e-5,
                    "{native} {candle} {onnx}"
                );
            }
        }
    }
}
