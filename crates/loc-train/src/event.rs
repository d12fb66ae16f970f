//! What training tells while it goes on, and how it is told to stop.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use loc_data::SkippedPhotos;

use crate::TrainError;
use crate::record::Row;

/// Something that happened. Whoever started the training decides what a person sees of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// Photos are decoded, the model is ready.
    Ready {
        /// The run folder.
        run: PathBuf,
        /// Photos to learn from.
        train: usize,
        /// Photos to judge by.
        val: usize,
        /// Class names.
        classes: Vec<String>,
        /// Trainable values.
        parameters: usize,
        /// Epochs this run will have.
        epochs: usize,
        /// Epochs and steps already done, if it goes on from a checkpoint.
        resumed: Option<(usize, usize)>,
    },
    /// A backbone has run some of the photos whose features are kept.
    Features {
        /// Photos so far.
        done: usize,
        /// All of them.
        of: usize,
    },
    /// An epoch of the training of the heads that comes before the run's first.
    Heads {
        /// Epoch, from 1.
        epoch: usize,
        /// All of them.
        epochs: usize,
    },
    /// A step was taken.
    Step {
        /// Epoch, from 1.
        epoch: usize,
        /// Step in the epoch, from 1.
        step: usize,
        /// Steps in the epoch.
        steps: usize,
        /// Loss of its batch.
        loss: f64,
    },
    /// An epoch ended: its row of `results.csv`.
    Epoch {
        /// The row.
        row: Row,
        /// Epochs this run will have.
        epochs: usize,
        /// Whether it is the best so far.
        best: bool,
    },
    /// Photos cannot be used and were left out.
    LeftOut(SkippedPhotos),
    /// Something worth knowing that is not odd.
    Note(String),
    /// Something is odd, and training goes on.
    Warning(String),
}

/// A flag that asks a training to finish its step, save and return. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks for the stop.
    pub fn ask(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// The flag itself, for a signal handler that can set nothing else.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// Whether a stop was asked for.
    #[must_use]
    pub fn asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Who is told, and who may have enough: what comes before the first step can take a minute.
pub(crate) struct Watch<'a> {
    pub(crate) on: &'a mut dyn FnMut(Event),
    pub(crate) stop: &'a Stop,
}

impl Watch<'_> {
    /// Tells an event.
    ///
    /// # Errors
    ///
    /// [`TrainError::Stopped`] if a stop was asked for.
    pub(crate) fn tell(&mut self, event: Event) -> Result<(), TrainError> {
        (self.on)(event);
        if self.stop.asked() { Err(TrainError::Stopped) } else { Ok(()) }
    }
}
