//! Tests of task order, panics and waiting. Small enough to run under Miri.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::RwLock;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use super::*;

const ROUNDS: usize = if cfg!(miri) { 2 } else { 200 };
const THREADS: &[usize] = if cfg!(miri) { &[3] } else { &[1, 2, 4] };

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

fn add(sum: &AtomicUsize, more: usize) {
    sum.fetch_add(more, Ordering::Relaxed);
}

/// Fails instead of hanging forever if `f` does not return.
fn must_finish(f: impl FnOnce() + Send + 'static) {
    let (end, ended) = channel();
    let test = std::thread::spawn(move || {
        f();
        end.send(()).unwrap();
    });
    match ended.recv_timeout(Duration::from_secs(300)) {
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("timed out"),
        _ => test.join().unwrap(),
    }
}

/// Calls `f` with every source of helpers: own threads, a rayon pool, the global pool, and outside of any run.
fn everywhere(f: impl Fn() + Sync) {
    for threads in THREADS {
        Threads::new(*threads).unwrap().run(&f);
        pool(*threads).install(|| Threads::current().run(&f));
    }
    Threads::current().run(&f);
    // Outside of `Threads::run`.
    f();
}

#[test]
fn every_task_runs_once_and_after_all_earlier_stages() {
    const TASKS: [usize; 3] = if cfg!(miri) { [4, 0, 6] } else { [20, 0, 40] };
    const BEFORE: [usize; 4] = [0, TASKS[0], TASKS[0], TASKS[0] + TASKS[2]];
    everywhere(|| {
        for _ in 0..ROUNDS {
            let seen: Vec<AtomicUsize> = (0..BEFORE[3]).map(|_| AtomicUsize::new(0)).collect();
            run_stages(usize::MAX, TASKS, &|stage, task| {
                // Relaxed is enough: the stages guarantee that these writes are visible.
                let done: usize = seen[..BEFORE[stage]].iter().map(|s| s.load(Ordering::Relaxed)).sum();
                assert_eq!(done, BEFORE[stage], "stage {stage} started early");
                seen[BEFORE[stage] + task].fetch_add(1, Ordering::Relaxed);
            });
            assert!(seen.iter().all(|s| s.load(Ordering::Relaxed) == 1));
        }
    });
}

#[test]
fn every_chunk_and_job_is_processed_once() {
    everywhere(|| {
        for _ in 0..ROUNDS {
            let mut values = vec![0; 11];
            chunks(&mut values, 4, |i, chunk| chunk.fill(i + 1));
            assert_eq!(values, [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3]);
            let jobs: Vec<(usize, &mut usize)> = values.iter_mut().enumerate().collect();
            let own = run_jobs(jobs, |(i, value)| *value = i, || 7);
            assert_eq!((own, values), (7, (0..11).collect()));
        }
    });
}

/// A run inside a caller's own work, and a run inside a task.
#[test]
fn runs_can_be_nested() {
    everywhere(|| {
        for _ in 0..ROUNDS {
            let sum = AtomicUsize::new(0);
            let inner = || (0..3).for_each(|_| each(5, |i| add(&sum, i)));
            run_jobs(vec![1, 2, 3], |i| each(i, |_| add(&sum, 1)), inner);
            assert_eq!(sum.into_inner(), 6 + 3 * 10);
        }
    });
}

#[test]
fn a_panic_reaches_the_caller_and_the_threads_stay_usable() {
    let panics = |f: &dyn Fn()| {
        let payload = catch_unwind(AssertUnwindSafe(f)).unwrap_err();
        *payload.downcast::<&str>().unwrap()
    };
    everywhere(|| {
        for _ in 0..ROUNDS.min(10) {
            let broken = |stage: usize, task: usize| {
                if (stage, task) == (1, 2) {
                    std::panic::panic_any("in a task");
                }
            };
            assert_eq!(panics(&|| run_stages(usize::MAX, [4, 4, 4], &broken)), "in a task");
            let own = || std::panic::panic_any("in the caller");
            assert_eq!(panics(&|| run_jobs(vec![1, 2, 3], drop, own)), "in the caller");
            let sum = AtomicUsize::new(0);
            each(9, |i| add(&sum, i));
            assert_eq!(sum.into_inner(), 36);
        }
    });
}

/// Helpers start at any time: until one does, the caller waits a little inside its own task.
#[test]
fn a_panic_of_a_helper_reaches_the_caller() {
    must_finish(|| {
        let threads = Threads::new(2).unwrap();
        let caller = std::thread::current().id();
        let one = || {
            threads.run(|| {
                let helper_started = AtomicBool::new(false);
                each(2, |_| {
                    if std::thread::current().id() != caller {
                        helper_started.store(true, Ordering::Relaxed);
                        std::panic::panic_any(7);
                    }
                    let since = Instant::now();
                    while !helper_started.load(Ordering::Relaxed)
                        && since.elapsed() < Duration::from_millis(20)
                    {
                        std::thread::yield_now();
                    }
                });
            });
        };
        let payload = loop {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(one)) {
                break payload;
            }
        };
        assert_eq!(*payload.downcast::<i32>().unwrap(), 7);
    });
}

/// All other threads of the pool wait for the result that one of them computes.
#[test]
fn a_run_finishes_while_its_pool_is_blocked() {
    must_finish(|| {
        let pool = pool(3);
        let (started, all_started) = channel();
        let result = RwLock::new(0);
        let mut held = result.write().unwrap();
        pool.in_place_scope(|scope| {
            for _ in 0..2 {
                let started = started.clone();
                let result = &result;
                scope.spawn(move |_| {
                    started.send(()).unwrap();
                    assert_eq!(*result.read().unwrap(), 10);
                });
            }
            (0..2).for_each(|_| all_started.recv().unwrap());
            let sum = AtomicUsize::new(0);
            pool.install(|| Threads::current().run(|| each(5, |i| add(&sum, i))));
            *held = sum.into_inner();
            drop(held);
        });
    });
}

/// While a caller in a pool waits, it runs no other task of that pool: a borrow it holds is not taken a second time.
#[test]
fn a_waiting_caller_runs_no_other_task() {
    thread_local! {
        static BORROWED: RefCell<usize> = const { RefCell::new(0) };
    }
    for threads in THREADS {
        pool(2 * threads).install(|| {
            (0..2 * ROUNDS).into_par_iter().for_each(|_| {
                BORROWED.with_borrow_mut(|times| {
                    *times += 1;
                    Threads::current()
                        .run(|| run_stages(usize::MAX, [3, 3], &|_, _| std::thread::yield_now()));
                });
            });
        });
    }
}

#[test]
fn concurrent_runs_share_the_helpers() {
    let threads = Threads::new(4).unwrap();
    let seen = |expected: usize| assert_eq!(available(), expected);
    threads.run(|| {
        seen(4);
        let other = threads.begin();
        seen(2);
        let third = threads.begin();
        seen(1);
        drop((other, third));
        seen(4);
        each(2, |_| seen(1));
    });
    Threads::new(1).unwrap().run(|| seen(1));
    Threads::new(0).unwrap().run(|| seen(1));
}

/// A caller does not request more and more helpers that cannot start.
#[test]
fn the_queue_of_a_blocked_pool_stays_short() {
    must_finish(|| {
        let threads = Threads::new(2).unwrap();
        let (started, all_started) = channel();
        let (release, released) = channel::<()>();
        let blocks = move || {
            started.send(()).unwrap();
            assert!(released.recv().is_err(), "the sender is dropped, nothing is sent");
        };
        assert!(threads.request(2, blocks));
        all_started.recv().unwrap();
        let request = || threads.request(2, || ());
        assert_eq!(
            [request(), request(), request(), request(), request(), request()],
            [true, true, true, true, false, false]
        );
        // Runs still finish.
        let sum = AtomicUsize::new(0);
        threads.run(|| (0..10).for_each(|_| each(5, |i| add(&sum, i))));
        assert_eq!((sum.into_inner(), request()), (100, false));
        drop(release);
        while !request() {
            std::thread::yield_now();
        }
    });
}

#[test]
fn own_threads_end_with_the_last_clone() {
    // A thread-local value of a helper, dropped when its thread ends.
    thread_local! {
        static HELD: RefCell<Option<Sender<()>>> = const { RefCell::new(None) };
    }
    must_finish(|| {
        let (active, ended) = channel();
        let threads = Threads::new(3).unwrap();
        let clone = threads.clone();
        drop(threads);
        assert!(clone.request(3, move || HELD.set(Some(active))));
        drop(clone);
        assert!(ended.recv().is_err(), "the sender is dropped, nothing is sent");
    });
}
