//! `LoadOptions::threads`: the threads of the process. This file has only one test, because threads of others would be
//! counted, too.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![cfg(feature = "native")]

mod common;

use common::threads::{Case, must_end};
use loc_infer::{LoadOptions, Localizer};

/// The names of this process's threads, where Linux shows them.
fn names() -> Option<Vec<String>> {
    let tasks = fs_err::read_dir("/proc/self/task").ok()?;
    // A thread that has just ended has no name any more.
    Some(tasks.filter_map(|task| fs_err::read_to_string(task.ok()?.path().join("comm")).ok()).collect())
}

fn ours() -> usize {
    names().unwrap_or_default().iter().filter(|name| name.starts_with("loc-")).count()
}

#[test]
fn a_localizer_has_the_requested_number_of_threads() {
    must_end(|| {
        let load = |case: &Case, threads| {
            Localizer::load_with(case.path("model.safetensors"), &LoadOptions::default().threads(threads))
        };
        let before = names().map(|names| names.len());
        let cases = Case::both();
        for case in &cases {
            case.check_with(&load(case, 1).unwrap());
        }
        assert_eq!(names().map(|names| names.len()), before, "one thread is the caller's");
        let three = load(&cases[0], 3).unwrap();
        cases[0].check_with(&three);
        if before.is_some() {
            assert_eq!(ours(), 2);
        }
        drop(three);
        // The threads end after the drop.
        while ours() > 0 {
            std::thread::yield_now();
        }
        // No prediction has started the global pool: it can still be configured.
        rayon::ThreadPoolBuilder::new().num_threads(2).build_global().unwrap();
        cases[0].check();
    });
}
