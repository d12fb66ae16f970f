//! `loc val` from outside: its tables and JSON, calibration, two models compared.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::{Desk, model_file, model_parts};
use fs_err as fs;
use serde_json::Value;

const CLASSES: [&str; 3] = ["box", "disc", "star"];

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// A model whose logits are the same for every photo.
fn constant(logits: [f32; 3]) -> Vec<u8> {
    let (mut weights, json) = model_parts(&CLASSES, 1);
    weights.0.get_mut("class_out.weight").unwrap().data.fill(0.0);
    weights.0.get_mut("class_out.bias").unwrap().data.copy_from_slice(&logits);
    loc_model::weights::to_bytes(&weights, Some(&json)).unwrap()
}

fn desk() -> Desk {
    let desk = Desk::new();
    desk.shapes(20);
    fs::write(desk.path("a.safetensors"), constant([3.0, 0.0, -3.0])).unwrap();
    fs::write(desk.path("b.safetensors"), model_file(&CLASSES, 2)).unwrap();
    desk
}

const OF_A: [&str; 7] = ["val", "-m", "a.safetensors", "--data", "shapes", "--split", "all"];

#[test]
fn the_tables_agree_with_each_other() {
    let desk = desk();
    let val = json(&desk.ok(&[&OF_A[..], &["--format", "json"]].concat()));
    let accuracy = val["accuracy"].as_f64().unwrap();
    let right: u64 = CLASSES.iter().filter_map(|class| val["confusion"][class][class].as_u64()).sum();
    assert_eq!(right as f64 / 20.0, accuracy, "the diagonal is what is right");
    for class in CLASSES {
        let row = val["confusion"][class].as_object().unwrap();
        let all: u64 = row.values().map(|n| n.as_u64().unwrap()).sum();
        assert_eq!(Some(all), val["per_class"][class]["samples"].as_u64(), "{class}");
        assert_eq!(row.keys().collect::<Vec<_>>(), ["box"], "the model always says box");
    }
    let list =
        |key: &str| val[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect::<Vec<_>>();
    assert_eq!((list("iou_histogram").len(), list("iou_histogram").iter().sum::<f64>()), (20, 20.0));
    let curve = list("success_curve");
    assert_eq!((curve.len(), curve[0]), (21, 1.0));
    assert_eq!((Some(curve[10]), Some(curve[15])), (val["iou50"].as_f64(), val["iou75"].as_f64()));
    let calibration = &val["calibration"];
    assert_eq!(
        (calibration["temperature"].as_f64(), calibration["bins"].as_array().unwrap().len()),
        (Some(1.0), 10)
    );
    // Its confidence is that of the logits 3, 0, −3 for every photo.
    let sure = 1.0 / (1.0 + (-3.0f64).exp() + (-6.0f64).exp());
    assert!((calibration["confidence"].as_f64().unwrap() - sure).abs() < 1e-6);
    assert!((calibration["ece"].as_f64().unwrap() - (sure - accuracy).abs()).abs() < 1e-6);
    for key in ["prepare_ms", "predict_ms", "batch", "threads"] {
        assert!(val["speed"][key].as_f64().unwrap() > 0.0, "{key}");
    }

    let text = desk.ok(&OF_A);
    for part in [
        "all, 20 photos",
        "95 % of the model",
        "class  photos  accuracy  mean IoU",
        "annotated, predicted as  box  disc  star",
        "0.9 to 1.0",
        "expected calibration error",
        "ms in the network",
        "the constant answer",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

#[test]
fn a_stored_temperature_is_used_and_nothing_else_changes() {
    let desk = desk();
    let before = fs::read(desk.path("a.safetensors")).unwrap();
    let predict = || json(&desk.ok(&["predict", "-m", "a.safetensors", "shapes/images/shape-00000.jpg"]));
    let (cold, args) = (predict(), [&OF_A[..], &["--calibrate", "--format", "json"]].concat());
    let ran = desk.run(&args);
    assert!(ran.code == 0 && ran.stderr.contains("temperature"), "{ran:?}");
    assert_eq!(json(&ran.stdout)["calibration"]["temperature"], 1.0, "the figures are those before");

    // The weights are the same bytes, and of the metadata one value is new.
    let after = fs::read(desk.path("a.safetensors")).unwrap();
    let parse = |bytes: &[u8]| loc_net::WeightFile::parse(bytes).unwrap();
    let (old, new) = (parse(&before), parse(&after));
    let data = |file: &loc_net::WeightFile| loc_model::weights::to_bytes(&file.weights, None).unwrap();
    assert!(data(&old) == data(&new), "the weights changed");
    let mut metadata = json(&new.metadata.unwrap());
    let temperature = metadata.as_object_mut().unwrap().remove("temperature").unwrap().as_f64().unwrap();
    assert_eq!(metadata, json(&old.metadata.unwrap()));
    assert!((2.0..100.0).contains(&temperature), "much too sure before: {temperature}");

    let warm = predict();
    assert_eq!((&warm["class"], &warm["box"]), (&cold["class"], &cold["box"]));
    let confidence = |record: &Value| record["confidence"].as_f64().unwrap();
    assert!(confidence(&cold) > 0.95 && confidence(&warm) < 0.5, "{cold} {warm}");
    let val = json(&desk.ok(&[&OF_A[..], &["--format", "json"]].concat()));
    let c = &val["calibration"];
    assert!(
        c["ece"].as_f64().unwrap() < 0.1 && (c["temperature"].as_f64().unwrap() - temperature).abs() < 1e-6
    );
    // Once more gives the same file.
    desk.ok(&args);
    assert!(fs::read(desk.path("a.safetensors")).unwrap() == after);
}

#[test]
fn a_temperature_that_the_photos_do_not_decide_is_not_stored() {
    let desk = desk();
    let wrong = constant([-3.0, 0.0, 0.0]);
    fs::write(desk.path("w.safetensors"), &wrong).unwrap();
    let calibrate = ["val", "-m", "w.safetensors", "--data", "shapes", "--split", "all", "--calibrate"];
    desk.fails(&calibrate, 1, &["do not decide a temperature", "no better than chance", "hint: "]);
    assert!(fs::read(desk.path("w.safetensors")).unwrap() == wrong);
    desk.fails(
        &[&calibrate[..4], &["shapes", "--split", "train", "--calibrate"]].concat(),
        2,
        &["has learned", "hint: "],
    );
    let two = ["val", "-m", "w.safetensors", "-m", "b.safetensors", "--data", "shapes"];
    desk.fails(&[&two[..], &["--calibrate"]].concat(), 2, &["one model", "hint: "]);
    desk.fails(&[&two[..], &["--fail-under", "acc=0.1"]].concat(), 2, &["one model"]);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("a.safetensors", desk.path("link.safetensors")).unwrap();
        desk.ok(&["val", "-m", "link.safetensors", "--data", "shapes", "--split", "all", "--calibrate"]);
        assert!(fs::symlink_metadata(desk.path("link.safetensors")).unwrap().is_symlink(), "the link stays");
    }
}

#[test]
fn two_models_are_compared_photo_by_photo() {
    let desk = desk();
    let two = ["val", "-m", "a.safetensors", "-m", "b.safetensors", "--data", "shapes", "--split", "all"];
    let both = json(&desk.ok(&[&two[..], &["--format", "json"]].concat()));
    assert_eq!((both["schema"].as_str(), both["samples"].as_u64()), (Some("loc.compare/1"), Some(20)));
    let models = both["models"].as_array().unwrap();
    let difference = &both["differences"][0];
    assert_eq!(
        (&difference["model"], &difference["from"]),
        (&Value::from("b.safetensors"), &Value::from("a.safetensors"))
    );
    for metric in ["accuracy", "mean_iou", "iou50", "iou75", "localization_accuracy"] {
        let of = |model: &Value| model[metric].as_f64().unwrap();
        let mean = difference[metric]["mean"].as_f64().unwrap();
        assert!((of(&models[1]) - of(&models[0]) - mean).abs() < 1e-9, "{metric}");
        let end = |i: usize| difference[metric]["interval"][i].as_f64().unwrap();
        assert!(end(0) <= mean && mean <= end(1), "{metric}: {difference}");
    }
    assert_eq!(
        json(&desk.ok(&[&two[..], &["--format", "json"]].concat()))["differences"],
        both["differences"]
    );
    let text = desk.ok(&two);
    for part in
        ["b.safetensors minus a.safetensors, on the same 20 photos", "95 % interval", "localization accuracy"]
    {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    // A model compared with itself differs in nothing.
    let same =
        desk.ok(&["val", "-m", "a.safetensors", "-m", "a.safetensors", "--data", "shapes", "--split", "all"]);
    assert!(same.contains("+0.000  +0.000 to +0.000  may be chance"), "{same}");
    fs::write(desk.path("c.safetensors"), model_file(&["box", "disc"], 2)).unwrap();
    let other = ["val", "-m", "a.safetensors", "-m", "c.safetensors", "--data", "shapes", "--split", "all"];
    desk.fails(&other, 1, &["c.safetensors: was made for the classes"]);
}

/// Each model is compared on photos that neither has learned.
#[test]
fn runs_with_different_splits_share_the_photos_that_both_validate_on() {
    let desk = desk();
    for (run, seed) in [("one", "1"), ("two", "2")] {
        desk.ok(&["data", "split", "shapes", "--val", "0.5", "--seed", seed, "-o", "s.csv", "--force"]);
        let folder = desk.path(run);
        fs::create_dir_all(folder.join("weights")).unwrap();
        fs::copy(desk.path("s.csv"), folder.join("split.csv")).unwrap();
        fs::copy(desk.path("a.safetensors"), folder.join("weights/best.safetensors")).unwrap();
    }
    let args = [
        "val",
        "-m",
        "one/weights/best.safetensors",
        "-m",
        "two/weights/best.safetensors",
        "--data",
        "shapes",
    ];
    let ran = desk.run(&[&args[..], &["--format", "json"]].concat());
    assert!(ran.code == 0 && ran.stderr.contains("different splits"), "{ran:?}");
    let val = |run: &str| -> Vec<String> {
        let text = fs::read_to_string(desk.path(run).join("split.csv")).unwrap();
        text.lines().filter_map(|line| Some(line.strip_suffix(",val")?.to_owned())).collect()
    };
    let (one, two) = (val("one"), val("two"));
    let common = one.iter().filter(|name| two.contains(name)).count();
    assert_eq!(json(&ran.stdout)["samples"], common);
}
