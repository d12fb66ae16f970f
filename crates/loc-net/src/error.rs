//! The errors of this crate.

use std::ops::RangeInclusive;

/// `LOC_ISA` names no instruction set of this processor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("LOC_ISA: no instruction set `{}` here (hint: this processor has {})", .name.escape_debug(), .available.join(", "))]
pub struct IsaError {
    /// The name.
    pub name: String,
    /// The sets of this processor.
    pub available: Vec<&'static str>,
}

/// An error in a network, its configuration or its weights.
///
/// The text of an error includes that of its cause, so that printing the error alone prints everything. `source` returns
/// the cause, for callers that look for a kind; code that prints a chain of errors should skip a cause whose text was already printed.
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
    Config(#[source] ConfigError),
    /// The bytes are not a safetensors file.
    #[error("not a safetensors file: {0} (hint: copy or download it again)")]
    Format(#[source] FormatError),
    /// Reading the file failed.
    #[error("{0}")]
    Read(#[source] std::io::Error),
    /// A tensor in the file is not usable.
    #[error(
        "tensor `{}`: {error} (hint: was the file written by another program, or damaged in transfer?)",
        tensor.escape_debug()
    )]
    Tensor {
        /// Name of the tensor.
        tensor: String,
        /// The reason.
        #[source]
        error: TensorError,
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
        #[source]
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

/// Why a configuration describes no network, or a network lacks what is requested. Its text includes that of its cause, as
/// that of [`NetError`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The number of classes is 0.
    #[error("classes is 0, but must be at least 1")]
    NoClass,
    /// The head has no form that reads the class in the region of the box.
    #[error(
        "the head mlp reads the class from the whole photo only (hint: the head edges also reads it in the box)"
    )]
    NoRegion,
    /// The backbone does not accept the input size.
    #[error(
        "{backbone} does not accept an input of {height}×{width}: each side must be {} to {} pixels (hint: {hint})",
        sides.start(), sides.end()
    )]
    InputSize {
        /// Name of the backbone.
        backbone: &'static str,
        /// Height of the input, in pixels.
        height: usize,
        /// Width of the input, in pixels.
        width: usize,
        /// The accepted lengths of a side, in pixels.
        sides: RangeInclusive<usize>,
        /// A size that works.
        hint: &'static str,
    },
    /// An output of the network has the wrong shape.
    #[error("{output} have the shape {}", shape.iter().map(usize::to_string).collect::<Vec<_>>().join("×"))]
    OutputShape {
        /// Which output: `logits` or `boxes`.
        output: &'static str,
        /// Its dimensions, without the batch.
        shape: Vec<usize>,
    },
    /// An output of the network is not the output of one of its layers.
    #[error("{output} are not the output of a layer")]
    OutputSource {
        /// Which output: `logits` or `boxes`.
        output: &'static str,
    },
    /// The output of a layer inside the fused blocks is requested, which is never stored.
    #[error("the output of `{layer}` is not stored: it is inside the fused blocks")]
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
    #[error("its header would have {header} bytes, but at most {limit} are accepted")]
    HeaderTooLong {
        /// Length of the header, in bytes.
        header: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The file ends within its header.
    #[error("file is {length} bytes, but its header alone would end at byte {header_end}")]
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
        #[source]
        error: std::str::Utf8Error,
    },
    /// The header is not a JSON object.
    #[error("header, byte {offset}: {error}")]
    Json {
        /// Where, in bytes from the start of the file.
        offset: usize,
        /// The error of the parser.
        #[source]
        error: serde_json::Error,
    },
    /// `__metadata__` is not an object.
    #[error("`__metadata__` is {found}, but must be an object")]
    Metadata {
        /// The type of the JSON value, with its article.
        found: &'static str,
    },
    /// A value in `__metadata__` is not text.
    #[error("`__metadata__`: the value of `{}` is {found}, but must be text", key.escape_debug())]
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
    Safetensors(#[source] safetensors::SafeTensorError),
}

/// Why a tensor of a safetensors file is not usable. Its text includes that of its cause, as that of [`NetError`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// Two tensors have this name.
    #[error("occurs twice in the header")]
    Duplicate,
    /// A part of its description is missing or of the wrong type.
    #[error("has no {0}")]
    Missing(&'static str),
    /// Its type is not one of those that are read.
    #[error("has type {}, but must be {}", found.escape_debug(), needed.join(" or "))]
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
    #[error("has {count} `data_offsets`, but must have 2")]
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
        "has the shape {shape:?}, which needs {} bytes, but the header gives it {given}",
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
        if begin > end { "a gap" } else { "an overlap" }
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
