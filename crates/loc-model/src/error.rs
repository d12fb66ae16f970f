//! The errors of this crate.

use std::path::PathBuf;

use loc_net::NetError;

use crate::import::ImportError;

/// An error with weights on disk, with a network on a device, or with an exported file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Pretrained weights that are not those of the backbone.
    #[error("{0}")]
    Pretrained(String),
    /// A tensor operation or the device failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// An invalid network, or weights that do not fit it.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A file could not be read; the message names its path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A safetensors file is invalid.
    #[error("{}: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: NetError,
    },
    /// A file of another program cannot be imported.
    #[error("{}: {reason}", .path.display())]
    Import {
        /// The file.
        path: PathBuf,
        /// The reason and a hint.
        reason: ImportError,
    },
    /// Weights that a safetensors file cannot hold.
    #[error("cannot write the weights: {0}")]
    Serialize(String),
    /// The network cannot be exported, or an exported file does not run.
    #[error("ONNX: {0}")]
    Export(String),
    /// A device that is not available.
    #[error("device `{name}`: {reason}")]
    Device {
        /// The requested name.
        name: String,
        /// The reason and a hint.
        reason: String,
    },
}
