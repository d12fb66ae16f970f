//! The processes of a training: what all of them know after each message, and how they end together.
//!
//! A process that fails takes part in the next exchange of the others with the message that it failed, so all of them end with
//! an error instead of waiting. So a training ends with one last exchange ([`Processes::end`]), and all that can fail on one
//! process alone happens before a [`Processes::gather`], not between it and a [`Processes::sum`].

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::share::is_exact;
use super::sum::sum;
use super::{Collective, Local, Share};
use crate::error::TrainError;
use crate::event::Stop;

/// Flags before each message.
const FAILED: u8 = 1;
const STOPPING: u8 = 2;

/// The processes of a training, of which this is one; by default it is alone. Clones share the state.
#[derive(Debug, Clone)]
pub struct Processes {
    collective: Arc<dyn Collective>,
    state: Arc<State>,
    /// The request to stop that this process may get.
    stop: Stop,
}

#[derive(Debug, Default)]
struct State {
    /// Whether a process was asked to stop, as all know since the last message.
    stopping: AtomicBool,
    /// Whether all processes know that the training has ended.
    ended: AtomicBool,
    buffer: Mutex<Vec<f32>>,
}

impl Default for Processes {
    fn default() -> Self {
        Self::new(Local)
    }
}

impl Processes {
    /// The processes that these messages connect.
    #[must_use]
    pub fn new(collective: impl Collective + 'static) -> Self {
        Self { collective: Arc::new(collective), state: Arc::default(), stop: Stop::default() }
    }

    /// The same processes at the beginning of a training, of which this one may be asked to stop.
    pub(crate) fn begin(&self, stop: &Stop) -> Self {
        self.state.ended.store(false, Ordering::SeqCst);
        Self { stop: stop.clone(), ..self.clone() }
    }

    /// The number of this process, from 0.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.collective.rank()
    }

    /// The number of processes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.collective.size()
    }

    /// Whether there is no other process.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.size() == 1
    }

    /// The number of processes, if there are several.
    pub(crate) fn several(&self) -> Option<usize> {
        (!self.is_alone()).then(|| self.size())
    }

    /// Whether this is the first process, which writes the files.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Whether so many processes give the same bytes as a single one: 1, 2, 4 and 8 do.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        is_exact(self.size())
    }

    /// Whether the last training has ended on all processes, with success or with an error: then none waits for another.
    #[must_use]
    pub fn have_ended(&self) -> bool {
        self.is_alone() || self.state.ended.load(Ordering::SeqCst)
    }

    /// The number of threads of this process, if there are so many for all of the processes that share `place`: a host, and
    /// the processors on it that they may use.
    ///
    /// # Errors
    ///
    /// [`TrainError::OtherProcess`] if another process has failed.
    pub fn threads(&self, available: usize, place: &str) -> Result<usize, TrainError> {
        let places = self.gather(place.as_bytes())?;
        let sharing = places.iter().filter(|other| **other == place.as_bytes()).count();
        Ok((available / sharing.max(1)).max(1))
    }

    /// Returns the result of what each process did alone, if it succeeded on all of them; they then go on. With several errors
    /// only that of the first of these processes is told.
    ///
    /// # Errors
    ///
    /// The process's own error, or [`TrainError::OtherProcess`].
    pub fn agreed<T, E: From<TrainError>>(&self, result: Result<T, E>) -> Result<T, E> {
        self.state.ended.store(false, Ordering::SeqCst);
        let value = self.end(result)?;
        self.state.ended.store(false, Ordering::SeqCst);
        Ok(value)
    }

    /// As [`Processes::agreed`], at the end of a training.
    pub(crate) fn end<T, E: From<TrainError>>(&self, result: Result<T, E>) -> Result<T, E> {
        if self.is_alone() || self.state.ended.load(Ordering::SeqCst) {
            return result;
        }
        let failed = if result.is_err() { FAILED } else { 0 };
        match (self.exchange_messages(failed, &[]), result) {
            (Err(TrainError::OtherProcess { rank }), Err(own)) if rank >= self.rank() => Err(own),
            (Err(error), _) => Err(error.into()),
            (Ok(_), result) => {
                self.state.ended.store(true, Ordering::SeqCst);
                result
            }
        }
    }

    /// The request to stop that this process may get.
    pub(crate) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Whether the training is to stop: the same on all processes until the next message.
    pub(crate) fn is_stopping(&self) -> bool {
        match self.is_alone() {
            true => self.stop.is_requested(),
            false => self.state.stopping.load(Ordering::SeqCst),
        }
    }

    /// Sends bytes to all processes, and returns those of each, in the order of their ranks.
    ///
    /// # Errors
    ///
    /// [`TrainError::OtherProcess`] if another process has failed: then all have ended.
    pub(crate) fn gather(&self, own: &[u8]) -> Result<Vec<Vec<u8>>, TrainError> {
        self.exchange_messages(0, own)
    }

    /// As [`Processes::gather`], of values, one process's after the other's.
    ///
    /// # Errors
    ///
    /// As [`Processes::gather`].
    pub(crate) fn gather_f64(&self, own: &[f64]) -> Result<Vec<f64>, TrainError> {
        if self.is_alone() {
            return Ok(own.to_vec());
        }
        let bytes: Vec<u8> = own.iter().flat_map(|value| value.to_le_bytes()).collect();
        Ok(self
            .gather(&bytes)?
            .concat()
            .as_chunks()
            .0
            .iter()
            .map(|bytes| f64::from_le_bytes(*bytes))
            .collect())
    }

    fn exchange_messages(&self, failed: u8, own: &[u8]) -> Result<Vec<Vec<u8>>, TrainError> {
        let stopping = if self.stop.is_requested() { STOPPING } else { 0 };
        let mut message = Vec::with_capacity(1 + own.len());
        message.push(failed | stopping);
        message.extend_from_slice(own);
        let mut all = self.collective.gather(&message);
        let flags: Vec<u8> = all
            .iter_mut()
            .map(|message| if message.is_empty() { FAILED } else { message.remove(0) })
            .collect();
        if flags.iter().any(|flags| flags & STOPPING != 0) {
            self.state.stopping.store(true, Ordering::SeqCst);
        }
        match flags.iter().position(|flags| flags & FAILED != 0) {
            None => Ok(all),
            Some(rank) => {
                self.state.ended.store(true, Ordering::SeqCst);
                Err(TrainError::OtherProcess { rank })
            }
        }
    }

    /// Returns what the first process computes.
    ///
    /// # Errors
    ///
    /// On the first process its error; on the others then [`TrainError::OtherProcess`].
    pub(crate) fn of_first(
        &self,
        compute: impl FnOnce() -> Result<PathBuf, TrainError>,
    ) -> Result<PathBuf, TrainError> {
        if self.is_alone() {
            return compute();
        }
        let own = if self.is_first() { compute()? } else { PathBuf::new() };
        let first = self.gather(own.as_os_str().as_encoded_bytes())?.swap_remove(0);
        Ok(PathBuf::from(String::from_utf8_lossy(&first).into_owned()))
    }

    /// Checks that something is the same on all processes.
    ///
    /// # Errors
    ///
    /// [`TrainError::ProcessDiffers`] with the first process that differs, on all processes.
    pub(crate) fn check_same(&self, values: &[(&'static str, &str)]) -> Result<(), TrainError> {
        if self.is_alone() {
            return Ok(());
        }
        for (what, value) in values {
            let all = self.gather(value.as_bytes())?;
            if let Some(rank) = all.iter().position(|other| *other != all[0]) {
                return Err(TrainError::ProcessDiffers { rank, what });
            }
        }
        Ok(())
    }

    /// Adds the values of all processes, in the fixed tree if there are 1, 2, 4 or 8. All get the same sums.
    pub(crate) fn sum(&self, values: &mut [f32]) {
        let mut buffer = self.state.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        buffer.resize(values.len(), 0.0);
        sum(&*self.collective, values, &mut buffer);
    }

    /// This process's share of a batch of `n` photos.
    pub(crate) fn share(&self, n: usize) -> Share {
        Share::of(n, self.rank(), self.size())
    }

    /// The positions of this process's share, as a function of the size of a batch.
    pub(crate) fn rows(&self) -> impl Fn(usize) -> Range<usize> + Send + Sync + 'static {
        let (rank, size) = (self.rank(), self.size());
        move |n| Share::of(n, rank, size).rows
    }
}
