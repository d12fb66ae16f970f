//! Stages of tasks: assigns tasks to threads, detects the end of a stage, and collects panics.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Role, with_role};

/// The payload of a panic.
pub(super) type Payload = Box<dyn Any + Send>;

/// The end of a stage from which a thread takes its tasks. In every stage the caller takes the first ones left and its
/// helpers the last, so that each mostly reads what it has written itself: the other's values would have to come from the
/// cache of another core.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    First,
    Last,
}

/// Tasks that do not depend on each other.
#[derive(Debug)]
pub(super) struct Stage {
    tasks: usize,
    /// Tasks that were taken, or asked for after the last one: first tasks, last tasks, and both.
    first: AtomicUsize,
    last: AtomicUsize,
    taken: AtomicUsize,
    done: AtomicUsize,
}

impl Stage {
    pub(super) fn of(tasks: usize) -> Self {
        let [first, last, taken, done] = [const { AtomicUsize::new(0) }; 4];
        Self { tasks, first, last, taken, done }
    }

    /// Takes a task that no other thread has taken, if one is left. Relaxed: `taken` lets in as many threads as there are
    /// tasks, so the tasks counted from the two ends never meet; the data that a task reads is ordered by `done` and by
    /// the gate.
    fn take(&self, end: End) -> Option<usize> {
        (self.taken.fetch_add(1, Ordering::Relaxed) < self.tasks).then(|| match end {
            End::First => self.first.fetch_add(1, Ordering::Relaxed),
            End::Last => self.tasks - 1 - self.last.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// Returns whether all tasks are taken.
    fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Relaxed) >= self.tasks
    }

    fn is_done(&self) -> bool {
        // Acquire: pairs with the release of every task, because all of them are read-modify-writes of `done`.
        self.done.load(Ordering::Acquire) >= self.tasks
    }
}

/// Stages that run one after the other, and the function that runs a task.
pub(super) struct Run<'a> {
    stages: &'a [Stage],
    /// Called with the index of the stage and the index of the task in it.
    work: &'a (dyn Fn(usize, usize) + Sync),
    /// Set when a task has panicked: no further task starts.
    stopped: AtomicBool,
    panic: Mutex<Option<Payload>>,
}

impl<'a> Run<'a> {
    pub(super) fn new(stages: &'a [Stage], work: &'a (dyn Fn(usize, usize) + Sync)) -> Self {
        Self { stages, work, stopped: AtomicBool::new(false), panic: Mutex::new(None) }
    }

    /// Returns the largest number of tasks in one stage.
    pub(super) fn max_tasks(&self) -> usize {
        self.stages.iter().map(|stage| stage.tasks).max().unwrap_or(0)
    }

    /// Takes and runs tasks until the last stage has none left. Returns whether it ran any. Does not wait for tasks
    /// that other threads are still running. A panic is kept for the caller and stops the run on all threads.
    pub(super) fn work(&self, end: End) -> bool {
        // Helpers call this repeatedly. Without this check each call would increment `taken`, until it overflows.
        if self.stages.last().is_none_or(Stage::is_taken) || self.stopped.load(Ordering::Relaxed) {
            return false;
        }
        match catch_unwind(AssertUnwindSafe(|| with_role(Role::Task, || self.tasks(end)))) {
            Ok(ran_any) => ran_any,
            Err(payload) => {
                self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(payload);
                self.stop();
                true
            }
        }
    }

    fn tasks(&self, end: End) -> bool {
        let mut ran_any = false;
        for (index, stage) in self.stages.iter().enumerate() {
            if index > 0 {
                let mut wait = Wait::default();
                while !self.stages[index - 1].is_done() {
                    if self.stopped.load(Ordering::Relaxed) {
                        return ran_any;
                    }
                    wait.again();
                }
            }
            while let Some(task) = stage.take(end) {
                if self.stopped.load(Ordering::Relaxed) {
                    return ran_any;
                }
                ran_any = true;
                (self.work)(index, task);
                // Release: the next stage sees what this task wrote.
                stage.done.fetch_add(1, Ordering::Release);
            }
        }
        ran_any
    }

    /// Stops the run: no further task is started. Relaxed here and where it is read: the flag only saves work. The
    /// caller sees the panic itself because it reads it after the gate is closed.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Returns the first panic of a task. Called when no thread works on the run any more.
    pub(super) fn into_panic(self) -> Option<Payload> {
        self.panic.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for another thread without running other tasks of the pool, which must not run inside the current one. Spins
/// at first, since most waits are shorter than a wake-up; then yields to other threads of the system; then sleeps
/// briefly.
#[derive(Debug, Default)]
pub(super) struct Wait {
    turns: u32,
}

impl Wait {
    const SPINS: u32 = if cfg!(miri) { 1 } else { 1 << 10 };
    const YIELDS: u32 = 64;

    /// Waits one more turn.
    pub(super) fn again(&mut self) {
        self.turns += 1;
        if !self.turns.is_multiple_of(Self::SPINS) {
            std::hint::spin_loop();
        } else if self.turns < Self::SPINS * Self::YIELDS {
            std::thread::yield_now();
        } else {
            // These spins take no time compared with the sleep.
            self.turns -= Self::SPINS;
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}
