//! How a test says that it does not run, or not all of it: in one line, and in the file that `cargo xtask test` reads.
//! The tests of every crate have this file as a module of their own (`#[path]`): the reasons stand in one place, and what
//! each takes to be expected in `skips`.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::print_stderr, clippy::disallowed_methods, reason = "a test's word to whoever runs it")]

use std::io::Write;

/// The environment variable with the file to which each skip adds a line.
pub(crate) const FILE: &str = "LOC_SKIPS";

/// Why a test is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Files beside the repository (`LOC_SHARED`) are not there.
    Shared,
    /// No file system can be mounted: that needs root, and leave to.
    Mount,
    /// Root may do what the test sees refused.
    Root,
    /// A program is not there.
    Program(&'static str),
    /// The processor has no AVX2 and FMA.
    Processor,
    /// The system has no `/proc`.
    Proc,
    /// The binary `loc` was not built before the test.
    Binary,
}

impl Reason {
    /// As it stands in the file.
    pub(crate) fn word(self) -> String {
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

/// Says that the test that calls this does not run, or not on, and what is missing.
pub(crate) fn say(reason: Reason, what: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    eprintln!("skipped: {what}");
    if let Some(path) = std::env::var_os(FILE) {
        let what = what.replace(['\n', '\t'], " ");
        let line = format!("{}\t{}\t{test}\t{what}\n", reason.word(), env!("CARGO_PKG_NAME"));
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        assert!(written.is_ok(), "a skip that cannot be said is none: {written:?}");
    }
}
