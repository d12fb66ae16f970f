//! Tests PyTorch files with hand-written pickles: their calls are described, never executed.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::io::{Cursor, Write};

use loc_model::import::{ImportError, parse_pth};
use loc_net::Weight;
use proptest::prelude::*;
use zip::write::SimpleFileOptions;

/// Returns a PyTorch archive with this pickle and one storage `0` of four values.
fn archive(pickle: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, content) in [("a/data.pkl", pickle), ("a/data/0", &[0; 16])] {
        zip.start_file(name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Returns the pickle of `{"w": tensor}` in protocols 0 and 2: a tensor that `_rebuild_tensor_v2` builds from
/// `arguments`.
fn one_tensor(arguments: &[u8]) -> Vec<u8> {
    [b"}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n(", arguments, b"tRs."].concat()
}

/// The storage `0`, as `torch.save` writes it.
const STORAGE: &[u8] = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQ";

#[test]
fn a_hand_written_pickle_is_read() {
    // offset 1, size (2,), stride (2,), requires_grad, hooks
    let pickle = one_tensor(&[STORAGE, b"K\x01K\x02\x85K\x02\x85\x89}"].concat());
    let weights = parse_pth(&archive(&pickle)).unwrap();
    assert_eq!(weights.0["w"], Weight { shape: vec![2], data: vec![0.0; 2] });
}

#[test]
fn a_malicious_pickle_gives_an_error_only() {
    let storage = |rest: &[u8]| one_tensor(&[STORAGE, rest].concat());
    // A tuple that holds the previous tuple twice, sixty times: 2⁶⁰ objects if they were copied.
    let nested = [b"K\x01".to_vec(), b"2\x86".repeat(60), b".".to_vec()].concat();
    let cases = [
        ("empty", vec![], "ends in the middle"),
        (
            "an attack of protocol 0",
            b"cos\nsystem\n(S'id'\ntR.".to_vec(),
            "the result of calling `os.system`",
        ),
        ("an attack by INST", b"(S'id'\nios\nsystem\n.".to_vec(), "the result of calling `os.system`"),
        ("an attack by OBJ", b"(cos\nsystem\nS'id'\no.".to_vec(), "the result of calling `os.system`"),
        ("the class of an attack", b"cos\nsystem\n.".to_vec(), "the class or function `os.system`"),
        ("an unknown instruction", b"\xff.".to_vec(), "byte 0: an instruction (0xff)"),
        ("no object", b".".to_vec(), "pops an object from an empty stack"),
        ("no open group", b"K\x01t.".to_vec(), "byte 2: ends a group that was not started"),
        ("an object below the group", b"K\x01(\x85.".to_vec(), "pops an object from an empty stack"),
        ("an empty memo", b"h\x07.".to_vec(), "uses memo entry 7"),
        ("a text of 4 GB", b"X\xff\xff\xff\xffabc.".to_vec(), "ends in the middle"),
        ("2⁶⁴ − 1 bytes", b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff.".to_vec(), "ends in the middle"),
        ("text that is not UTF-8", b"U\x02\xc3\x28.".to_vec(), "not UTF-8"),
        ("a number of 255 bytes", [&b"\x8a\xff"[..], &[1; 255], b"."].concat(), "a large number"),
        ("a key without a value", b"}(K\x01u.".to_vec(), "a key without a value"),
        ("an item of a number", b"K\x01K\x02K\x03s.".to_vec(), "that is not a dict"),
        ("an item appended to a number", b"K\x01K\x02a.".to_vec(), "that is not a list"),
        ("2⁶⁰ objects", nested, "a tuple of 2"),
        (
            "deeply nested tuples",
            [b"K\x01".to_vec(), b"\x85".repeat(900_000), b".".to_vec()].concat(),
            "a tuple of 1",
        ),
        ("many objects", [b"N0".repeat(1_000_001), b".".to_vec()].concat(), "more than 1000000 objects"),
        ("a very large stack", [b"N".to_vec(), b"2".repeat(1_000_001)].concat(), "objects at one time"),
        ("many groups", b"(".repeat(1_000_001), "objects at one time"),
        ("a very large memo", [b"N".to_vec(), b"\x94".repeat(1_000_001)].concat(), "objects at one time"),
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
        ("an offset after the end", storage(b"K\x04K\x01\x85K\x01\x85"), "exceeds its storage of 4"),
        ("a stride beyond the end", storage(b"K\x00K\x02\x85K\x04\x85"), "exceeds its storage of 4"),
        (
            "more values than bytes",
            storage(b"K\x00J\0\0\0\x40\x85K\x00\x85"),
            "have more values than the file",
        ),
        (
            "a shape of more than 2⁶⁴ values",
            storage(b"K\x00\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f2\x86K\x00K\x00\x86"),
            "have more values than the file",
        ),
        (
            "a stride that overflows",
            storage(b"K\x00K\x02K\x02\x86\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f2\x86"),
            "exceeds its storage",
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
            "a storage whose name has 1000 bytes",
        ),
    ];
    for (case, pickle, part) in cases {
        let message = parse_pth(&archive(&pickle)).unwrap_err().to_string();
        assert!(message.contains(part), "{case}: {message}");
    }
    // The stride of a dimension of size 1 is never used, so any value is accepted.
    let pickle = storage(b"K\x00K\x01K\x01\x86\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f2\x86");
    assert_eq!(parse_pth(&archive(&pickle)).unwrap().0["w"].shape, [1, 1]);
}

/// Many entries of one archive that share the same bytes: each is small, but together they exceed the file.
#[test]
fn storages_that_share_bytes_are_rejected() {
    // Stored entries can have the same position in the file: here the directory is edited that way.
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
        // Only the first has content; below, the directory gives the others its position.
        zip.start_file(format!("a/data/{name}"), options).unwrap();
        zip.write_all(if name == "0" { &[0; 4000] } else { &[] }).unwrap();
    }
    let mut bytes = zip.finish().unwrap().into_inner();
    assert!(parse_pth(&bytes).unwrap_err().to_string().contains("storage of 0 values"), "valid, but empty");
    let entries: Vec<usize> =
        (0..bytes.len() - 4).filter(|at| bytes[*at..*at + 4] == *b"PK\x01\x02").collect();
    let (first, others) = (entries[1], &entries[2..]);
    // Checksum and sizes, and the position of the entry.
    let [sums, position] =
        [16..28, 42..46].map(|r: std::ops::Range<usize>| bytes[first + r.start..first + r.end].to_vec());
    for at in others {
        bytes[at + 16..at + 28].copy_from_slice(&sums);
        bytes[at + 42..at + 46].copy_from_slice(&position);
    }
    let message = parse_pth(&bytes).unwrap_err().to_string();
    assert!(message.contains("and those before it have more bytes than the file"), "{message}");
}

#[test]
fn a_storage_outside_the_archives_folder_is_not_found() {
    let outside = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x0d\0\0\0../../../../xX\x03\0\0\0cpuK\x04tQ";
    let pickle = one_tensor(&[&outside[..], b"K\x00K\x02\x85K\x01\x85\x89}"].concat());
    let error = parse_pth(&archive(&pickle)).unwrap_err();
    assert!(matches!(error, ImportError::Archive(_) | ImportError::Pickle { .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// The archive's checksum is correct, but the pickle is damaged.
    #[test]
    fn a_damaged_pickle_causes_no_panic(
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
    fn a_random_pickle_causes_no_panic(
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
