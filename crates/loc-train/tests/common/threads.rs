//! Processes that are threads of one process, with channels between them.

#![allow(dead_code, reason = "each test file uses only some of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper that fails is a test that fails")]

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use loc_train::{Collective, Processes};

/// One of them.
#[derive(Debug)]
pub(crate) struct Threads {
    rank: usize,
    /// To each of them, itself included, and from each.
    to: Vec<Sender<Vec<u8>>>,
    from: Vec<Mutex<Receiver<Vec<u8>>>>,
}

impl Threads {
    fn send(&self, to: usize, bytes: &[u8]) {
        // A process that has ended needs no message.
        let _ = self.to[to].send(bytes.to_vec());
    }

    fn receive(&self, from: usize) -> Vec<u8> {
        self.from[from].lock().unwrap().recv().expect("the other process has not ended")
    }
}

impl Collective for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        (0..self.size()).for_each(|to| self.send(to, own));
        (0..self.size()).map(|from| self.receive(from)).collect()
    }

    fn exchange(&self, partner: usize, own: &[f32], theirs: &mut [f32]) {
        self.send(partner, &own.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
        let bytes = self.receive(partner);
        assert_eq!(bytes.len(), 4 * theirs.len(), "the partner sends what is expected");
        for (value, bytes) in theirs.iter_mut().zip(bytes.chunks_exact(4)) {
            *value = f32::from_le_bytes(bytes.try_into().unwrap());
        }
    }
}

/// Calls `f` as each of so many processes, and returns their results in the order of their ranks.
pub(crate) fn on_processes<R: Send>(size: usize, f: impl Fn(Processes) -> R + Sync) -> Vec<R> {
    on_threads(size, |threads| f(Processes::new(threads)))
}

/// As [`on_processes`], with the messages of each.
pub(crate) fn on_threads<R: Send>(size: usize, f: impl Fn(Threads) -> R + Sync) -> Vec<R> {
    let mut from: Vec<Vec<_>> = (0..size).map(|_| Vec::new()).collect();
    let connect = |from: &mut Vec<_>| {
        let (sender, receiver) = channel();
        from.push(Mutex::new(receiver));
        sender
    };
    let to: Vec<Vec<_>> = (0..size).map(|_| from.iter_mut().map(connect).collect()).collect();
    std::thread::scope(|scope| {
        let start = |(rank, (to, from)): (usize, (Vec<_>, Vec<_>))| {
            let f = &f;
            scope.spawn(move || f(Threads { rank, to, from }))
        };
        let all: Vec<_> = to.into_iter().zip(from).enumerate().map(start).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
