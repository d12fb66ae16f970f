//! Tests the sources of settings through the binary (flags, environment, files), and runs whose files have changed.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::{Desk, model_file};
use fs_err as fs;

/// Each flag of `loc train` that sets a key, with a value other than the default.
const FLAGS: &[(&str, &str)] = &[
    ("--recipe", "tutorial"),
    ("--data", "boxes.csv"),
    ("--data-format", "csv"),
    ("--columns", "filename,xmin,ymin,xmax,ymax"),
    ("--class", "box"),
    ("--classes", "box,disc,star"),
    ("--objects", "skip"),
    ("--unlabelled", "negative"),
    ("--skip-bad", ""),
    ("--encoding", "utf-8"),
    ("--exif", "upright"),
    ("--split-by", "draw"),
    ("--group-by", "^(shape-[0-9]+)"),
    ("--split-file", "s.csv"),
    ("--fold", "1/3"),
    ("--val", "0.3"),
    ("--epochs", "1"),
    ("--batch", "5"),
    ("--lr", "0.02"),
    ("--imgsz", "188"),
    ("--backbone-weights", "nowhere"),
    ("--seed", "7"),
    ("--init", "m.safetensors"),
    ("--device", "cpu"),
    ("--workers", "1"),
    ("--threads", "1"),
    ("--keep", "best"),
    ("--cache", "none"),
    ("--patience", "3"),
];

fn desk() -> Desk {
    let desk = Desk::new();
    desk.shapes(12);
    desk.ok(&["data", "split", "shapes", "--val", "0.3", "-o", "s.csv"]);
    // A table without a header and without classes.
    let row = |i: u32| format!("shapes/images/shape-{i:05}.jpg,1,1,20,20\n");
    fs::write(desk.path("boxes.csv"), (0..12).map(row).collect::<String>()).unwrap();
    fs::write(desk.path("m.safetensors"), model_file(&["box", "disc", "star"], 1)).unwrap();
    desk
}

/// Returns the settings in a run's `config.toml`.
fn settings(desk: &Desk, run: &str) -> toml::Table {
    fs::read_to_string(desk.path(run.trim()).join("config.toml")).unwrap().parse().unwrap()
}

#[test]
fn every_flag_of_train_sets_the_same_key_as_its_environment_variable() {
    let desk = desk();
    let help = desk.ok(&["train", "--help"]);
    let shown: Vec<&str> = help.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').collect();
    for (key, _) in loc_train::Config::keys() {
        let flag = format!("--{}", key.replace('_', "-"));
        // `--strict` conflicts with `--skip-bad`.
        let in_table = flag == "--strict" || FLAGS.iter().any(|(known, _)| *known == flag);
        assert_eq!(shown.contains(&&*flag), in_table, "{flag}: help and table differ");
    }
    let args: Vec<&str> = std::iter::once("train")
        .chain(FLAGS.iter().flat_map(|(flag, value)| [*flag, *value]).filter(|word| !word.is_empty()))
        .collect();
    let by_flags = settings(&desk, &desk.ok(&args));
    let mut command = desk.command(&["train"]);
    for (flag, value) in FLAGS {
        let name = format!("LOC_{}", flag[2..].to_uppercase().replace('-', "_"));
        command.env(name, if value.is_empty() { "true" } else { value });
    }
    let ran = common::Ran::of(command.output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(settings(&desk, &ran.stdout), by_flags);
    for (flag, value) in FLAGS.iter().filter(|(_, value)| !value.is_empty()) {
        let written = by_flags[&flag[2..].replace('-', "_")].to_string();
        let plain: String = written.chars().filter(|c| !matches!(c, '"' | '[' | ']' | ' ')).collect();
        assert_eq!(plain, value.replace(['[', ']'], ""), "{flag}");
    }
}

#[test]
fn set_overrides_flags_environment_and_files() {
    let desk = desk();
    fs::write(desk.path("loc.toml"), "epochs = 1\nbatch = 5\nimgsz = 188\nclip = 1.5\nmomentum = 0.1\n")
        .unwrap();
    let train =
        ["train", "--data", "shapes", "--lr", "0.02", "--set", "lr=0.03", "--set", "augment.flip=0.5"];
    let more = [
        "--recipe",
        "scratch",
        "--set",
        "augment.window=[0.9, 1.1]",
        "--set",
        "device=cpu",
        "--set",
        "box_loss=smooth_l1",
    ];
    let mut command = desk.command(&[&train[..], &more].concat());
    command.env("LOC_MOMENTUM", "0.2").env("LOC_BATCH", "6").env("LOC_AVERAGE", "0.5");
    let ran = common::Ran::of(command.output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    let settings = settings(&desk, &ran.stdout);
    for (key, value) in [("lr", 0.03), ("momentum", 0.2), ("clip_grad_norm", 1.5), ("ema_decay", 0.5)] {
        assert_eq!(settings[key].as_float(), Some(value), "{key}");
    }
    assert_eq!(settings["batch"].as_integer(), Some(6));
    assert_eq!(settings["augment"]["flip"].as_float(), Some(0.5));
    assert_eq!(settings["box_loss"].as_str(), Some("smooth_l1"));
    assert!(settings["augment"]["window"].to_string().contains("1.1"), "{settings}");
    // The names of the previous release are read, with a warning.
    for words in ["loc.toml: `clip` is now `clip_grad_norm`", "LOC_AVERAGE: `average` is now `ema_decay`"] {
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
    for (setting, words) in [
        ("lrr=3", &["--set lrr=3", "no key `lrr`", "did you mean `lr`?"][..]),
        ("lr", &["--set lr", "KEY=VALUE"]),
        ("lr=fast", &["--set lr", "fast: a number is needed"]),
        ("augment.flip=2", &["augment.flip is 2", "0 to 1"]),
        ("expect=1", &["no key `expect`"]),
    ] {
        desk.fails(&["train", "--data", "shapes", "--set", setting], 2, words);
    }
    // A run can be resumed with changes that do not affect the result, but not with others.
    let run = ran.stdout.trim();
    desk.ok(&["train", "--resume", run, "--epochs", "2", "--set", "keep=best"]);
    let refused = ["train", "--resume", run, "--epochs", "3", "--set", "momentum=0.5"];
    desk.fails(&refused, 2, &["momentum: 0.2 → 0.5"]);
}

#[test]
fn a_cycle_of_head_warmups_is_a_usage_error() {
    let desk = desk();
    fs::write(desk.path("mine.toml"), "backbone_lr = 0.0\nhead_warmup = \"mine.toml\"\n").unwrap();
    let train = ["train", "--data", "shapes", "--recipe", "mine.toml"];
    desk.fails(&train, 2, &["head_warmup", "mine.toml → mine.toml", "hint: "]);
    let mut command = desk.command(&["train", "--data", "shapes", "--recipe", "finetune"]);
    let ran = common::Ran::of(command.env("LOC_HEAD_WARMUP", "finetune").output().unwrap());
    assert!(ran.code == 2 && ran.stderr.contains("finetune → finetune → transfer"), "{ran:?}");
    desk.fails(&["train", "--data", "shapes", "--recipe", "gone.toml"], 2, &["gone.toml", "hint: "]);
}

#[test]
fn a_run_is_resumed_without_its_recipe_file_and_damage_is_not_a_usage_error() {
    let desk = desk();
    fs::write(desk.path("mine.toml"), "imgsz = 188\nbatch = 4\n[expect.shapes]\naccuracy = 0.1\n").unwrap();
    let train = ["train", "--data", "shapes", "--recipe", "mine.toml", "--epochs", "1"];
    let run = desk.ok(&train).trim().to_owned();
    fs::remove_file(desk.path("mine.toml")).unwrap();
    desk.ok(&["train", "--resume", &run, "--epochs", "2"]);
    assert_eq!(fs::read_to_string(desk.path(&run).join("results.csv")).unwrap().lines().count(), 3);
    // `--config` with the run's file trains the same model again.
    let again = desk.ok(&["train", "--config", &format!("{run}/config.toml")]);
    let model = |run: &str| fs::read(desk.path(run.trim()).join("weights/last.safetensors")).unwrap();
    assert!(model(&again) == model(&run), "the same settings gave another model");
    for state in ["last.state.safetensors", "previous.state.safetensors"] {
        fs::write(desk.path(&run).join("weights").join(state), "{}").unwrap();
    }
    let resume = ["train", "--resume", &run, "--epochs", "3"];
    desk.fails(&resume, 1, &["no state of it is intact", "hint: "]);
}

/// With a few validation photos, the last line of a training must not claim more than the number of photos supports.
#[test]
fn a_few_photos_cannot_show_that_a_model_beats_the_constant_answer() {
    let desk = desk();
    let args = ["train", "--data", "shapes", "--imgsz", "188", "--epochs", "1", "--batch", "4"];
    let ran = desk.run(&args);
    let verdict = ran.stderr.lines().find(|line| line.contains("the constant answer (always")).unwrap();
    let words = ["cannot be told apart from the constant answer", "does not beat the constant answer"];
    assert!(words.iter().any(|words| verdict.contains(words)), "{verdict}");
    assert!(verdict.ends_with("(2 photos)"), "{verdict}");
}
