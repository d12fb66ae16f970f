//! `loc data audit` through the binary: what it lists, draws and refuses. How well it finds errors is in docs/audit.md.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::Desk;
use fs_err as fs;
use serde_json::Value;

#[test]
fn an_audit_lists_and_draws_photos_and_keeps_what_is_there() {
    let desk = Desk::new();
    desk.shapes(20);
    let model = desk.model();
    let audit = ["data", "audit", "shapes", "-m", &model, "--folds", "2", "--epochs", "1"];
    let args = |more: &[&'static str]| [&audit[..], more].concat();
    let json = desk.ok(&args(&["--all", "--format", "json", "--save", "doubts"]));
    let record: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(record["schema"], "loc.audit/1");
    let photos = record["photos"].as_array().unwrap();
    assert_eq!((photos.len(), record["samples"].as_u64()), (20, Some(20)));
    for (rank, photo) in (1..).zip(photos) {
        assert_eq!(photo["rank"], rank);
        assert!(["class", "box"].contains(&photo["reason"].as_str().unwrap()), "{photo}");
        assert!((0.0..=1.0).contains(&photo["score"].as_f64().unwrap()), "{photo}");
        let path = desk.path("shapes").join(photo["path"].as_str().unwrap());
        assert!(
            path.is_file() || desk.path("shapes/images").join(photo["path"].as_str().unwrap()).is_file(),
            "{photo}"
        );
        assert!(photo["given"]["box"]["x2"].as_f64().unwrap() > 0.0, "{photo}");
        let probs = photo["predicted"]["probs"].as_object().unwrap();
        assert_eq!(probs.len(), 3, "{photo}");
    }
    let drawn: Vec<String> = fs::read_dir(desk.path("doubts"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(drawn.len(), 20, "{drawn:?}");
    assert!(drawn.iter().any(|name| name.starts_with("0001-")), "{drawn:?}");
    // Its own drawings are written again; a file of somebody else's is kept, and so is an input.
    let ran = desk.run(&args(&["--all", "--save", "doubts"]));
    assert!(ran.code == 0 && ran.stdout.lines().count() == 20 && ran.stderr.contains("doubtful"), "{ran:?}");
    let first = desk.path("doubts").join(drawn.iter().find(|name| name.starts_with("0001-")).unwrap());
    fs::write(&first, "mine").unwrap();
    desk.fails(&args(&["--all", "--save", "doubts"]), 2, &["0001-", "--force", "hint: "]);
    assert_eq!(fs::read(&first).unwrap(), b"mine");
    let file = desk.path("file");
    fs::write(&file, "mine").unwrap();
    desk.fails(&args(&["--save", "file"]), 2, &["a file where a folder is needed"]);
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[test]
fn without_weights_and_model_it_says_how_to_get_them() {
    let desk = Desk::new();
    desk.shapes(6);
    desk.fails(&["data", "audit", "shapes"], 2, &["backbone_weights", "loc weights fetch", "hint: "]);
    desk.fails(&["data", "audit", "shapes", "--folds", "1"], 2, &["--folds 1", "at least 2"]);
    desk.fails(&["data", "audit", "shapes", "-m", "nothing.safetensors"], 1, &["nothing.safetensors"]);
}
