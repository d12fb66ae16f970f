//! Writes weights to safetensors bytes and reads them: the same weights always give the same bytes, and a file is read
//! completely or rejected. Nothing is written to disk here; the caller saves the bytes.

use std::borrow::Cow;
use std::path::Path;

use loc_net::{METADATA_KEY, Number, Weight, WeightFile, Weights};
use safetensors::{Dtype, View};

use crate::floats::FLOATS;
use crate::{ModelError, file};

/// Returns a safetensors file with these weights, and with `metadata` (JSON) under the only key `loc`.
///
/// Identical weights and metadata give identical bytes: tensors are sorted by name, the header ends at a multiple of
/// eight bytes, and the metadata, whose order the format does not define, has a single key.
///
/// # Errors
///
/// [`ModelError::Serialize`] if a parameter does not hold as many values as its shape requires.
pub fn to_bytes(weights: &Weights, metadata: Option<&str>) -> Result<Vec<u8>, ModelError> {
    for (name, weight) in &weights.0 {
        if element_count(&weight.shape) != Some(weight.data.len()) {
            return Err(ModelError::Serialize(format!(
                "`{name}` holds {} values for the shape {:?}",
                weight.data.len(),
                weight.shape
            )));
        }
    }
    let tensors = weights.0.iter().map(|(name, weight)| (name.as_str(), LittleEndian(weight)));
    // The type of the crate's map depends on its `std` feature: the standard library's or hashbrown's. `collect` builds
    // either.
    let metadata = metadata.map(|json| std::iter::once((METADATA_KEY.to_owned(), json.to_owned())).collect());
    safetensors::serialize(tensors, metadata).map_err(|e| ModelError::Serialize(e.to_string()))
}

/// Reads a model file completely.
///
/// [`Weights::check`] compares the weights with a network; its error lists every missing, extra and misshapen
/// tensor.
///
/// # Errors
///
/// [`ModelError::Io`] if the file cannot be read, [`ModelError::File`] if its content is not safetensors or holds
/// a tensor that is not f32. Both name the path.
pub fn load(path: &Path) -> Result<WeightFile, ModelError> {
    read(path, &[Number::F32])
}

/// Same as [`load`], for initial weights from any program: tensors of any float type are converted to f32.
///
/// # Errors
///
/// Those of [`load`], but f16, bf16 and f64 are read; a value that is too large for f32 is an error.
pub fn load_floats(path: &Path) -> Result<WeightFile, ModelError> {
    read(path, &FLOATS)
}

fn read(path: &Path, numbers: &[Number]) -> Result<WeightFile, ModelError> {
    let (file, length) = file::open(path)?;
    let file = WeightFile::read_numbers(file, length, numbers);
    file.map_err(|reason| ModelError::File { path: path.to_owned(), reason })
}

/// Returns the number of values in a shape, or `None` if it overflows.
pub(crate) fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d))
}

/// Returns the values as little-endian bytes, as safetensors and ONNX store them.
pub(crate) fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

struct LittleEndian<'a>(&'a Weight);

impl View for LittleEndian<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        little_endian(&self.0.data).into()
    }

    fn data_len(&self) -> usize {
        self.0.data.len() * size_of::<f32>()
    }
}
