//! The errors of this crate.

/// An error in a network, its configuration or its weights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// A layer does not accept the shape of its input.
    #[error("layer `{layer}`: {reason}")]
    Layer {
        /// Name of the layer.
        layer: String,
        /// The reason, with the shapes of both sides.
        reason: String,
    },
    /// The configuration is invalid.
    #[error("network configuration: {0}")]
    Config(String),
    /// The bytes are not a safetensors file.
    #[error("not a safetensors file: {0} (hint: copy or download it again)")]
    Format(String),
    /// Reading the file failed.
    #[error("{0}")]
    Read(std::io::Error),
    /// A tensor in the file is not usable.
    #[error(
        "tensor `{}`: {reason} (hint: was the file written by another program, or damaged in transfer?)",
        tensor.escape_debug()
    )]
    Tensor {
        /// Name of the tensor.
        tensor: String,
        /// The reason.
        reason: String,
    },
    /// The tensors do not match the network; every difference is listed.
    #[error(
        "the weights do not fit the network: {} (hint: check that the model belongs to this network, input size and number \
         of classes)",
        .differences.join("; ")
    )]
    Mismatch {
        /// One line for each missing, extra, misshapen or non-finite tensor.
        differences: Vec<String>,
        /// Whether all differences are infinite or NaN values.
        nonfinite_only: bool,
    },
    /// The system cannot start the requested number of threads.
    #[error(
        "cannot start {count} threads: {error} (hint: use fewer, or raise this user's limit: `ulimit -u`)"
    )]
    Threads {
        /// The requested number, including the caller's thread.
        count: usize,
        /// The system's error.
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A buffer has the wrong length.
    #[error("{what}: got {got} values, expected {expected}")]
    Length {
        /// The name of the buffer.
        what: &'static str,
        /// The required number of values.
        expected: usize,
        /// The number of values in the buffer.
        got: usize,
    },
}
