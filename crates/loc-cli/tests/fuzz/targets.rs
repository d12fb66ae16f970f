//! Every reader of untrusted bytes, as a function that returns whether they are valid. `tests/fuzz.rs` calls them with
//! random changes of valid bytes, and the fuzz targets in `fuzz/` with bytes found by the fuzzer.

#![allow(
    unreachable_pub,
    clippy::expect_used,
    reason = "the fuzz targets use this file as a module of a library"
)]

use std::path::Path;

pub use loc_data::fuzz_entry::{csv, json, split, voc, yaml, yolo};
use loc_infer::preprocess::{decode, fit, prepare, to_planar, upright_size};
use loc_infer::{Decode, Filter, Fit, ImageSize, InputSpec, Limits, Localizer};

/// Accepts the bytes (true) or rejects them (false); must not panic.
pub type Target = fn(&[u8]) -> bool;

/// All targets by name.
pub const TARGETS: [(&str, Target); 13] = [
    ("image", image),
    ("voc", voc),
    ("csv", csv),
    ("json", json),
    ("yolo", yolo),
    ("yaml", yaml),
    ("split", split),
    ("model", model),
    ("pth", pth),
    ("pth_legacy", published),
    ("wheel", published),
    ("onnx", onnx),
    ("config", config),
];

/// From a photo's bytes to a network's input.
pub fn image(bytes: &[u8]) -> bool {
    // The limits keep the memory small, so that many cases run in a short time.
    let limits = Limits { max_width: 2_000, max_height: 2_000, max_alloc: 4 << 20 };
    let size = upright_size(bytes, &limits);
    let small = InputSpec { size: ImageSize { width: 8, height: 6 }, ..InputSpec::default() };
    let reduced = prepare(bytes, &limits, &InputSpec { decode: Decode::Reduced, ..small });
    let Ok(photo) = decode(bytes, &limits) else { return false };
    assert_eq!(
        reduced.expect("what is decoded in full is decoded at a reduced size").frame.original,
        photo.size()
    );
    assert_eq!(size.expect("a decoded photo has a size"), photo.size());
    for kind in [Fit::Stretch, Fit::Letterbox] {
        let size = ImageSize { width: 16, height: 12 };
        let input = InputSpec { size, fit: kind, filter: Filter::Bilinear, ..InputSpec::default() };
        let (fitted, _) = fit(std::borrow::Cow::Borrowed(&photo.rgb), &input);
        let mut planar = vec![0.0; input.values()];
        to_planar(fitted.as_raw(), &mut planar);
        assert!(planar.iter().all(|v| (0.0..=1.0).contains(v)));
    }
    true
}

/// A model file, as `loc predict`, `loc val` and `loc import` read it.
pub fn model(bytes: &[u8]) -> bool {
    let localizer = Localizer::from_bytes(bytes);
    let Ok(file) = loc_net::WeightFile::parse(bytes) else {
        assert!(localizer.is_err() || bytes.get(8).is_none_or(|b| *b != b'{'));
        return false;
    };
    let Some(json) = file.metadata else { return false };
    let network = loc_train::ModelFile::from_json(&json)
        .map_err(loc_train::TrainError::from)
        .and_then(|file| file.build());
    let is_valid = network.is_ok_and(|network| file.weights.check(&network).is_ok());
    assert_eq!(localizer.is_ok(), is_valid, "prediction and the other commands accept the same files");
    if let Ok(localizer) = localizer {
        // The result is a prediction, or the error that it is not finite.
        drop(localizer.predict(&image::RgbImage::new(9, 7)));
    }
    is_valid
}

/// PyTorch's zip archive.
pub fn pth(bytes: &[u8]) -> bool {
    loc_model::import::parse_pth(bytes).is_ok()
}

/// The format before PyTorch 1.6, in a file or in a wheel.
pub fn published(bytes: &[u8]) -> bool {
    loc_model::import::parse_published(Path::new("weights"), bytes.to_vec()).is_ok()
}

/// An ONNX file: its summary is read, or with the feature `onnx` it is run once.
pub fn onnx(bytes: &[u8]) -> bool {
    let summary = loc_model::export::summary(bytes).is_ok();
    if cfg!(feature = "onnx") { Localizer::from_bytes(bytes).is_ok() } else { summary }
}

/// A configuration or a recipe.
pub fn config(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let layer = loc_train::ConfigSource::toml("loc.toml", text);
    // The recipe is fixed, since a recipe named in the bytes would be another file.
    loc_train::Config::resolve(Some("tutorial"), &[layer]).is_ok()
}
