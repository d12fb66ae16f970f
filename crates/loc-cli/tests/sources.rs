//! Tests the sources of `loc predict`, and photos whose names differ from those in their annotations: photos are found,
//! and skipped files are reported.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use common::{Desk, first, model_file};
use fs_err as fs;
use serde_json::Value;

/// A model and a good photo.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.shapes(12);
    fs::write(desk.path("m.safetensors"), model_file(&["box", "disc", "star"], 1)).unwrap();
    fs::copy(first(&desk.path("shapes/images"), "jpg"), desk.path("good.jpg")).unwrap();
    desk
}

fn records(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// A folder with photos, other files, hidden ones, and photos in folders below.
fn mixed(desk: &Desk) {
    let good = fs::read(desk.path("good.jpg")).unwrap();
    for (name, bytes) in [
        ("mixed/b.jpg", &good[..]),
        ("mixed/a.JFIF", &good),
        ("mixed/scraped", &good),
        ("mixed/notes.txt", b"x"),
        ("mixed/list.TXT", b"x"),
        ("mixed/clip.mp4", b"x"),
        ("mixed/LICENSE", b"x"),
        ("mixed/.DS_Store", b"x"),
        ("mixed/.cache/c.jpg", &good),
        ("mixed/deep/er/d.jpg", &good),
        ("mixed/deep/e.jpg", &good),
        ("mixed/deep/readme.md", b"x"),
    ] {
        let path = desk.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

fn paths(ran: &common::Ran) -> Vec<String> {
    records(&ran.stdout).iter().map(|record| record["path"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn prediction_reports_the_skipped_files_of_a_folder() {
    let desk = desk();
    mixed(&desk);
    let ran = desk.run(&["predict", "-m", "m.safetensors", "mixed"]);
    assert_eq!(
        (ran.code, paths(&ran)),
        (0, ["a.JFIF", "b.jpg", "scraped"].map(|n| format!("mixed/{n}")).into())
    );
    let words = "mixed: passed over 6 files: 2 .txt, 1 without an ending, 1 .mp4 (MP4 video), 2 hidden\n";
    assert!(ran.stderr.contains(words), "{}", ran.stderr);
    let words = "mixed: 2 photos in folders below it are not read (hint: `--recursive`)\n";
    assert!(ran.stderr.contains(words), "{}", ran.stderr);

    // With --recursive, all photos below the folder in the order of their paths. Each folder is read once, even with
    // links to it.
    #[cfg(unix)]
    for (link, target) in [("mixed/again", "deep"), ("mixed/deep/loop", "..")] {
        std::os::unix::fs::symlink(target, desk.path(link)).unwrap();
    }
    let ran = desk.run(&["predict", "-m", "m.safetensors", "mixed", "--recursive", "--save", "mixed/drawn"]);
    let deep = if cfg!(unix) { "again" } else { "deep" };
    let expected = [
        "a.JFIF".to_owned(),
        format!("{deep}/e.jpg"),
        format!("{deep}/er/d.jpg"),
        "b.jpg".into(),
        "scraped".into(),
    ];
    let mut expected: Vec<String> = expected.iter().map(|name| format!("mixed/{name}")).collect();
    expected.sort_by_key(|path| Path::new(path).to_owned());
    assert_eq!((ran.code, paths(&ran)), (0, expected.clone()), "{ran:?}");
    assert!(ran.stderr.contains("1 .md"), "{}", ran.stderr);
    if cfg!(unix) {
        assert!(
            ran.stderr.contains("mixed/deep: skipped: it leads to a folder that is read already"),
            "{}",
            ran.stderr
        );
    }
    // The drawn photos are not read as photos.
    let again = ["predict", "-m", "m.safetensors", "mixed", "--recursive", "--save", "mixed/drawn"];
    let ran = desk.run(&again);
    assert!(ran.stderr.contains("mixed/drawn: skipped: it is the folder of --save"), "{}", ran.stderr);

    // A folder without photos.
    fs::create_dir_all(desk.path("none/below")).unwrap();
    fs::write(desk.path("none/a.heic"), b"\0\0\0\x18ftypheic").unwrap();
    fs::write(desk.path("none/b.txt"), b"x").unwrap();
    let predict = |source| ["predict", "-m", "m.safetensors", source];
    let words = [
        "none: holds no photo (jpg, jpeg, ",
        "), only 2 files: 1 .heic (HEIC photo), 1 .txt (hint: convert it",
    ];
    desk.fails(&predict("none"), 2, &words);
    fs::copy(desk.path("good.jpg"), desk.path("none/below/c.jpg")).unwrap();
    desk.fails(&predict("none"), 2, &["(hint: 1 photo lie in folders below it: `--recursive` reads them)"]);
    // A photo that loc cannot read gives a warning.
    fs::copy(desk.path("good.jpg"), desk.path("none/c.jpg")).unwrap();
    let ran = desk.run(&predict("none"));
    assert_eq!(ran.code, 0);
    assert!(
        ran.stderr.contains("warning: none: passed over 2 files: 1 .heic (HEIC photo), 1 .txt (hint: "),
        "{ran:?}"
    );
}

#[test]
fn globs_report_the_matched_files() {
    let desk = desk();
    mixed(&desk);
    let predict = |source| ["predict", "-m", "m.safetensors", source];
    let ran = desk.run(&predict("mixed/*"));
    assert_eq!((ran.code, paths(&ran).len()), (0, 3), "{ran:?}");
    let words = "passed over 4 files: 2 .txt, 1 without an ending, 1 .mp4 (MP4 video), and 1 folder\n";
    assert!(ran.stderr.contains(words), "{}", ran.stderr);
    for (pattern, words) in [
        ("mixed/d*", "mixed/d*: matches no photo, only 1 folder (hint: name a folder to read its photos)"),
        ("mixed/*.[tm]*", "mixed/*.[tm]*: matches no photo, only 2 files: 1 .mp4 (MP4 video), 1 .txt"),
        ("mixed/x*", "mixed/x*: matches no file"),
    ] {
        desk.fails(&predict(pattern), 2, &[words]);
    }
}

#[test]
fn lists_on_standard_input_may_have_blank_lines_and_home_paths() {
    let desk = desk();
    fs::create_dir(desk.path("home")).unwrap();
    fs::copy(desk.path("good.jpg"), desk.path("home/at home.jpg")).unwrap();
    let predict_list = |list: &str| {
        let mut command = desk.command(&["predict", "-m", "m.safetensors", "-"]);
        command.env("HOME", desk.path("home"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(list.as_bytes()).unwrap();
        common::Ran::of(child.wait_with_output().unwrap())
    };
    let ran = predict_list("\u{feff}good.jpg\r\n\r\n  \n~/at home.jpg\ngood.jpg\n");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(paths(&ran).len(), 3);
    for empty in ["", "\n", "\r\n \r\n"] {
        let ran = predict_list(empty);
        assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{ran:?}");
        assert!(
            ran.stderr.contains("the list on standard input is empty: there is nothing to predict"),
            "{ran:?}"
        );
    }
}

/// File types that loc knows but does not read are named, in prediction and in a data set.
#[test]
fn unsupported_file_types_are_named() {
    let desk = desk();
    let heic: &[u8] = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    let video: &[u8] = b"\0\0\0\x18ftypmp42\0\0\0\0";
    fs::write(desk.path("phone.heic"), heic).unwrap();
    fs::write(desk.path("phone.jpg"), heic).unwrap();
    fs::write(desk.path("clip.mp4"), video).unwrap();
    fs::write(desk.path("raw.dng"), b"II\x2a\0\x10\0\0\0CR\x02\0").unwrap();
    let args =
        ["predict", "-m", "m.safetensors", "phone.heic", "phone.jpg", "clip.mp4", "raw.dng", "gone.jpg"];
    let ran = desk.fails(&args, 3, &["5 of 5 photos could not be read"]);
    for (record, expected) in records(&ran.stdout).iter().zip([
        "is a HEIC photo, which loc does not read (hint: convert it to JPEG: `heif-convert",
        "is a HEIC photo, which loc does not read (hint: ",
        "is an MP4 video, which loc does not read (hint: take frames out of it: `ffmpeg",
        "is a camera's RAW photo, which loc does not read (hint: ",
        "does not exist (hint: is the path right?)",
    ]) {
        assert!(record["error"].as_str().unwrap().starts_with(expected), "{record}");
    }
    for i in 0..12 {
        fs::write(desk.path(&format!("shapes/images/shape-{i:05}.jpg")), heic).unwrap();
    }
    let ran = desk.run(&["data", "check", "shapes"]);
    assert_eq!(ran.code, 4);
    assert_eq!(ran.stdout.matches("is a HEIC photo, which loc does not read").count(), 12, "{ran:?}");
}

/// Photos whose file extension has changed are reported in one line with their number.
#[test]
fn photos_found_under_another_name_are_counted_in_one_line() {
    let desk = desk();
    for i in 0..12 {
        let photo = desk.path(&format!("shapes/images/shape-{i:05}.jpg"));
        fs::rename(&photo, photo.with_extension("jpeg")).unwrap();
    }
    let ran = desk.run(&["data", "stats", "shapes"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stderr.contains("warning: 12 photos found under another name: shapes/annotations/"),
        "{ran:?}"
    );
    assert!(ran.stdout.starts_with("samples   12\n"), "{ran:?}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
}
