//! Tests that a photo's output does not depend on the rest of the batch, and that unsuitable weights are listed.

use super::*;
use crate::Weight;
use crate::kernels::testing::{numbers, single};
use crate::{Backbone, ClassFeatures, Head, InputShape, NetworkConfig, Normalization};

fn forward(height: usize, width: usize) -> Forward {
    let network = network(height, width);
    let weights = weights(&network);
    Forward::new(network, weights).unwrap()
}

fn network(height: usize, width: usize) -> Network {
    let config = NetworkConfig::five_conv(InputShape { height, width }, 3);
    config.build(&Normalization { mean: [0.5; 3], std: [0.25; 3] }).unwrap()
}

fn weights(network: &Network) -> Weights {
    let weights = network.params().iter().enumerate().map(|(i, p)| {
        let len = p.shape.iter().product();
        let bound = 1.0 / (p.fan_in as f64).sqrt();
        let data: Vec<f64> = numbers(i as u64, len).iter().map(|v| v * bound).collect();
        (p.name.clone(), Weight { shape: p.shape.clone(), data: single(&data) })
    });
    Weights(weights.collect())
}

#[test]
fn output_of_a_photo_is_the_same_alone_in_a_batch_and_repeated() {
    alone_and_in_a_batch(&forward(188, 190));
    alone_and_in_a_batch(&forward(256, 256));
}

fn alone_and_in_a_batch(forward: &Forward) {
    let len = forward.network().input().len();
    let images = single(&numbers(99, 3 * len));
    let all = forward.run(ImageBatch::Floats(&images), 3).unwrap();
    assert!(all.logits.iter().chain(&all.boxes).all(|v| v.is_finite()));
    assert_ne!(all.logits[..3], all.logits[3..6]);
    assert!(all.boxes.iter().all(|v| (0.0..=1.0).contains(v)));
    for (i, photo) in images.chunks_exact(len).enumerate() {
        let one = forward.run(ImageBatch::Floats(photo), 1).unwrap();
        assert_eq!(one.logits, all.logits[i * 3..][..3]);
        assert_eq!(one.boxes, all.boxes[i * 4..][..4]);
    }
    assert_eq!(forward.run(ImageBatch::Floats(&[]), 0).unwrap(), Output::default());
    assert!(matches!(forward.run(ImageBatch::Floats(&images[1..]), 3), Err(NetError::Length { .. })));
}

#[test]
fn edges_are_the_distributions_whose_expectations_are_the_box() {
    let input = InputShape { height: 124, width: 130 };
    let config = NetworkConfig::new(input, 3, Backbone::Compact, Head::Edges);
    let network = config.build(&Normalization::IDENTITY).unwrap();
    let weights = weights(&network);
    let forward = Forward::new(network, weights).unwrap();
    let images = single(&numbers(98, 2 * forward.network().input().len()));
    let output = forward.run(ImageBatch::Floats(&images), 2).unwrap();
    let bins = forward.network().edges().unwrap().1;
    let expected = output.edges.chunks_exact(bins).map(|logits| {
        let powers: Vec<f64> = logits.iter().map(|z| f64::from(*z).exp()).collect();
        let moment: f64 = powers.iter().enumerate().map(|(bin, p)| p * bin as f64).sum();
        moment / powers.iter().sum::<f64>() / (bins - 1) as f64
    });
    let expected: Vec<f64> = expected.collect();
    assert_eq!((output.boxes.len(), expected.len()), (8, 8));
    for (got, expected) in output.boxes.iter().zip(expected) {
        assert!((f64::from(*got) - expected).abs() < 1e-5, "{got} {expected}");
    }
    let mlp = self::forward(188, 190);
    let images = single(&numbers(97, mlp.network().input().len()));
    assert!(mlp.run(ImageBatch::Floats(&images), 1).unwrap().edges.is_empty());
}

#[test]
fn features_that_were_asked_for_are_those_of_the_layer() {
    let input = InputShape { height: 124, width: 130 };
    let whole = NetworkConfig::new(input, 3, Backbone::Compact, Head::Edges);
    let region = NetworkConfig { class_features: ClassFeatures::Region, ..whole.clone() };
    let built = [whole, region].map(|config| config.build(&Normalization::IDENTITY).unwrap());
    for network in built.into_iter().chain([network(188, 190)]) {
        let (weights, layer) = (weights(&network), network.class_features());
        let plain = Forward::new(network, weights.clone()).unwrap();
        let images = single(&numbers(99, 2 * plain.network().input().len()));
        let photos = ImageBatch::Floats(&images);
        let expected = plain.features(photos, 2, &[layer]).unwrap().remove(0);
        let (n, shape) = (plain.network().class_feature_count(), plain.network().shape(layer));
        let means = expected.chunks_exact(shape.len() / n).map(|of| of.iter().sum::<f32>() / of.len() as f32);
        let expected: Vec<f32> = means.collect();
        assert_eq!((expected.len(), shape.0[0]), (2 * n, n), "of a map the means of its channels");
        let before = plain.run(photos, 2).unwrap();
        let after = Forward::new(plain.network().clone(), weights).unwrap().with_features().unwrap();
        let after = after.run(photos, 2).unwrap();
        assert_eq!(after.features, expected);
        assert!(before.features.is_empty());
        assert_eq!(crate::Output { features: Vec::new(), ..after }, before, "all else stays");
    }
}

#[test]
fn weights_that_do_not_fit_are_all_listed() {
    let network = network(188, 190);
    let mut weights = weights(&network);
    weights.0.remove("conv2.bias");
    weights.0.insert("bn1.weight".into(), Weight { shape: vec![1], data: vec![0.0] });
    weights.0.insert("conv3.bias".into(), Weight { shape: vec![25], data: vec![0.0; 25] });
    weights.0.insert("conv4.bias".into(), Weight { shape: vec![48], data: vec![f32::NAN; 48] });
    let message = Forward::new(network, weights).unwrap_err().to_string();
    for part in
        ["missing `conv2.bias`", "extra `bn1.weight`", "`conv3.bias` has the shape [25]", "48 non-finite"]
    {
        assert!(message.contains(part), "{message}");
    }
}
