//! The tape against the forward pass without one, and its gradients against difference quotients. Against Candle's own
//! gradients: loc-model's tests.

use super::BackboneTraining;
use crate::kernels::image_input::ImageBatch;
use crate::kernels::testing::{numbers, same_for_any_threads, single};
use crate::{Backbone, Forward, Head, InputShape, Network, NetworkConfig, Normalization, Weight, Weights};

fn network(backbone: Backbone, side: usize) -> Network {
    let input = InputShape { height: side, width: side };
    let config = NetworkConfig { input, classes: 2, backbone, head: Head::Edges };
    config.build(&Normalization { mean: [0.4; 3], std: [0.3; 3] }).unwrap()
}

/// Small numbers, so large that half of the activations live.
fn weights(network: &Network) -> Weights {
    let weight = |(i, param): (usize, &crate::Param)| {
        let len = param.shape.iter().product();
        let scale = if param.shape.len() > 1 { (6.0 / param.fan_in as f64).sqrt() } else { 0.5 };
        let data = single(&numbers(i as u64, len)).iter().map(|v| v * scale as f32).collect();
        (param.name.clone(), Weight { shape: param.shape.clone(), data })
    };
    Weights(network.params().iter().enumerate().map(weight).collect())
}

/// A tape with these weights.
fn packed(network: &Network, weights: &Weights) -> BackboneTraining {
    let mut tape = BackboneTraining::of(network).unwrap();
    let names = tape.params();
    tape.pack(&names.iter().map(|(name, _)| weights.values(name)).collect::<Vec<_>>());
    tape
}

fn photos(network: &Network, n: usize) -> Vec<u8> {
    numbers(9, n * network.input().len()).iter().map(|v| (127.0 + 120.0 * v) as u8).collect()
}

#[test]
#[cfg_attr(miri, ignore = "takes it many minutes")]
fn features_are_those_of_the_forward_pass_batch_after_batch() {
    let network = network(Backbone::Lite0, 65);
    let weights = weights(&network);
    let mut tape = packed(&network, &weights);
    let forward = Forward::new(network.clone(), weights).unwrap();
    for n in [2, 3, 1] {
        let bytes = photos(&network, n);
        let mut features = vec![7.0; n * tape.out_len()];
        tape.forward(ImageBatch::Bytes(&bytes), n, &mut features);
        let taps = forward.features(ImageBatch::Bytes(&bytes), n, tape.taps()).unwrap();
        let mut from = 0;
        for (tap, expected) in tape.taps().iter().zip(taps) {
            let len = network.shape(*tap).len();
            for (photo, expected) in features.chunks_exact(tape.out_len()).zip(expected.chunks_exact(len)) {
                assert_eq!(&photo[from..from + len], expected, "layer {tap} of {n} photos");
            }
            from += len;
        }
        assert_eq!(from, tape.out_len());
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes it many minutes")]
fn the_gradient_is_the_difference_quotient_along_it() {
    const N: usize = 2;
    let network = network(Backbone::Lite0, 64);
    let weights = weights(&network);
    let mut tape = packed(&network, &weights);
    let bytes = photos(&network, N);
    let gradient = single(&numbers(4, N * tape.out_len()));
    let mut features = vec![0.0; gradient.len()];
    tape.forward(ImageBatch::Bytes(&bytes), N, &mut features);
    let mut of_params = vec![7.0; tape.params().iter().map(|(_, len)| len).sum()];
    tape.backward(ImageBatch::Bytes(&bytes), &gradient, &mut of_params);

    let square = of_params.iter().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>();
    let mut moved = |step: f64| {
        let mut from = 0;
        let params: Vec<Vec<f32>> = tape
            .params()
            .iter()
            .map(|(name, len)| {
                from += len;
                let gradient = &of_params[from - len..from];
                weights
                    .values(name)
                    .iter()
                    .zip(gradient)
                    .map(|(w, g)| w + (step * f64::from(*g)) as f32)
                    .collect()
            })
            .collect();
        tape.pack(&params.iter().map(Vec::as_slice).collect::<Vec<_>>());
        tape.forward(ImageBatch::Bytes(&bytes), N, &mut features);
        features.iter().zip(&gradient).map(|(f, g)| f64::from(*f) * f64::from(*g)).sum::<f64>()
    };
    // Far enough for numbers of 24 bits, near enough that few activations pass a kink.
    let step = 1e-4 / square.sqrt();
    let quotient = (moved(step) - moved(-step)) / (2.0 * step);
    assert!((quotient / square - 1.0).abs() < 0.02, "{quotient} where {square} is right");
}

#[test]
#[cfg_attr(miri, ignore = "takes it many minutes")]
fn bytes_do_not_depend_on_the_threads() {
    let network = network(Backbone::Lite0, 64);
    let weights = weights(&network);
    let bytes = photos(&network, 3);
    same_for_any_threads("features and gradients", || {
        let mut tape = packed(&network, &weights);
        let mut features = vec![0.0; 3 * tape.out_len()];
        tape.forward(ImageBatch::Bytes(&bytes), 3, &mut features);
        let mut all = vec![0.0; tape.params().iter().map(|(_, len)| len).sum()];
        tape.backward(ImageBatch::Bytes(&bytes), &single(&numbers(4, features.len())), &mut all);
        all.extend(features);
        all
    });
}

#[test]
fn there_is_none_where_a_layer_is_not_known() {
    assert!(BackboneTraining::of(&network(Backbone::FiveConv, 188)).is_none(), "max-pools");
}
