//! Tests EfficientNet-Lite0's weights: batch normalisation is folded correctly; other weights are rejected; the
//! complete network, with both backends, equals PyTorch on weights made from hashes (`golden/lite0.py`). With the
//! published weights, if they are available, the features equal PyTorch's.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;
#[path = "../../../xtask/src/skip.rs"]
mod skip;

use std::path::PathBuf;

use candle_core::{Device, Tensor};
use common::{BACKENDS, assert_close, golden, hash32, numbers};
use loc_model::{Conditions, Input, Model, init, pretrained, weights};
use loc_net::{
    Backbone, Forward, Head, ImageBatch, InputShape, Network, NetworkConfig, Normalization, Weight, Weights,
};

const SIDE: usize = 65;

/// Tolerance relative to the largest value, for f32 against f64 through fifty layers.
const VALUES: f64 = 2e-5;
/// Tolerance relative to a gradient's norm; no relu6 is at a kink on these photos.
const GRADIENT: f64 = 1e-5;

fn network(head: Head) -> Network {
    let config = NetworkConfig::new(InputShape { height: SIDE, width: SIDE }, 2, Backbone::Lite0, head);
    config.build(&Normalization { mean: [127.0 / 255.0; 3], std: [128.0 / 255.0; 3] }).unwrap()
}

/// The script's photos. They are planar in the script, and interleaved here.
fn photos(streams: &[u32]) -> Vec<u8> {
    let plane = SIDE * SIDE;
    let value = |i: usize, stream| (hash32(i % 3 * plane + i / 3, stream) % 256) as u8;
    streams.iter().flat_map(|stream| (0..3 * plane).map(move |i| value(i, *stream))).collect()
}

/// Streams of the photos in the script.
const PUBLISHED: [u32; 1] = [7];
const PHOTOS: [u32; 2] = [115, 68];

/// Returns the features that the heads read, before standardisation.
fn features(forward: &Forward, streams: &[u32]) -> Vec<Vec<f32>> {
    let layers: Vec<usize> = forward
        .network()
        .layers()
        .iter()
        .filter(|layer| layer.name.ends_with("_standard"))
        .map(|layer| match layer.inputs[0] {
            loc_net::Source::Layer(before) => before,
            loc_net::Source::Input => panic!("the standardisation must not read the photo"),
        })
        .collect();
    forward.features(ImageBatch::Bytes(&photos(streams)), streams.len(), &layers).unwrap()
}

/// `random` of the script.
fn random(shape: &[usize], stream: u32, center: f64, half_range: f64) -> Weight {
    let value = |i| (center + half_range * (f64::from(hash32(i, stream)) / 2_147_483_648.0 - 1.0)) as f32;
    Weight { shape: shape.to_vec(), data: (0..shape.iter().product()).map(value).collect() }
}

/// Iterates over the backbone's convolutions in order: name, and shape of the weights.
fn convolutions(network: &Network) -> impl Iterator<Item = (&str, &[usize])> {
    let params =
        network.params().iter().filter(|p| p.layer < network.backbone_layers() && p.shape.len() == 4);
    params.map(|p| (p.name.strip_suffix(".weight").unwrap(), &p.shape[..]))
}

/// Returns the names of a convolution and of its batch normalisation in the state dict.
fn names(name: &str) -> (String, String) {
    match name.split_once('.') {
        None if name == "stem" => ("_conv_stem".to_owned(), "_bn0".to_owned()),
        None => ("_conv_head".to_owned(), "_bn1".to_owned()),
        Some((block, part)) => {
            let block = format!("_blocks.{}", block.strip_prefix("block").unwrap());
            let n = ["expand", "depthwise", "project"].iter().position(|p| *p == part).unwrap();
            (format!("{block}._{part}_conv"), format!("{block}._bn{n}"))
        }
    }
}

const NORM: [&str; 4] = ["weight", "bias", "running_mean", "running_var"];

/// The script's `state_dict` as the weights of a network, with its standardisation and heads.
fn hashed(network: &Network) -> Weights {
    let mut state = Weights::default();
    for (k, (name, shape)) in (0u32..).zip(convolutions(network)) {
        let (conv, norm) = names(name);
        let fan_in = shape[1..].iter().product::<usize>() as f64;
        let half_range = (if name.ends_with("project") { 2.0 } else { 6.0 } / fan_in).sqrt();
        state.0.insert(format!("{conv}.weight"), random(shape, 1000 + 10 * k, 0.0, half_range));
        let numbers = [(1.0, 0.25), (0.2, 0.2), (0.0, 0.1), (1.0, 0.5)];
        for (j, (what, (center, half_range))) in (0u32..).zip(NORM.into_iter().zip(numbers)) {
            state
                .0
                .insert(format!("{norm}.{what}"), random(&shape[..1], 1001 + 10 * k + j, center, half_range));
        }
    }
    let mut all = pretrained::lite0(network, &state).unwrap();
    let heads = ["class_fc1", "class_fc2", "class_out", "box_fc1", "box_fc2", "box_out"];
    let standards = ["fine_standard", "coarse_standard", "whole_standard"];
    for (i, name) in (0u32..).zip(standards).map(|(i, name)| (100 + 2 * i, name)) {
        let n = &all.0[&format!("{name}.weight")].shape.clone();
        all.0.insert(format!("{name}.weight"), random(n, i, 0.8, 0.2));
        all.0.insert(format!("{name}.bias"), random(n, i + 1, 0.0, 0.1));
    }
    for (i, name) in (0u32..).zip(heads).map(|(i, name)| (200 + 2 * i, name)) {
        let shape = &network.params().iter().find(|p| p.name == format!("{name}.weight")).unwrap().shape;
        all.0.insert(format!("{name}.weight"), random(shape, i, 0.0, (6.0 / shape[1] as f64).sqrt()));
        all.0.insert(format!("{name}.bias"), random(&shape[..1], i + 1, 0.0, 0.1));
    }
    all.check(network).unwrap();
    all
}

/// The only comparison with PyTorch that needs no downloaded file.
#[test]
fn outputs_features_and_gradients_equal_pytorch() {
    let (network, golden) = (network(Head::Mlp), golden("lite0"));
    let weights = hashed(&network);
    let tensor =
        |values: Vec<f32>, like: &Tensor| Tensor::from_vec(values, like.dims(), &Device::Cpu).unwrap();
    let forward = Forward::new(network.clone(), weights.clone()).unwrap();
    for (values, name) in features(&forward, &PHOTOS).into_iter().zip(["fine", "coarse", "whole"]) {
        let expected = &golden[&format!("features.{name}")];
        assert_close(name, &tensor(values, expected), expected, VALUES);
    }
    let images = Tensor::from_vec(photos(&PHOTOS), (PHOTOS.len(), SIDE, SIDE, 3), &Device::Cpu).unwrap();
    for backend in BACKENDS {
        let model = Model::with_backend(network.clone(), &weights, &Device::Cpu, backend).unwrap();
        let output = model.train(&Input::Images(images.clone()), &Conditions::default()).unwrap();
        assert_close("logits", &output.logits, &golden["logits"], VALUES);
        assert_close("boxes", &output.boxes, &golden["boxes"], VALUES);
        let sum = |output_values: &Tensor, stream| {
            let factors = tensor(random(output_values.dims(), stream, 0.0, 1.0).data, output_values);
            (output_values * factors).unwrap().sum_all().unwrap()
        };
        let loss = (sum(&output.logits, 300) + sum(&output.boxes, 301)).unwrap();
        let gradients = model.backward(&loss).unwrap();
        let params =
            convolutions(&network).flat_map(|(name, _)| ["weight", "bias"].map(|p| format!("{name}.{p}")));
        for (k, name) in (0u32..).zip(params) {
            let gradient = numbers(&gradients.get(&name).unwrap().unwrap());
            let hashes = random(&[gradient.len()], 400 + k, 0.0, 1.0).data;
            let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            let hashed: f64 = gradient.iter().zip(hashes).map(|(g, h)| g * f64::from(h)).sum();
            let expected = numbers(&golden[&format!("gradient.{name}")]);
            assert!(expected[0] > 0.0, "{name}: no gradient reaches it");
            for (got, expected_one) in [norm, hashed].into_iter().zip(&expected) {
                let error = (got - expected_one).abs() / expected[0];
                assert!(error <= GRADIENT, "{backend:?}, {name}: {error:e} of the norm");
            }
        }
    }
}

/// Mean, largest absolute value and the first four numbers of each output.
fn statistics(values: &[f32]) -> [f64; 6] {
    let all = values.iter().map(|v| f64::from(*v));
    let mean = all.clone().sum::<f64>() / values.len() as f64;
    let largest = all.clone().fold(0.0f64, |m, v| m.max(v.abs()));
    let mut statistics = [mean, largest, 0.0, 0.0, 0.0, 0.0];
    statistics[2..].iter_mut().zip(all).for_each(|(f, v)| *f = v);
    statistics
}

#[test]
fn features_of_the_published_weights_equal_pytorch() {
    let shared = std::env::var_os("LOC_SHARED").map_or_else(|| "../../../shared".into(), PathBuf::from);
    let path = shared.join("weights/efficientnet-lite0.safetensors");
    if !path.is_file() {
        return skip::say(skip::Reason::Shared, "the weights of EfficientNet-Lite0 are missing");
    }
    let network = network(Head::Edges);
    let mut all = init::weights(&network, init::Scheme::He, 0);
    all.0.extend(pretrained::lite0(&network, &weights::load(&path).unwrap().weights).unwrap().0);
    let forward = Forward::new(network, all).unwrap();
    let features = features(&forward, &PUBLISHED);
    // Printed by golden/lite0.py.
    let golden = [
        [-0.315387, 29.981059, -7.932465, -0.33098, -4.990846, -6.684041],
        [-0.149817, 7.565106, 1.185764, 2.430713, 0.539963, 1.553275],
        [0.091764, 4.53495, 0.747557, 0.0, 0.3519, 0.0],
    ];
    for (got, expected) in features.iter().map(|f| statistics(f)).zip(golden) {
        for (g, e) in got.iter().zip(expected) {
            assert!((g - e).abs() < 2e-5 * expected[1], "got {got:?}, expected {expected:?}");
        }
    }
}

/// A small state dict with EfficientNet-Lite0's names: all values of a tensor are the same number.
fn state_dict(network: &Network) -> Weights {
    let mut state = Weights::default();
    for (name, shape) in convolutions(network) {
        let (conv, norm) = names(name);
        let mut put = |name: String, shape: &[usize], value: f32| {
            let len = shape.iter().product();
            state.0.insert(name, Weight { shape: shape.to_vec(), data: vec![value; len] });
        };
        put(format!("{conv}.weight"), shape, 0.5);
        for (what, value) in NORM.into_iter().zip([3.0, 0.25, 2.0, 0.008]) {
            put(format!("{norm}.{what}"), &shape[..1], value);
        }
    }
    state
}

#[test]
fn batch_normalisation_is_folded() {
    let network = network(Head::Edges);
    let folded = pretrained::lite0(&network, &state_dict(&network)).unwrap();
    // γ / √(var + 0.001) = 3 / √0.009 = 31.62; 0.25 − 2 · 31.62
    let scale = 3.0 / 0.009f64.sqrt();
    for (name, expected) in [("block3.depthwise.weight", 0.5 * scale), ("top.bias", 0.25 - 2.0 * scale)] {
        let values = folded.values(name);
        assert!(
            !values.is_empty() && values.iter().all(|v| (f64::from(*v) - expected).abs() < 1e-4),
            "{name}"
        );
    }
    let mut all = init::weights(&network, init::Scheme::He, 0);
    all.0.extend(folded.0);
    all.check(&network).unwrap();
}

#[test]
fn other_weights_are_rejected_with_their_differences() {
    let network = network(Head::Edges);
    let mut state = state_dict(&network);
    state.0.remove("_blocks.4._bn1.running_var");
    state.0.insert("_conv_stem.weight".into(), Weight { shape: vec![1], data: vec![0.0] });
    let message = pretrained::lite0(&network, &state).unwrap_err().to_string();
    for part in
        ["2 differences", "`_blocks.4._bn1.running_var` is missing", "`_conv_stem.weight` has the shape [1]"]
    {
        assert!(message.contains(part), "{message}");
    }
}
