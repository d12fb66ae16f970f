//! The errors of this crate: what does not fit, with the numbers.

use std::ops::RangeInclusive;

use crate::Shape;

/// What can be wrong with a network, its configuration or its weights.
///
/// The text of an error includes that of its cause, so that printing it prints everything. The cause itself is a field of
/// the variant; `source` does not return it, because chains of errors would then print it twice.
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
    Config(ConfigError),
    /// The bytes are not a safetensors file.
    #[error("not a safetensors file: {0} (hint: copy or download it again)")]
    Format(FormatError),
    /// The source of a file fails.
    #[error("{0}")]
    Read(std::io::Error),
    /// A tensor in the file is not usable.
    #[error(
        "tensor `{}`: {error} (hint: was the file written by another program, or damaged on the way?)",
        tensor.escape_debug()
    )]
    Tensor {
        /// Name of the tensor.
        tensor: String,
        /// What is wrong with it.
        error: TensorError,
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

/// Why a configuration describes no network, or a network lacks what is requested. Its text includes that of its cause, as
/// that of [`NetError`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The number of classes is 0.
    #[error("classes is 0, at least 1 is needed")]
    NoClass,
    /// The backbone does not admit the input size.
    #[error(
        "{backbone} does not admit an input of {height}×{width}: each side must be {} to {} pixels (hint: {hint})",
        sides.start(), sides.end()
    )]
    InputSize {
        /// Name of the backbone.
        backbone: &'static str,
        /// Height of the input, in pixels.
        height: usize,
        /// Width of the input, in pixels.
        width: usize,
        /// The admitted lengths of a side, in pixels.
        sides: RangeInclusive<usize>,
        /// A size that works.
        hint: &'static str,
    },
    /// An output of the network has the wrong shape.
    #[error("{output} have the shape {shape}")]
    OutputShape {
        /// Which output: `logits` or `boxes`.
        output: &'static str,
        /// Its shape.
        shape: Shape,
    },
    /// An output of the network is not the output of one of its layers.
    #[error("{output} are not the output of a layer")]
    OutputSource {
        /// Which output: `logits` or `boxes`.
        output: &'static str,
    },
    /// The output of a layer inside the fused blocks is requested; it is never stored.
    #[error("the output of `{layer}` never leaves the fused blocks")]
    FusedLayer {
        /// Name of the layer.
        layer: String,
    },
}

/// Why bytes are not a safetensors file. Its text includes that of its cause, as that of [`NetError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The file is too short for the length of a header.
    #[error("header too small ({length} bytes)")]
    NoHeader {
        /// Length of the file, in bytes.
        length: u64,
    },
    /// The header is longer than the limit.
    #[error("its header would be {header} bytes, at most {limit} are read")]
    HeaderTooLong {
        /// Length of the header, in bytes.
        header: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The file ends within its header.
    #[error("file is {length} bytes, header describes {header_end} for itself alone")]
    HeaderCut {
        /// Length of the file, in bytes.
        length: u64,
        /// Where the header would end, in bytes from the start of the file.
        header_end: u64,
    },
    /// The header is not UTF-8.
    #[error("header, byte {offset}: not UTF-8")]
    NotUtf8 {
        /// Where, in bytes from the start of the file.
        offset: usize,
        /// The error of the conversion.
        error: std::str::Utf8Error,
    },
    /// The header is not a JSON object.
    #[error("header, byte {offset}: {error}")]
    Json {
        /// Where, in bytes from the start of the file.
        offset: usize,
        /// The error of the parser.
        error: serde_json::Error,
    },
    /// `__metadata__` is not an object.
    #[error("`__metadata__` is {found}, where an object is needed")]
    Metadata {
        /// The type of the JSON value, with its article.
        found: &'static str,
    },
    /// A value in `__metadata__` is not text.
    #[error("`__metadata__`: the value of `{}` is {found}, where text is needed", key.escape_debug())]
    MetadataValue {
        /// Its key.
        key: String,
        /// The type of the JSON value, with its article.
        found: &'static str,
    },
    /// The file does not have the length that its header describes.
    #[error("file is {length} bytes, header describes {described}")]
    Length {
        /// Length of the file, in bytes.
        length: u64,
        /// The length by the header, in bytes.
        described: u64,
    },
    /// The safetensors library does not accept the file.
    #[error("{0}")]
    Safetensors(safetensors::SafeTensorError),
}

/// Why a tensor of a safetensors file is not usable. Its text includes that of its cause, as that of [`NetError`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// Two tensors have this name.
    #[error("stands twice in the header")]
    Duplicate,
    /// A part of its description is missing or of the wrong type.
    #[error("has no {0}")]
    Missing(&'static str),
    /// Its type is not one of those that are read.
    #[error("is {} where {} is needed", found.escape_debug(), needed.join(" or "))]
    Dtype {
        /// Its type.
        found: String,
        /// The types that are read.
        needed: Vec<&'static str>,
    },
    /// It has more dimensions than any parameter of a layer.
    #[error("has {count} dimensions, at most {limit} are read")]
    Dimensions {
        /// How many it has.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// `data_offsets` does not hold two numbers.
    #[error("has {count} `data_offsets` where 2 are needed")]
    Offsets {
        /// How many there are.
        count: usize,
    },
    /// It ends before it begins.
    #[error("begins at byte {begin} and ends at {end}")]
    Reversed {
        /// First byte, counted from the end of the header.
        begin: u64,
        /// End, counted likewise.
        end: u64,
    },
    /// The number of its bytes does not fit its shape.
    #[error(
        "the shape {shape:?} needs {} bytes, the header gives it {given}",
        needed.map_or_else(|| format!("more than {}", u64::MAX), |needed| needed.to_string())
    )]
    Size {
        /// Its dimensions.
        shape: Vec<u64>,
        /// The bytes that the shape needs; `None` beyond the largest u64.
        needed: Option<u64>,
        /// The bytes by the header.
        given: u64,
    },
    /// It does not begin where the tensor before it ends.
    #[error(
        "begins at byte {begin}, {} ends at {end}: {}",
        previous.as_ref().map_or_else(|| "the header".into(), |name| format!("`{}`", name.escape_debug())),
        if begin > end { "a hole" } else { "an overlap" }
    )]
    Gap {
        /// First byte, counted from the end of the header.
        begin: u64,
        /// The tensor before it; `None` for the first tensor.
        previous: Option<String>,
        /// Where that ends, counted likewise; 0 for the first tensor.
        end: u64,
    },
    /// Its values cannot be converted to f32.
    #[error("{0}")]
    Values(String),
}
