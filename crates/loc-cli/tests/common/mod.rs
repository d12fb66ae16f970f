//! Runs `loc` in a temporary folder, and creates small models and data sets.

#![allow(dead_code, reason = "each test file uses only some of it")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A temporary folder in which the binary runs.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
}

/// The output and the exit code of a call.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loc"));
        command.current_dir(self.folder.path()).args(args).stdin(Stdio::null()).env_remove("NO_COLOR");
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LOC_")) {
            command.env_remove(name);
        }
        // Not the cached weights of the user: the recipe `auto` depends on them.
        command.env("LOC_WEIGHTS", self.path("no-weights")).env("LOC_USER_CACHE", self.path("user-cache"));
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// Runs `loc`, asserts success, and returns stdout.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "loc {args:?}: {ran:?}");
        ran.stdout
    }

    /// Runs `loc`, and asserts this exit code and these words on stderr.
    #[track_caller]
    pub(crate) fn fails(&self, args: &[&str], code: i32, words: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, code, "loc {args:?}: {ran:?}");
        for word in words {
            assert!(ran.stderr.contains(word), "loc {args:?}: no {word:?} in {}", ran.stderr);
        }
        assert!(!ran.stderr.contains("panicked"), "loc {args:?}: {}", ran.stderr);
        ran
    }

    /// Draws a data set of `n` photos.
    pub(crate) fn shapes(&self, n: usize) {
        self.ok(&["data", "sample", "shapes", "--n", &n.to_string()]);
    }

    /// Trains a small model for one epoch and returns its path.
    pub(crate) fn model(&self) -> String {
        let run = self.ok(&["train", "--data", "shapes", "--imgsz", "188", "--epochs", "1", "--batch", "8"]);
        let model = format!("{}/weights/last.safetensors", run.trim());
        assert!(self.path(&model).is_file());
        model
    }
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Returns every command with its arguments that take a value: the long name of a flag, the placeholder of another
/// argument.
pub(crate) fn commands(desk: &Desk) -> Vec<(String, Vec<String>)> {
    let (mut pending, mut all) = (vec![Vec::new()], Vec::new());
    while let Some(words) = pending.pop() {
        let help = desk.ok(&words.iter().map(String::as_str).chain(["--help"]).collect::<Vec<_>>());
        let lines = |section: &str| -> Vec<String> {
            let of = help.split(&format!("\n{section}:\n")).nth(1).unwrap_or_default();
            of.lines()
                .take_while(|line| line.is_empty() || line.starts_with(' '))
                .map(str::to_owned)
                .collect()
        };
        // The description of a command may have several lines, indented further.
        for line in lines("Commands").into_iter().filter(|line| !line.starts_with("   ")) {
            if let Some(name) = line.split_whitespace().next().filter(|name| *name != "help") {
                pending.push([&words[..], &[name.to_owned()]].concat());
            }
        }
        let entry = |line: &str| line.starts_with("  ") && !line.starts_with("        ");
        let arguments = lines("Arguments").into_iter().chain(lines("Options"));
        let named = arguments.filter(|line| entry(line)).filter_map(|line| {
            let (before, after) = line.split_once('<')?;
            let flag = before.trim().trim_end_matches('[').rsplit(", ").next()?.trim().to_owned();
            Some(if flag.is_empty() { after.split('>').next()?.to_owned() } else { flag })
        });
        all.push((words.join(" "), named.collect()));
    }
    all
}

/// Returns the first file in a folder with this extension, by name.
pub(crate) fn first(folder: &Path, ending: &str) -> PathBuf {
    let mut files: Vec<PathBuf> = fs_err::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == ending));
    files.sort();
    files.remove(0)
}

/// Returns the weights of a model with the tutorial's network at 188×188, which depend on the seed only, and its JSON.
pub(crate) fn model_parts(classes: &[&str], seed: u64) -> (loc_net::Weights, String) {
    let side = 188;
    let size = loc_infer::ImageSize { width: side, height: side };
    let input = loc_infer::InputSpec { size, ..loc_infer::InputSpec::default() };
    let names: Vec<String> = classes.iter().map(ToString::to_string).collect();
    let meta = loc_infer::ModelMeta::new(names, input).unwrap();
    let shape = loc_net::InputShape { height: side as usize, width: side as usize };
    let file = loc_train::ModelFile::new(meta, loc_net::NetworkConfig::five_conv(shape, classes.len()));
    let scheme = loc_model::init::Scheme::PyTorch;
    let weights = loc_model::init::weights(&file.build().unwrap(), scheme, seed);
    (weights, file.to_json().unwrap())
}

/// Returns such a model as a file.
pub(crate) fn model_file(classes: &[&str], seed: u64) -> Vec<u8> {
    let (weights, json) = model_parts(classes, seed);
    loc_model::weights::to_bytes(&weights, Some(&json)).unwrap()
}
