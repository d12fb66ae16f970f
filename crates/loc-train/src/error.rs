//! The errors of training: what, where, why, and what to try.

use std::path::PathBuf;

/// What can go wrong from a configuration to a trained model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The configuration cannot be used.
    #[error("{origin}: {reason}")]
    Config {
        /// The file, environment variable or flag it came from.
        origin: String,
        /// The key, its value, and what is allowed.
        reason: String,
    },
    /// The JSON of a model file is not what it should be.
    #[error("model metadata: {0}")]
    Metadata(String),
    /// A run cannot be resumed as asked: with these flags, or on this data.
    #[error("cannot resume {}: {reason}", run.display())]
    Resume {
        /// The run folder.
        run: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A run folder cannot be created or read.
    #[error("{}: {reason}", path.display())]
    Run {
        /// The folder or file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A model file does not fit what it is used for.
    #[error("{}: {reason}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// A loss, a gradient or a weight is not finite; what was saved before stays.
    #[error(
        "{what} at epoch {epoch}, step {step}; the last checkpoint is kept{} (hint: a lower learning rate, `--lr`)",
        of_photos(photos)
    )]
    NotFinite {
        /// What is not, and its value.
        what: String,
        /// Epoch, from 1.
        epoch: usize,
        /// Step in the epoch, from 1; after the last one the epoch is judged.
        step: usize,
        /// File names of the step's photos; none where it is not theirs.
        photos: Vec<String>,
    },
    /// A stop was asked for before the first step: there is nothing to save.
    #[error("stopped before the first step: nothing was saved (hint: give the command again)")]
    Stopped,
    /// The data set.
    #[error(transparent)]
    Data(#[from] loc_data::DataError),
    /// The network, its weights or the device.
    #[error(transparent)]
    Network(#[from] loc_model::ModelError),
    /// The layers or the weights.
    #[error(transparent)]
    Net(#[from] loc_net::NetError),
    /// Candle.
    #[error("tensor operation: {0}")]
    Candle(#[from] candle_core::Error),
    /// A file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

fn of_photos(photos: &[String]) -> String {
    if photos.is_empty() { String::new() } else { format!(". Photos of the batch: {}", photos.join(", ")) }
}

impl TrainError {
    /// Whether the caller's flags or configuration are at fault, rather than data, files or numbers.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Config { .. } | Self::Resume { .. } | Self::Data(loc_data::DataError::Argument { .. })
        )
    }
}
