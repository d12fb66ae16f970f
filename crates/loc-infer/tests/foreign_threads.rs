//! In a program whose threads are busy, wait for the answer, hold locks, or have something borrowed. What is claimed is
//! an order of events, never a time.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![cfg(feature = "native")]

mod common;

use std::cell::{Cell, RefCell};
use std::sync::mpsc::channel;
use std::sync::{Mutex, RwLock};

use common::model::Model;
use common::threads::{Case, ends, told};
use common::{jpeg_of, photo};
use loc_infer::{ImageSize, LoadOptions, Localizer};
use rayon::prelude::*;

/// While `f` runs, so many tasks of a pool wait for its end.
fn blocking(pool: &rayon::ThreadPool, tasks: usize, f: impl FnOnce()) {
    let (begin, begun) = channel();
    let answer = RwLock::new(false);
    let mut held = answer.write().unwrap();
    pool.in_place_scope(|scope| {
        for _ in 0..tasks {
            let (begin, answer) = (begin.clone(), &answer);
            scope.spawn(move |_| {
                begin.send(()).unwrap();
                assert!(*answer.read().unwrap());
            });
        }
        (0..tasks).for_each(|_| begun.recv().unwrap());
        f();
        *held = true;
        drop(held);
    });
}

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

#[test]
fn threads_that_wait_for_the_answer_get_it() {
    ends(|| {
        for case in Case::both() {
            // From a thread of the pool, all others of which wait.
            for threads in [2, 5] {
                let pool = pool(threads);
                blocking(&pool, threads - 1, || pool.install(|| case.check()));
            }
        }
    });
}

/// The global pool is what threads outside of any pool are helped by.
#[test]
fn a_busy_global_pool_delays_nobody() {
    ends(|| {
        let cases = Case::both();
        let threads = rayon::current_num_threads();
        let (begin, begun) = channel();
        let (release, released) = channel::<()>();
        let released = std::sync::Arc::new(Mutex::new(released));
        for _ in 0..threads {
            let (begin, released) = (begin.clone(), std::sync::Arc::clone(&released));
            rayon::spawn(move || {
                begin.send(()).unwrap();
                let _ = released.lock().unwrap().recv();
            });
        }
        (0..threads).for_each(|_| begun.recv().unwrap());
        // Its queue does not grow either: a thousand predictions leave a handful of jobs behind, which are gone at once.
        for case in &cases {
            case.check();
        }
        let localizer = Localizer::from_bytes(&cases[0].model).unwrap();
        for _ in 0..100 {
            localizer.predict(&cases[0].photos[0]).unwrap();
        }
        drop(release);
        // The pool works on.
        let (done, all) = channel();
        for _ in 0..threads {
            let done = done.clone();
            rayon::spawn(move || done.send(()).unwrap());
        }
        (0..threads).for_each(|_| all.recv().unwrap());
        cases[0].check();
    });
}

/// In the caller's own tasks nothing else of the pool runs on top while a photo waits.
#[test]
fn what_a_task_has_borrowed_stays_its_own() {
    thread_local! {
        static BORROWED: RefCell<usize> = const { RefCell::new(0) };
        static DEPTH: Cell<usize> = const { Cell::new(0) };
    }
    ends(|| {
        for case in Case::both() {
            for threads in [3, 8, 16] {
                let localizer = Localizer::from_bytes(&case.model).unwrap();
                pool(threads).install(|| {
                    (0..4 * threads).into_par_iter().for_each(|i| {
                        BORROWED.with_borrow_mut(|times| {
                            DEPTH.set(DEPTH.get() + 1);
                            assert_eq!(DEPTH.get(), 1, "a task on top of a task");
                            let i = i % case.photos.len();
                            let answer = match *times % 3 {
                                0 => localizer.predict(&case.photos[i]),
                                1 => localizer.predict_encoded(&case.encoded[i]),
                                _ => localizer.predict_batch(&case.photos[i..=i]).remove(0),
                            };
                            assert_eq!(told(answer), case.alone[i]);
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
fn a_lock_may_be_held_over_a_prediction() {
    ends(|| {
        for case in Case::both() {
            for threads in [3, 8, 16] {
                let localizer = Mutex::new(Localizer::from_bytes(&case.model).unwrap());
                pool(threads).install(|| {
                    (0..4 * threads).into_par_iter().for_each(|i| {
                        let i = i % case.photos.len();
                        let answer = localizer.lock().unwrap().predict(&case.photos[i]);
                        assert_eq!(told(answer), case.alone[i]);
                    });
                });
            }
        }
    });
}

#[test]
fn threads_of_its_own_give_the_same_answers_and_end_with_it() {
    ends(|| {
        for case in Case::both() {
            for threads in [0, 1, 2, 5] {
                let options = LoadOptions::default().threads(threads);
                let localizer = Localizer::load_with(case.path("model.safetensors"), &options).unwrap();
                case.check_with(&localizer);
                // From a foreign pool's thread, all others of which are blocked.
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
fn a_jpeg_is_told_the_same_by_every_number_of_threads() {
    let model = Model::of(ImageSize { width: 188, height: 188 }, &["cat", "dog"], 4).file();
    let jpeg = jpeg_of(&photo(700, 500, 3));
    let told_by = |threads: usize| {
        let localizer = Localizer::from_bytes(&model).unwrap();
        pool(threads).install(|| told(localizer.predict_encoded(&jpeg)))
    };
    assert!((2..6).all(|threads| told_by(threads) == told_by(1)));
}
