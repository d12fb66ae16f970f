//! Events of a training, and the flag that stops it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use loc_data::{Diagnostic, ReadProgress, SkippedPhotos};
use serde::{Deserialize, Serialize};

use crate::error::TrainError;

/// An event of a training. The program that started it decides what to show.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// Photos are decoded, the model is ready.
    Ready {
        /// The run folder.
        run: PathBuf,
        /// Number of training photos.
        train: usize,
        /// Number of validation photos.
        val: usize,
        /// Class names.
        classes: Vec<String>,
        /// Number of trainable parameters.
        parameters: usize,
        /// Epochs this run will have.
        epochs: usize,
        /// Epochs and steps already done, if it is resumed.
        resumed: Option<(usize, usize)>,
    },
    /// What is to be done before and on a frozen backbone: known before the first of it.
    Workload {
        /// Photos and copies that go through the backbone, in all.
        features: usize,
        /// Steps of the heads on the cached features.
        head_steps: usize,
        /// Seconds of one of these steps, as measured.
        step_seconds: f64,
        /// Photos that are then trained on end to end, in all epochs.
        end_to_end: usize,
    },
    /// How long the remaining epochs will take, as measured: once, after the first epoch or in it.
    TimeLeft(Duration),
    /// The features of some photos were computed.
    Features {
        /// Photos so far.
        done: usize,
        /// All of them.
        of: usize,
    },
    /// An epoch of the head warm-up ended.
    Heads {
        /// Epoch, from 1.
        epoch: usize,
        /// All of them.
        epochs: usize,
    },
    /// A step ended.
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
    /// Invalid photos were skipped.
    LeftOut(SkippedPhotos),
    /// Warnings about the data set.
    DataWarnings(Vec<Diagnostic>),
    /// Information.
    Note(String),
    /// Something unusual; training continues.
    Warning(String),
}

/// One epoch in numbers: the columns of `results.csv` in their order. Losses and metrics are means over samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Seconds since the run began, time before a resume included.
    pub time: f64,
    /// Learning rate.
    pub lr: f64,
    /// Training loss: the weighted sum.
    #[serde(rename = "train/loss")]
    pub train_loss: f64,
    /// Training loss of the class.
    #[serde(rename = "train/cls_loss")]
    pub train_cls_loss: f64,
    /// Training loss of the box.
    #[serde(rename = "train/box_loss")]
    pub train_box_loss: f64,
    /// Validation loss: the weighted sum.
    #[serde(rename = "val/loss")]
    pub val_loss: f64,
    /// Validation loss of the class.
    #[serde(rename = "val/cls_loss")]
    pub val_cls_loss: f64,
    /// Validation loss of the box.
    #[serde(rename = "val/box_loss")]
    pub val_box_loss: f64,
    /// Share with the right class.
    #[serde(rename = "val/acc")]
    pub val_acc: f64,
    /// Mean IoU.
    #[serde(rename = "val/iou")]
    pub val_iou: f64,
    /// Share with the right class and an IoU of 0.5 or more: localization accuracy.
    #[serde(rename = "val/acc_iou50")]
    pub val_acc_iou50: f64,
    /// Share with the right class and an IoU of 0.75 or more.
    #[serde(rename = "val/acc_iou75")]
    pub val_acc_iou75: f64,
    /// Training loss of presence; this and the next two only of models with a logit of presence.
    #[serde(rename = "train/presence_loss", default, skip_serializing_if = "Option::is_none")]
    pub train_presence_loss: Option<f64>,
    /// Validation loss of presence.
    #[serde(rename = "val/presence_loss", default, skip_serializing_if = "Option::is_none")]
    pub val_presence_loss: Option<f64>,
    /// Area under the ROC curve of presence; 0 without photos of both kinds.
    #[serde(rename = "val/auroc", default, skip_serializing_if = "Option::is_none")]
    pub val_auroc: Option<f64>,
}

/// A flag that requests a training to finish its step, save and return. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Requests the stop.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Returns the flag itself, for a signal handler.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// Returns whether a stop was requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Progress callback and stop flag for the work before the first step.
pub(crate) struct Progress<'a> {
    pub(crate) on: &'a mut dyn FnMut(Event),
    pub(crate) stop: &'a Stop,
    /// Is told how many photos are read.
    pub(crate) reading: ReadProgress,
}

impl Progress<'_> {
    /// Reports an event.
    ///
    /// # Errors
    ///
    /// [`TrainError::Stopped`] if a stop was asked for.
    pub(crate) fn report(&mut self, event: Event) -> Result<(), TrainError> {
        (self.on)(event);
        if self.stop.is_requested() { Err(TrainError::Stopped) } else { Ok(()) }
    }
}
