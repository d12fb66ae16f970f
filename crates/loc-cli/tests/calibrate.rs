//! `loc calibrate` from outside: what it stores, what prediction and evaluation make of it, and what it refuses.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::{Desk, model_file};
use fs_err as fs;
use loc_net::{Backbone, Head, InputShape, NetworkConfig, WeightFile};
use serde_json::Value;

const CLASSES: [&str; 3] = ["box", "disc", "star"];
const PHOTO: &str = "shapes/images/shape-00000.jpg";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// An untrained model with distributions of edges.
fn with_edges() -> Vec<u8> {
    let size = loc_infer::ImageSize { width: 128, height: 128 };
    let input = loc_infer::InputSpec { size, ..loc_infer::InputSpec::default() };
    let meta = loc_infer::ModelMeta::new(CLASSES.map(str::to_owned).to_vec(), input).unwrap();
    let input = InputShape { height: 128, width: 128 };
    let network = NetworkConfig::new(input, 3, Backbone::Compact, Head::Edges4);
    let file = loc_train::ModelFile::new(meta, network);
    let weights = loc_model::init::weights(&file.build().unwrap(), loc_model::init::Scheme::He, 1);
    loc_model::weights::to_bytes(&weights, Some(&file.to_json().unwrap())).unwrap()
}

fn desk() -> Desk {
    let desk = Desk::new();
    desk.shapes(40);
    fs::write(desk.path("m.safetensors"), model_file(&CLASSES, 1)).unwrap();
    fs::write(desk.path("e.safetensors"), with_edges()).unwrap();
    desk
}

fn calibrate<'a>(model: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["calibrate", "-m", model, "--data", "shapes", "--split", "all"][..], more].concat()
}

fn edges(bbox: &Value) -> [f64; 4] {
    ["x1", "y1", "x2", "y2"].map(|key| bbox[key].as_f64().unwrap_or_else(|| panic!("{bbox}")))
}

/// Asserts that a box lies in another one.
#[track_caller]
fn lies_in(inner: &Value, outer: &Value) {
    let (i, o) = (edges(inner), edges(outer));
    assert!(i[0] >= o[0] && i[1] >= o[1] && i[2] <= o[2] && i[3] <= o[3], "{inner} is not in {outer}");
}

#[test]
fn a_calibrated_model_says_how_far_its_boxes_can_be_trusted() {
    let desk = desk();
    let before = json(&desk.ok(&["predict", "-m", "e.safetensors", PHOTO]));
    let old = fs::read(desk.path("e.safetensors")).unwrap();
    // Into another file first: the model stays as it is.
    assert_eq!(desk.ok(&calibrate("e.safetensors", &["-o", "new.safetensors"])), "new.safetensors\n");
    assert!(fs::read(desk.path("e.safetensors")).unwrap() == old);
    let ran = desk.run(&calibrate("e.safetensors", &[]));
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "e.safetensors\n"), "{ran:?}");
    for part in ["40 photos (all)", "expected IoU: ", "coverage of 0.9", "200 random halves"] {
        assert!(ran.stderr.contains(part), "no {part:?} in {}", ran.stderr);
    }
    let new = fs::read(desk.path("e.safetensors")).unwrap();
    assert!(new == fs::read(desk.path("new.safetensors")).unwrap(), "both ways give the same file");
    let weights = |bytes: &[u8]| {
        let file = WeightFile::parse(bytes).unwrap();
        loc_model::weights::to_bytes(&file.weights, None).unwrap()
    };
    assert!(weights(&old) == weights(&new), "the weights changed");

    // Class and box stay, and the margins enclose the box.
    let after = json(&desk.ok(&["predict", "-m", "e.safetensors", PHOTO]));
    assert_eq!((&after["class"], &after["box"]), (&before["class"], &before["box"]));
    assert!((0.0..=1.0).contains(&after["expected_iou"].as_f64().unwrap()), "{after}");
    lies_in(&after["box"], &after["outer"]);
    assert!(after.as_object().unwrap().contains_key("inner"), "{after}");
    if !after["inner"].is_null() {
        lies_in(&after["inner"], &after["box"]);
    }
    for key in ["expected_iou", "outer", "inner"] {
        assert!(before.get(key).is_none(), "{key} of a model without a calibration");
    }
    let text = desk.ok(&["predict", "-m", "e.safetensors", PHOTO, "--format", "text"]);
    assert!(text.contains(", expected IoU 0.") && text.contains("with 90 % it lies in "), "{text}");

    // On the same photos, and with a warning that they are the same.
    let val = ["val", "-m", "e.safetensors", "--data", "shapes", "--split", "all"];
    let ran = desk.run(&[&val[..], &["--format", "json"]].concat());
    assert!(
        ran.code == 0 && ran.stderr.contains("fit these photos better than others: calibrated on 40"),
        "{ran:?}"
    );
    let record = json(&ran.stdout);
    let margins = &record["margins"];
    assert_eq!(margins["coverage"], 0.9);
    assert!(margins["covered"].as_f64().unwrap() >= 0.9, "at least 37 of 40: {margins}");
    assert!(margins["width"].as_f64().unwrap() > 0.0);
    assert!(record["expected_iou"]["ece"].as_f64().unwrap() < 0.2, "{record}");
    let text = desk.ok(&val);
    assert!(text.contains("margins for a coverage of 0.9") && text.contains("expected IoU "), "{text}");
    assert!(!desk.run(&[&val[..6], &["val"]].concat()).stderr.contains("better than others"));
    let info = desk.ok(&["info", "e.safetensors"]);
    assert!(
        info.contains("calibrated on 40 photos; ") && info.contains("margins    for a coverage of 0.9"),
        "{info}"
    );
    // An earlier calibration is replaced.
    desk.ok(&calibrate("e.safetensors", &["--coverage", "0.5"]));
    let again = json(&desk.ok(&["predict", "-m", "e.safetensors", PHOTO]));
    lies_in(&again["outer"], &after["outer"]);
}

#[test]
fn a_head_without_distributions_has_margins_and_drawings_show_them() {
    let desk = desk();
    desk.ok(&["predict", "-m", "m.safetensors", PHOTO, "--save", "before"]);
    let ran = desk.run(&calibrate("m.safetensors", &[]));
    assert!(ran.code == 0 && ran.stderr.contains("no expected IoU: it needs a head"), "{ran:?}");
    let found = json(&desk.ok(&["predict", "-m", "m.safetensors", PHOTO, "--save", "after"]));
    lies_in(&found["box"], &found["outer"]);
    assert!(found.get("expected_iou").is_none(), "{found}");
    let drawn = |folder: &str| image::open(desk.path(folder).join("shape-00000.jpg")).unwrap().to_rgb8();
    assert_ne!(drawn("before"), drawn("after"));
}

#[test]
fn photos_that_cannot_decide_are_refused() {
    let desk = desk();
    let before = fs::read(desk.path("m.safetensors")).unwrap();
    let too_few = ["calibrate", "-m", "m.safetensors", "--data", "shapes", "--split-file", "s.csv"];
    desk.ok(&["data", "split", "shapes", "-o", "s.csv"]);
    let words = ["8 photos do not decide", "at least 9 are needed", "hint: "];
    desk.fails(&too_few, 1, &words);
    desk.fails(&calibrate("m.safetensors", &["--coverage", "0.99"]), 1, &["at least 99", "hint: "]);
    for coverage in ["0", "1", "-0.5", "90", "nan"] {
        let coverage = format!("--coverage={coverage}");
        desk.fails(&calibrate("m.safetensors", &[&coverage]), 2, &["above 0 and below 1", "hint: "]);
    }
    let trained = ["calibrate", "-m", "m.safetensors", "--data", "shapes", "--split", "train"];
    desk.fails(&trained, 2, &["has learned", "hint: "]);
    assert!(fs::read(desk.path("m.safetensors")).unwrap() == before);
}

#[test]
fn photos_that_the_model_was_trained_on_are_counted() {
    let desk = desk();
    desk.ok(&["data", "split", "shapes", "--val", "0.5", "-o", "s.csv"]);
    let weights = desk.path("run/weights");
    fs::create_dir_all(&weights).unwrap();
    fs::rename(desk.path("s.csv"), desk.path("run/split.csv")).unwrap();
    fs::copy(desk.path("m.safetensors"), weights.join("best.safetensors")).unwrap();
    let model = "run/weights/best.safetensors";
    let held_back = desk.run(&["calibrate", "-m", model, "--data", "shapes"]);
    assert!(held_back.code == 0 && !held_back.stderr.contains("trained on"), "{held_back:?}");
    let all = desk.run(&calibrate(model, &[]));
    assert!(all.code == 0 && all.stderr.contains("trained on 20 of these 40 photos"), "{all:?}");
}

/// Replaces a text in a model's metadata.
fn edited(desk: &Desk, model: &str, from: &str, to: &str) {
    let file = WeightFile::parse(&fs::read(desk.path(model)).unwrap()).unwrap();
    let json = file.metadata.unwrap();
    assert!(json.contains(from), "no {from} in {json}");
    let bytes = loc_model::weights::to_bytes(&file.weights, Some(&json.replace(from, to))).unwrap();
    fs::write(desk.path(model), bytes).unwrap();
}

#[test]
fn photos_unlike_the_known_ones_get_no_answer() {
    let desk = Desk::new();
    desk.shapes(80);
    fs::write(desk.path("e.safetensors"), with_edges()).unwrap();
    let reject = ["predict", "-m", "e.safetensors", PHOTO, "--reject"];
    desk.fails(&reject, 1, &["cannot tell photos of its kind", "hint: `loc calibrate"]);
    desk.ok(&["data", "split", "shapes", "--val", "0.5", "-o", "s.csv"]);
    let calibrate = ["calibrate", "-m", "e.safetensors", "--data", "shapes", "--split-file", "s.csv"];
    let ran = desk.run(&calibrate);
    assert!(ran.code == 0 && ran.stderr.contains("--reject: 95 % of photos"), "{ran:?}");

    // Without the flag nothing is computed; with it the answer is the same.
    let plain = json(&desk.ok(&reject[..4]));
    let mut found = json(&desk.ok(&reject));
    let novelty = found.as_object_mut().unwrap().remove("novelty").unwrap().as_f64().unwrap();
    assert_eq!(found, plain);
    assert!((0.0..=1.0).contains(&novelty));
    let val = ["val", "-m", "e.safetensors", "--data", "shapes", "--split-file", "s.csv", "--format", "json"];
    let figures = json(&desk.ok(&val))["novelty"].clone();
    assert_eq!(figures["asked"], 0.95);
    assert!(figures["accepted"].as_f64().unwrap() >= 0.95, "39 of 40: {figures}");
    assert!(figures.get("auroc").is_none(), "no photo without an object: {figures}");

    // Whatever is above the threshold has no answer, in any format.
    let stored =
        json(&WeightFile::parse(&fs::read(desk.path("e.safetensors")).unwrap()).unwrap().metadata.unwrap());
    let threshold = format!("\"threshold\":{}", stored["novelty"]["threshold"]);
    edited(&desk, "e.safetensors", &threshold, "\"threshold\":0.0");
    let ran = desk.run(&[&reject[..], &["--save", "drawn"]].concat());
    assert!(ran.code == 0 && ran.stderr.contains("1 of 1 photos are unlike"), "{ran:?}");
    let record = json(&ran.stdout);
    assert_eq!((&record["box"], &record["name"]), (&Value::Null, &Value::Null), "{record}");
    assert!((record["novelty"].as_f64().unwrap() - novelty).abs() < 1e-6);
    let keys: Vec<&String> = record.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["box", "height", "name", "novelty", "path", "width"]);
    assert!(!desk.path("drawn/shape-00000.jpg").exists(), "there is no box to draw");
    let text = desk.ok(&[&reject[..], &["--format", "text"]].concat());
    assert!(text.contains("no answer, unlike the photos that the model knows"), "{text}");
    assert_eq!(desk.ok(&[&reject[..], &["--format", "csv"]].concat()).lines().count(), 1, "the header");

    // A file whose numbers do not fit the network is an error.
    edited(&desk, "e.safetensors", "\"features\":", "\"features\":2, \"x\":");
    desk.fails(&reject, 1, &["unknown field"]);
}
