//! Checks the documentation: relative links point to existing files, and the commands in examples exist.
#![expect(clippy::unwrap_used, reason = "a test that cannot read the project fails")]

#[path = "../src/skip.rs"]
mod skip;

use std::path::{Path, PathBuf};
use std::process::Command;

use fs_err as fs;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All pages: those in the root, in `docs/` with its subfolders, in `examples/`, and in the folders of the crates.
fn pages() -> Vec<(PathBuf, String)> {
    let mut paths = Vec::new();
    add(&root(), false, &mut paths);
    add(&root().join("docs"), true, &mut paths);
    add(&root().join("examples/wasm"), false, &mut paths);
    for krate in fs::read_dir(root().join("crates")).unwrap() {
        add(&krate.unwrap().path(), false, &mut paths);
    }
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

fn add(folder: &Path, deep: bool, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path);
        } else if deep && path.is_dir() {
            add(&path, deep, paths);
        }
    }
}

/// Splits a page into its text without code, and the lines of its `console` and `sh` blocks.
fn text_and_commands(page: &str) -> (String, Vec<String>) {
    let (mut text, mut commands, mut block) = (String::new(), Vec::new(), None);
    for line in page.lines() {
        match (line.trim_start().strip_prefix("```"), block) {
            (Some(language), None) => block = Some(language),
            (Some(_), Some(_)) => block = None,
            (None, Some("console" | "sh")) => {
                let line = line.trim_start();
                commands.push(line.strip_prefix("$ ").unwrap_or(line).to_owned());
            }
            (None, Some(_)) => {}
            (None, None) => {
                // Every second piece is between backquotes.
                text.extend(line.split('`').step_by(2).chain(["\n"]));
            }
        }
    }
    (text, commands)
}

/// The targets of `[…](target)` and of lines `[…]: target` that are paths.
fn links(text: &str) -> Vec<String> {
    let inline = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let definitions = text.lines().filter(|line| line.starts_with('['));
    let targets = inline.chain(definitions.filter_map(|line| Some(line.split_once("]: ")?.1)));
    let paths = targets.map(|target| target.split(['#', ' ']).next().unwrap_or_default());
    paths.filter(|path| !path.is_empty() && !path.contains(':')).map(str::to_owned).collect()
}

#[test]
fn relative_links_point_to_files() {
    for (path, page) in pages() {
        for link in links(&text_and_commands(&page).0) {
            let target = path.parent().unwrap().join(&link);
            assert!(target.exists(), "{}: `{link}` does not exist", path.display());
        }
    }
}

/// The names of the subcommands of a command line (its first words), and its flags.
fn subcommand_and_flags(words: &[&str]) -> (Vec<String>, Vec<String>) {
    let is_name =
        |word: &&&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-');
    let names = words.iter().take_while(is_name).take(2).map(|word| (*word).to_owned()).collect();
    let words = words.iter().take_while(|word| !matches!(**word, "|" | ">" | "<" | "&&" | "#"));
    let flags = words.filter(|word| word.starts_with('-') && word.len() > 1);
    (names, flags.map(|flag| flag.split('=').next().unwrap_or_default().to_owned()).collect())
}

/// Checks that the program's help lists the subcommand and each flag.
fn check(program: &Path, line: &str, words: &[&str]) {
    let (names, flags) = subcommand_and_flags(words);
    let help = |names: &[String]| Command::new(program).args(names).arg("--help").output().unwrap();
    let mut output = help(&names);
    if !output.status.success() && names.len() == 2 {
        output = help(&names[..1]); // The second word was an argument.
    }
    assert!(output.status.success(), "`{line}`: no such command");
    let text = String::from_utf8(output.stdout).unwrap();
    for flag in flags {
        let known = text.split([' ', ',', '\n', '[', ']', '=', '`']).any(|word| word == flag);
        assert!(known, "`{line}`: its help does not list {flag}");
    }
}

#[test]
fn the_commands_in_examples_exist() {
    let xtask = Path::new(env!("CARGO_BIN_EXE_xtask"));
    // Built by the tests of loc-cli and by the pipeline; xtask itself does not depend on it.
    let loc = xtask.with_file_name("loc");
    if !loc.exists() {
        skip::say(
            skip::Reason::Binary,
            &format!("{} is not built: the commands of `loc` are not checked", loc.display()),
        );
    }
    for (_, page) in pages() {
        for line in text_and_commands(&page).1 {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["cargo", "xtask", rest @ ..] => check(xtask, &line, rest),
                [first, rest @ ..] if first.ends_with("loc") && loc.exists() => check(&loc, &line, rest),
                _ => {}
            }
        }
    }
}

#[test]
fn code_and_text_are_separated_and_flags_and_names() {
    let page = "a [b](c.md#d) `[no](x)`\n```console\n$ cargo xtask test # all\n```\n```rust\n[no](y)\n```\n[e](f/g.md \"t\")\n[h]: i.md";
    let (text, commands) = text_and_commands(page);
    assert_eq!(links(&text), ["c.md", "f/g.md", "i.md"]);
    assert_eq!(commands, ["cargo xtask test # all"]);
    let words = ["dataset", "fetch", "--url=x", "-o", "-", "|", "jq", "-r"];
    let (names, flags) = subcommand_and_flags(&words);
    assert_eq!((names.join(" "), flags.join(" ")), ("dataset fetch".to_owned(), "--url -o".to_owned()));
}
