//! Tests `loc shard` as a scheduler runs it: shards in processes of their own, killed and run again.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use common::{Desk, Ran, model_file};
use fs_err as fs;

const CLASSES: [&str; 3] = ["box", "disc", "star"];

/// A folder with `n` photos, of which two are bad, a list of them, and a model.
fn desk(n: usize) -> Desk {
    let desk = Desk::new();
    desk.shapes(n);
    fs::write(desk.path("m.safetensors"), model_file(&CLASSES, 1)).unwrap();
    fs::write(desk.path("shapes").join(web_page(n)), "<html>").unwrap();
    fs::remove_file(desk.path("shapes").join(missing(n))).unwrap();
    let lines: String = (0..n).map(|i| format!("{}\n", photo(i))).collect();
    fs::write(desk.path("shapes/list.txt"), lines).unwrap();
    desk
}

fn photo(i: usize) -> String {
    format!("images/shape-{i:05}.jpg")
}

fn web_page(n: usize) -> String {
    photo(n * 2 / 7)
}

fn missing(n: usize) -> String {
    photo(n * 5 / 9)
}

fn plan(desk: &Desk, out: &str, shards: usize) {
    let shards = shards.to_string();
    desk.ok(&["shard", "plan", "shapes/list.txt", "-m", "m.safetensors", "-o", out, "--shards", &shards]);
}

fn part(desk: &Desk, out: &str, shard: usize) -> PathBuf {
    desk.path(out).join(format!("part-{shard:05}.parquet"))
}

/// Runs a shard, and sends the signal when it has begun to write.
fn interrupted(desk: &Desk, shard: usize, signal: &str) -> Ran {
    let shard_name = shard.to_string();
    // A process that was faster than the signal is tried again.
    for _ in 0..50 {
        let _ = fs::remove_file(part(desk, "out", shard));
        let mut command = desk.command(&["shard", "run", "out", "--shard", &shard_name, "--threads", "1"]);
        let child: Child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        for _ in 0..10_000 {
            if temporary(desk) > 0 {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let kill = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(kill.is_ok());
        let ran = Ran::of(child.wait_with_output().unwrap());
        if !part(desk, "out", shard).exists() {
            return ran;
        }
    }
    panic!("the shard always ended before the signal");
}

/// The number of temporary files.
fn temporary(desk: &Desk) -> usize {
    let names = fs::read_dir(desk.path("out")).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.as_encoded_bytes().starts_with(b".")).count()
}

#[test]
fn killed_and_repeated_shards_merge_to_the_bytes_of_one_shard() {
    let n = 200;
    let desk = desk(n);
    plan(&desk, "one", 1);
    desk.ok(&["shard", "run", "one", "--shard", "0"]);
    desk.ok(&["shard", "merge", "one"]);

    plan(&desk, "out", 6);
    let killed = interrupted(&desk, 2, "-9");
    assert_eq!((killed.code, temporary(&desk)), (-1, 1), "{killed:?}");
    desk.fails(&["shard", "merge", "out"], 75, &["6 missing (shards 0, 1, 2, 3, 4, 5)", "hint: "]);
    for (variable, shard) in
        [("SLURM_ARRAY_TASK_ID", 0), ("JOB_COMPLETION_INDEX", 1), ("AWS_BATCH_JOB_ARRAY_INDEX", 2)]
    {
        let mut command = desk.command(&["shard", "run", "out"]);
        // A task that was started again alone: the number of tasks is not the number of shards.
        command.env(variable, shard.to_string()).env("SLURM_ARRAY_TASK_COUNT", "1");
        let ran = Ran::of(command.output().unwrap());
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(part(&desk, "out", shard).is_file(), "{ran:?}");
    }
    assert_eq!(temporary(&desk), 0, "the rest of the killed process is removed");
    desk.fails(&["shard", "merge", "out"], 75, &["3 missing (shards 3, 4, 5)"]);
    desk.ok(&["shard", "run", "out", "--shard", "3..5", "--threads", "1"]);
    let mut last = desk.command(&["shard", "run", "out", "--per-task", "5"]);
    assert!(last.env("SLURM_ARRAY_TASK_ID", "1").status().unwrap().success());

    let merged = desk.ok(&["shard", "merge", "out"]);
    assert_eq!(merged.trim(), "out/_predictions.parquet");
    let bytes = |name: &str| fs::read(desk.path(name)).unwrap();
    assert!(bytes("out/_predictions.parquet") == bytes("one/_predictions.parquet"));
    let success = fs::read_to_string(desk.path("out/_SUCCESS")).unwrap();
    assert!(success.contains("\"rows\":200,\"errors\":2"), "{success}");
    same_as_predict(&desk, n);
}

/// Compares the merged rows with the records of `loc predict`.
fn same_as_predict(desk: &Desk, n: usize) {
    let file = fs::File::open(desk.path("out/_predictions.parquet")).unwrap().into_file();
    let reader = loc_shard::Reader::open(file).unwrap().unwrap();
    let rows: BTreeMap<String, loc_shard::Row> =
        reader.groups().flat_map(Result::unwrap).map(|row| (row.path.clone(), row)).collect();
    assert_eq!(rows.len(), n);
    let records = desk.ok(&["predict", "-m", "m.safetensors", "shapes/images/shape-0000*.jpg"]);
    assert_eq!(records.lines().count(), 10);
    for record in records.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()) {
        let row = &rows[record["path"].as_str().unwrap().strip_prefix("shapes/").unwrap()];
        let number = |value: &serde_json::Value| value.as_f64().map(|value| value as f32);
        assert_eq!(row.confidence, number(&record["confidence"]));
        assert_eq!(row.name.as_deref(), record["name"].as_str());
        assert_eq!(row.width.map(i64::from), record["width"].as_i64());
        for (value, key) in [(row.x1, "x1"), (row.y1, "y1"), (row.x2, "x2"), (row.y2, "y2")] {
            assert_eq!(value, number(&record["box"][key]), "{key}");
        }
    }
    let error = |name: String| rows[&name].error.as_deref().unwrap();
    assert!(error(web_page(n)).starts_with("not a JPEG"));
    assert!(error(missing(n)).starts_with("does not exist"));
}

#[test]
fn a_valid_part_is_left_alone_and_a_damaged_one_is_made_again() {
    let desk = desk(40);
    plan(&desk, "out", 20);
    let run = ["shard", "run", "out", "--shard", "5"];
    desk.ok(&run);
    let path = part(&desk, "out", 5);
    let (bytes, written) = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap());
    assert!(desk.run(&run).stderr.contains("was there"));
    assert_eq!(
        fs::metadata(&path).unwrap().modified().unwrap(),
        written,
        "a valid part is not written again"
    );

    let mut damaged = bytes.clone();
    damaged[bytes.len() / 2] ^= 1;
    for bad in [&damaged[..], &bytes[..bytes.len() / 2], b""] {
        fs::write(&path, bad).unwrap();
        desk.fails(&["shard", "merge", "out"], 75, &["1 damaged (shards 5)", "19 missing"]);
        desk.ok(&run);
        assert!(fs::read(&path).unwrap() == bytes);
    }
    // The part of another shard is not this one's.
    fs::copy(&path, part(&desk, "out", 6)).unwrap();
    desk.ok(&["shard", "run", "out", "--shard", "6"]);
    assert!(fs::read(part(&desk, "out", 6)).unwrap() != bytes);
}

#[test]
fn a_stopped_shard_asks_to_be_run_again_and_leaves_nothing() {
    let desk = desk(60);
    plan(&desk, "out", 1);
    let ran = interrupted(&desk, 0, "-TERM");
    assert_eq!(ran.code, 75, "{ran:?}");
    assert!(ran.stderr.contains("stopped") && ran.stderr.contains("hint: "), "{ran:?}");
    assert_eq!(temporary(&desk), 0);
}

#[test]
fn the_exit_code_says_whether_to_try_again() {
    let desk = desk(24);
    plan(&desk, "out", 6);
    fs::write(desk.path("other.safetensors"), model_file(&CLASSES, 2)).unwrap();
    fs::write(desk.path("twice.txt"), "a.jpg\nb.jpg\na.jpg\n").unwrap();
    fs::create_dir(desk.path("empty")).unwrap();
    fs::create_dir(desk.path("parts")).unwrap();
    fs::write(part(&desk, "parts", 0), "x").unwrap();
    let plan_args = |list: &'static str, model: &'static str, out: &'static str, shards: &'static str| {
        vec!["shard", "plan", list, "-m", model, "-o", out, "--shards", shards]
    };
    let list = "shapes/list.txt";
    // The same plan again is no error.
    let kept = desk.run(&plan_args(list, "m.safetensors", "out", "6"));
    assert!(kept.code == 0 && kept.stderr.contains("was planned before"), "{kept:?}");
    for (args, code, words) in [
        (plan_args(list, "other.safetensors", "out", "6"), 64, &["another plan", "its model is"][..]),
        (plan_args(list, "m.safetensors", "out", "7"), 64, &["its number of shards is 6, not 7"]),
        (plan_args("twice.txt", "m.safetensors", "new", "2"), 65, &["twice.txt, line 3", "a.jpg"]),
        (plan_args("m.safetensors", "m.safetensors", "new", "2"), 65, &["m.safetensors, line 1"]),
        (plan_args("gone.txt", "m.safetensors", "new", "2"), 64, &["gone.txt"]),
        (plan_args(list, "shapes/list.txt", "new", "2"), 64, &["list.txt", "not a model"]),
        (plan_args(list, "m.safetensors", "new", "0"), 64, &["0 shards for 24 photos"]),
        (plan_args(list, "m.safetensors", "new", "25"), 64, &["25 shards for 24 photos"]),
        (plan_args(list, "m.safetensors", "parts", "2"), 64, &["part-00000.parquet is there"]),
        (vec!["shard", "run", "out"], 64, &["no shard is named", "SLURM_ARRAY_TASK_ID"]),
        (vec!["shard", "run", "out", "--shard", "6"], 64, &["the plan has the shards 0 to 5"]),
        (vec!["shard", "run", "out", "--shard", "0..7"], 64, &["the plan has the shards 0 to 5"]),
        (vec!["shard", "run", "out", "--shard", "2..2"], 64, &["names no shard"]),
        (vec!["shard", "run", "out", "--shard", "two"], 64, &["not the index of a shard"]),
        (vec!["shard", "run", "empty", "--shard", "0"], 64, &["holds no plan", "loc shard plan"]),
        (
            vec!["shard", "run", "out", "--shard", "0", "-m", "other.safetensors"],
            64,
            &["not the model of the plan"],
        ),
        (
            vec!["shard", "run", "out", "--shard", "1", "--max-error-rate", "0"],
            65,
            &["shard 1: 1 of 4 photos have errors", "shape-00006.jpg: not a JPEG", "--max-error-rate"],
        ),
        (vec!["shard", "merge", "empty"], 64, &["holds no plan"]),
    ] {
        desk.fails(&args, code, &[words, &["hint: "]].concat());
    }
    assert!(!part(&desk, "out", 1).exists() && temporary(&desk) == 0, "too many errors: nothing is kept");
    assert!(!desk.path("new/_plan.json").exists());
    let mut beyond = desk.command(&["shard", "run", "out"]);
    assert_eq!(beyond.env("SLURM_ARRAY_TASK_ID", "6").status().unwrap().code(), Some(64));
    // The model's file was trained again.
    fs::copy(desk.path("other.safetensors"), desk.path("m.safetensors")).unwrap();
    desk.fails(&["shard", "run", "out", "--shard", "0"], 64, &["not the model of the plan", "hint: "]);
    // A changed manifest and a plan that is none.
    let manifest = fs::read_dir(desk.path("out")).unwrap().map(|e| e.unwrap().path());
    let manifest = manifest.into_iter().find(|path| path.extension().is_some_and(|e| e == "txt")).unwrap();
    fs::write(desk.path("m.safetensors"), model_file(&CLASSES, 1)).unwrap();
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("00003", "00004")).unwrap();
    desk.fails(&["shard", "run", "out", "--shard", "0"], 64, &["is not the manifest of the plan"]);
    fs::write(desk.path("out/_plan.json"), "{}").unwrap();
    desk.fails(&["shard", "run", "out", "--shard", "0"], 64, &["hint: "]);
}

#[test]
fn what_is_no_photo_is_a_row_with_its_error_and_no_failed_shard() {
    let desk = desk(4);
    std::os::unix::fs::symlink("loop.jpg", desk.path("shapes/loop.jpg")).unwrap();
    fs::write(desk.path("shapes/empty.jpg"), "").unwrap();
    let long = "x".repeat(300);
    let list = format!("loop.jpg\nempty.jpg\nimages\nempty.jpg/a.jpg\n/dev/null\n{long}.jpg\n{}\n", photo(0));
    fs::write(desk.path("shapes/list.txt"), list).unwrap();
    plan(&desk, "out", 1);
    let ran = desk.run(&["shard", "run", "out", "--shard", "0"]);
    assert!(ran.code == 0 && ran.stderr.contains("7 photos, 6 errors"), "{ran:?}");
    desk.ok(&["shard", "merge", "out"]);
}

#[test]
fn a_folder_is_listed_if_it_is_named() {
    let desk = desk(12);
    let plan = ["shard", "plan", "shapes", "-m", "m.safetensors", "-o", "shapes/out", "--shards", "3"];
    desk.fails(&plan, 64, &["lie in folders below it"]);
    desk.ok(&[&plan[..], &["--recursive"]].concat());
    desk.ok(&["shard", "run", "shapes/out", "--shard", "0..3"]);
    desk.ok(&["shard", "merge", "shapes/out", "--keep-parts"]);
    assert!(desk.path("shapes/out/_SUCCESS").is_file());
    assert!(!desk.path("shapes/out/_predictions.parquet").exists());
}

/// Packs photos of the set, as webdataset does.
fn tar(desk: &Desk, name: &str, photos: std::ops::Range<usize>) {
    let mut archive = tar::Builder::new(fs::File::create(desk.path("shapes").join(name)).unwrap());
    for i in photos {
        archive.append_path_with_name(desk.path("shapes").join(photo(i)), format!("{i}.jpg")).unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        archive.append_data(&mut header, format!("{i}.cls"), &b"box"[..]).unwrap();
    }
    archive.finish().unwrap();
}

#[test]
fn the_photos_of_tar_archives_are_rows_of_their_own() {
    let desk = Desk::new();
    desk.shapes(30);
    fs::write(desk.path("m.safetensors"), model_file(&CLASSES, 1)).unwrap();
    tar(&desk, "a.tar", 0..10);
    tar(&desk, "b.tar", 10..13);
    let whole = fs::read(desk.path("shapes/b.tar")).unwrap();
    fs::write(desk.path("shapes/short.tar"), &whole[..whole.len() / 2]).unwrap();
    let list = format!("{}\na.tar\nshort.tar\nb.tar\ngone.tar\n{}\n", photo(0), photo(20));
    fs::write(desk.path("list.txt"), list).unwrap();
    for (out, shards) in [("one", "1"), ("three", "3"), ("six", "6")] {
        let plan = ["shard", "plan", "list.txt", "-m", "m.safetensors", "-o", out, "--shards", shards];
        desk.ok(&[&plan[..], &["--root", "shapes"]].concat());
        desk.ok(&["shard", "run", out, "--shard", &format!("0..{shards}")]);
        desk.ok(&["shard", "merge", out]);
    }
    let bytes = |out: &str| fs::read(desk.path(out).join("_predictions.parquet")).unwrap();
    assert!(bytes("one") == bytes("three") && bytes("one") == bytes("six"));
    let file = fs::File::open(desk.path("one/_predictions.parquet")).unwrap().into_file();
    let reader = loc_shard::Reader::open(file).unwrap().unwrap();
    let rows: Vec<loc_shard::Row> = reader.groups().flat_map(Result::unwrap).collect();
    let numbers = |row: &loc_shard::Row| (row.confidence, row.x1, row.y2, row.name.clone());
    assert_eq!(rows[1].path, "a.tar/0.jpg");
    assert_eq!(numbers(&rows[0]), numbers(&rows[1]), "the same photo, as a file and in an archive");
    let failed: Vec<&str> =
        rows.iter().filter(|row| row.error.is_some()).map(|row| row.path.as_str()).collect();
    assert_eq!(failed.last(), Some(&"gone.tar"));
    assert!(failed.iter().any(|path| path.starts_with("short.tar")), "{failed:?}");
    assert_eq!(rows.iter().filter(|row| row.path.starts_with("b.tar/")).count(), 3);
}
