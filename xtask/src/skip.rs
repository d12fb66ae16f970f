//! Reports that a test does not run, or not completely: as one line on stderr, and in the file that `cargo xtask test`
//! reads. The tests of every crate include this file as a module (`#[path]`), so that all reasons are defined here.
//! `skips` checks whether a reason applies to the machine.

#![allow(dead_code, reason = "each test file uses only a part of it")]
#![allow(clippy::print_stderr, clippy::disallowed_methods, reason = "a message of a test to the developer")]

use std::io::Write;

/// The environment variable with the path of the file to which each skip adds a line.
pub(crate) const FILE: &str = "LOC_SKIPS";

/// Why a test is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Files outside the repository (`LOC_SHARED`) do not exist.
    Shared,
    /// No file system can be mounted: that needs root and the permission.
    Mount,
    /// The test expects a permission error, but root has every permission.
    Root,
    /// A program is not installed.
    Program(&'static str),
    /// The processor has no AVX2 and FMA.
    Processor,
    /// The system has no `/proc`.
    Proc,
    /// The binary `loc` was not built before the test.
    Binary,
}

impl Reason {
    /// The name of the reason in the file.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Shared => "shared".into(),
            Self::Mount => "mount".into(),
            Self::Root => "root".into(),
            Self::Program(name) => format!("program {name}"),
            Self::Processor => "processor".into(),
            Self::Proc => "proc".into(),
            Self::Binary => "binary".into(),
        }
    }
}

/// Reports that the calling test does not run, or ends here, and what is missing.
pub(crate) fn say(reason: Reason, what: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    eprintln!("skipped: {what}");
    if let Some(path) = std::env::var_os(FILE) {
        let what = what.replace(['\n', '\t'], " ");
        let line = format!("{}\t{}\t{test}\t{what}\n", reason.name(), env!("CARGO_PKG_NAME"));
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        assert!(written.is_ok(), "cannot write the skip to the file: {written:?}");
    }
}
