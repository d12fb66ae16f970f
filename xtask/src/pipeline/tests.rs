//! Tests of the pipeline with a shell script in fixture of `loc`: the calls, and the error when a stage fails.
#![cfg(unix)]

use std::path::PathBuf;
use std::process::Command;

use fs_err as fs;

use super::results::tests::RECORD;
use super::*;

/// A stub with the effects of each command of `loc`, which logs its calls. A command named in `fail` fails.
const STUB: &str = r#"#!/bin/sh
set -eu
echo "$*" >> calls
case "$1 $2" in "$(cat fail)") echo 'failed' >&2; exit 5 ;; esac
case "$1 $2" in
    'data sample') mkdir -p "$3/images"; for i in 1 2 3; do : > "$3/images/$i.jpg"; done ;;
    'train --data') mkdir -p runs/train/exp/weights; echo '{}'; echo runs/train/exp
        printf 'filename,split\n1.jpg,train\n2.jpg,val\n3.jpg,val\n' > runs/train/exp/split.csv ;;
    'val -m') cat record.json ;;
    'predict -m') mkdir runs/train/exp/samples
        while read -r photo; do test -f "$photo"; echo '{}'; : > "runs/train/exp/samples/${photo##*/}"; done ;;
esac
"#;

struct Fixture {
    folder: tempfile::TempDir,
    workspace: Workspace,
    loc: PathBuf,
}

impl Fixture {
    fn new(expect: &str, fail: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let loc = root.join("loc");
        let recipes = root.join("crates/loc-train/recipes");
        fs::create_dir_all(&recipes).unwrap();
        fs::create_dir_all(root.join("data")).unwrap();
        fs::write(recipes.join("scratch.toml"), expect).unwrap();
        fs::write(root.join("data/datasets.toml"), "").unwrap();
        fs::write(root.join("record.json"), RECORD).unwrap();
        fs::write(root.join("fail"), fail).unwrap();
        let text = root.join("loc.sh");
        fs::write(&text, STUB).unwrap();
        // Another process writes the program: a file that this process wrote cannot be executed while a child process
        // of another test, forked in between, still has it open.
        assert!(Command::new("install").args(["-m", "755"]).args([&text, &loc]).status().unwrap().success());
        Self { folder, workspace: Workspace { root }, loc }
    }

    fn run(&self, options: &Options) -> Result<()> {
        Pipeline { workspace: &self.workspace, options, loc: &self.loc }.run()
    }

    fn calls(&self) -> String {
        let calls = fs::read_to_string(self.folder.path().join("calls")).unwrap();
        calls.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

fn options() -> Options {
    Options { quick: false, ..Options::quick() }
}

#[test]
fn the_pipeline_runs_the_commands_of_a_user() {
    let fixture = Fixture::new("[expect]\nshapes = { iou_gain = 0.2, acc_gain = 0.4 }", "");
    fixture.run(&Options { seed: Some(7), epochs: Some(9), ..options() }).unwrap();
    let expected = "\
data sample data/shapes
data check data/shapes
data show data/shapes -o data/shapes-mosaic.jpg --force
train --data data/shapes --recipe scratch --epochs 9 --seed 7
val -m runs/train/exp/weights/last.safetensors --data data/shapes --split-file runs/train/exp/split.csv --format json
predict -m runs/train/exp/weights/last.safetensors - --format jsonl --save runs/train/exp/samples
export -m runs/train/exp/weights/last.safetensors --format onnx -o runs/train/exp/weights/last.onnx --check
";
    assert_eq!(fixture.calls(), expected);
    let list = fs::read_to_string(fixture.folder.path().join("runs/train/exp/val.txt")).unwrap();
    assert_eq!(list, "data/shapes/images/2.jpg\ndata/shapes/images/3.jpg\n");
}

#[test]
fn a_failed_stage_ends_the_run_and_the_error_contains_its_command() {
    for (command, stage) in [
        ("data sample", "data"),
        ("data check", "check"),
        ("data show", "picture"),
        ("train --data", "train"),
        ("val -m", "validate"),
        ("predict -m", "predict"),
        ("export -m", "export"),
    ] {
        let fixture = Fixture::new("", command);
        let error = format!("{:#}", fixture.run(&options()).unwrap_err());
        assert!(error.starts_with(&format!("stage `{stage}` of the pipeline: `loc {command} ")), "{error}");
        assert!(error.ends_with("failed: exit status: 5"), "{error}");
        assert!(fixture.calls().lines().last().unwrap().starts_with(command));
    }
}

#[test]
fn expected_results_are_enforced_only_for_the_unchanged_recipe() {
    let fixture = || Fixture::new("[expect]\nshapes = { acc_gain = 0.6 }", "");
    let error = fixture().run(&options()).unwrap_err().to_string();
    assert_eq!(
        error,
        "stage `results`: recipe scratch misses its expected results on shapes: accuracy gain at least 0.600, got 0.500"
    );
    fixture().run(&Options { quick: true, ..options() }).unwrap();
    fixture().run(&Options { epochs: Some(3), ..options() }).unwrap();
}

#[test]
fn errors_contain_the_unknown_data_set_or_recipe_and_the_archive_that_does_not_apply() {
    let cases: [(Options, &str); 3] = [
        (
            Options { dataset: "no-such".into(), ..options() },
            "stage `data` of the pipeline: `no-such` is neither a folder nor a known set (hint: shapes, )",
        ),
        (
            Options { archive: Some("x".into()), ..options() },
            "stage `data` of the pipeline: `shapes` is generated, not unpacked: --archive does not apply",
        ),
        (Options { recipe: "scrach".into(), ..options() }, "stage `recipe` of the pipeline: "),
    ];
    for (options, expected) in cases {
        let error = format!("{:#}", Fixture::new("", "").run(&options).unwrap_err());
        assert!(error.starts_with(expected), "{error}");
    }
}
