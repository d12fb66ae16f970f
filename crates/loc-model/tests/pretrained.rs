//! EfficientNet-Lite0's weights: folded right, against PyTorch on the real ones; and refused where they are others.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a helper that fails is a test that fails; a skip is said"
)]

mod common;

use std::path::PathBuf;

use common::hash32;
use loc_model::{init, pretrained, weights};
use loc_net::kernels::photo::Photos;
use loc_net::{Backbone, Forward, Head, InputShape, Network, NetworkConfig, Normalization, Weight, Weights};

const SIDE: usize = 65;

fn network() -> Network {
    let config = NetworkConfig {
        input: InputShape { height: SIDE, width: SIDE },
        classes: 2,
        backbone: Backbone::Lite0,
        head: Head::Edges,
    };
    config.build(&Normalization { mean: [127.0 / 255.0; 3], std: [128.0 / 255.0; 3] }).unwrap()
}

/// Mean, largest absolute value and the first four numbers of each output.
fn figures(values: &[f32]) -> [f64; 6] {
    let all = values.iter().map(|v| f64::from(*v));
    let mean = all.clone().sum::<f64>() / values.len() as f64;
    let largest = all.clone().fold(0.0f64, |m, v| m.max(v.abs()));
    let mut figures = [mean, largest, 0.0, 0.0, 0.0, 0.0];
    figures[2..].iter_mut().zip(all).for_each(|(f, v)| *f = v);
    figures
}

#[test]
fn features_are_pytorchs() {
    let shared = std::env::var_os("LOC_SHARED").map_or_else(|| "../../../shared".into(), PathBuf::from);
    let path = shared.join("weights/efficientnet-lite0.safetensors");
    if !path.is_file() {
        eprintln!("skipped: the weights of EfficientNet-Lite0 are not at LOC_SHARED");
        return;
    }
    let network = network();
    let mut all = init::weights(&network, init::Scheme::He, 0);
    all.0.extend(pretrained::lite0(&network, &weights::load(&path).unwrap().weights).unwrap().0);
    let forward = Forward::new(network.clone(), all).unwrap();
    // The script's photo is planar, ours pixel by pixel.
    let photo: Vec<u8> =
        (0..3 * SIDE * SIDE).map(|i| (hash32(i % 3 * SIDE * SIDE + i / 3, 7) % 256) as u8).collect();
    let layers: Vec<usize> = network
        .taps()
        .into_iter()
        .map(|tap| match network.layers()[tap].inputs[0] {
            loc_net::Source::Layer(before) => before,
            loc_net::Source::Input => panic!("a tap reads the photo"),
        })
        .collect();
    let features = forward.features(Photos::Bytes(&photo), 1, &layers).unwrap();
    // Printed by golden/lite0.py.
    let golden = [
        [-0.315387, 29.981059, -7.932465, -0.33098, -4.990846, -6.684041],
        [-0.149817, 7.565106, 1.185764, 2.430713, 0.539963, 1.553275],
        [0.091764, 4.53495, 0.747557, 0.0, 0.3519, 0.0],
    ];
    for (got, expected) in features.iter().map(|f| figures(f)).zip(golden) {
        for (g, e) in got.iter().zip(expected) {
            assert!((g - e).abs() < 2e-5 * expected[1], "{got:?} where {expected:?} is right");
        }
    }
}

/// A state dict of small numbers with EfficientNet-Lite0's names, by its own folding: one number a tensor would do.
fn state_dict(network: &Network) -> Weights {
    let mut state = Weights::default();
    for param in network.params().iter().filter(|p| p.layer < network.backbone_layers() && p.shape.len() == 4)
    {
        let name = param.name.strip_suffix(".weight").unwrap();
        let (conv, norm) = match name.split_once('.') {
            None if name == "stem" => ("_conv_stem".to_owned(), "_bn0".to_owned()),
            None => ("_conv_head".to_owned(), "_bn1".to_owned()),
            Some((block, part)) => {
                let block = format!("_blocks.{}", block.strip_prefix("block").unwrap());
                let n = ["expand", "depthwise", "project"].iter().position(|p| *p == part).unwrap();
                (format!("{block}._{part}_conv"), format!("{block}._bn{n}"))
            }
        };
        let mut put = |name: String, shape: &[usize], value: f32| {
            let len = shape.iter().product();
            state.0.insert(name, Weight { shape: shape.to_vec(), data: vec![value; len] });
        };
        put(format!("{conv}.weight"), &param.shape, 0.5);
        for (what, value) in [("weight", 3.0), ("bias", 0.25), ("running_mean", 2.0), ("running_var", 0.008)]
        {
            put(format!("{norm}.{what}"), &param.shape[..1], value);
        }
    }
    state
}

#[test]
fn batch_normalisation_is_folded() {
    let network = network();
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
fn other_weights_are_refused_with_what_differs() {
    let network = network();
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
