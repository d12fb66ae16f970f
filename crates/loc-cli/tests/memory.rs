//! Tests small files that claim much memory: they are errors within 300 MB of address space, including the threads.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::io::Write;
use std::process::{Command, Stdio};

use common::{Desk, Ran, model_file};

/// The limit of the process's address space, in KB.
const LIMIT: &str = "300000";

/// Runs `loc` with two threads under the limit.
fn run_limited(desk: &Desk, args: &[&str]) -> Ran {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -v {LIMIT} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_loc")]);
    command.args(args).current_dir(desk.path("")).env("RAYON_NUM_THREADS", "2").stdin(Stdio::null());
    Ran::of(command.output().unwrap())
}

#[track_caller]
fn assert_error(desk: &Desk, args: &[&str], code: i32, words: &[&str]) {
    let ran = run_limited(desk, args);
    assert_eq!(ran.code, code, "loc {args:?}: {ran:?}");
    let output = format!("{}{}", ran.stdout, ran.stderr);
    for word in words {
        assert!(output.contains(word), "loc {args:?}: no {word:?} in {output}");
    }
    assert!(
        !output.contains("panicked") && !output.contains("memory allocation of"),
        "loc {args:?}: {output}"
    );
}

fn desk() -> Desk {
    let desk = Desk::new();
    write(&desk, "m.safetensors", &model_file(&["cat", "dog"], 1));
    desk
}

fn write(desk: &Desk, name: &str, bytes: &[u8]) {
    fs_err::write(desk.path(name), bytes).unwrap();
}

fn photo(width: u32, height: u32, format: image::ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(width, height).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Returns a PNG of one pixel whose header has another size, with a correct checksum.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut png = photo(1, 1, image::ImageFormat::Png);
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = crc32fast::hash(&png[12..29]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    png
}

/// Tests the limit itself: a normal model and photo need less, and a larger photo fails.
#[test]
fn a_photo_is_predicted_within_the_limit() {
    let desk = desk();
    write(&desk, "good.jpg", &photo(640, 480, image::ImageFormat::Jpeg));
    let ran = run_limited(&desk, &["predict", "-m", "m.safetensors", "good.jpg"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    // A photo that is within loc's own limits, but whose pixels alone need more memory.
    write(&desk, "large.png", &photo(9_000, 9_000, image::ImageFormat::Png));
    let ran = run_limited(&desk, &["predict", "-m", "m.safetensors", "large.png"]);
    assert_ne!(ran.code, 0, "the limit has no effect: {ran:?}");
}

#[test]
fn photos_that_claim_gigapixels_are_errors() {
    let desk = desk();
    let mut jpeg = photo(16, 16, image::ImageFormat::Jpeg);
    let at = jpeg.windows(2).position(|w| w == b"\xff\xc0").unwrap();
    jpeg[at + 5..at + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
    for (name, bytes, size) in [
        ("large.png", png(60_000, 60_000), "60000×60000"),
        ("just.png", png(13_000, 13_000), "13000×13000"),
        ("large.jpg", jpeg, "65500×65500"),
    ] {
        write(&desk, name, &bytes);
        assert!(name.ends_with("jpg") || bytes.len() < 100, "{} bytes", bytes.len());
        let words = [size, "beyond the limits"];
        assert_error(&desk, &["predict", "-m", "m.safetensors", name], 3, &words);
        write(
            &desk,
            "labels.csv",
            format!("filename,class,xmin,ymin,xmax,ymax\n{name},cat,1,2,3,4\n").as_bytes(),
        );
        assert_error(&desk, &["data", "check", "labels.csv"], 4, &words);
    }
}

#[test]
fn five_megabytes_of_wrong_rows_need_little_memory() {
    let desk = desk();
    write(&desk, "a.jpg", &photo(64, 48, image::ImageFormat::Jpeg));
    let many = |row: &dyn Fn(usize) -> String| {
        let mut csv = String::from("filename,class,xmin,ymin,xmax,ymax\n");
        for number in 0.. {
            csv += &row(number);
            if csv.len() > 5 << 20 {
                return csv;
            }
        }
        csv
    };
    let cases: [(&dyn Fn(usize) -> String, &str); 4] = [
        (&|_| "a.jpg,c,,,,\n".into(), "more rows are not read"),
        (&|_| "a\n".into(), "more rows are not read"),
        (&|i| format!("a.jpg,c,9,9,{i},0\n"), "more errors in this file"),
        (&|i| format!("photo-{i:06}.jpg,c,1,1,2,2\n"), "more errors in this file"),
    ];
    for (row, words) in cases {
        write(&desk, "labels.csv", many(row).as_bytes());
        let ran = run_limited(&desk, &["data", "check", "labels.csv"]);
        assert!([0, 4].contains(&ran.code), "{words}: {} {}", ran.code, ran.stderr);
        assert!(ran.stdout.contains(words), "{words}: {}", ran.stderr);
    }
    write(&desk, "labels.csv", ",".repeat(5 << 20).as_bytes());
    assert_error(&desk, &["data", "check", "labels.csv"], 4, &["more than 1000"]);
}

#[test]
fn model_files_that_claim_gigabytes_are_errors() {
    let desk = desk();
    write(&desk, "good.jpg", &photo(32, 32, image::ImageFormat::Jpeg));
    let readers = [
        &["predict", "-m", "MODEL", "good.jpg"][..],
        &["export", "-m", "MODEL"],
        &["import", "MODEL", "-o", "out.safetensors", "--classes", "a,b"],
        &["weights", "add", "MODEL"],
    ];
    let assert_error_of_all = |model: &str, words: &[&str]| {
        for reader in readers {
            let args: Vec<&str> =
                reader.iter().map(|arg| if *arg == "MODEL" { model } else { arg }).collect();
            assert_error(&desk, &args, 1, words);
        }
    };
    for (name, claim) in [("max.safetensors", u64::MAX), ("large.safetensors", 4_000_000_000)] {
        write(&desk, name, &[&claim.to_le_bytes()[..], b"{}"].concat());
        assert_error_of_all(name, &[&format!("its header would have {claim} bytes")]);
    }
    let deep = format!("{{\"a\":{}", "[".repeat(3_000_000));
    write(&desk, "deep.safetensors", &[&(deep.len() as u64).to_le_bytes()[..], deep.as_bytes()].concat());
    assert_error_of_all("deep.safetensors", &["recursion limit exceeded"]);
    let metadata = format!("{{\"__metadata__\":{{\"loc\":\"{}\"}}}}", "[".repeat(3_000_000));
    write(
        &desk,
        "meta.safetensors",
        &[&(metadata.len() as u64).to_le_bytes()[..], metadata.as_bytes()].concat(),
    );
    assert_error(&desk, &["predict", "-m", "meta.safetensors", "good.jpg"], 1, &["metadata `loc`"]);
    // A sparse file of four gigabytes.
    let mut file = fs_err::File::create(desk.path("hole.safetensors")).unwrap();
    file.write_all(&[&3_999_000_000_u64.to_le_bytes()[..], b"{"].concat()).unwrap();
    file.file().set_len(3_999_000_008).unwrap();
    assert_error(
        &desk,
        &["predict", "-m", "hole.safetensors", "good.jpg"],
        1,
        &["its header would have 3999000000"],
    );
    assert_error(&desk, &["export", "-m", "hole.safetensors"], 1, &["its header would have 3999000000"]);
}

/// Returns a PyTorch archive with this pickle and one storage `0` of four values.
fn archive(pickle: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, content) in [("a/data.pkl", pickle), ("a/data/0", &[0; 16])] {
        zip.start_file(name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Returns the pickle instructions of a text.
fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

/// Returns the pickle of a dict with one tensor under many names. The tensor is memo entry 0; its storage has this key,
/// and all its dimensions and strides are 1.
fn many_names(key: &str, dimensions: usize, names: usize) -> Vec<u8> {
    let storage =
        [b"(" as &[u8], &text("storage"), b"ctorch\nFloatStorage\n", &text(key), &text("cpu"), b"K\x04tQ"];
    let ones = [b"(" as &[u8], &b"K\x01".repeat(dimensions), b"t"].concat();
    let tensor = [
        b"ctorch._utils\n_rebuild_tensor_v2\n(" as &[u8],
        &storage.concat(),
        b"K\x00",
        &ones,
        &ones,
        b"tRq\x000",
    ];
    let items: Vec<u8> =
        (0..names).flat_map(|i| [text(&i.to_string()), b"h\x00s".to_vec()].concat()).collect();
    [tensor.concat(), b"}".to_vec(), items, b".".to_vec()].concat()
}

/// The shape of one tensor, or the name of its storage, copied under each of its many names: 40 GB from 0.6 MB.
#[test]
fn pytorch_files_that_claim_gigabytes_are_errors() {
    let desk = desk();
    for (name, pickle, words) in [
        ("shapes", many_names("0", 100_000, 40_000), "has 100000 dimensions, at most 8 are read"),
        ("keys", many_names(&"k".repeat(200_000), 1, 40_000), "a storage whose name has 200000 bytes"),
        ("names", many_names("0", 2, 60_000), "extra `"),
        // A name of control characters, each of which takes several characters in a message.
        (
            "long",
            [b"}".to_vec(), text(&"\u{1}".repeat(20_000_000)), b"Ns.".to_vec()].concat(),
            "a dict without a tensor",
        ),
        (
            "items",
            [&b"](K\x01"[..], &[&b"2".repeat(900_000)[..], b"e(K\x01"].concat().repeat(20), b"e."].concat(),
            "more than 2000000 items",
        ),
    ] {
        let (file, bytes) = (format!("{name}.pth"), archive(&pickle));
        assert!(bytes.len() < 21 << 20, "{name}: {}", bytes.len());
        write(&desk, &file, &bytes);
        let import = ["import", &file, "-o", "out.safetensors", "--classes", "a,b"];
        assert_error(&desk, &import, 1, &[&file, words]);
        let weights = if name == "names" { "these are not the weights" } else { words };
        assert_error(&desk, &["weights", "add", &file], 1, &[&file, weights]);
    }
    // The same tensor with a short key is valid.
    write(&desk, "few.pth", &archive(&many_names("0", 8, 3)));
    assert_error(
        &desk,
        &["import", "few.pth", "-o", "o.safetensors", "--classes", "a,b"],
        1,
        &["extra `2` [1, 1, 1, 1"],
    );
}

/// The format before PyTorch 1.6, with one storage many times in the list, each time with its long name.
#[test]
fn old_pytorch_files_with_a_repeated_storage_are_errors() {
    let desk = desk();
    let magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";
    let machine = [b"}" as &[u8], &text("little_endian"), b"\x88s."].concat();
    for (key, words) in [("0", "the storage `0` occurs twice"), (&*"k".repeat(1_000_000), "storage")] {
        let state = many_names(key, 1, 1);
        let list = [b"](" as &[u8], &text(key), b"q\0", &b"h\0".repeat(300_000), b"e."].concat();
        let storages = 0u64.to_le_bytes().repeat(300_001);
        write(&desk, "old.pth", &[&magic[..], &machine, &state, &list, &storages].concat());
        assert_error(&desk, &["weights", "add", "old.pth"], 1, &["old.pth", words]);
    }
}

/// A header within its limit whose tensor has a million dimensions.
#[test]
fn safetensors_with_a_million_dimensions_are_errors() {
    let desk = desk();
    let ones = vec!["1"; 1_900_000].join(",");
    let header = format!(r#"{{"w":{{"dtype":"F32","shape":[{ones}],"data_offsets":[0,4]}}}}"#);
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 4]].concat();
    write(&desk, "w.safetensors", &bytes);
    write(&desk, "good.jpg", &photo(32, 32, image::ImageFormat::Jpeg));
    // A file without loc's metadata is not read further as a model, but it is for an import.
    assert_error(&desk, &["predict", "-m", "w.safetensors", "good.jpg"], 1, &["is plain weights"]);
    let words = ["tensor `w`: has 1900000 dimensions, at most 8 are read"];
    assert_error(&desk, &["import", "w.safetensors", "-o", "o.safetensors", "--classes", "a"], 1, &words);
}

/// An ONNX file that consists of empty nodes of two bytes each.
#[test]
fn an_onnx_file_of_a_million_nodes_needs_little_memory() {
    let desk = desk();
    let nodes = b"\x0a\0".repeat(1_000_000);
    // The graph: field 7, its length in groups of seven bits.
    let groups = [0, 7, 14].map(|shift| 0x80 | (nodes.len() >> shift) as u8 & 0x7f);
    let bytes = [b"\x3a" as &[u8], &groups, &[(nodes.len() >> 21) as u8], &nodes].concat();
    write(&desk, "nodes.onnx", &bytes);
    let ran = run_limited(&desk, &["info", "nodes.onnx"]);
    assert!(ran.code == 0 && ran.stdout.contains("nodes"), "{} {}", ran.code, ran.stderr);
}

/// A wheel with an entry that is a thousand times larger when unpacked.
#[test]
fn an_archive_that_unpacks_to_a_much_larger_file_is_an_error() {
    let desk = desk();
    let mut zip = zip::ZipWriter::new(fs_err::File::create(desk.path("bomb.whl")).unwrap());
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    zip.start_file("w/model.pth", options).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..200 {
        zip.write_all(&zeros).unwrap();
    }
    zip.finish().unwrap();
    assert_error(
        &desk,
        &["weights", "add", "bomb.whl"],
        1,
        &["bomb.whl: ", "unpacks to more than", "20 times"],
    );
}

#[test]
fn annotations_that_need_too_much_memory_are_errors() {
    let desk = desk();
    fs_err::create_dir(desk.path("set")).unwrap();
    write(&desk, "set/a.jpg", &photo(32, 32, image::ImageFormat::Jpeg));
    let body = "<annotation><filename>a.jpg</filename>";
    let entities: String =
        (1..20).map(|i| format!("<!ENTITY l{i} \"{}\">", format!("&l{};", i - 1).repeat(10))).collect();
    for (xml, words) in [
        (
            format!("<!DOCTYPE a [<!ENTITY l0 \"ha\">{entities}]>{body}&l19;</annotation>"),
            "has a DOCTYPE, which is refused",
        ),
        (format!("{body}{}</annotation>", "<a/>".repeat(2_000_000)), "is longer than 1 MiB"),
        (format!("{body}{}", "<a>".repeat(100_000)), "more than 10000 nodes"),
    ] {
        write(&desk, "set/a.xml", xml.as_bytes());
        assert_error(&desk, &["data", "check", "set"], 4, &["a.xml", words]);
    }
}
