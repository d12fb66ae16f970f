//! Rules that every source file keeps.
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
fn a_file_opens_by_saying_what_lives_in_it() {
    let silent: Vec<PathBuf> =
        sources().into_iter().filter(|(_, t)| !t.starts_with("//! ")).map(|(p, _)| p).collect();
    assert!(silent.is_empty(), "these do not start with `//!`: {silent:#?}");
}

#[test]
fn one_crate_alone_has_code_the_compiler_cannot_check() {
    let found: Vec<PathBuf> = sources()
        .into_iter()
        .filter(|(path, text)| !path.starts_with("crates/loc-net") && has_unchecked_code(text))
        .map(|(path, _)| path)
        .collect();
    assert!(found.is_empty(), "only loc-net may do that: {found:#?}");
}

/// Whether the keyword occurs outside of comments and longer names.
fn has_unchecked_code(text: &str) -> bool {
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
        assert!(has_unchecked_code(&code.replace("KEY", keyword)), "{code}");
    }
    for code in ["// KEY", "let KEYd = 1;", "#[allow(KEY_code)]", "let x_KEY = 1; // KEY"] {
        assert!(!has_unchecked_code(&code.replace("KEY", keyword)), "{code}");
    }
}
