//! What helps to learn and to judge, from outside: folds, seeds, learning rates, intervals, pretrained weights.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::Desk;
use fs_err as fs;
use serde_json::Value;

const SMALL: [&str; 8] = ["--data", "shapes", "--imgsz", "188", "--epochs", "1", "--batch", "8"];

fn train<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["train"][..], &SMALL, more].concat()
}

#[test]
fn several_seeds_in_one_command_have_a_mean_and_a_spread() {
    let desk = Desk::new();
    desk.shapes(20);
    let ran = desk.run(&train(&["--seeds", "3,4", "--keep", "best"]));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.stdout, "runs/train/exp-seed3\nruns/train/exp-seed4\n");
    for word in ["2 runs", "mean  smallest  largest", "localization accuracy"] {
        assert!(ran.stderr.contains(word), "{ran:?}");
    }
    let config = fs::read_to_string(desk.path("runs/train/exp-seed4/config.toml")).unwrap();
    assert!(config.contains("seed = 4"), "{config}");
    desk.fails(&train(&["--seeds", "1,2", "--seed", "3"]), 2, &["--seed"]);
}

#[test]
fn a_fold_leaves_the_validation_photos_alone() {
    let desk = Desk::new();
    desk.shapes(30);
    desk.ok(&["data", "split", "shapes", "--val", "0.2", "-o", "s.csv"]);
    desk.ok(&train(&["--split-file", "s.csv", "--fold", "2/3"]));
    let (split, fold) = (
        fs::read_to_string(desk.path("s.csv")).unwrap(),
        fs::read_to_string(desk.path("runs/train/exp/split.csv")).unwrap(),
    );
    assert_eq!((fold.matches(",val").count(), fold.matches(",none").count()), (8, 6));
    for line in split.lines().filter(|l| l.ends_with(",val")) {
        assert!(fold.contains(&line.replace(",val", ",none")), "{line}");
    }
    desk.fails(&train(&["--fold", "4/3"]), 2, &["fold", "4/3", "I/K"]);
}

#[test]
fn learning_rates_are_tried_and_plotted() {
    let desk = Desk::new();
    desk.shapes(20);
    let args = [&["lr-find"][..], &SMALL, &["--steps", "12", "-o", "lr.svg"]].concat();
    let csv = desk.ok(&args);
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(rows[0], "lr,loss,smoothed");
    assert!(rows.len() > 8 && rows[1].starts_with("1e-6,"), "{csv}");
    let svg = fs::read_to_string(desk.path("lr.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("polyline") && !svg.contains("NaN"), "{svg}");
    assert!(!desk.path("runs").exists(), "nothing is kept");
    desk.fails(&[&["lr-find"][..], &SMALL, &["--low", "1", "--high", "0.1"]].concat(), 2, &["no range"]);
}

#[test]
fn intervals_and_mirrored_photos_are_there_for_the_asking() {
    let desk = Desk::new();
    desk.shapes(20);
    let model = desk.model();
    let val = |more: &[&str]| -> Value {
        let args = ["val", "-m", &model, "--data", "shapes", "--format", "json", "--split", "all"];
        serde_json::from_str(&desk.ok(&[&args, more].concat())).unwrap()
    };
    let plain = val(&[]);
    assert!(plain.get("intervals").is_none());
    let with = val(&["--intervals"]);
    for figure in ["accuracy", "mean_iou", "iou50", "iou75", "localization_accuracy"] {
        let ends: Vec<f64> =
            with["intervals"][figure].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        let value = with[figure].as_f64().unwrap();
        assert!(ends[0] <= value && value <= ends[1], "{figure}: {value} in {ends:?}");
    }
    let flipped = val(&["--flip"]);
    assert_ne!(plain["mean_iou"], flipped["mean_iou"]);
}

#[test]
fn a_recipe_on_pretrained_weights_says_how_to_get_them() {
    let desk = Desk::new();
    desk.shapes(10);
    let nowhere = desk.path("nowhere").display().to_string();
    let run = |args: &[&str]| {
        let output = desk.command(args).env("LOC_WEIGHTS", &nowhere).output().unwrap();
        common::Ran::of(output)
    };
    let ran = run(&["train", "--data", "shapes", "--recipe", "transfer"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("loc weights add") && ran.stderr.contains("nowhere"), "{ran:?}");
    let list = run(&["weights", "list"]);
    assert!(list.stdout.contains("efficientnet-lite0") && list.stdout.contains("Apache-2.0"), "{list:?}");
    fs::write(desk.path("no.pth"), b"hello").unwrap();
    let ran = run(&["weights", "add", "no.pth"]);
    assert!(ran.code == 1 && ran.stderr.contains("no.pth") && ran.stderr.contains("hint"), "{ran:?}");
}
