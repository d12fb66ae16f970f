//! Tests that no command destroys its inputs or files of other programs: every output of every command is directed at
//! each of them. The commands and their arguments are read from `loc --help`, so a new one must be added to these
//! tables.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

#[path = "../common/mod.rs"]
mod common;
mod files;
mod folders;
mod runs;
mod saved;
mod weights;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::{Desk, Ran, commands, model_file, model_parts};
use fs_err as fs;

/// Arguments that name an output.
const OUTPUTS: &[&str] = &["--output", "--fix", "--save", "--project", "--plan", "--name", "OUT"];
/// Arguments that name an input.
const INPUTS: &[&str] = &[
    "DATA",
    "FILE",
    "FOLDER",
    "MANIFEST|DIR",
    "MODEL|RUN|ONNX",
    "RUN",
    "SOURCE",
    "--audit",
    "--backbone-weights",
    "--config",
    "--data",
    "--init",
    "--model",
    "--recipe",
    "--resume",
    "--split-file",
];
/// Arguments that are neither.
const VALUES: &[&str] = &[
    "COMMAND",
    "--set",
    "-n",
    "--augmented",
    "--batch",
    "--class",
    "--classes",
    "--color",
    "--columns",
    "--conf",
    "--coverage",
    "--data-format",
    "--device",
    "--encoding",
    "--epochs",
    "--exif",
    "--fail-under",
    "--fold",
    "--folds",
    "--format",
    "--group-by",
    "--high",
    "--imgsz",
    "--index",
    "--keep",
    "--low",
    "--max-error-rate",
    "--per-task",
    "--root",
    "--shard",
    "--shards",
    "--lr",
    "--n",
    "--objects",
    "--unlabelled",
    "--presence",
    "--opset",
    "--patience",
    "--photos",
    "--save-labels",
    "--seed",
    "--seeds",
    "--split",
    "--split-by",
    "--steps",
    "--threads",
    "--time",
    "--to",
    "--val",
    "--workers",
    "--cache",
];

/// A command line; `OUT` is the output to be tested.
struct Row {
    command: &'static str,
    output: &'static str,
    args: &'static [&'static str],
    /// The files that this command line reads.
    inputs: &'static [&'static str],
}

const LR_FIND: &[&str] = &[
    "lr-find",
    "--data",
    "shapes",
    "--imgsz",
    "188",
    "--steps",
    "2",
    "--config",
    "c.toml",
    "--split-file",
    "s.csv",
    "--init",
    "m.safetensors",
    "--recipe",
    "r.toml",
    "--backbone-weights",
    "b.safetensors",
    "-o",
    "OUT",
];
const CALIBRATE: &[&str] = &[
    "calibrate",
    "-m",
    "m.safetensors",
    "--data",
    "shapes",
    "--split-file",
    "s.csv",
    "--split",
    "all",
    "--coverage",
    "0.5",
    "-o",
    "OUT",
];
const OF_THE_SET: &[&str] =
    &["shapes/images/shape-00000.jpg", "shapes/annotations/shape-00005.xml", "shapes/images/spare.jpg"];

/// Every command that writes one file.
const FILES: &[Row] = &[
    Row {
        command: "data show",
        output: "--output",
        args: &["data", "show", "shapes", "-n", "2", "-o", "OUT"],
        inputs: OF_THE_SET,
    },
    Row {
        command: "data show",
        output: "--output",
        args: &["data", "show", "a.csv", "-n", "2", "-o", "OUT"],
        inputs: &["a.csv", "shapes/images/shape-00001.jpg"],
    },
    Row {
        command: "data split",
        output: "--output",
        args: &["data", "split", "shapes", "-o", "OUT"],
        inputs: OF_THE_SET,
    },
    Row {
        command: "data split",
        output: "--output",
        args: &["data", "split", "a.csv", "-o", "OUT"],
        inputs: &["a.csv", "shapes/images/shape-00001.jpg"],
    },
    Row {
        command: "lr-find",
        output: "--output",
        args: LR_FIND,
        inputs: &[
            "c.toml",
            "s.csv",
            "m.safetensors",
            "r.toml",
            "b.safetensors",
            "shapes/images/shape-00000.jpg",
            "shapes/annotations/shape-00000.xml",
        ],
    },
    Row {
        command: "export",
        output: "--output",
        args: &["export", "-m", "m.safetensors", "-o", "OUT"],
        inputs: &["m.safetensors"],
    },
    Row {
        command: "import",
        output: "--output",
        args: &["import", "p.safetensors", "--classes", "box,disc,star", "--imgsz", "188", "-o", "OUT"],
        inputs: &["p.safetensors"],
    },
    Row {
        command: "calibrate",
        output: "--output",
        args: CALIBRATE,
        inputs: &[
            "m.safetensors",
            "s.csv",
            "shapes/images/shape-00000.jpg",
            "shapes/annotations/shape-00005.xml",
        ],
    },
    Row {
        command: "report",
        output: "--output",
        args: &["report", "run", "--audit", "a.json", "-o", "OUT"],
        inputs: &[
            "run/run.json",
            "run/config.toml",
            "run/predictions.jsonl",
            "a.json",
            "shapes/images/shape-00000.jpg",
        ],
    },
];

/// A line of `predictions.jsonl`, for one validation photo.
const ANSWER: &str = r#"{"epoch":1,"path":"shapes/images/shape-00000.jpg","file":"shape-00000.jpg","width":1,"height":1,
"name":"box","class":0,"confidence":0.5,"box":{"x1":0,"y1":0,"x2":1,"y2":1},
"truth":{"name":"box","class":0,"box":{"x1":0,"y1":0,"x2":1,"y2":1}},"iou":1}"#;

/// Creates a folder with one input of every kind.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.shapes(8);
    let classes = ["box", "disc", "star"];
    let (weights, _) = model_parts(&classes, 1);
    let write = |name: &str, bytes: &[u8]| fs::write(desk.path(name), bytes).unwrap();
    write("m.safetensors", &model_file(&classes, 1));
    for name in ["p.safetensors", "b.safetensors"] {
        write(name, &loc_model::weights::to_bytes(&weights, None).unwrap());
    }
    desk.ok(&["data", "split", "shapes", "-o", "s.csv"]);
    write("c.toml", b"lr = 0.01\n");
    write("r.toml", b"batch = 4\n");
    fs::create_dir(desk.path("run")).unwrap();
    write("run/run.json", b"{\"schema\":\"loc.run/1\"}");
    write("run/config.toml", b"lr = 0.01\n");
    write("run/predictions.jsonl", ANSWER.replace('\n', "").as_bytes());
    write("a.json", b"{\"schema\":\"loc.audit/1\",\"photos\":[]}");
    let row = |i: usize| format!("shapes/images/shape-0000{i}.jpg,{},1,1,20,20\n", classes[i % 2]);
    let rows: Vec<String> = (0..4).map(row).collect();
    write("a.csv", format!("filename,class,xmin,ymin,xmax,ymax\n{}", rows.concat()).as_bytes());
    desk
}

/// Returns everything below a folder: files with their bytes, links with their targets.
fn everything(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let (path, kind) = entry.map(|e| (e.path(), e.file_type().unwrap())).unwrap();
        if kind.is_dir() {
            all.insert(path.clone(), Vec::new());
            all.extend(everything(&path));
        } else if kind.is_symlink() {
            all.insert(path.clone(), fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes());
        } else if kind.is_file() {
            all.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    all
}

/// Runs `loc`, and asserts that it fails with these words and changes nothing.
#[track_caller]
fn refused(desk: &Desk, args: &[&str], words: &[&str]) {
    refused_with(desk, args, &[], words);
}

#[track_caller]
fn refused_with(desk: &Desk, args: &[&str], env: &[(&str, &Path)], words: &[&str]) {
    let before = everything(&desk.path(""));
    let ran = Ran::of(desk.command(args).envs(env.iter().copied()).output().unwrap());
    assert_eq!(ran.code, 2, "loc {args:?}: {ran:?}");
    for word in [&["hint: "], words].concat() {
        assert!(ran.stderr.contains(word), "loc {args:?}: no {word:?} in {}", ran.stderr);
    }
    assert!(ran.stdout.is_empty(), "{ran:?}");
    for (path, bytes) in &before {
        let now = fs::read(path)
            .or_else(|_| fs::read_link(path).map(|to| to.into_os_string().into_encoded_bytes()));
        assert!(
            path.is_dir() || now.is_ok_and(|now| now == *bytes || path.is_symlink()),
            "{args:?}: {path:?} was changed"
        );
    }
    assert_eq!(before.len(), everything(&desk.path("")).len(), "loc {args:?}: a file was added or removed");
}

fn with_out<'a>(args: &[&'a str], out: &'a str) -> Vec<&'a str> {
    args.iter().map(|arg| if *arg == "OUT" { out } else { arg }).collect()
}

#[test]
fn every_argument_is_classified_and_every_output_is_tested() {
    let desk = Desk::new();
    let mut outputs = Vec::new();
    for (command, arguments) in commands(&desk) {
        for argument in arguments {
            let is = |list: &[&str]| list.contains(&argument.as_str());
            assert!(
                is(OUTPUTS) || is(INPUTS) || is(VALUES),
                "loc {command}: add {argument} to one of the lists in tests/outputs/main.rs"
            );
            if is(OUTPUTS) {
                outputs.push((command.clone(), argument));
            }
        }
    }
    let rows = FILES.iter().map(|row| (row.command, row.output));
    // Outputs that are not a single file have their own tests.
    let others = [
        ("predict", "--save"),
        ("train", "--project"),
        ("train", "--name"),
        // A new folder; tests/learning.rs.
        ("train", "--plan"),
        ("data sample", "OUT"),
        ("data audit", "--save"),
        ("data stats", "--save"),
        ("data convert", "--output"),
        ("data check", "--fix"),
        // A folder that loc-shard writes; tests/shard.rs.
        ("shard plan", "--output"),
    ];
    let tested: Vec<(&str, &str)> = rows.chain(others).collect();
    for (command, output) in &outputs {
        assert!(tested.contains(&(command, output)), "loc {command}: its output {output} is not tested here");
    }
    assert!(outputs.len() > 8, "{outputs:?}");
}

/// All output goes through `src/outputs`, except for run folders and sample data sets, which their crates write.
#[test]
fn only_the_module_outputs_writes_files() {
    const WRITERS: [&str; 9] = [
        "fs_err::write",
        "File::create",
        "OpenOptions",
        "AtomicWriteFile",
        "atomic_file",
        "write_csv",
        "create_dir",
        "rename(",
        "remove_",
    ];
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.extend((!path.ends_with("outputs")).then_some(path));
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let found: Vec<&str> = WRITERS.into_iter().filter(|writer| text.contains(writer)).collect();
            assert!(found.is_empty(), "{} writes files: {found:?}", path.display());
        }
    }
}
