//! Tests damaged and malicious model files: each error names the tensor, the place and the numbers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper that fails is a test that fails")]

use std::io::Read;

use loc_net::{NetError, WeightFile};

/// Makes a file from a header and `data` bytes of values.
fn file(header: impl AsRef<[u8]>, data: usize) -> Vec<u8> {
    let header = header.as_ref();
    [&(header.len() as u64).to_le_bytes()[..], header, &vec![0; data]].concat()
}

fn entry(name: &str, shape: &str, begin: u64, end: u64) -> String {
    format!(r#""{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[{begin},{end}]}}"#)
}

fn header(entries: &[String]) -> String {
    format!("{{{}}}", entries.join(","))
}

/// Two tensors, with four and two values.
fn good() -> [String; 2] {
    [entry("a.weight", "[2,2]", 0, 16), entry("a.bias", "[2]", 16, 24)]
}

#[track_caller]
fn refused(what: &str, bytes: &[u8], parts: &[&str]) {
    let by_parse = WeightFile::parse(bytes).expect_err(what).to_string();
    let by_read = WeightFile::read(bytes, bytes.len() as u64).expect_err(what).to_string();
    for part in parts.iter().chain(&["(hint: "]) {
        assert!(by_parse.contains(part), "{what}: `{part}` is missing in: {by_parse}");
    }
    assert_eq!(by_parse, by_read, "{what}: `read` and `parse` agree");
}

#[test]
fn a_valid_file_is_read_by_both_functions() {
    let bytes = file(header(&good()), 24);
    let parsed = WeightFile::parse(&bytes).unwrap();
    assert_eq!(parsed.weights.0["a.weight"].shape, [2, 2]);
    assert_eq!(WeightFile::read(&bytes[..], bytes.len() as u64).unwrap(), parsed);
    // Spaces after the header, no tensor, an empty tensor: all valid in the format.
    assert!(WeightFile::parse(&file(header(&good()) + "   ", 24)).is_ok());
    assert!(WeightFile::parse(&file("{}", 0)).unwrap().weights.0.is_empty());
    assert!(WeightFile::parse(&file(header(&[entry("x", "[0,7]", 0, 0)]), 0)).is_ok());
}

/// Rows 1 to 3: invalid headers.
#[test]
fn invalid_headers_are_rejected() {
    refused("empty", b"", &["header too small (0 bytes)"]);
    refused("seven bytes", b"1234567", &["header too small (7 bytes)"]);
    let longer = |n: u64| [&n.to_le_bytes()[..], b"{}"].concat();
    refused("u64::MAX", &longer(u64::MAX), &["its header would have 18446744073709551615 bytes", "4194304"]);
    refused("200 MB", &longer(200_000_000), &["its header would have 200000000 bytes"]);
    refused(
        "longer than the file",
        &longer(100),
        &["file is 10 bytes, but its header alone would end at byte 108"],
    );
    refused("not UTF-8", &file(b"{\"a\xff\":1}", 0), &["header, byte 11: not UTF-8"]);
    refused("not JSON", &file("{nonsense}", 0), &["header, byte 9: key must be a string"]);
    refused("an array", &file("[1,2]", 0), &["header, byte 8: invalid type: sequence, expected an object"]);
    refused("cut JSON", &file("{\n \"a\": {", 0), &["header, byte ", "EOF while parsing"]);
    let deep = format!("{{\"a\":{}", "[".repeat(100_000));
    refused("a hundred thousand brackets", &file(deep, 0), &["recursion limit exceeded"]);
}

/// Row 4: missing bytes, and additional bytes.
#[test]
fn files_longer_or_shorter_than_their_header_describes() {
    let complete = file(header(&good()), 24);
    let n = complete.len();
    for length in [n - 24, n - 5, n - 1] {
        let numbers = format!("file is {length} bytes, header describes {n}");
        refused("cut", &complete[..length], &[&numbers]);
    }
    let polyglot = [&complete[..], b"PK\x03\x04"].concat();
    refused("trailing bytes", &polyglot, &[&format!("file is {} bytes, header describes {n}", n + 4)]);
    for length in 0..n {
        assert!(WeightFile::parse(&complete[..length]).is_err(), "cut at {length}");
    }
}

/// Rows 5 to 7: tensors with a wrong position, type or shape.
#[test]
fn the_error_names_the_invalid_tensor_and_both_numbers() {
    let [weight, bias] = good();
    let with = |tensor: String| file(header(&[weight.clone(), tensor]), 24);
    let cases = [
        (
            "reversed",
            with(entry("a.bias", "[2]", 24, 16)),
            vec!["`a.bias`: begins at byte 24 and ends at 16"],
        ),
        (
            "a gap",
            file(header(&[weight.clone(), entry("a.bias", "[2]", 20, 28)]), 28),
            vec!["`a.bias`: begins at byte 20", "`a.weight` ends at 16: a gap"],
        ),
        (
            "an overlap",
            file(header(&[weight.clone(), entry("a.bias", "[2]", 12, 20)]), 20),
            vec!["`a.bias`: begins at byte 12", "`a.weight` ends at 16: an overlap"],
        ),
        (
            "shape × dtype",
            with(entry("a.bias", "[3]", 16, 24)),
            vec!["tensor `a.bias`: has the shape [3], which needs 12 bytes, but the header gives it 8"],
        ),
        (
            "a product that overflows",
            with(entry("a.bias", "[4294967296,4294967296,2]", 16, 24)),
            vec![
                "tensor `a.bias`: has the shape [4294967296, 4294967296, 2], which needs more than",
                "gives it 8",
            ],
        ),
        ("F64", with(bias.replace("F32", "F64")), vec!["tensor `a.bias`: has type F64, but must be F32"]),
        ("F16", with(bias.replace("F32", "F16")), vec!["tensor `a.bias`: has type F16, but must be F32"]),
        ("unknown", with(bias.replace("F32", "Q7")), vec!["tensor `a.bias`: has type Q7, but must be F32"]),
        ("no dtype", with(r#""a.bias":{"shape":[2]}"#.into()), vec!["tensor `a.bias`: has no `dtype`"]),
        ("no object", with(r#""a.bias":7"#.into()), vec!["tensor `a.bias`: has no `dtype`"]),
        ("a negative size", with(bias.replace("[2]", "[-2]")), vec!["`a.bias`: has no `shape`"]),
        ("three offsets", with(bias.replace("[16,24]", "[16,24,25]")), vec!["has 3 `data_offsets`"]),
    ];
    for (what, bytes, parts) in cases {
        refused(what, &bytes, &parts);
    }
}

/// Row 8: a map would keep only the last of them; identical entries would be accepted.
#[test]
fn a_repeated_name_is_rejected() {
    let [weight, bias] = good();
    let twice = ["tensor `a.bias`: occurs twice in the header"];
    refused("identical", &file(header(&[weight.clone(), bias.clone(), bias.clone()]), 24), &twice);
    let other = entry("a.bias", "[1]", 24, 28);
    refused("different", &file(header(&[weight, bias.clone(), other]), 28), &twice);
    let fields = bias.replace(r#""dtype":"F32""#, r#""dtype":"F64","dtype":"F32""#).replace("16,24", "0,8");
    refused("a field of a tensor", &file(header(&[fields]), 8), &["duplicate field `dtype`"]);
    // The same name in escaped form is also found.
    let escaped = bias.replace("a.bias", r"\u0061.bias").replace("16,24", "0,8");
    refused("escaped", &file(header(&[bias.replace("16,24", "0,8"), escaped]), 8), &twice);
}

/// Row 9.
#[test]
fn metadata_must_be_text() {
    for (metadata, part) in [
        (r#"{"loc":3}"#, "`__metadata__`: the value of `loc` is a number, but must be text"),
        (r#"{"loc":{"format":1}}"#, "the value of `loc` is an object"),
        ("[]", "`__metadata__` is an array, but must be an object"),
    ] {
        let mut entries = good().to_vec();
        entries.push(format!(r#""__metadata__":{metadata}"#));
        refused(metadata, &file(header(&entries), 24), &[part]);
    }
}

/// A header that describes four gigabytes: nothing after it is read.
#[test]
fn values_are_not_read_if_the_header_is_invalid() {
    struct Once(Vec<u8>);
    impl Read for Once {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            assert!(!self.0.is_empty(), "reading continues");
            let n = buffer.len().min(self.0.len());
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0.drain(..n);
            Ok(n)
        }
    }
    let four_gb = 4_000_000_000_u64;
    let error = WeightFile::read(Once(four_gb.to_le_bytes().to_vec()), four_gb + 8).unwrap_err();
    assert!(error.to_string().contains("its header would have 4000000000 bytes"), "{error}");
    let text = header(&[entry("a", "[2]", 0, 8)]);
    let start = [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let described = start.len() as u64 + 8;
    let error = WeightFile::read(Once(start), four_gb).unwrap_err();
    assert!(
        error.to_string().contains(&format!("file is 4000000000 bytes, header describes {described}")),
        "{error}"
    );
}

#[test]
fn a_reader_that_fails_or_ends_early_is_an_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk was removed"))
        }
    }
    let error = WeightFile::read(Broken, 100).unwrap_err();
    assert!(
        matches!(error, NetError::Read(_)) && error.to_string().contains("the disk was removed"),
        "{error}"
    );
    let complete = file(header(&good()), 24);
    let n = complete.len();
    let error = WeightFile::read(&complete[..n - 3], n as u64).unwrap_err().to_string();
    assert!(error.contains(&format!("file is {} bytes, header describes {n}", n - 3)), "{error}");
    let grown = [&complete[..], b"more"].concat();
    assert!(WeightFile::read(&grown[..], n as u64).is_err(), "a file that grew");
}
