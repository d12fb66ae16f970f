//! Outputs that are folders: runs, and the sample data set.

use fs_err as fs;

use crate::common::Ran;
use crate::{desk, everything, refused};

/// `loc train` creates a new run folder. With --exist-ok it replaces a run of loc, but never anything else.
#[test]
fn a_run_folder_replaces_only_a_run() {
    let desk = desk();
    let train = |project: &str, name: &str, more: &[&str]| {
        let small = ["train", "--data", "shapes", "--imgsz", "188", "--epochs", "1", "--batch", "8"];
        let place = ["--project", project, "--name", name];
        [&small[..], &place, more].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let refused = |args: Vec<String>, words: &[&str]| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        refused(&desk, &args, words);
    };
    // The data set, the folder that contains everything, and files.
    for (project, name) in [(".", "shapes"), ("shapes", "images"), ("shapes", "annotations")] {
        refused(train(project, name, &["--exist-ok"]), &["--exist-ok", name]);
    }
    refused(train(".", "m.safetensors", &["--exist-ok"]), &["is not a folder"]);
    refused(train(".", "../x", &["--exist-ok"]), &["--name", "the name of one folder"]);
    // A run of another program, with file names like those of loc, or others.
    for (name, text) in [
        ("weights/best.pt", "precious"),
        ("weights/best.safetensors", "precious"),
        ("results.csv", "epoch,loss\n"),
        ("config.toml", "lr = 1\n"),
        ("run.json", "{\"schema\":\"other/1\"}"),
        (".lock", "precious"),
    ] {
        let path = desk.path("theirs/exp").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        refused(train("theirs", "exp", &["--exist-ok"]), &["--exist-ok", "theirs/exp"]);
        fs::remove_dir_all(desk.path("theirs")).unwrap();
    }
    // A run of loc is replaced, unless it contains other files or an input of this training.
    let retrain = |more: &[&str]| train("runs", "exp", &[&["--exist-ok"], more].concat());
    let ok = |args: Vec<String>| desk.ok(&args.iter().map(String::as_str).collect::<Vec<_>>());
    ok(retrain(&[]));
    let first = fs::read(desk.path("runs/exp/run.json")).unwrap();
    for name in ["notes.txt", "weights/best.onnx", "weights/deep/last.safetensors"] {
        let path = desk.path("runs/exp").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "precious").unwrap();
        refused(
            retrain(&[]),
            &["runs/exp", name.rsplit('/').nth(1).filter(|d| *d == "deep").unwrap_or(name)],
        );
        fs::remove_file(&path).unwrap();
    }
    fs::remove_dir(desk.path("runs/exp/weights/deep")).unwrap();
    for (flag, file) in [
        ("--init", "weights/last.safetensors"),
        ("--init", ""),
        ("--config", "config.toml"),
        ("--split-file", "split.csv"),
    ] {
        let file = format!("runs/exp/{file}");
        refused(retrain(&[flag, file.trim_end_matches('/')]), &["--exist-ok", "is an input of this command"]);
    }
    #[cfg(unix)]
    {
        let seeds = train("runs", "exp", &["--exist-ok", "--seeds", "3,4", "--init", "link.safetensors"]);
        fs::create_dir(desk.path("runs/exp-seed4")).unwrap();
        fs::hard_link(desk.path("m.safetensors"), desk.path("runs/exp-seed4/x")).unwrap();
        std::os::unix::fs::symlink("runs/exp/weights/best.safetensors", desk.path("link.safetensors"))
            .unwrap();
        refused(retrain(&["--init", "link.safetensors"]), &["weights/best.safetensors", "is an input"]);
        refused(seeds, &["runs/exp-seed4/x"]);
    }
    ok(retrain(&["--seed", "1"]));
    assert_ne!(fs::read(desk.path("runs/exp/run.json")).unwrap(), first, "the run was not replaced");
    // Without the flag nothing is ever removed.
    assert_eq!(ok(train("runs", "exp", &[])), "runs/exp2\n");
}

#[test]
fn a_sample_data_set_is_written_only_to_a_new_or_empty_folder() {
    let desk = desk();
    for out in ["shapes", "m.safetensors", "shapes/images/../images", "c.toml/x"] {
        refused(&desk, &["data", "sample", out, "--n", "3"], &[out]);
    }
    // An empty folder is used as it is.
    fs::create_dir(desk.path("empty")).unwrap();
    let mut command = desk.command(&["data", "sample", ".", "--n", "3"]);
    let ran = Ran::of(command.current_dir(desk.path("empty")).output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(everything(&desk.path("empty")).len(), 2 + 2 * 3);
    assert_eq!(desk.ok(&["data", "check", "empty"]), "");
}
