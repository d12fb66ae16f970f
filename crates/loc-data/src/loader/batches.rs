//! The iterator over the batches of an epoch.

use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;

use super::Batch;
use crate::{DataError, LoaderError};

/// The batches of one epoch, prepared on a separate thread that ends when this is dropped.
#[derive(Debug)]
pub struct Batches {
    receiver: Option<Receiver<Result<Batch, DataError>>>,
    thread: Option<JoinHandle<()>>,
    left: usize,
    failure: Option<DataError>,
}

impl Batches {
    /// So many batches that a thread prepares.
    pub(super) fn prepared(
        receiver: Receiver<Result<Batch, DataError>>,
        thread: JoinHandle<()>,
        left: usize,
    ) -> Self {
        Self { receiver: Some(receiver), thread: Some(thread), left, failure: None }
    }

    /// No batch, and why.
    pub(super) fn failed(failure: DataError) -> Self {
        Self { receiver: None, thread: None, left: 1, failure: Some(failure) }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        if let Some(failure) = self.failure.take() {
            self.left = 0;
            return Some(Err(failure));
        }
        match self.receiver.as_ref().map(Receiver::recv) {
            Some(Ok(Ok(batch))) => {
                self.left -= 1;
                Some(Ok(batch))
            }
            Some(Ok(Err(error))) => {
                self.left = 0;
                Some(Err(error))
            }
            _ => {
                self.left = 0;
                Some(Err(DataError::Threads(LoaderError::Ended)))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Batches {}

impl Drop for Batches {
    fn drop(&mut self) {
        // Closing the channel wakes a thread that is blocked in `send`.
        drop(self.receiver.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was already reported as an early end.
            let _ = thread.join();
        }
    }
}
