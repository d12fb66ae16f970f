//! The errors of this crate: what failed, where, and what to try.

use std::path::PathBuf;

use loc_net::NetError;

use crate::import::ImportError;

/// What can go wrong between weights on disk, the network on a device, and an exported file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Weights trained elsewhere that are not those of the backbone.
    #[error("{0}")]
    Pretrained(String),
    /// A tensor operation failed, or the device did.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// The network, or weights that do not fit it.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A file could not be read; the message names its path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A safetensors file is not what it should be.
    #[error("{}: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: NetError,
    },
    /// A file of another program cannot be imported.
    #[error("{}: {reason}", .path.display())]
    Import {
        /// The file.
        path: PathBuf,
        /// Why not, and what to try.
        reason: ImportError,
    },
    /// Weights that no safetensors file can hold.
    #[error("cannot write the weights: {0}")]
    Serialize(String),
    /// The network cannot be exported, or an exported file does not run.
    #[error("ONNX: {0}")]
    Export(String),
    /// A device that cannot be had.
    #[error("device `{name}`: {reason}")]
    Device {
        /// The device as it was asked for.
        name: String,
        /// Why not, and what to try.
        reason: String,
    },
}
