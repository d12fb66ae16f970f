//! Predictions in a program whose threads are busy, wait for the result, hold locks, or have a value borrowed. The
//! tests check an order of events, never a time.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![cfg(feature = "native")]

mod common;

use std::cell::{Cell, RefCell};
use std::sync::mpsc::channel;
use std::sync::{Mutex, RwLock};

use common::model::Model;
use common::threads::{Case, exact, must_end};
use common::{jpeg_of, photo};
use loc_infer::{ImageSize, LoadOptions, Localizer};
use rayon::prelude::*;

/// Runs `f` while this number of tasks of a pool wait for its end.
fn blocking(pool: &rayon::ThreadPool, tasks: usize, f: impl FnOnce()) {
    let (started, all_started) = channel();
    let result = RwLock::new(false);
    let mut held = result.write().unwrap();
    pool.in_place_scope(|scope| {
        for _ in 0..tasks {
            let (started, result) = (started.clone(), &result);
            scope.spawn(move |_| {
                started.send(()).unwrap();
                assert!(*result.read().unwrap());
            });
        }
        (0..tasks).for_each(|_| all_started.recv().unwrap());
        f();
        *held = true;
        drop(held);
    });
}

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

#[test]
fn a_prediction_ends_while_all_other_threads_wait_for_it() {
    must_end(|| {
        for case in Case::both() {
            // On a thread of the pool whose other threads all wait.
            for threads in [2, 5] {
                let pool = pool(threads);
                blocking(&pool, threads - 1, || pool.install(|| case.check()));
            }
        }
    });
}

/// The global pool helps threads outside of any pool.
#[test]
fn a_busy_global_pool_does_not_block_predictions() {
    must_end(|| {
        let cases = Case::both();
        let threads = rayon::current_num_threads();
        let (started, all_started) = channel();
        let (release, released) = channel::<()>();
        let released = std::sync::Arc::new(Mutex::new(released));
        for _ in 0..threads {
            let (started, released) = (started.clone(), std::sync::Arc::clone(&released));
            rayon::spawn(move || {
                started.send(()).unwrap();
                let _ = released.lock().unwrap().recv();
            });
        }
        (0..threads).for_each(|_| all_started.recv().unwrap());
        // The queue of the pool does not grow either: predictions leave only a few jobs, which end at once.
        for case in &cases {
            case.check();
        }
        let localizer = Localizer::from_bytes(&cases[0].model).unwrap();
        for _ in 0..100 {
            localizer.predict(&cases[0].photos[0]).unwrap();
        }
        drop(release);
        // The pool still runs tasks.
        let (done, all) = channel();
        for _ in 0..threads {
            let done = done.clone();
            rayon::spawn(move || done.send(()).unwrap());
        }
        (0..threads).for_each(|_| all.recv().unwrap());
        cases[0].check();
    });
}

/// While a task of the pool waits for its prediction, its thread runs no other task.
#[test]
fn a_waiting_prediction_runs_no_other_task_of_the_pool() {
    thread_local! {
        static BORROWED: RefCell<usize> = const { RefCell::new(0) };
        static DEPTH: Cell<usize> = const { Cell::new(0) };
    }
    must_end(|| {
        for case in Case::both() {
            for threads in [3, 8, 16] {
                let localizer = Localizer::from_bytes(&case.model).unwrap();
                pool(threads).install(|| {
                    (0..4 * threads).into_par_iter().for_each(|i| {
                        BORROWED.with_borrow_mut(|times| {
                            DEPTH.set(DEPTH.get() + 1);
                            assert_eq!(DEPTH.get(), 1, "a task runs inside another task");
                            let i = i % case.photos.len();
                            let result = match *times % 3 {
                                0 => localizer.predict(&case.photos[i]),
                                1 => localizer.predict_encoded(&case.encoded[i]),
                                _ => localizer.predict_batch(&case.photos[i..=i]).remove(0),
                            };
                            assert_eq!(exact(result), case.expected[i]);
                            *times += 1;
                            DEPTH.set(0);
                        });
                    });
                });
            }
        }
    });
}

#[test]
fn a_lock_may_be_held_during_a_prediction() {
    must_end(|| {
        for case in Case::both() {
            for threads in [3, 8, 16] {
                let localizer = Mutex::new(Localizer::from_bytes(&case.model).unwrap());
                pool(threads).install(|| {
                    (0..4 * threads).into_par_iter().for_each(|i| {
                        let i = i % case.photos.len();
                        let result = localizer.lock().unwrap().predict(&case.photos[i]);
                        assert_eq!(exact(result), case.expected[i]);
                    });
                });
            }
        }
    });
}

#[test]
fn own_threads_give_the_same_results_without_a_pool() {
    must_end(|| {
        for case in Case::both() {
            for threads in [0, 1, 2, 5] {
                let options = LoadOptions::default().threads(threads);
                let localizer = Localizer::load_with(case.path("model.safetensors"), &options).unwrap();
                case.check_with(&localizer);
                // On a thread of another pool whose other threads are all blocked.
                let pool = pool(3);
                blocking(&pool, 2, || pool.install(|| case.check_with(&localizer)));
                std::thread::scope(|scope| {
                    (0..2).for_each(|_| drop(scope.spawn(|| case.check_with(&localizer))));
                });
            }
        }
    });
}

#[test]
fn the_prediction_does_not_depend_on_the_number_of_threads() {
    let model = Model::of(ImageSize { width: 188, height: 188 }, &["cat", "dog"], 4).file();
    let jpeg = jpeg_of(&photo(700, 500, 3));
    let exact_with = |threads: usize| {
        let localizer = Localizer::from_bytes(&model).unwrap();
        pool(threads).install(|| exact(localizer.predict_encoded(&jpeg)))
    };
    assert!((2..6).all(|threads| exact_with(threads) == exact_with(1)));
}
