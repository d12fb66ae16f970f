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
    /// To and from each of them, itself included.
    ends: Vec<Mutex<(Sender<Vec<u8>>, Receiver<Vec<u8>>)>>,
}

impl Threads {
    fn send(&self, to: usize, bytes: &[u8]) {
        // A process that has ended needs no message.
        let _ = self.ends[to].lock().unwrap().0.send(bytes.to_vec());
    }

    fn receive(&self, from: usize) -> Vec<u8> {
        self.ends[from].lock().unwrap().1.recv().expect("the other process has not ended")
    }
}

impl Collective for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.ends.len()
    }

    fn gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        (0..self.size()).for_each(|to| self.send(to, own));
        (0..self.size()).map(|from| self.receive(from)).collect()
    }

    fn exchange(&self, partner: usize, own: &[f32], theirs: &mut [f32]) {
        self.send(partner, &own.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
        let bytes = self.receive(partner);
        assert_eq!(bytes.len(), 4 * theirs.len(), "both send as many values");
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
    let mut ends: Vec<Vec<_>> = (0..size).map(|_| (0..size).map(|_| None).collect()).collect();
    for a in 0..size {
        for b in a..size {
            if a == b {
                ends[a][a] = Some(channel());
                continue;
            }
            let ((to_b, from_a), (to_a, from_b)) = (channel(), channel());
            ends[a][b] = Some((to_b, from_b));
            ends[b][a] = Some((to_a, from_a));
        }
    }
    std::thread::scope(|scope| {
        let start = |(rank, ends): (usize, Vec<Option<_>>)| {
            let ends = ends.into_iter().map(|end| Mutex::new(end.unwrap())).collect();
            let f = &f;
            scope.spawn(move || f(Threads { rank, ends }))
        };
        let all: Vec<_> = ends.into_iter().enumerate().map(start).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
