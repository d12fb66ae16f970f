//! Child processes made by `fork` have none of their parent's threads, and locks of these threads stay locked.
//! Predictions in the child still work, on its one thread. This file has only one test, because others would be forked
//! with it.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![cfg(all(unix, feature = "native"))]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::threads::Case;
use fork::{Fork, ProcessId, Signal, fork, signal_process, waitpid_nohang};
use loc_infer::{LoadOptions, Localizer};

/// Runs `f` in a child process; returns whether it ended without a panic.
fn in_a_child(f: impl FnOnce()) -> bool {
    match fork().unwrap() {
        Fork::Child => {
            let result = catch_unwind(AssertUnwindSafe(f));
            std::process::exit(i32::from(result.is_err()));
        }
        Fork::Parent(child) => {
            let since = Instant::now();
            while since.elapsed() < Duration::from_secs(300) {
                if let Some(status) = waitpid_nohang(child).unwrap() {
                    return status == 0;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            signal_process(ProcessId::try_from(child).unwrap(), Signal::KILL).unwrap();
            panic!("the child hangs");
        }
    }
}

#[test]
fn a_forked_child_predicts() {
    let cases = Case::both();
    for case in &cases {
        let file = case.path("model.safetensors");
        let load = |threads| Localizer::load_with(&file, &LoadOptions::default().threads(threads)).unwrap();
        let (shared, own) = (load(0), load(3));
        // Before the parent's threads have run a prediction, and after.
        for _ in 0..2 {
            assert!(in_a_child(|| case.check_with(&shared)), "loaded in the parent");
            assert!(in_a_child(|| case.check_with(&own)), "with threads of the parent");
            assert!(in_a_child(|| case.check()), "loaded in the child");
            assert!(in_a_child(|| case.check_with(&load(3))), "with threads of the child");
            assert!(in_a_child(|| drop(load(2))), "threads of the child end in the child");
            assert!(in_a_child(|| assert!(in_a_child(|| case.check_with(&shared)))), "a child's child");
            case.check_with(&shared);
            case.check_with(&own);
        }
        // Dropping the localizer in the child does not end the parent's threads.
        let own = std::sync::Mutex::new(Some(own));
        assert!(in_a_child(|| drop(own.lock().unwrap().take())));
        case.check_with(own.lock().unwrap().as_ref().unwrap());
    }
    // While other threads of the parent are running predictions and use buffers.
    let (case, stop) = (&cases[0], AtomicBool::new(false));
    let localizer = Localizer::from_bytes(&case.model).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    localizer.predict(&case.photos[0]).unwrap();
                }
            });
        }
        let result = catch_unwind(AssertUnwindSafe(|| {
            (0..20).for_each(|_| assert!(in_a_child(|| case.check_with(&localizer))));
        }));
        stop.store(true, Ordering::Relaxed);
        result.unwrap();
    });
}
