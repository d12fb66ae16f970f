//! Photos without an object from outside: from the data set to `predict`, whatever the output format.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::Desk;
use fs_err as fs;
use image::{Rgb, RgbImage};
use serde_json::Value;

/// A set with photos of nothing, and the model file of a training on it; what the training said.
fn trained() -> (Desk, String, String) {
    let desk = Desk::new();
    desk.shapes(15);
    for i in 0..10_u8 {
        let name = format!("empty-{i}.png");
        let image = RgbImage::from_pixel(80, 60, Rgb([20 * i, 20 * i, 255 - 20 * i]));
        image.save(desk.path("shapes/images").join(&name)).unwrap();
        let xml = format!("<annotation><filename>{name}</filename></annotation>");
        fs::write(desk.path("shapes/annotations").join(format!("empty-{i}.xml")), xml).unwrap();
    }
    let ran = desk.run(&["train", "--data", "shapes", "--imgsz", "188", "--epochs", "1", "--batch", "8"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let run = ran.stdout.trim().to_owned();
    (desk, run, ran.stderr)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn a_photo_of_nothing_is_answered_with_nothing() {
    let (desk, run, said) = trained();
    let model = format!("{run}/weights/last.safetensors");
    for part in ["8 training and 2 validation photos have no object", "presence: AUROC "] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    let check = desk.run(&["data", "check", "shapes"]);
    assert!(
        check.stderr.contains("25 usable photos of 25 decoded, 10 of them negatives"),
        "{}",
        check.stderr
    );
    assert!(desk.ok(&["data", "stats", "shapes"]).contains("negative  10 without an object (40 %)"));

    // An object everywhere, and nowhere.
    let photo = "shapes/images/shape-00000.jpg";
    let predict = |presence: &str, more: &[&str]| {
        desk.ok(&[&["predict", "-m", &model, photo, "--presence", presence], more].concat())
    };
    let found = predict("0", &["--format", "jsonl"]);
    let record = json(&found);
    let p = record["presence"].as_f64().unwrap();
    assert!((0.0..1.0).contains(&p) && record["box"]["x1"].is_number(), "{found}");
    let place = |key: &str| found.find(&format!("\"{key}\":")).unwrap();
    assert!(place("confidence") < place("presence") && place("presence") < place("box"), "{found}");
    let (width, height) = (&record["width"], &record["height"]);
    assert_eq!(
        predict("1", &["--format", "jsonl"]).trim(),
        format!(
            "{{\"path\":\"{photo}\",\"width\":{width},\"height\":{height},\"name\":null,\"class\":null,\"confidence\":null,\
             \"presence\":{},\"box\":null,\"probs\":null}}",
            record["presence"]
        )
    );
    let csv = predict("1", &["--format", "csv"]);
    assert_eq!(csv.lines().nth(1), Some(&*format!("{photo},{width},{height},,,,,,")), "{csv}");
    let text = predict("1", &["--format", "text"]);
    assert_eq!(text.trim(), format!("{photo}: no object (presence {p:.2}) in {width}×{height}"));
    predict("1", &["--save", "drawn", "--save-labels", "voc"]);
    let label = fs::read_to_string(desk.path("drawn/labels/shape-00000.xml")).unwrap();
    assert!(label.contains("<filename>shape-00000.jpg</filename>") && !label.contains("<object>"), "{label}");
    assert!(desk.path("drawn/shape-00000.jpg").is_file());
    desk.fails(&["predict", "-m", &model, photo, "--presence", "1.5"], 2, &["within 0 and 1"]);

    // The figures, wherever they are shown.
    let val = json(&desk.ok(&["val", "-m", &run, "--data", "shapes", "--format", "json"]));
    let presence = &val["presence"];
    assert_eq!((presence["samples"].as_u64(), presence["negatives"].as_u64()), (Some(5), Some(2)), "{val}");
    for key in ["auroc", "threshold", "precision", "recall", "accuracy"] {
        assert!(presence.get(key).is_some(), "no {key} in {presence}");
    }
    assert_eq!(presence["majority_accuracy"].as_f64(), Some(0.6));
    assert!(val["loss"]["presence"].is_number() && val["samples"].as_u64() == Some(3), "{val}");
    let text = desk.ok(&["val", "-m", &run, "--data", "shapes"]);
    assert!(text.contains("presence, 5 photos, 2 without an object") && text.contains("AUROC"), "{text}");
    let gate = ["val", "-m", &run, "--data", "shapes", "--fail-under", "auroc=1", "--format", "json"];
    assert_eq!(desk.run(&gate).code, if presence["auroc"].as_f64() == Some(1.0) { 0 } else { 4 });
    let threshold = format!("from probability {:.3} on", presence["threshold"].as_f64().unwrap());
    let info = desk.ok(&["info", &run.replace("exp", "exp/weights/best.safetensors")]);
    assert!(info.contains("presence_out") && info.contains(&threshold), "{info}");
    let report = fs::read_to_string(desk.path(&run).join("report.html")).unwrap();
    assert!(report.contains("Whether there is an object") && report.contains("ROC curve"));
    if cfg!(feature = "onnx") {
        let export = ["export", "-m", &model, "--format", "onnx", "-o", "model.onnx", "--check"];
        let ran = desk.run(&export);
        assert!(ran.code == 0 && ran.stderr.contains(", presence by "), "{}", ran.stderr);
        assert!(desk.ok(&["info", "model.onnx"]).contains("presence [batch, 1]"));
        let onnx =
            json(&desk.ok(&["predict", "-m", "model.onnx", photo, "--presence", "0", "--format", "jsonl"]));
        assert!((onnx["presence"].as_f64().unwrap() - p).abs() < 1e-5, "{onnx}");
    }

    // Photos without any annotation are skipped, or negatives, as asked.
    for i in 0..3 {
        fs::remove_file(desk.path(&format!("shapes/annotations/empty-{i}.xml"))).unwrap();
    }
    let said = |more: &[&str]| desk.run(&[&["data", "check", "shapes"], more].concat()).stderr;
    assert!(said(&[]).contains("22 usable photos of 22 decoded, 7 of them"), "{}", said(&[]));
    assert!(said(&["--unlabelled", "negative"]).contains("25 usable photos of 25 decoded, 10 of them"));
    desk.fails(
        &["data", "check", "shapes", "--unlabelled", "maybe"],
        2,
        &["`skip` and `negative` are known"],
    );
}

#[test]
fn without_photos_of_nothing_a_model_always_answers() {
    let desk = Desk::new();
    desk.shapes(10);
    let model = desk.model();
    let photo = "shapes/images/shape-00000.jpg";
    let words = ["--presence", "always answers"];
    desk.fails(&["predict", "-m", &model, photo, "--presence", "0.5"], 2, &words);
    let record = desk.ok(&["predict", "-m", &model, photo, "--format", "jsonl"]);
    assert!(!record.contains("presence"), "{record}");
    assert!(desk.ok(&["info", &model]).contains("always answers"));
    let args = ["train", "--data", "shapes", "--imgsz", "188", "--epochs", "1", "--batch", "8"];
    assert!(desk.run(&args).stderr.contains("the model always answers"));
}
