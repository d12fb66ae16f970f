//! Tests the commands through the binary: output, written files, and errors for bad input.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::io::Write;
use std::process::Stdio;

use common::{Desk, Ran, first};
use fs_err as fs;
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn the_workflow_from_photos_to_boxes_and_onnx() {
    let desk = Desk::new();
    desk.shapes(20);
    assert_eq!(desk.ok(&["data", "check", "shapes"]), "");
    let stats = json(&desk.ok(&["data", "stats", "shapes", "--format", "json"]));
    assert_eq!((stats["schema"].as_str(), stats["samples"].as_u64()), (Some("loc.stats/1"), Some(20)));
    desk.ok(&["data", "show", "shapes", "-n", "6", "-o", "m.png"]);
    let mosaic = image::open(desk.path("m.png")).unwrap();
    assert!(mosaic.width() > 1000 && mosaic.height() > 400, "{}×{}", mosaic.width(), mosaic.height());
    desk.ok(&["data", "split", "shapes", "--val", "0.25", "-o", "s.csv"]);
    let split = fs::read_to_string(desk.path("s.csv")).unwrap();
    assert_eq!(split.matches(",val").count(), 5);
    assert!(split.starts_with("filename,split\n"));

    let model = desk.model();
    assert_eq!(model, "runs/train/exp/weights/last.safetensors", "the run folder is the last line on stdout");

    // One JSON object per model, with exactly the documented keys.
    let val = json(&desk.ok(&["val", "-m", &model, "--data", "shapes", "--format", "json"]));
    assert_eq!(
        keys(&val),
        [
            "accuracy",
            "baseline",
            "calibration",
            "confusion",
            "iou50",
            "iou75",
            "iou_histogram",
            "localization_accuracy",
            "loss",
            "mean_iou",
            "model",
            "per_class",
            "samples",
            "schema",
            "speed",
            "split",
            "success_curve"
        ]
    );
    assert_eq!(val["schema"], "loc.val/1");
    assert_eq!((val["split"].as_str(), val["samples"].as_u64()), (Some("val"), Some(4)));
    assert_eq!(keys(&val["loss"]), ["box", "class", "total"]);
    assert_eq!(keys(&val["baseline"]), ["majority_accuracy", "median_box"]);
    assert_eq!(keys(&val["baseline"]["median_box"]), ["iou50", "iou75", "mean_iou"]);
    assert_eq!(keys(&val["per_class"]["star"]), ["accuracy", "mean_iou", "samples"]);
    assert_eq!(keys(&val["calibration"]), ["bins", "confidence", "ece", "ece_by_chance", "temperature"]);
    assert_eq!(keys(&val["calibration"]["bins"][0]), ["accuracy", "confidence", "samples"]);
    assert_eq!(keys(&val["speed"]), ["batch", "predict_ms", "prepare_ms", "threads"]);
    let all =
        json(&desk.ok(&["val", "-m", &model, "--data", "shapes", "--format", "json", "--split", "all"]));
    assert_eq!(all["samples"], 20);
    desk.fails(
        &["val", "-m", &model, "--data", "shapes", "--fail-under", "acc=1,iou=0.99"],
        4,
        &["acc is", "iou is"],
    );
    desk.fails(
        &["val", "-m", &model, "--data", "shapes", "--fail-under", "speed=1"],
        2,
        &["acc, iou, iou50"],
    );

    // One record per photo, with exactly the documented keys. If stdout is a pipe, the format is jsonl.
    let photos = ["shapes/images/shape-00001.jpg", "shapes/images/shape-00000.jpg"];
    let text =
        desk.ok(&["predict", "-m", &model, photos[0], photos[1], "--save", "out", "--save-labels", "voc"]);
    let records: Vec<Value> = text.lines().map(json).collect();
    for (record, path) in records.iter().zip(photos) {
        assert_eq!(keys(record), ["box", "class", "confidence", "height", "name", "path", "probs", "width"]);
        assert_eq!(record["path"], path);
        assert_eq!(keys(&record["box"]), ["x1", "x2", "y1", "y2"]);
        assert_eq!(keys(&record["probs"]), ["box", "disc", "star"]);
        let name = record["name"].as_str().unwrap();
        assert_eq!(record["probs"][name], record["confidence"]);
        let file = path.rsplit('/').next().unwrap();
        let drawn = image::open(desk.path("out").join(file)).unwrap();
        let (w, h) = (record["width"].as_u64().unwrap(), record["height"].as_u64().unwrap());
        assert_eq!((u64::from(drawn.width()), u64::from(drawn.height())), (w, h));
    }
    // The saved labels are a valid data set.
    fs::create_dir(desk.path("labelled")).unwrap();
    for entry in fs::read_dir(desk.path("out/labels")).unwrap().chain(fs::read_dir(desk.path("out")).unwrap())
    {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, desk.path("labelled").join(path.file_name().unwrap())).unwrap();
        }
    }
    desk.ok(&["data", "check", "labelled"]);

    // A folder, a glob and a list give the same results, in the same order.
    let folder = desk.ok(&["predict", "-m", &model, "shapes/images"]);
    assert_eq!(folder.lines().count(), 20);
    assert_eq!(desk.ok(&["predict", "-m", &model, "shapes/images/*.jpg"]), folder);
    let mut child = desk
        .command(&["predict", "-m", &model, "-", "--format", "csv"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(photos.join("\n").as_bytes()).unwrap();
    let csv = Ran::of(child.wait_with_output().unwrap()).stdout;
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("filename,width,height,class_num,xmin,ymin,xmax,ymax,confidence"));
    assert!(lines.next().unwrap().starts_with(photos[0]));
    assert_eq!(lines.count(), 1);

    // Export, and `loc info` of the exported file.
    assert_eq!(desk.ok(&["export", "-m", &model, "-o", "m.onnx"]), "m.onnx\n");
    let onnx = json(&desk.ok(&["info", "m.onnx", "--format", "json"]));
    assert_eq!((onnx["kind"].as_str(), onnx["opset"].as_i64()), (Some("onnx"), Some(13)));
    let info = json(&desk.ok(&["info", &model, "--format", "json"]));
    assert_eq!(info["metadata"]["classes"], serde_json::json!(["box", "disc", "star"]));
    assert!(desk.ok(&["info", "runs/train/exp"]).contains("finished"));
    desk.fails(&["import", &model, "-o", "again.safetensors", "--classes", "box,disc,star"], 1, &["already"]);
    desk.fails(&["export", "-m", &model, "--opset", "9"], 2, &["[11, 13]"]);
}

#[test]
fn bad_photos_are_named_and_the_others_are_predicted() {
    let desk = Desk::new();
    desk.shapes(8);
    let model = desk.model();
    let photo = first(&desk.path("shapes/images"), "jpg");
    let bytes = fs::read(&photo).unwrap();
    fs::write(desk.path("half.jpg"), &bytes[..bytes.len() / 2]).unwrap();
    fs::write(desk.path("page.jpg"), "<html><body>no photo</body></html>").unwrap();
    fs::copy(&photo, desk.path("good.jpg")).unwrap();
    let args = ["predict", "-m", &model, "half.jpg", "good.jpg", "page.jpg", "gone.jpg"];
    let ran = desk.fails(&args, 3, &["3 of 4 photos"]);
    let records: Vec<Value> = ran.stdout.lines().map(json).collect();
    assert_eq!(records.len(), 4);
    for at in [0, 2, 3] {
        assert_eq!(keys(&records[at]), ["error", "path"], "{}", records[at]);
    }
    assert!(records[2]["error"].as_str().unwrap().contains("<html>"), "{}", records[2]);
    assert_eq!(records[1]["path"], "good.jpg");
    desk.fails(&["predict", "-m", &model, "half.jpg", "good.jpg", "--strict"], 1, &["half.jpg"]);

    // The same photo in a data set: an error that names it, in check and in training.
    fs::copy(desk.path("half.jpg"), &photo).unwrap();
    let name = photo.file_name().unwrap().to_str().unwrap();
    let ran = desk.run(&["data", "check", "shapes"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stdout.contains(name), "{ran:?}");
    desk.fails(&["train", "--data", "shapes", "--imgsz", "188"], 1, &[name]);
}

#[test]
fn broken_annotations_are_errors_with_file_and_line() {
    let desk = Desk::new();
    desk.shapes(8);
    let xml = first(&desk.path("shapes/annotations"), "xml");
    let name = xml.file_name().unwrap().to_str().unwrap().to_owned();
    let text = fs::read_to_string(&xml).unwrap();
    let start = text.find("<xmin>").unwrap() + 6;
    let end = text.find("</xmin>").unwrap();
    fs::write(&xml, format!("{}NaN{}", &text[..start], &text[end..])).unwrap();
    let line = text[..start].lines().count();
    desk.fails(&["train", "--data", "shapes"], 1, &[&format!("{name}:{line}"), "xmin", "NaN"]);
    fs::remove_file(&xml).unwrap();
    let photo = name.replace(".xml", ".jpg");
    let ran = desk.run(&["data", "check", "shapes", "--format", "json"]);
    let report = json(&ran.stdout);
    assert!(report["findings"].to_string().contains(&photo), "{report}");
}

#[test]
fn a_model_with_other_classes_is_an_error() {
    let desk = Desk::new();
    desk.shapes(8);
    let model = desk.model();
    let file = |path: &std::path::Path| fs::read_to_string(path).unwrap();
    for entry in fs::read_dir(desk.path("shapes/annotations")).unwrap() {
        let path = entry.unwrap().path();
        fs::write(&path, file(&path).replace("<name>star</name>", "<name>moon</name>")).unwrap();
    }
    desk.fails(&["val", "-m", &model, "--data", "shapes"], 1, &["moon", "star", "hint"]);
    desk.fails(
        &["train", "--data", "shapes", "--imgsz", "188", "--init", &model],
        1,
        &["moon", "star", "hint"],
    );
    desk.fails(&["predict", "-m", "none.safetensors", "x.jpg"], 1, &["none.safetensors"]);
    fs::write(desk.path("page.safetensors"), "<html>").unwrap();
    desk.fails(&["info", "page.safetensors"], 1, &["page.safetensors"]);
}

#[test]
fn usage_errors_have_exit_code_2_and_a_hint() {
    let desk = Desk::new();
    desk.shapes(8);
    desk.fails(&["train", "--data", "shapes", "epochs=50"], 2, &["did you mean `--epochs 50`?"]);
    desk.fails(&["train"], 2, &["--data", "hint"]);
    desk.fails(&["train", "--data", "shapes", "--recipe", "transfr"], 2, &["auto, tutorial, scratch"]);
    desk.fails(&["train", "--data", "shapes", "--lr", "0"], 2, &["lr is 0", "above 0"]);
    desk.fails(&["train", "--data", "shapes", "--imgsz", "64"], 2, &["124 to 2048"]);
    desk.fails(&["train", "--data", "shapes", "--device", "cuda:0"], 2, &["--features cuda"]);
    fs::write(desk.path("loc.toml"), "# mine\nbatchsize = 4\n").unwrap();
    desk.fails(
        &["train", "--data", "shapes"],
        2,
        &["loc.toml", "line 2", "batchsize", "did you mean `batch`?"],
    );
    fs::remove_file(desk.path("loc.toml")).unwrap();
    let mut command = desk.command(&["train", "--data", "shapes"]);
    let ran = Ran::of(command.env("LOC_EPOCHS", "none").output().unwrap());
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("LOC_EPOCHS"), "{ran:?}");
    desk.fails(&["predict", "-m", "m.safetensors"], 2, &["SOURCE"]);
    assert!(!desk.path("runs").exists(), "no run folder was created");
    assert!(desk.ok(&["--help"]).contains("Examples:"));
}

/// After a signal during training, the step is finished, the state is saved, and the command for resuming is printed.
#[cfg(unix)]
#[test]
fn a_signal_saves_the_state_and_prints_the_command_for_resuming() {
    let desk = Desk::new();
    desk.shapes(24);
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let args = [
            "train", "--data", "shapes", "--imgsz", "188", "--epochs", "500", "--batch", "4", "--recipe",
            "scratch", "--name", signal,
        ];
        let child = desk.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let results = desk.path(&format!("runs/train/{signal}/results.csv"));
        while !results.is_file() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let sent = std::process::Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
        let ran = Ran::of(child.wait_with_output().unwrap());
        assert_eq!(ran.code, code, "{ran:?}");
        let resume_command = format!("loc train --resume runs/train/{signal}");
        assert!(ran.stderr.contains(&resume_command), "{ran:?}");
        let rows = fs::read_to_string(&results).unwrap().lines().count();
        let epochs = rows.to_string();
        let run = format!("runs/train/{signal}");
        desk.fails(&["train", "--resume", &run, "--lr", "9"], 2, &["lr: 0.001 → 9"]);
        // `rows` includes the header, so it is one more than the number of finished epochs.
        let config = fs::read_to_string(desk.path(&run).join("config.toml")).unwrap();
        fs::write(
            desk.path(&run).join("config.toml"),
            config.replace("epochs = 500", &format!("epochs = {epochs}")),
        )
        .unwrap();
        desk.ok(&["train", "--resume", &run]);
        assert_eq!(fs::read_to_string(&results).unwrap().lines().count(), rows + 1);
    }
}
