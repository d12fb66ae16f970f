//! What is wrong with a run, its files and its model files.

use std::path::PathBuf;

/// Why a run cannot be resumed with these settings, or on this data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// All epochs are done.
    #[error("all {epochs} epochs are done")]
    Finished {
        /// Epochs of the run.
        epochs: usize,
    },
    /// A schedule is to start again in a run that is not finished, or without more epochs.
    #[error(
        "only a finished run can be extended with a new schedule: {done} of {epochs} epochs are done, {requested} are requested"
    )]
    NothingToExtend {
        /// Epochs that are done.
        done: usize,
        /// Epochs of the run.
        epochs: usize,
        /// Epochs that are requested.
        requested: usize,
    },
    /// The schedule depends on the last epoch.
    #[error(
        "its schedule ends with epoch {epochs}: with {requested} epochs, earlier steps would have been different"
    )]
    ScheduleEnds {
        /// Epochs of the run.
        epochs: usize,
        /// Epochs that are requested.
        requested: usize,
    },
    /// The kernels would use another instruction set.
    #[error(
        "it was trained with the instruction set {before}, here it would be {now}: sums are rounded otherwise, and the result \
         would not be that of an uninterrupted run"
    )]
    OtherIsa {
        /// The set of the run.
        before: String,
        /// The set of this process.
        now: String,
        /// Whether this processor has the run's set, too.
        here: bool,
    },
    /// Settings differ that affect the result.
    #[error("these settings would change the result: {differences}")]
    Settings {
        /// `key: old → new`, with commas between.
        differences: String,
        /// The run's last model.
        model: PathBuf,
    },
    /// The data set has changed.
    #[error("the data set has changed: {how}; its digest is {digest}, was {before}")]
    DataChanged {
        /// What was added, removed or changed.
        how: String,
        /// The digest now.
        digest: String,
        /// The digest that the run was trained on.
        before: String,
        /// The run's last model.
        model: PathBuf,
    },
}

/// Why a run folder or a file of it cannot be created, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A file cannot be written.
    #[error("cannot be written{}", if kept(error) { "; what was saved before is kept" } else { "" })]
    Write {
        /// The system's error.
        #[source]
        error: std::io::Error,
        /// The file's folder.
        folder: PathBuf,
    },
    /// No file can be created in a folder.
    #[error("no file can be created in {}", folder.display())]
    Create {
        /// The system's error.
        #[source]
        error: std::io::Error,
        /// The folder, or the nearest one above that exists.
        folder: PathBuf,
    },
    /// A file cannot be read.
    #[error("cannot be read")]
    Csv(#[source] csv::Error),
    /// JSON is wrong.
    #[error("is not the JSON of a run")]
    Json(#[source] serde_json::Error),
    /// A line is wrong.
    #[error("line {line} is not a record of a validation photo")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong.
        #[source]
        error: serde_json::Error,
    },
    /// The configuration cannot be written.
    #[error("cannot be written as TOML")]
    Toml(#[source] toml::ser::Error),
    /// The record is of another schema.
    #[error("is of the schema {found:?}, not {expected}")]
    Schema {
        /// Its schema.
        found: String,
        /// The known one.
        expected: &'static str,
    },
    /// The folder is no run's.
    #[error("is not a run folder: it has no config.toml")]
    NotARun,
    /// There is no run in the folder.
    #[error("holds no run to resume")]
    NoRun,
    /// Another process trains this run.
    #[error("locked by {holder}")]
    Locked {
        /// The process, or that it is another one.
        holder: String,
    },
    /// The lock file was made by another program.
    #[error("is not the lock file of a run, and is left as it is")]
    OtherLock,
    /// The lock file cannot be locked.
    #[error("{file} in it cannot be locked")]
    Lock {
        /// The file's name.
        file: &'static str,
        /// The system's error.
        #[source]
        error: std::io::Error,
    },
    /// The split has changed since the run was trained on it.
    #[error("has the SHA-256 {found}, the run was trained with {before}")]
    SplitChanged {
        /// The digest of the file.
        found: String,
        /// The digest of the run's split.
        before: String,
        /// The run's last model.
        model: PathBuf,
    },
    /// A state is of a newer format.
    #[error("state of format {format}: needs loc >= {needs}; this is loc {this}, which reads format {reads}")]
    NewerState {
        /// Its format.
        format: u32,
        /// The version that wrote it.
        needs: String,
        /// This version.
        this: &'static str,
        /// The newest format that this version reads.
        reads: u32,
    },
    /// The newest state cannot be read; it may be intact.
    #[error("cannot be read; nothing was changed")]
    UnreadState(#[source] std::io::Error),
    /// No state is intact.
    #[error("cannot be resumed: no state of it is intact\n{newest}\n{previous}")]
    NoState {
        /// What is wrong with the newest state.
        newest: String,
        /// What is wrong with the one before.
        previous: String,
        /// The model of the newest epoch.
        model: PathBuf,
    },
    /// The configuration of the state cannot be read.
    #[error("the configuration of its state: {reason}")]
    StateConfig {
        /// Why not.
        reason: String,
    },
}

/// Why a model file does not fit what it is used for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelFileError {
    /// Its metadata is wrong.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// Its weights are others than the network's.
    #[error(transparent)]
    Weights(loc_net::NetError),
    /// It has no pretrained weights for the backbone.
    #[error(transparent)]
    Pretrained(loc_model::ModelError),
    /// It was made for other classes.
    #[error("was made for the classes {model:?}, the data set has {data:?}")]
    Classes {
        /// The model's classes.
        model: Vec<String>,
        /// The data set's classes.
        data: Vec<String>,
    },
}

/// What is wrong with the JSON of a model file or a state.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// The model has one look.
    #[error("the model has no second look")]
    NoSecondLook,
    /// It is no JSON, or lacks something.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The part that prediction reads is wrong.
    #[error(transparent)]
    Meta(#[from] loc_infer::Error),
    /// Its parts contradict each other.
    #[error(
        "{names} class names and an input of {input}, but the network has {classes} classes and takes {width}×{height}"
    )]
    Contradiction {
        /// Number of class names.
        names: usize,
        /// The size of the input.
        input: loc_infer::ImageSize,
        /// Number of the network's classes.
        classes: usize,
        /// Width of the network's input.
        width: usize,
        /// Height of the network's input.
        height: usize,
    },
}

/// Whether what was saved before is still there after an error of writing.
fn kept(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
