//! Tests training for every backbone with every head: outputs against prediction, gradients against difference
//! quotients, equal bytes for any number of threads. The comparison with Candle's gradients is in loc-model's tests.

use super::*;
use crate::kernels::parts::{Parts, SUM_PARTS, tree_sum};
use crate::kernels::testing::{numbers, same_for_any_threads, single};
use crate::{
    Backbone, ClassFeatures, Forward, Head, InputShape, NetworkConfig, Normalization, Weight, Weights,
};

/// For each backbone an input side close to the smallest valid one.
const BACKBONES: [(Backbone, usize); 3] =
    [(Backbone::FiveConv, 189), (Backbone::Compact, 126), (Backbone::Lite0, 65)];
const HEADS: [(Head, ClassFeatures); 4] = [
    (Head::Mlp, ClassFeatures::Whole),
    (Head::Edges, ClassFeatures::Whole),
    (Head::Edges4, ClassFeatures::Whole),
    (Head::Edges, ClassFeatures::Region),
];

fn network(backbone: Backbone, side: usize, (head, class_features): (Head, ClassFeatures)) -> Network {
    let input = InputShape { height: side, width: side };
    let config = NetworkConfig { class_features, ..NetworkConfig::new(input, 2, backbone, head) };
    config.build(&Normalization { mean: [0.4; 3], std: [0.3; 3] }).unwrap()
}

fn all() -> impl Iterator<Item = Network> {
    BACKBONES.into_iter().flat_map(|(b, side)| HEADS.into_iter().map(move |head| network(b, side, head)))
}

/// Random parameters, scaled so that about half of the activations are above zero.
fn params(network: &Network) -> Vec<Vec<f32>> {
    let values = |(i, param): (usize, &crate::Param)| {
        let len = param.shape.iter().product();
        let scale = if param.shape.len() > 1 { (6.0 / param.fan_in as f64).sqrt() } else { 0.5 };
        single(&numbers(i as u64, len)).iter().map(|v| v * scale as f32).collect()
    };
    network.params().iter().enumerate().map(values).collect()
}

fn slices(params: &[Vec<f32>]) -> Vec<&[f32]> {
    params.iter().map(Vec::as_slice).collect()
}

fn forward(network: &Network, params: &[Vec<f32>]) -> Forward {
    let named = network.params().iter().zip(params);
    let weights = named
        .map(|(param, data)| (param.name.clone(), Weight { shape: param.shape.clone(), data: data.clone() }));
    Forward::new(network.clone(), Weights(weights.collect())).unwrap()
}

fn photos(network: &Network, n: usize) -> Vec<u8> {
    numbers(9, n * network.input().len()).iter().map(|v| (127.0 + 120.0 * v) as u8).collect()
}

/// Both outputs, nothing frozen.
fn setup(network: &Network) -> TrainingSetup {
    TrainingSetup {
        from_features: false,
        frozen_backbone: false,
        outputs: vec![network.logits(), network.boxes()],
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes many minutes under Miri")]
fn outputs_equal_prediction_for_every_batch() {
    for network in all() {
        let params = params(&network);
        let (predict, mut training) = (forward(&network, &params), Training::new(&network, setup(&network)));
        let classes = network.classes();
        for n in [2, 5, 1] {
            let bytes = photos(&network, n);
            let photos = ImageBatch::Bytes(&bytes);
            let expected = predict.run(photos, n).unwrap();
            let (mut trained, mut inferred) =
                (vec![7.0; n * training.out_len()], vec![7.0; n * training.out_len()]);
            training.forward(
                Images::Photos(photos),
                n,
                &slices(&params),
                Conditions::default(),
                &mut trained,
            );
            training.infer(Images::Photos(photos), n, &slices(&params), &mut inferred);
            assert_eq!(trained, inferred);
            for (i, y) in trained.chunks_exact(training.out_len()).enumerate() {
                assert_eq!(y[..classes], expected.logits[i * classes..][..classes]);
                assert_eq!(y[classes..], expected.boxes[i * 4..][..4]);
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes many minutes under Miri")]
fn heads_on_cached_features_compute_the_same_as_the_complete_network() {
    const N: usize = 3;
    for network in all() {
        let params = params(&network);
        let bytes = photos(&network, N);
        let photos = ImageBatch::Bytes(&bytes);
        let taps = network.taps();
        let features = forward(&network, &params).features(photos, N, &taps).unwrap();
        let features: Vec<&[f32]> = features.iter().map(Vec::as_slice).collect();
        let mut whole = Training::new(&network, TrainingSetup { outputs: taps.clone(), ..setup(&network) });
        let mut y = vec![7.0; N * whole.out_len()];
        whole.infer(Images::Photos(photos), N, &slices(&params), &mut y);
        let mut from = 0;
        for (tap, features) in taps.iter().zip(&features) {
            let len = network.shape(*tap).len();
            for (y, feature) in y.chunks_exact(whole.out_len()).zip(features.chunks_exact(len)) {
                assert_eq!(&y[from..from + len], feature, "layer {tap}");
            }
            from += len;
        }

        let dropout: DropoutMask = &|name, factors| {
            factors.iter_mut().enumerate().for_each(|(i, f)| *f = ((i + name.len()) % 3) as f32);
        };
        let run = |setup: TrainingSetup, images: Images| {
            let mut training = Training::new(&network, setup);
            let mut y = vec![7.0; N * training.out_len()];
            training.forward(
                images,
                N,
                &slices(&params),
                Conditions { dropout: Some(dropout), ..Conditions::default() },
                &mut y,
            );
            let lens = params[training.trained()].iter().map(Vec::len);
            let mut gradients = vec![7.0; lens.sum()];
            let gy = single(&numbers(4, y.len()));
            training.backward(images, &slices(&params), &Parts::of(N), &gy, &mut gradients);
            (y, gradients)
        };
        let (y, gradients) = run(setup(&network), Images::Photos(photos));
        let frozen = TrainingSetup { frozen_backbone: true, ..setup(&network) };
        let (y_frozen, gradients_frozen) = run(frozen, Images::Photos(photos));
        let heads = TrainingSetup { from_features: true, ..setup(&network) };
        let (y_heads, gradients_heads) = run(heads, Images::Features(&features));
        assert_eq!((&y_heads, &y_frozen), (&y, &y));
        assert_eq!(gradients_heads, gradients_frozen);
        assert_eq!(gradients_heads, gradients[gradients.len() - gradients_heads.len()..]);
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes many minutes under Miri")]
fn gradients_match_difference_quotients() {
    const N: usize = 2;
    for network in all() {
        let params = params(&network);
        let mut training = Training::new(&network, setup(&network));
        let bytes = photos(&network, N);
        let images = Images::Photos(ImageBatch::Bytes(&bytes));
        let gy = single(&numbers(4, N * training.out_len()));
        let mut y = vec![0.0; gy.len()];
        // The class gives the box no gradient, so the box that it is read in stays where it is.
        let boxes = [0.1, 0.2, 0.6, 0.9].repeat(N);
        let conditions = Conditions { region_boxes: Some(&boxes), ..Conditions::default() };
        training.forward(images, N, &slices(&params), conditions, &mut y);
        let mut gradients = vec![7.0; network.parameter_count()];
        training.backward(images, &slices(&params), &Parts::of(N), &gy, &mut gradients);

        let square = gradients.iter().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>();
        let mut moved = |step: f64| {
            let mut rest = &gradients[..];
            let moved: Vec<Vec<f32>> = params
                .iter()
                .map(|values| {
                    let (own, others) = rest.split_at(values.len());
                    rest = others;
                    values.iter().zip(own).map(|(w, g)| w + (step * f64::from(*g)) as f32).collect()
                })
                .collect();
            training.forward(images, N, &slices(&moved), conditions, &mut y);
            y.iter().zip(&gy).map(|(y, g)| f64::from(*y) * f64::from(*g)).sum::<f64>()
        };
        // Large enough for the 24-bit precision of f32, small enough that few activations change sign.
        let step = 1e-4 / square.sqrt();
        let quotient = (moved(step) - moved(-step)) / (2.0 * step);
        assert!((quotient / square - 1.0).abs() < 0.03, "{quotient}, expected {square}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes many minutes under Miri")]
fn the_class_is_read_in_the_predicted_box_or_in_a_given_one() {
    let network = network(Backbone::Compact, 126, (Head::Edges, ClassFeatures::Region));
    let (params, bytes) = (params(&network), photos(&network, 2));
    let mut training = Training::new(&network, setup(&network));
    let mut run = |region_boxes: Option<&[f32]>| {
        let mut y = vec![0.0; 2 * training.out_len()];
        let images = Images::Photos(ImageBatch::Bytes(&bytes));
        let conditions = Conditions { region_boxes, ..Conditions::default() };
        training.forward(images, 2, &slices(&params), conditions, &mut y);
        y
    };
    let predicted = run(None);
    let boxes: Vec<f32> = predicted.chunks_exact(6).flat_map(|y| &y[2..]).copied().collect();
    assert_eq!(run(Some(&boxes)), predicted);
    let mut elsewhere = boxes.clone();
    elsewhere[..4].copy_from_slice(&[0.0, 0.0, 0.2, 0.2]);
    let moved = run(Some(&elsewhere));
    assert_ne!(moved[..2], predicted[..2], "the first photo's logits");
    assert_eq!(moved[2..], predicted[2..], "boxes, and the second photo");
}

#[test]
#[cfg_attr(miri, ignore = "takes many minutes under Miri")]
fn bytes_do_not_depend_on_the_number_of_threads() {
    const N: usize = 5;
    for network in all() {
        let params = params(&network);
        let bytes = photos(&network, N);
        let images = Images::Photos(ImageBatch::Bytes(&bytes));
        same_for_any_threads("outputs and gradients", || {
            let mut training = Training::new(&network, setup(&network));
            let mut y = vec![0.0; N * training.out_len()];
            training.forward(images, N, &slices(&params), Conditions::default(), &mut y);
            let mut all = vec![0.0; network.parameter_count()];
            let gy = single(&numbers(4, y.len()));
            training.backward(images, &slices(&params), &Parts::of(N), &gy, &mut all);
            all.extend(y);
            all
        });
    }
}

/// Simulates 2, 4 and 8 processes: each computes the gradients of its parts, and the tree sum adds them.
#[test]
#[cfg_attr(miri, ignore = "takes many minutes under Miri")]
fn gradients_of_parts_add_up_to_the_same_bytes_as_the_whole_batch() {
    for network in all() {
        let params = params(&network);
        let mut training = Training::new(&network, setup(&network));
        let (photo, out) = (network.input().len(), training.out_len());
        for n in [13, 3] {
            let bytes = photos(&network, n);
            let gy = single(&numbers(4, n * out));
            let mut run = |parts: &Parts, first: usize, gradients: &mut [f32]| {
                let n = parts.photos();
                let images = Images::Photos(ImageBatch::Bytes(&bytes[first * photo..][..n * photo]));
                let mut y = vec![0.0; n * out];
                training.forward(images, n, &slices(&params), Conditions::default(), &mut y);
                training.backward(images, &slices(&params), parts, &gy[first * out..][..n * out], gradients);
            };
            let (all, len) = (Parts::of(n), network.parameter_count());
            let mut whole = vec![7.0; len];
            run(&all, 0, &mut whole);
            for count in [1, 2, 4] {
                let mut sums = vec![7.0; SUM_PARTS / count * len];
                for (first, sums) in (0..SUM_PARTS).step_by(count).zip(sums.chunks_exact_mut(len)) {
                    run(&all.subtree(first, count), all.part(first).start, sums);
                }
                let mut added = vec![7.0; len];
                tree_sum(&sums, len, SUM_PARTS / count, &mut added);
                let differing =
                    added.iter().zip(&whole).position(|(a, b)| a.to_bits() != b.to_bits() && a + b != 0.0);
                assert_eq!(differing, None, "{count} parts per process, {n} photos");
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes many minutes under Miri")]
fn every_layer_can_be_an_output() {
    let network = network(Backbone::Compact, 126, (Head::Edges, ClassFeatures::Region));
    let params = params(&network);
    let outputs: Vec<usize> = (0..network.layers().len()).collect();
    let mut training = Training::new(&network, TrainingSetup { outputs, ..setup(&network) });
    let bytes = photos(&network, 1);
    let mut y = vec![f32::NAN; training.out_len()];
    training.infer(Images::Photos(ImageBatch::Bytes(&bytes)), 1, &slices(&params), &mut y);
    assert!(y.iter().all(|v| v.is_finite()));
    let total: usize = (0..network.layers().len()).map(|i| network.shape(i).len()).sum();
    assert_eq!(y.len(), total);
}
