//! Tests that `docs/cli.md` equals the output of `--help`. `LOC_BLESS=1 cargo test -p loc-cli --test reference` updates
//! it.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::fmt::Write;
use std::path::Path;

use common::Desk;

const COMMANDS: [&[&str]; 26] = [
    &[],
    &["data"],
    &["data", "check"],
    &["data", "stats"],
    &["data", "show"],
    &["data", "audit"],
    &["data", "split"],
    &["data", "convert"],
    &["data", "sample"],
    &["train"],
    &["lr-find"],
    &["val"],
    &["calibrate"],
    &["predict"],
    &["shard"],
    &["shard", "plan"],
    &["shard", "run"],
    &["shard", "merge"],
    &["export"],
    &["import"],
    &["info"],
    &["report"],
    &["weights"],
    &["weights", "list"],
    &["weights", "add"],
    &["weights", "fetch"],
];

fn help(desk: &Desk, command: &[&str]) -> String {
    let args: Vec<&str> = command.iter().copied().chain(["--help"]).collect();
    let output = desk.command(&args).env("COLUMNS", "100").output().unwrap();
    assert!(output.status.success(), "loc {args:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_reference_equals_the_help() {
    let desk = Desk::new();
    let mut text = String::from(
        "# The commands of `loc`\n\nGenerated from `loc --help` by a test; edit `crates/loc-cli/src/args/` instead.\n",
    );
    for command in COMMANDS {
        let name = std::iter::once(&"loc").chain(command).copied().collect::<Vec<_>>().join(" ");
        let help = help(&desk, command);
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        writeln!(text, "\n## {name}\n\n```text\n{}\n```", lines.join("\n").trim_end()).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    if std::env::var_os("LOC_BLESS").is_some() {
        fs_err::write(&path, &text).unwrap();
    }
    let found = fs_err::read_to_string(&path).unwrap();
    assert!(found == text, "docs/cli.md is out of date: LOC_BLESS=1 cargo test -p loc-cli --test reference");
}

#[test]
fn every_command_is_in_the_reference() {
    let desk = Desk::new();
    for (group, depth) in [(&[][..], 0), (&["data"][..], 1), (&["shard"][..], 1), (&["weights"][..], 1)] {
        let text = help(&desk, group);
        let listed = text.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
        for line in listed.lines().filter(|l| l.starts_with("  ") && !l.starts_with("   ")) {
            let name = line.split_whitespace().next().unwrap();
            let known = COMMANDS.iter().any(|c| c.len() > depth && c[depth] == name && c[..depth] == *group);
            assert!(known || name == "help", "`{name}` is not in the reference");
        }
    }
}
