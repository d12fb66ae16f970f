//! The errors of this crate: what does not fit, with the numbers.

/// What can be wrong with a network, its configuration or its weights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// A layer cannot take the shape it is given.
    #[error("layer `{layer}`: {reason}")]
    Layer {
        /// Name of the layer.
        layer: String,
        /// What does not fit, with both sides' numbers.
        reason: String,
    },
    /// The configuration describes no network.
    #[error("network configuration: {0}")]
    Config(String),
    /// The bytes are not a safetensors file.
    #[error("not a safetensors file: {0} (hint: copy or download it again)")]
    Format(String),
    /// The source of a file fails.
    #[error("{0}")]
    Read(std::io::Error),
    /// A tensor in the file is not usable.
    #[error(
        "tensor `{}`: {reason} (hint: was the file written by another program, or damaged on the way?)",
        tensor.escape_debug()
    )]
    Tensor {
        /// Name of the tensor.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The tensors are not those of the network; every difference is listed.
    #[error(
        "the weights do not fit the network: {} (hint: is it the model of this network, input size and number of \
         classes?)",
        .differences.join("; ")
    )]
    Mismatch {
        /// One line for each missing, extra, misshapen or non-finite tensor.
        differences: Vec<String>,
        /// Whether all differences are values that are infinite or NaN.
        nonfinite_only: bool,
    },
    /// The system does not begin as many threads as were asked for.
    #[error("{count} threads: {error} (hint: ask for fewer, or allow this user more: `ulimit -u`)")]
    Threads {
        /// How many were asked for, the caller's own among them.
        count: usize,
        /// What the system says.
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A buffer handed in has the wrong length.
    #[error("{what}: {got} values where {expected} are needed")]
    Length {
        /// Which buffer.
        what: &'static str,
        /// How many values are needed.
        expected: usize,
        /// How many came.
        got: usize,
    },
}
