//! Tests invalid model files with every command that reads one: exit code 1, the path, the reason, a hint, and no
//! output file.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;
#[path = "../../../xtask/src/skip.rs"]
mod skip;

use common::{Desk, model_file, model_parts};
use fs_err as fs;
use loc_model::weights::to_bytes;
use loc_net::Weight;

/// Every command that reads a model file, with `MODEL` for its path.
const READERS: [&[&str]; 5] = [
    &["predict", "-m", "MODEL", "photo.jpg"],
    &["val", "-m", "MODEL", "--data", "shapes"],
    &["export", "-m", "MODEL", "-o", "out.onnx"],
    &["info", "MODEL"],
    &["train", "--data", "shapes", "--imgsz", "188", "--init", "MODEL"],
];

/// Asserts that each command fails on the file with these words.
#[track_caller]
fn assert_error(desk: &Desk, model: &str, words: &[&str]) {
    assert_error_of(&READERS, desk, model, words);
}

#[track_caller]
fn assert_error_of(readers: &[&[&str]], desk: &Desk, model: &str, words: &[&str]) {
    for reader in readers {
        let args: Vec<&str> = reader.iter().map(|arg| if *arg == "MODEL" { model } else { arg }).collect();
        let ran = desk.fails(&args, 1, words);
        assert!(ran.stderr.contains(model) && ran.stderr.contains("hint: "), "{args:?}: {}", ran.stderr);
    }
    assert!(!desk.path("out.onnx").exists() && !desk.path("runs").exists());
}

fn desk() -> Desk {
    let desk = Desk::new();
    desk.shapes(6);
    fs::copy(common::first(&desk.path("shapes/images"), "jpg"), desk.path("photo.jpg")).unwrap();
    desk
}

/// Rows 1 to 9. `loc-net/tests/model_files.rs` has each case; this test checks that every command reports the error.
#[test]
fn damaged_files_are_errors_of_every_command() {
    let desk = desk();
    let bytes = model_file(&["box", "disc", "star"], 1);
    let write = |bytes: &[u8]| fs::write(desk.path("m.safetensors"), bytes).unwrap();
    write(b"1234567");
    assert_error(&desk, "m.safetensors", &["m.safetensors: ", "header too small (7 bytes)"]);
    write(&bytes[..bytes.len() - 3]);
    let numbers = format!("file is {} bytes, header describes {}", bytes.len() - 3, bytes.len());
    assert_error(&desk, "m.safetensors", &[&numbers]);
    let cut = String::from_utf8_lossy(&bytes).find("\"F32\"").unwrap();
    let mut other = bytes.clone();
    other[cut..cut + 5].copy_from_slice(b"\"F64\"");
    write(&other);
    // Initial weights may have another type; then the size is the error.
    let (init, readers) = READERS.split_last().unwrap();
    for (readers, words) in
        [(readers, "has type F64, but must be F32"), (&[*init][..], "the header gives it")]
    {
        assert_error_of(readers, &desk, "m.safetensors", &["tensor `", words]);
    }
}

/// Row 10.
#[test]
fn weights_that_are_not_finite_are_an_error_unless_allowed() {
    let desk = desk();
    let (mut weights, json) = model_parts(&["box", "disc", "star"], 1);
    let conv3 = weights.0.get_mut("conv3.weight").unwrap();
    (conv3.data[3], conv3.data[7]) = (f32::NAN, f32::INFINITY);
    fs::write(desk.path("m.safetensors"), to_bytes(&weights, Some(&json)).unwrap()).unwrap();
    assert_error(&desk, "m.safetensors", &["conv3.weight holds 2 non-finite values"]);
    let args = ["predict", "-m", "m.safetensors", "photo.jpg"];
    assert!(desk.run(&args).stderr.contains("--allow-nonfinite"));
    // The prediction is then not finite, which is an error of the photo, not of the model.
    let ran = desk.fails(&[&args[..], &["--allow-nonfinite"]].concat(), 3, &["1 of 1 photos"]);
    assert!(ran.stdout.contains("not finite"), "{ran:?}");
}

/// Row 11: all differences are in one error.
#[test]
fn another_architecture_is_one_error_with_every_difference() {
    let desk = desk();
    let (mut weights, json) = model_parts(&["box", "disc", "star"], 1);
    weights.0.remove("conv1.bias");
    weights.0.remove("box_out.weight");
    weights.0.insert("extra.weight".into(), Weight { shape: vec![2], data: vec![0.0; 2] });
    weights.0.insert("conv2.bias".into(), Weight { shape: vec![3], data: vec![0.0; 3] });
    fs::write(desk.path("m.safetensors"), to_bytes(&weights, Some(&json)).unwrap()).unwrap();
    let all = [
        "missing `conv1.bias`",
        "missing `box_out.weight`",
        "extra `extra.weight` [2]",
        "`conv2.bias` has the shape [3], but must have",
    ];
    assert_error(&desk, "m.safetensors", &all);
}

/// Row 12: names in another order, and another number of them.
#[test]
fn another_list_of_classes_is_an_error_with_both_lists() {
    let desk = desk();
    for (file, classes) in [("order", &["star", "disc", "box"][..]), ("two", &["box", "disc"])] {
        let path = format!("{file}.safetensors");
        fs::write(desk.path(&path), model_file(classes, 1)).unwrap();
        let (model, data) = (format!("{classes:?}"), r#"["box", "disc", "star"]"#);
        for args in [
            &["val", "-m", &path, "--data", "shapes"][..],
            &["train", "--data", "shapes", "--imgsz", "188", "--init", &path],
        ] {
            desk.fails(args, 1, &[&path, &model, data, "hint: "]);
        }
    }
    // The command in the hint works.
    desk.ok(&["val", "-m", "order.safetensors", "--data", "shapes", "--classes", "star,disc,box"]);
}

/// Rows 13 and 14; `loc-model/tests/import.rs` has every case.
#[test]
fn pickles_are_never_executed_and_the_kind_of_file_is_named() {
    let desk = desk();
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../loc-model/tests/golden/pth");
    for (file, words) in [
        ("bad-attack", &["not a state dict of tensors", "posix.system", "hint: "][..]),
        ("bad-legacy", &["legacy format", "hint: "]),
        ("bad-no-pickle", &["without a PyTorch pickle", "hint: "]),
        ("bad-html", &["not a PyTorch file", "hint: "]),
    ] {
        let path = golden.join(format!("{file}.pth"));
        let path = path.to_str().unwrap();
        let args = ["import", path, "-o", "out.safetensors", "--classes", "a,b", "--imgsz", "188"];
        desk.fails(&args, 1, &[&[path], words].concat());
        assert!(!desk.path("out.safetensors").exists());
    }
    assert!(!std::path::Path::new("/tmp/loc-was-here").exists(), "a pickle was executed");
}

/// Row 16.
#[test]
fn the_error_for_a_newer_format_names_the_required_version() {
    let desk = desk();
    let (weights, json) = model_parts(&["box", "disc", "star"], 1);
    let later = json.replace(r#""format":1"#, r#""format":2"#);
    assert_ne!(later, json);
    fs::write(desk.path("m.safetensors"), to_bytes(&weights, Some(&later)).unwrap()).unwrap();
    assert_error(&desk, "m.safetensors", &["model file of format 2: needs loc >= "]);
}

/// Metadata whose parts contradict each other: the network must agree with the list of classes and the input.
#[test]
fn metadata_that_contradicts_itself_is_an_error() {
    let desk = desk();
    let (weights, json) = model_parts(&["box", "disc", "star"], 1);
    for (from, to) in [
        (r#""classes":3"#, r#""classes":4"#),
        (r#"{"height":188,"width":188}"#, r#"{"height":188,"width":18446744073709551615}"#),
    ] {
        let changed = json.replacen(from, to, 1);
        assert_ne!(changed, json, "{from}");
        fs::write(desk.path("m.safetensors"), to_bytes(&weights, Some(&changed)).unwrap()).unwrap();
        let args = ["predict", "-m", "m.safetensors", "photo.jpg"];
        desk.fails(&args, 1, &["m.safetensors", "but the network "]);
        desk.fails(&["val", "-m", "m.safetensors", "--data", "shapes"], 1, &["m.safetensors", "the network"]);
    }
}

/// Row 17, and files whose reading would block or never end.
#[test]
fn paths_without_a_regular_file_are_errors_with_their_reason() {
    let desk = desk();
    assert_error(
        &desk,
        "missing.safetensors",
        &["missing.safetensors: does not exist (hint: is the path right?)"],
    );
    for reader in READERS.iter().filter(|reader| reader[0] != "info") {
        let args: Vec<&str> = reader.iter().map(|arg| if *arg == "MODEL" { "shapes" } else { arg }).collect();
        desk.fails(&args, 1, &["shapes: is a folder where a file is needed", "hint: "]);
    }
    #[cfg(unix)]
    {
        let made = std::process::Command::new("mkfifo").arg(desk.path("pipe.safetensors")).status();
        assert!(made.unwrap().success());
        assert_error(&desk, "pipe.safetensors", &["is not a regular file"]);
        assert_error(&desk, "/dev/zero", &["is not a regular file"]);
        use std::os::unix::fs::PermissionsExt;
        fs::write(desk.path("secret.safetensors"), model_file(&["box", "disc", "star"], 1)).unwrap();
        fs::set_permissions(desk.path("secret.safetensors"), std::fs::Permissions::from_mode(0o000)).unwrap();
        if fs::File::open(desk.path("secret.safetensors")).is_ok() {
            return skip::say(skip::Reason::Root, "root can read every file");
        }
        assert_error(&desk, "secret.safetensors", &["ermission denied"]);
    }
}

/// Row 18: a change of the file during reading gives an error at worst.
#[test]
fn a_file_that_changes_while_it_is_read_is_one_version_or_an_error() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    let files = [model_file(&["a"], 1), model_file(&["a", "b"], 2)];
    fs::write(&path, &files[0]).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut turn = 0;
            while !done.load(Ordering::SeqCst) {
                turn += 1;
                let bytes = &files[turn % 2];
                match turn % 3 {
                    // Replaced by another file, overwritten, or truncated.
                    0 => {
                        fs::write(folder.path().join("new"), bytes).unwrap();
                        fs::rename(folder.path().join("new"), &path).unwrap();
                    }
                    1 => fs::write(&path, bytes).unwrap(),
                    _ => fs::write(&path, &bytes[..bytes.len() / 2]).unwrap(),
                }
            }
        });
        for _ in 0..150 {
            if let Ok(localizer) = loc_infer::Localizer::load(&path) {
                assert!((1..=2).contains(&localizer.meta().classes.len()));
            }
            let _ = loc_model::weights::load(&path);
        }
        done.store(true, Ordering::SeqCst);
    });
}
