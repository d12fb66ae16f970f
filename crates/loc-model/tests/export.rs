//! Tests the ONNX export: an independent engine computes the same outputs, and the error names what cannot be exported.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use loc_model::export::onnx;
use loc_net::ops::{AvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, Normalize, Pool, Relu, Sigmoid};
use loc_net::{
    Forward, ImageBatch, InputShape, Network, NetworkBuilder, NetworkConfig, Normalization, Op, Source,
    Weight, Weights,
};

/// Tolerance of probabilities and coordinates, both in 0..1.
const TOLERANCE: f32 = 1e-5;
const METADATA: &str =
    r#"{"format":1,"classes":["cat","dog"],"input":{"fit":"stretch","filter":"bilinear"}}"#;
const NORMALIZATION: Normalization =
    Normalization { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/// Values in -1..1 by splitmix64; every seed gives different values.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn weights(network: &Network) -> Weights {
    let weights = network.params().iter().enumerate().map(|(i, p)| {
        let bound = (3.0 / p.fan_in as f32).sqrt();
        let data = numbers(i as u64, p.shape.iter().product());
        (p.name.clone(), Weight { shape: p.shape.clone(), data: data.iter().map(|v| v * bound).collect() })
    });
    Weights(weights.collect())
}

fn five_conv(classes: usize, normalization: &Normalization) -> Network {
    NetworkConfig::five_conv(InputShape { height: 188, width: 196 }, classes).build(normalization).unwrap()
}

/// Every operation, with settings that five_conv does not have: groups, padding, windows that are not square, odd
/// sizes, a layer that two others read, and names that the export itself uses.
fn every_op(classes: usize) -> Network {
    let mut net = NetworkBuilder::new(21, 26);
    let Normalization { mean, std } = NORMALIZATION;
    let x = net.add("input", Op::Normalize(Normalize { mean, std }), Source::Input).unwrap();
    let grouped =
        Conv2d { out_channels: 6, kernel: (3, 5), stride: (2, 2), padding: (1, 2), extra: (0, 0), groups: 3 };
    let x = net.add("conv1", Op::Conv2d(grouped), x).unwrap(); // [6, 11, 13]
    let x = net.add("cls", Op::Relu(Relu), x).unwrap();
    let x = net.add("pool1", Op::MaxPool2d(MaxPool2d(Pool { kernel: (3, 2), stride: (2, 1) })), x).unwrap(); // [6, 5, 12]
    let depthwise = Conv2d { padding: (1, 1), groups: 6, ..Conv2d::square(6, 3) };
    let x = net.add("conv1.weight", Op::Conv2d(depthwise), x).unwrap();
    let x = net.add("loc", Op::AvgPool2d(AvgPool2d(Pool { kernel: (2, 3), stride: (2, 4) })), x).unwrap(); // [6, 2, 3]
    let x = net.add("softmax", Op::Sigmoid(Sigmoid), x).unwrap();
    let x = net.add("features", Op::Flatten(Flatten), x).unwrap(); // [36]
    let logits = net.add("class_out", Op::Linear(Linear { out_features: classes }), x).unwrap();
    let raw = net.add("box_out", Op::Linear(Linear { out_features: 4 }), x).unwrap();
    let boxes = net.add("box", Op::Sigmoid(Sigmoid), raw).unwrap();
    net.finish(logits, boxes).unwrap()
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let max = logits.iter().copied().fold(f32::MIN, f32::max);
    let powers: Vec<f32> = logits.iter().map(|x| (x - max).exp()).collect();
    powers.iter().map(|p| p / powers.iter().sum::<f32>()).collect()
}

/// The outputs `cls` and `loc` of rten.
fn run_rten(model: &rten::Model, images: Vec<f32>, shape: [usize; 4]) -> [Vec<f32>; 2] {
    let id = |name: &str| model.node_id(name).unwrap();
    let input = rten::Value::from_shape(shape, images).unwrap();
    let outputs = model.run_n([(id("input"), input.into())].into(), [id("cls"), id("loc")], None).unwrap();
    outputs.map(|output| {
        let (shape_out, values) = output.into_shape_vec::<f32, 2>().unwrap();
        assert_eq!(shape_out[0], shape[0]);
        values
    })
}

#[track_caller]
fn assert_close(what: &str, got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (g, e) in got.iter().zip(expected) {
        // Written so that NaN fails.
        assert!((g - e).abs() <= TOLERANCE, "{what}: got {got:?}, expected {expected:?}");
    }
}

#[test]
fn rten_computes_the_same_outputs() {
    let cases = [
        ("five_conv", five_conv(2, &Normalization::IDENTITY), METADATA),
        ("five_conv, normalised", five_conv(2, &NORMALIZATION), METADATA),
        ("one class", every_op(1), "{}"),
        ("every operation", every_op(2), METADATA),
    ];
    for (name, network, metadata) in cases {
        let weights = weights(&network);
        let forward = Forward::new(network.clone(), weights.clone()).unwrap();
        let [channels, height, width] = network.input().0[..] else { panic!("{network:?}") };
        for opset in [11, 13] {
            let model = rten::Model::load(onnx(&network, &weights, metadata, opset).unwrap()).unwrap();
            for batch in [1, 3] {
                let what = format!("{name}, operator set {opset}, batch {batch}");
                let images = numbers(99, batch * network.input().len());
                let images: Vec<f32> = images.iter().map(|v| v.abs()).collect();
                let expected = forward.run(ImageBatch::Floats(&images), batch).unwrap();
                let probabilities: Vec<f32> =
                    expected.logits.chunks(network.classes()).flat_map(softmax).collect();
                let [cls, loc] = run_rten(&model, images, [batch, channels, height, width]);
                assert_close(&format!("{what}: cls"), &cls, &probabilities);
                assert_close(&format!("{what}: loc"), &loc, &expected.boxes);
            }
        }
    }
}

/// If all photos had the same outputs, the comparisons would prove nothing.
#[test]
fn outputs_of_the_test_networks_differ_between_photos() {
    for network in [five_conv(2, &NORMALIZATION), every_op(2)] {
        let photo =
            |seed| -> Vec<f32> { numbers(seed, network.input().len()).iter().map(|v| v.abs()).collect() };
        let forward = Forward::new(network.clone(), weights(&network)).unwrap();
        let (a, b) = (
            forward.run(ImageBatch::Floats(&photo(1)), 1).unwrap(),
            forward.run(ImageBatch::Floats(&photo(2)), 1).unwrap(),
        );
        let difference = a.boxes.iter().zip(&b.boxes).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference > 100.0 * TOLERANCE, "{difference}");
    }
}

#[test]
fn the_same_network_gives_the_same_file() {
    let network = every_op(2);
    let weights = weights(&network);
    let bytes = onnx(&network, &weights, METADATA, 13).unwrap();
    assert_eq!(bytes, onnx(&network, &weights, METADATA, 13).unwrap());
    assert_ne!(bytes, onnx(&network, &weights, METADATA, 11).unwrap());
}

#[test]
fn the_error_names_what_cannot_be_exported() {
    let network = every_op(2);
    let good = weights(&network);
    let mut missing = good.clone();
    missing.0.remove("box_out.bias");
    let cases = [
        (&good, METADATA, 12, "operator set 12 is not supported; supported are 11, 13 (hint:"),
        (&good, METADATA, -1, "operator set -1"),
        (&good, "", 13, "metadata is not JSON"),
        (&good, r#"{"classes":["cat"]}"#, 13, "has 1 classes, but its network has 2"),
        (&missing, METADATA, 13, "missing `box_out.bias` [4]"),
    ];
    for (weights, metadata, opset, part) in cases {
        let message = onnx(&network, weights, metadata, opset).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}

#[cfg(feature = "onnx")]
mod candle_onnx {
    use super::*;
    use loc_model::export::check;

    #[test]
    fn candle_onnx_computes_the_same_outputs() {
        for network in [five_conv(3, &Normalization::IDENTITY), five_conv(3, &NORMALIZATION), every_op(2)] {
            let weights = weights(&network);
            for opset in [11, 13] {
                let bytes = onnx(&network, &weights, "{}", opset).unwrap();
                let difference = check(&bytes, &network, &weights).unwrap();
                assert!(difference.max() <= TOLERANCE, "{difference:?}");
            }
        }
    }

    #[test]
    fn wrong_weights_are_detected() {
        let network = every_op(2);
        let weights = weights(&network);
        let bytes = onnx(&network, &weights, METADATA, 13).unwrap();
        let mut other = weights.clone();
        other.0.get_mut("box_out.bias").unwrap().data[2] += 1.0;
        let difference = check(&bytes, &network, &other).unwrap();
        assert!(difference.cls <= TOLERANCE && difference.loc > 0.05, "{difference:?}");
        other.0.get_mut("class_out.bias").unwrap().data[0] += 1.0;
        assert!(check(&bytes, &network, &other).unwrap().cls > 0.05);
    }

    #[test]
    fn a_file_that_does_not_run_is_an_error() {
        let network = every_op(2);
        let weights = weights(&network);
        let bytes = onnx(&network, &weights, METADATA, 13).unwrap();
        let message = |bytes: &[u8]| check(bytes, &network, &weights).unwrap_err().to_string();
        assert!(message(&bytes[..bytes.len() - 1]).contains("not an ONNX file"));
        assert!(message(b"").contains("candle-onnx cannot run"));
        let three = five_conv(3, &Normalization::IDENTITY);
        let bytes = onnx(&three, &super::weights(&three), "{}", 13).unwrap();
        assert!(message(&bytes).contains("candle-onnx cannot run"));
    }
}
