//! Stages of tasks: who takes which task, when a stage is done, and what becomes of a panic.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Role, acting};

/// What a panic carries.
pub(super) type Payload = Box<dyn Any + Send>;

/// Tasks that do not wait for each other.
#[derive(Debug)]
pub(super) struct Stage {
    tasks: usize,
    taken: AtomicUsize,
    done: AtomicUsize,
}

impl Stage {
    pub(super) fn of(tasks: usize) -> Self {
        Self { tasks, taken: AtomicUsize::new(0), done: AtomicUsize::new(0) }
    }

    /// A task that nobody else has. Relaxed: of one atomic, each number is given once; what a task reads is ordered by
    /// `done` and by the gate.
    fn take(&self) -> Option<usize> {
        let task = self.taken.fetch_add(1, Ordering::Relaxed);
        (task < self.tasks).then_some(task)
    }

    /// Whether no task is left to take.
    fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Relaxed) >= self.tasks
    }

    fn is_done(&self) -> bool {
        // Acquire: pairs with the release of every task, since all of them are read-modify-writes of `done`.
        self.done.load(Ordering::Acquire) >= self.tasks
    }
}

/// Stages, each begun when the one before is done, and what to do.
pub(super) struct Run<'a> {
    stages: &'a [Stage],
    /// Of a stage's number and a task's number in it.
    work: &'a (dyn Fn(usize, usize) + Sync),
    /// Somebody panicked: no task is begun any more.
    broken: AtomicBool,
    panic: Mutex<Option<Payload>>,
}

impl<'a> Run<'a> {
    pub(super) fn new(stages: &'a [Stage], work: &'a (dyn Fn(usize, usize) + Sync)) -> Self {
        Self { stages, work, broken: AtomicBool::new(false), panic: Mutex::new(None) }
    }

    /// The most tasks of a stage.
    pub(super) fn widest(&self) -> usize {
        self.stages.iter().map(|stage| stage.tasks).max().unwrap_or(0)
    }

    /// Takes tasks until the last stage has none left, and says whether there was any. Those that others still do are
    /// not waited for. A panic is kept for the caller, and ends the run for all.
    pub(super) fn work(&self) -> bool {
        // Helpers come again and again: each time they would count a stage's tasks on by one, to an overflow in the end.
        if self.stages.last().is_none_or(Stage::is_taken) || self.broken.load(Ordering::Relaxed) {
            return false;
        }
        match catch_unwind(AssertUnwindSafe(|| acting(Role::Task, || self.tasks()))) {
            Ok(any) => any,
            Err(payload) => {
                self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(payload);
                self.stop();
                true
            }
        }
    }

    fn tasks(&self) -> bool {
        let mut any = false;
        for (index, stage) in self.stages.iter().enumerate() {
            if index > 0 {
                let mut wait = Wait::default();
                while !self.stages[index - 1].is_done() {
                    if self.broken.load(Ordering::Relaxed) {
                        return any;
                    }
                    wait.again();
                }
            }
            while let Some(task) = stage.take() {
                if self.broken.load(Ordering::Relaxed) {
                    return any;
                }
                any = true;
                (self.work)(index, task);
                // Release: the next stage sees what this task wrote.
                stage.done.fetch_add(1, Ordering::Release);
            }
        }
        any
    }

    /// No further task is begun. Relaxed here and where it is read: it saves work, nothing depends on it; the panic itself
    /// is seen by the caller because the gate is closed before it is asked for.
    pub(super) fn stop(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    /// The first panic of a task, once nobody works any more.
    pub(super) fn into_panic(self) -> Option<Payload> {
        self.panic.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for another thread without the pool, whose other work must not run on top of ours: spins, since most waits are
/// shorter than a wake-up; then lets other threads of the system run; then sleeps a little.
#[derive(Debug, Default)]
pub(super) struct Wait {
    turns: u32,
}

impl Wait {
    const SPINS: u32 = if cfg!(miri) { 1 } else { 1 << 10 };
    const YIELDS: u32 = 64;

    /// Once more.
    pub(super) fn again(&mut self) {
        self.turns += 1;
        if !self.turns.is_multiple_of(Self::SPINS) {
            std::hint::spin_loop();
        } else if self.turns < Self::SPINS * Self::YIELDS {
            std::thread::yield_now();
        } else {
            // So many spins are nothing beside the sleep.
            self.turns -= Self::SPINS;
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}
