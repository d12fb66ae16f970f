//! The errors of training: where, what and why, as kinds with their sources. What may help is data: [`Remedy`].

mod config;
mod remedy;
mod run;

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use loc_data::DataError;

pub use self::config::{ConfigError, ReuseError};
pub use self::remedy::Remedy;
pub use self::run::{MetadataError, ModelFileError, ResumeError, RunError};

/// What can go wrong from a configuration to a trained model.
#[derive(Debug)]
#[non_exhaustive]
pub enum TrainError {
    /// The configuration cannot be used.
    Config {
        /// The file, environment variable, flag or key it came from.
        origin: String,
        /// Why not.
        kind: Box<ConfigError>,
    },
    /// The JSON of a model file is not what it should be.
    Metadata(Box<MetadataError>),
    /// A run cannot be resumed with these settings, or on this data.
    Resume {
        /// The run folder.
        run: PathBuf,
        /// Why not.
        kind: Box<ResumeError>,
    },
    /// A run folder or a file of it cannot be created, read or written.
    Run {
        /// The folder or file.
        path: PathBuf,
        /// Why not.
        kind: Box<RunError>,
    },
    /// A model file does not fit what it is used for.
    Model {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        kind: Box<ModelFileError>,
    },
    /// A loss, a gradient or a weight is not finite; what was saved before stays.
    NotFinite {
        /// What is not, and its value.
        what: String,
        /// Epoch, from 1.
        epoch: usize,
        /// Step in the epoch, from 1; after the last one the epoch is evaluated.
        step: usize,
        /// File names of the step's photos; none where it is not theirs.
        photos: Vec<String>,
    },
    /// Another of the processes that train together has failed, and says why.
    OtherProcess {
        /// Its number, from 0.
        rank: usize,
    },
    /// One of the processes that train together has something else than the first one.
    ProcessDiffers {
        /// Its number, from 0.
        rank: usize,
        /// What differs.
        what: &'static str,
    },
    /// A stop was requested before the first step: there is nothing to save.
    Stopped,
    /// A split leaves a part without photos that show an object.
    EmptySplit {
        /// Such photos to train on.
        train: usize,
        /// Such photos to validate on.
        val: usize,
    },
    /// The data set.
    Data(DataError),
    /// The network, its weights or the device.
    Network(loc_model::ModelError),
    /// The layers or the weights.
    Net(loc_net::NetError),
    /// Candle.
    Candle(candle_core::Error),
    /// A file.
    Io(std::io::Error),
}

impl TrainError {
    /// A configuration of this origin that cannot be used.
    pub(crate) fn config(origin: impl Into<String>, kind: impl Into<ConfigError>) -> Self {
        Self::Config { origin: origin.into(), kind: Box::new(kind.into()) }
    }

    /// A run folder or a file of it that cannot be used.
    pub(crate) fn run(path: impl Into<PathBuf>, kind: RunError) -> Self {
        Self::Run { path: path.into(), kind: Box::new(kind) }
    }

    /// A run that cannot be resumed.
    pub(crate) fn resume(run: impl Into<PathBuf>, kind: ResumeError) -> Self {
        Self::Resume { run: run.into(), kind: Box::new(kind) }
    }

    /// A model file that does not fit.
    pub(crate) fn model(path: impl Into<PathBuf>, kind: impl Into<ModelFileError>) -> Self {
        Self::Model { path: path.into(), kind: Box::new(kind.into()) }
    }

    /// Whether the caller's flags or configuration are at fault, rather than data, files or numbers.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Config { .. } | Self::Resume { .. } | Self::Data(DataError::Argument { .. }))
    }
}

impl fmt::Display for TrainError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Config { origin, kind } => write!(f, "{origin}: {kind}"),
            Self::Metadata(kind) => write!(f, "model metadata: {kind}"),
            Self::Resume { run, kind } => write!(f, "cannot resume {}: {kind}", run.display()),
            Self::Run { path, kind } => write!(f, "{}: {kind}", path.display()),
            Self::Model { path, kind } => write!(f, "{}: {kind}", path.display()),
            Self::NotFinite { what, epoch, step, photos } => {
                write!(f, "{what} at epoch {epoch}, step {step}; the last checkpoint is kept")?;
                if photos.is_empty() {
                    Ok(())
                } else {
                    write!(f, ". Photos of the batch: {}", photos.join(", "))
                }
            }
            Self::OtherProcess { rank } => write!(f, "process {rank} has failed"),
            Self::ProcessDiffers { rank, what } => {
                write!(f, "{what} of process {rank} differs from that of process 0: all must be the same")
            }
            Self::Stopped => f.write_str("stopped before the first step: nothing was saved"),
            Self::EmptySplit { train, val } => {
                write!(
                    f,
                    "split: {train} photos with an object train and {val} validate: each part needs one"
                )
            }
            Self::Data(error) => error.fmt(f),
            Self::Network(error) => error.fmt(f),
            Self::Net(error) => error.fmt(f),
            Self::Candle(error) => write!(f, "tensor operation: {error}"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl Error for TrainError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // A kind is part of the message; what is below it is the source.
            Self::Config { kind, .. } => kind.source(),
            Self::Metadata(kind) => kind.source(),
            Self::Resume { kind, .. } => kind.source(),
            Self::Run { kind, .. } => kind.source(),
            Self::Model { kind, .. } => kind.source(),
            Self::NotFinite { .. } | Self::OtherProcess { .. } | Self::ProcessDiffers { .. } => None,
            Self::Stopped | Self::EmptySplit { .. } => None,
            Self::Data(error) => error.source(),
            Self::Network(error) => error.source(),
            Self::Net(error) => error.source(),
            Self::Candle(error) => error.source(),
            Self::Io(error) => error.source(),
        }
    }
}

impl From<MetadataError> for TrainError {
    fn from(error: MetadataError) -> Self {
        Self::Metadata(Box::new(error))
    }
}

/// A variant for an error of another crate.
macro_rules! from {
    ($($error:ty => $variant:ident),+ $(,)?) => {$(
        impl From<$error> for TrainError {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        }
    )+};
}

from! {
    DataError => Data,
    loc_model::ModelError => Network,
    loc_net::NetError => Net,
    candle_core::Error => Candle,
    std::io::Error => Io,
}
