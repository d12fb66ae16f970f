//! The cache of pretrained weights.

#![cfg(unix)]

use fs_err as fs;

use crate::common::{Desk, Ran};
use crate::refused_with;

/// Returns a state dict with the names and shapes of EfficientNet-Lite0.
fn lite0(value: f32) -> Vec<u8> {
    use loc_net::{Backbone, Head, InputShape, NetworkConfig, Normalization, Weight, Weights};
    let input = InputShape { height: 224, width: 224 };
    let config = NetworkConfig::new(input, 1, Backbone::Lite0, Head::Edges);
    let network = config.build(&Normalization::IDENTITY).unwrap();
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
        let mut put = |name: String, shape: &[usize]| {
            let data = vec![value; shape.iter().product()];
            state.0.insert(name, Weight { shape: shape.to_vec(), data });
        };
        put(format!("{conv}.weight"), &param.shape);
        for what in ["weight", "bias", "running_mean", "running_var"] {
            put(format!("{norm}.{what}"), &param.shape[..1]);
        }
    }
    loc_model::weights::to_bytes(&state, None).unwrap()
}

/// The output of `loc weights add` and `fetch` is a file in the cache.
#[test]
fn cached_weights_are_overwritten_only_with_force() {
    let desk = Desk::new();
    fs::write(desk.path("w.safetensors"), lite0(0.5)).unwrap();
    fs::write(desk.path("v.safetensors"), lite0(0.25)).unwrap();
    let cache = desk.path("cache");
    let env = [("LOC_WEIGHTS", cache.as_path())];
    let cached = cache.join("efficientnet-lite0.safetensors");
    let add = |file: &str, force: &[&str]| {
        let args = [&["weights", "add", file], force].concat();
        Ran::of(desk.command(&args).envs(env).output().unwrap())
    };
    assert_eq!(add("w.safetensors", &[]).code, 0);
    assert_eq!(add("w.safetensors", &[]).code, 0, "the same file is there already");
    refused_with(
        &desk,
        &["weights", "add", "v.safetensors"],
        &env,
        &["already exists with other content", "--force"],
    );
    refused_with(
        &desk,
        &["weights", "fetch", "--yes"],
        &env,
        &["already exists with other content", "--force"],
    );
    assert_eq!(add("v.safetensors", &["--force"]).code, 0);
    assert!(fs::read(&cached).unwrap() == lite0(0.25));
    for link in [false, true] {
        fs::remove_file(&cached).unwrap();
        match link {
            true => std::os::unix::fs::symlink(desk.path("w.safetensors"), &cached).unwrap(),
            false => fs::hard_link(desk.path("w.safetensors"), &cached).unwrap(),
        }
        for file in ["w.safetensors", "cache/efficientnet-lite0.safetensors"] {
            refused_with(&desk, &["weights", "add", file, "--force"], &env, &["is an input of this command"]);
        }
    }
}
