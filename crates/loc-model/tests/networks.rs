//! Tests every backbone with every head. These compute the same: prediction without a framework, both backends of
//! training, heads on cached features, and the exported graph.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use candle_core::{DType, Device, Tensor};
use common::{BACKENDS, assert_close, random};
use loc_model::init::{self, Scheme};
use loc_model::{Conditions, Dropout, Input, Model};
use loc_net::{
    Backbone, ClassFeatures, Forward, Head, ImageBatch, InputShape, Network, NetworkConfig, Normalization,
    Weights,
};

/// For each backbone an input side close to the smallest valid one.
const BACKBONES: [(Backbone, usize); 3] =
    [(Backbone::FiveConv, 190), (Backbone::Compact, 126), (Backbone::Lite0, 65)];
const HEADS: [(Head, ClassFeatures); 4] = [
    (Head::Mlp, ClassFeatures::Whole),
    (Head::Edges, ClassFeatures::Whole),
    (Head::Edges4, ClassFeatures::Whole),
    (Head::Edges, ClassFeatures::Region),
];

fn all() -> impl Iterator<Item = (Network, Weights)> {
    let pairs = BACKBONES.into_iter().flat_map(|b| HEADS.into_iter().map(move |h| (b, h)));
    pairs.map(|((backbone, side), (head, class_features))| {
        let (input, presence) = (InputShape { height: side, width: side }, head != Head::Edges4);
        let config =
            NetworkConfig { class_features, presence, ..NetworkConfig::new(input, 3, backbone, head) };
        let network = config.build(&Normalization { mean: [0.4; 3], std: [0.3; 3] }).unwrap();
        // With this seed no sum is so close to a kink of relu6 that rounding moves it to the other side.
        let mut weights = init::weights(&network, Scheme::He, 5);
        // With a weight of 1 the mean of clipped values could equal the standardisation's limit, where there are
        // different conventions for the gradient.
        let standardisations = weights.0.iter_mut().filter(|(name, _)| name.ends_with("_standard.weight"));
        standardisations.for_each(|(_, weight)| weight.data.iter_mut().for_each(|w| *w = 0.9));
        // The initial weights of the last layers are so small that every box would be in the middle.
        for (name, weight) in &mut weights.0 {
            let last = ["_out", "_left", "_top", "_right", "_bottom"];
            if last.iter().any(|end| name.strip_suffix(".weight").is_some_and(|layer| layer.ends_with(end))) {
                weight.data.iter_mut().for_each(|w| *w *= 20.0);
            }
        }
        (network, weights)
    })
}

fn photos(network: &Network, n: usize) -> Tensor {
    let (c, h, w) = network.input().chw().unwrap();
    ((random(&[n, c, h, w], 5, DType::F32) * 0.5).unwrap() + 0.5).unwrap()
}

fn with(dropout: Dropout) -> Conditions {
    Conditions { dropout: Some(dropout), ..Conditions::default() }
}

/// Returns the backbone's features of `n` photos.
fn cached_features(forward: &Forward, photos: ImageBatch, n: usize) -> Input {
    let (network, taps) = (forward.network(), forward.network().taps());
    let features = forward.features(photos, n, &taps).unwrap();
    let features = features.into_iter().zip(&taps).map(|(values, tap)| {
        let dims = [&[n][..], &network.shape(*tap).0].concat();
        Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
    });
    Input::Features(features.collect())
}

#[test]
fn prediction_and_training_compute_the_same() {
    for (network, weights) in all() {
        let photos = photos(&network, 2);
        let flat: Vec<f32> = photos.flatten_all().unwrap().to_vec1().unwrap();
        let forward = Forward::new(network.clone(), weights.clone()).unwrap();
        let predicted = forward.run(ImageBatch::Floats(&flat), 2).unwrap();
        let classes = network.classes();
        let logits = Tensor::from_vec(predicted.logits, (2, classes), &Device::Cpu).unwrap();
        let boxes = Tensor::from_vec(predicted.boxes, (2, 4), &Device::Cpu).unwrap();
        for backend in BACKENDS {
            let model = Model::with_backend(network.clone(), &weights, &Device::Cpu, backend).unwrap();
            let output = model.infer(&photos).unwrap();
            assert_close("logits", &output.logits, &logits, 2e-5);
            assert_close("boxes", &output.boxes, &boxes, 2e-5);
            assert_eq!(output.edges.is_some(), network.edges().is_some());
            assert_eq!(output.presence.is_some(), network.presence().is_some());
            if let Some(presence) = &output.presence {
                let predicted = Tensor::from_slice(&predicted.presence, 2, &Device::Cpu).unwrap();
                assert_close("presence", presence, &predicted, 2e-5);
            }
        }
    }
}

#[test]
fn heads_on_cached_features_compute_the_same_as_the_network_on_photos() {
    for (network, weights) in all() {
        let photos = photos(&network, 2);
        let flat: Vec<f32> = photos.flatten_all().unwrap().to_vec1().unwrap();
        let forward = Forward::new(network.clone(), weights.clone()).unwrap();
        let input = cached_features(&forward, ImageBatch::Floats(&flat), 2);
        let model = Model::with_frozen_backbone(network.clone(), &weights, &Device::Cpu).unwrap();
        let heads = network.params().iter().filter(|p| p.layer >= network.backbone_layers());
        assert_eq!(model.vars().len(), heads.count(), "only the heads are trained");
        let (from_features, from_photos) = (model.evaluate(&input).unwrap(), model.infer(&photos).unwrap());
        assert_close("logits", &from_features.logits, &from_photos.logits, 2e-5);
        assert_close("boxes", &from_features.boxes, &from_photos.boxes, 2e-5);
        if let (Some(one), Some(other)) = (&from_features.presence, &from_photos.presence) {
            assert_close("presence", one, other, 2e-5);
        }
        assert_eq!(model.weights().unwrap(), weights, "all weights are returned");
        let loss = (from_features.logits.sqr().unwrap().sum_all().unwrap()
            + model.train(&input, &Conditions::default()).unwrap().boxes.sum_all().unwrap())
        .unwrap();
        assert!(model.backward(&loss).unwrap().norm().unwrap() > 0.0);
        let wrong = Input::Features(vec![photos.clone()]);
        assert!(model.evaluate(&wrong).unwrap_err().to_string().contains("features"));
    }
}

fn norm(x: &Tensor) -> f64 {
    f64::from(x.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap()).sqrt()
}

/// Compares the gradient of every parameter with that of Candle's own operations, also for fused layers, and in a
/// second batch that is smaller than the first.
#[test]
fn gradients_equal_candles_operations() {
    for (network, weights) in all() {
        let [kernels, composed] = BACKENDS
            .map(|backend| Model::with_backend(network.clone(), &weights, &Device::Cpu, backend).unwrap());
        for n in [3, 2] {
            let photos = photos(&network, n);
            // Half of the time in given boxes.
            let boxes =
                Tensor::new(&[[0.1f32, 0.2, 0.6, 0.9]], &Device::Cpu).unwrap().repeat((n, 1)).unwrap();
            let conditions = Conditions { region_boxes: (n == 2).then_some(boxes), ..Conditions::default() };
            let [got, expected] = [&kernels, &composed].map(|model| {
                let output = model.train(&Input::Images(photos.clone()), &conditions).unwrap();
                let squares = |x: &Tensor| x.sqr().unwrap().sum_all().unwrap();
                let mut loss = (squares(&output.logits) + output.boxes.sum_all().unwrap()).unwrap();
                for further in output.edges.iter().chain(&output.presence) {
                    loss = (loss + squares(further)).unwrap();
                }
                model.backward(&loss).unwrap()
            });
            for param in network.params() {
                let of = |gradients: &loc_model::Gradients| gradients.get(&param.name).unwrap();
                match (of(&got), of(&expected)) {
                    (Some(got), Some(expected)) => {
                        // The error of fifty layers; rounding may also change the argmax of a near tie.
                        let error = norm(&(got - &expected).unwrap()) / norm(&expected).max(1e-6);
                        assert!(error <= 1e-3, "{}: {error:e} of the norm", param.name);
                    }
                    (None, None) => {}
                    (got, _) => {
                        // The single operation returns zeros for parameters that the loss does not depend on.
                        let all = got.unwrap().abs().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
                        assert_eq!(all, 0.0, "{}", param.name);
                    }
                }
            }
        }
    }
}

#[test]
fn dropout_depends_on_its_key_only_and_keeps_the_mean() {
    let (network, weights) = all().nth(3).unwrap();
    let photos = photos(&network, 4);
    let model = Model::new(network, &weights, &Device::Cpu).unwrap();
    let logits = |key: u64| {
        let input = Input::Images(photos.clone());
        let output = model.train(&input, &with(Dropout { rate: 0.4, key: [key, 1, 2], before: 0 })).unwrap();
        output.logits.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    assert_eq!(logits(1), logits(1));
    assert_ne!(logits(1), logits(2));
    let dropout = Dropout { rate: 0.4, key: [7, 0, 0], before: 0 };
    let ones = Tensor::ones((8, 500, 2, 3), DType::F32, &Device::Cpu).unwrap();
    let dropped = dropout.apply(&ones, "x").unwrap();
    let values: Vec<f32> = dropped.flatten_all().unwrap().to_vec1().unwrap();
    assert!(values.chunks(6).all(|map| map.iter().all(|v| *v == map[0])), "whole channels");
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    assert!((mean - 1.0).abs() < 0.05, "{mean}");
}

#[test]
fn both_backends_drop_the_same_values() {
    let dropout = with(Dropout { rate: 0.4, key: [3, 1, 2], before: 0 });
    for (network, weights) in all() {
        let photos = photos(&network, 3);
        let flat: Vec<f32> = photos.flatten_all().unwrap().to_vec1().unwrap();
        let [kernels, composed] = BACKENDS.map(|backend| {
            let model = Model::with_backend(network.clone(), &weights, &Device::Cpu, backend).unwrap();
            model.train(&Input::Images(photos.clone()), &dropout).unwrap()
        });
        let forward = Forward::new(network.clone(), weights.clone()).unwrap();
        let frozen = Model::with_frozen_backbone(network.clone(), &weights, &Device::Cpu).unwrap();
        let cached_features =
            frozen.train(&cached_features(&forward, ImageBatch::Floats(&flat), 3), &dropout).unwrap();
        for output in [kernels, cached_features] {
            assert_close("logits", &output.logits, &composed.logits, 5e-5);
            assert_close("boxes", &output.boxes, &composed.boxes, 5e-5);
        }
    }
}

#[cfg(feature = "onnx")]
#[test]
fn every_export_runs_in_another_engine() {
    for (network, weights) in all() {
        for opset in loc_model::export::opsets() {
            for metadata in ["{}", r#"{"temperature":0.3}"#] {
                let bytes = loc_model::export::onnx(&network, &weights, metadata, opset).unwrap();
                let difference = loc_model::export::check(&bytes, &network, &weights).unwrap();
                assert!(difference.max() <= 1e-5, "{difference:?}");
            }
        }
    }
}
