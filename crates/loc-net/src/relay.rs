//! Stages of small tasks over rayon's current pool, each stage begun when the one before is done.
//!
//! A single photo's layers take tens of microseconds: too little to wake threads for each of them. Here the calling
//! thread works, helpers that the pool sends join when they arrive, and all spin between the stages. Nobody waits for
//! a helper that has not come: a stage is done when its tasks are.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How often a waiting thread looks again before it lets the pool do other work.
const SPINS: usize = 1 << 10;

struct Stage {
    tasks: usize,
    taken: AtomicUsize,
    done: AtomicUsize,
}

struct Relay<'a> {
    stages: Vec<Stage>,
    broken: AtomicBool,
    work: &'a (dyn Fn(usize, usize) + Sync),
}

/// Runs `work(stage, task)` for every task of every stage; `stages` says how many tasks each has.
///
/// A task may run on any thread of the pool, and sees what the tasks of the stages before have written.
pub(crate) fn relay(stages: impl IntoIterator<Item = usize>, work: &(dyn Fn(usize, usize) + Sync)) {
    let stage = |tasks| Stage { tasks, taken: AtomicUsize::new(0), done: AtomicUsize::new(0) };
    let relay =
        Relay { stages: stages.into_iter().map(stage).collect(), broken: AtomicBool::new(false), work };
    let helpers = rayon::current_num_threads() - 1;
    if helpers == 0 {
        relay.run();
        return;
    }
    rayon::in_place_scope(|scope| {
        for _ in 0..helpers {
            scope.spawn(|_| relay.run());
        }
        relay.run();
    });
}

/// Tells the others when a task panics, so that they do not wait for it.
struct Watch<'a>(&'a AtomicBool);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Release);
        }
    }
}

impl Relay<'_> {
    fn run(&self) {
        let _watch = Watch(&self.broken);
        for (index, stage) in self.stages.iter().enumerate() {
            loop {
                let task = stage.taken.fetch_add(1, Ordering::Relaxed);
                if task >= stage.tasks {
                    break;
                }
                (self.work)(index, task);
                stage.done.fetch_add(1, Ordering::Release);
            }
            let mut spins = 0;
            while stage.done.load(Ordering::Acquire) < stage.tasks {
                if self.broken.load(Ordering::Acquire) {
                    return;
                }
                spins += 1;
                // A task may be waiting for the pool itself: let it have this thread.
                if spins % SPINS == 0 && rayon::yield_now().is_none() {
                    std::thread::yield_now();
                }
                std::hint::spin_loop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_pool<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(f)
    }

    #[test]
    fn every_task_runs_once_and_after_the_stages_before() {
        for threads in [1, 2, 4] {
            let seen: Vec<AtomicUsize> = (0..60).map(|_| AtomicUsize::new(0)).collect();
            let before = [0, 20, 20, 60];
            in_pool(threads, || {
                relay([20, 0, 40], &|stage, task| {
                    let done: usize = seen[..before[stage]].iter().map(|s| s.load(Ordering::Relaxed)).sum();
                    assert_eq!(done, before[stage], "stage {stage} began early");
                    seen[before[stage] + task].fetch_add(1, Ordering::Relaxed);
                });
            });
            assert!(seen.iter().all(|s| s.load(Ordering::Relaxed) == 1), "{threads} threads");
        }
    }

    #[test]
    fn tasks_may_use_the_pool_and_relays_may_meet() {
        use rayon::prelude::*;
        let sum = AtomicUsize::new(0);
        in_pool(2, || {
            (0..8).into_par_iter().for_each(|_| {
                relay([3, 5], &|_, _| {
                    sum.fetch_add((0..100usize).into_par_iter().sum::<usize>(), Ordering::Relaxed);
                });
            });
        });
        assert_eq!(sum.into_inner(), 8 * 8 * 4950);
    }

    #[test]
    fn a_panic_ends_it() {
        let ended = std::panic::catch_unwind(|| {
            in_pool(2, || relay([4, 4], &|stage, task| assert!(stage == 0 || task != 2, "broken")));
        });
        assert!(ended.is_err());
    }
}
