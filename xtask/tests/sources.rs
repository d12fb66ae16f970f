//! Rules for all source files.
#![expect(clippy::unwrap_used, reason = "a test that cannot read the project fails")]

use std::path::{Path, PathBuf};

use fs_err as fs;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every `.rs` file of the workspace's crates: path relative to the root, and text.
fn sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    add(&root().join("crates"), &mut files);
    add(&root().join("xtask"), &mut files);
    assert!(files.len() > 20, "only {} sources found", files.len());
    files
}

fn add(folder: &Path, files: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            add(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            files.push((path.strip_prefix(root()).unwrap().to_owned(), text));
        }
    }
}

#[test]
fn files_begin_with_a_description() {
    let without: Vec<PathBuf> =
        sources().into_iter().filter(|(_, t)| !t.starts_with("//! ")).map(|(p, _)| p).collect();
    assert!(without.is_empty(), "these do not start with `//!`: {without:#?}");
}

/// Files of more than 300 lines, not counting their tests, and the reason why each is not split.
const LONG: &[(&str, &str)] = &[
    ("crates/loc-cli/src/args/mod.rs", "a table: the flags of every command but `train`"),
    ("crates/loc-cli/src/commands/sources.rs", "one type: the photos of a command line"),
    ("crates/loc-cli/src/suggestions/mod.rs", "one search with its rules"),
    ("crates/loc-data/src/build_samples.rs", "one pass from annotations to samples"),
    ("crates/loc-data/src/formats/header.rs", "one line of a table with its names and hints"),
    ("crates/loc-data/src/formats/json.rs", "one parser that knows the lines of its values"),
    ("crates/loc-data/src/formats/label_studio.rs", "one reader of three exports"),
    ("crates/loc-data/src/formats/voc.rs", "one reader with an error for each defect"),
    ("crates/loc-data/src/photo_lookup/search.rs", "one search with its rules"),
    ("crates/loc-infer/src/localizer.rs", "one type with its documentation"),
    ("crates/loc-model/src/import/pickle.rs", "a table: the instructions of a pickle"),
    ("crates/loc-model/src/network/mod.rs", "one type with its documentation"),
    ("crates/loc-net/src/exec/forward.rs", "one type with its documentation"),
    ("crates/loc-net/src/kernels/simd/neon.rs", "a table: the operations of a set"),
    ("crates/loc-net/src/kernels/simd/portable.rs", "a table: the operations of a set"),
    ("crates/loc-net/src/kernels/simd/x86_64/avx2.rs", "a table: the operations of a set"),
    ("crates/loc-net/src/kernels/simd/x86_64/avx512.rs", "a table: the operations of a set"),
    ("xtask/src/dataset/download.rs", "one download with its retries"),
];

#[test]
fn files_are_short() {
    let lines =
        |text: &str| text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().lines().count();
    let mut long = Vec::new();
    for (path, text) in sources() {
        let path = path.to_string_lossy().into_owned();
        assert!(text.lines().count() <= 400, "{path} is longer than 400 lines");
        if lines(&text) > 300 && !path.contains("/tests") {
            long.push(path);
        }
    }
    long.sort();
    let explained: Vec<&str> = LONG.iter().map(|(path, _)| *path).collect();
    assert_eq!(long, explained, "files of more than 300 lines, and those with a listed reason");
}

#[test]
fn only_loc_net_has_unsafe_code() {
    let found: Vec<PathBuf> = sources()
        .into_iter()
        .filter(|(path, text)| !path.starts_with("crates/loc-net") && contains_the_keyword(text))
        .map(|(path, _)| path)
        .collect();
    assert!(found.is_empty(), "only loc-net may use `{}`: {found:#?}", concat!("un", "safe"));
}

/// Returns whether the keyword occurs outside comments and longer names.
fn contains_the_keyword(text: &str) -> bool {
    let keyword = concat!("un", "safe");
    let part_of_name = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).any(|line| {
        line.match_indices(keyword).any(|(at, _)| {
            !part_of_name(line[..at].chars().next_back())
                && !part_of_name(line[at + keyword.len()..].chars().next())
        })
    })
}

#[test]
fn the_search_for_the_keyword_finds_it_and_nothing_else() {
    let keyword = concat!("un", "safe");
    for code in ["KEY fn f() {}", "let x = KEY{ f() };", "(KEY impl Send for X {})"] {
        assert!(contains_the_keyword(&code.replace("KEY", keyword)), "{code}");
    }
    for code in ["// KEY", "let KEYd = 1;", "#[allow(KEY_code)]", "let x_KEY = 1; // KEY"] {
        assert!(!contains_the_keyword(&code.replace("KEY", keyword)), "{code}");
    }
}

/// The libraries whose errors and hints must not mention the command line: loc-cli translates hints into flags.
const LIBRARIES: [&str; 5] = [
    "crates/loc-net/src",
    "crates/loc-model/src",
    "crates/loc-infer/src",
    "crates/loc-data/src",
    "crates/loc-shard/src",
];
const COMMANDS: [&str; 11] =
    ["train", "val", "predict", "shard", "export", "import", "info", "data", "weights", "lr-find", "report"];

/// Returns whether a line of code names a flag or a command of `loc`. Comments may, except in the files of errors.
fn names_the_command_line(line: &str) -> bool {
    let flag = line.match_indices("--").any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_some_and(|c| matches!(c, ' ' | '`' | '"' | '('))
            && line[at + 2..].starts_with(|c: char| c.is_ascii_lowercase())
    });
    let command = line.match_indices("loc ").any(|(at, _)| {
        !line[..at].ends_with(|c: char| c.is_alphanumeric())
            && COMMANDS
                .iter()
                .filter_map(|command| line[at + 4..].strip_prefix(command))
                .any(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
    });
    (flag && !line.contains("cargo ")) || command
}

#[test]
fn no_library_names_a_flag_or_a_command() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        let is_test = path.iter().any(|part| part == "tests") || path.ends_with("tests.rs");
        if is_test || !LIBRARIES.iter().any(|library| path.starts_with(library)) {
            continue;
        }
        let comments_too = path.ends_with("error.rs") || path.ends_with("remedy.rs");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in (1..).zip(code.lines()) {
            let comment = line.trim_start().starts_with("//");
            if (!comment || comments_too) && names_the_command_line(line) {
                found.push(format!("{}:{number}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "use a `Remedy`, which loc-cli turns into a flag: {found:#?}");
    for line in ["(hint: `--skip-bad`)", "\"`loc train --resume`\"", "with --classes", "`loc data check`"] {
        assert!(names_the_command_line(line), "{line}");
    }
    for line in
        ["a -- b", "i--", "loc-train", "cargo build --features cuda", "alloc training", "loc exported"]
    {
        assert!(!names_the_command_line(line), "{line}");
    }
}
