//! Tests command lines in the style of other tools, through the binary: exit code 2, a hint with loc's own flags, and
//! nothing is written. The complete table is tested in `src/suggestions/tests.rs`.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::{Desk, model_file};
use fs_err as fs;

#[test]
fn command_lines_of_other_tools_are_errors_with_a_hint() {
    let desk = Desk::new();
    desk.shapes(6);
    fs::write(desk.path("m.safetensors"), model_file(&["box", "disc", "star"], 1)).unwrap();
    for (line, words) in [
        // Lines that clap rejects, and lines that it would accept.
        ("train shapes/", &["hint: did you mean `loc train --data shapes/`?"][..]),
        (
            "train model=m.safetensors data=shapes",
            &["hint: did you mean `--init m.safetensors`, `--data shapes`?"],
        ),
        ("train --data shapes --batch -1", &["--batch", "hint: leave `--batch` out"]),
        ("train --data shapes --imgsz 640,480", &["square", "hint: did you mean `--imgsz 640`?"]),
        ("train --data shapes --imgsz 640x480", &["square", "hint: did you mean `--imgsz 640`?"]),
        ("train --data shapes --img 640 --batch-size 4", &["hint: did you mean `--imgsz 640`, `--batch 4`?"]),
        ("train –epochs 3", &["'–epochs'", "hint: did you mean `--epochs`?"]),
        ("detect -m m.safetensors shapes", &["hint: did you mean `loc predict -m m.safetensors shapes`?"]),
        ("predict m.safetensors shapes", &["hint: did you mean `loc predict -m m.safetensors shapes`?"]),
        (
            "predict -m m.safetensors source=shapes",
            &["source=shapes", "`loc predict -m m.safetensors shapes`?"],
        ),
        ("predict -m m.safetensors shapes/images —save out", &["'—save'", "hint: did you mean `--save`?"]),
        ("predict -m m.safetensors shapes --imgsz 640", &["hint: leave `--imgsz` out"]),
        ("val -m m.safetensors shapes", &["`loc val -m m.safetensors --data shapes`?"]),
        ("test --weights m.safetensors --data shapes", &["hint: did you mean `--model m.safetensors`?"]),
        ("export m.safetensors", &["hint: did you mean `loc export -m m.safetensors`?"]),
        ("info model=m.safetensors", &["hint: did you mean `loc info m.safetensors`?"]),
        ("data check data=shapes", &["hint: did you mean `loc data check shapes`?"]),
    ] {
        let args: Vec<&str> = line.split(' ').collect();
        let ran = desk.fails(&args, 2, words);
        assert!(ran.stdout.is_empty(), "loc {line}: {ran:?}");
    }
    assert!(!desk.path("runs").exists() && !desk.path("out").exists());
}

#[test]
fn the_error_for_an_invalid_value_does_not_mention_toml() {
    let desk = Desk::new();
    for (flag, value, words) in [
        ("--epochs", "many", "--epochs: many: a whole number, 0 or more, is needed"),
        ("--epochs", "-1", "--epochs: -1: a whole number"),
        ("--lr", "fast", "--lr: fast: a number is needed"),
        ("--lr", "-1", "lr is -1"),
        ("--keep", "some", "`all`, `best` or `last:N`"),
    ] {
        let ran = desk.fails(&["train", "--data", "shapes", flag, value], 2, &[words]);
        assert!(!ran.stderr.contains("TOML") && !ran.stderr.contains("^^"), "{ran:?}");
    }
    for (name, value, words) in [
        ("LOC_IMGSZ", "640,480", "LOC_IMGSZ: 640,480: a whole number"),
        ("LOC_BATCH", "-1", "LOC_BATCH: -1:"),
    ] {
        let output = desk.command(&["train", "--data", "shapes"]).env(name, value).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(2) && stderr.contains(words) && !stderr.contains("TOML"),
            "{stderr}"
        );
    }
}

#[test]
fn a_configuration_file_that_is_read_by_default_is_named() {
    let desk = Desk::new();
    desk.shapes(6);
    fs::write(desk.path("loc.toml"), "epochs = 1\nbatch = 4\nimgsz = 188\n").unwrap();
    let ran = desk.run(&["train", "--data", "shapes"]);
    assert!(ran.code == 0 && ran.stderr.matches("loc.toml").count() == 1, "{ran:?}");
    // If the command line names it, it is not mentioned.
    let ran = desk.run(&["train", "--data", "shapes", "--config", "loc.toml"]);
    assert!(ran.code == 0 && !ran.stderr.contains("loc.toml"), "{ran:?}");
}

#[test]
fn blanks_in_a_list_of_classes_are_not_part_of_the_names() {
    let desk = Desk::new();
    desk.shapes(6);
    fs::write(desk.path("m.safetensors"), model_file(&["box", "disc", "star"], 1)).unwrap();
    let classes = "box, disc , star";
    desk.ok(&["data", "check", "shapes", "--classes", classes]);
    desk.ok(&["val", "-m", "m.safetensors", "--data", "shapes", "--classes", classes]);
    let train = ["train", "--data", "shapes", "--imgsz", "188", "--epochs", "1", "--batch", "4"];
    let run = desk.ok(&[&train[..], &["--classes", classes]].concat());
    let config = fs::read_to_string(desk.path(run.trim()).join("config.toml")).unwrap();
    assert!(config.contains(r#"classes = ["box", "disc", "star"]"#), "{config}");
    let (weights, _) = common::model_parts(&["box", "disc", "star"], 1);
    fs::write(desk.path("p.safetensors"), loc_model::weights::to_bytes(&weights, None).unwrap()).unwrap();
    let import = ["import", "p.safetensors", "--imgsz", "188", "-o", "i.safetensors", "--classes"];
    desk.ok(&[&import[..], &[classes]].concat());
    assert!(desk.ok(&["info", "i.safetensors"]).contains("box, disc, star"));
    for bad in ["box,,star", "box,disc,star,", "box,box,star", "box, box,star", " "] {
        for args in
            [&import[..], &["data", "stats", "shapes", "--classes"], &[&train[..], &["--classes"]].concat()]
        {
            desk.fails(&[args, &[bad]].concat(), 2, &["list of classes", "hint: "]);
        }
    }
}
