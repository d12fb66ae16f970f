//! Where photos and features are kept changes no byte of a model, and what is kept is found again.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::Desk;
use fs_err as fs;

/// Trains with a cache in a folder of the desk; returns the model's bytes and what was said.
fn train(desk: &Desk, recipe: &[&str], cache: &str) -> (Vec<u8>, String) {
    let short =
        ["train", "--data", "shapes", "--batch", "8", "--no-report", "--name", cache, "--cache", cache];
    let ran = common::Ran::of(
        desk.command(&[&short[..], recipe].concat())
            .env("LOC_USER_CACHE", desk.path("kept"))
            .output()
            .unwrap(),
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    (fs::read(desk.path(&format!("{}/weights/last.safetensors", ran.stdout.trim()))).unwrap(), ran.stderr)
}

#[test]
fn training_from_memory_from_a_file_and_from_photos_makes_the_same_model() {
    let desk = Desk::new();
    desk.shapes(24);
    let recipe = ["--recipe", "scratch", "--imgsz", "188", "--epochs", "2"];
    let (in_memory, said) = train(&desk, &recipe, "ram");
    assert!(!said.contains("decoded photos"), "{said}");
    for cache in ["disk", "none", "auto"] {
        assert!(train(&desk, &recipe, cache).0 == in_memory, "{cache}");
    }
    let (again, said) = train(&desk, &[&recipe[..], &["--exist-ok"]].concat(), "disk");
    assert!(again == in_memory && said.contains("decoded photos are kept in"), "{said}");
    let files: Vec<_> = fs::read_dir(desk.path("kept/decoded")).unwrap().collect();
    assert_eq!(files.len(), 1, "one file for the data set and the input: {files:?}");
    desk.fails(&["train", "--data", "shapes", "--cache", "tape"], 2, &["tape", "auto"]);
}
