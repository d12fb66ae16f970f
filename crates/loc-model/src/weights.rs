//! Weights to and from safetensors: the same weights are always the same bytes, and a file is read whole or not at
//! all. Nothing is written to disk here: who saves decides how durably.

use std::borrow::Cow;
use std::path::Path;

use loc_net::{METADATA_KEY, Number, Weight, WeightFile, Weights};
use safetensors::{Dtype, View};

use crate::floats::FLOATS;
use crate::{ModelError, file};

/// The bytes of a safetensors file with these weights, and with `metadata` (JSON) under the one key `loc`.
///
/// Identical weights and metadata give identical bytes: tensors stand in the order of their names, the header ends
/// on a multiple of eight bytes, and the metadata, whose order the format leaves open, has a single key.
///
/// # Errors
///
/// [`ModelError::Serialize`] if a parameter holds another number of values than its shape says.
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
    // Whether the crate's map is the standard library's or hashbrown's depends on its `std` feature: `collect` fits both.
    let metadata = metadata.map(|json| std::iter::once((METADATA_KEY.to_owned(), json.to_owned())).collect());
    safetensors::serialize(tensors, metadata).map_err(|e| ModelError::Serialize(e.to_string()))
}

/// Reads a model file, all of it or none.
///
/// Whether the weights are a network's says [`Weights::check`], with every missing, extra and misshapen tensor in
/// one error.
///
/// # Errors
///
/// [`ModelError::Io`] if the file cannot be read, [`ModelError::File`] if its content is not safetensors or holds
/// a tensor that is not f32. Both name the path.
pub fn load(path: &Path) -> Result<WeightFile, ModelError> {
    read(path, &[Number::F32])
}

/// As [`load`], for weights to begin with, of whatever program: tensors of any float type become f32.
///
/// # Errors
///
/// As [`load`], but f16, bf16 and f64 are read; a value that f32 cannot hold is an error.
pub fn load_floats(path: &Path) -> Result<WeightFile, ModelError> {
    read(path, &FLOATS)
}

fn read(path: &Path, numbers: &[Number]) -> Result<WeightFile, ModelError> {
    let (file, length) = file::open(path)?;
    let file = WeightFile::read_numbers(file, length, numbers);
    file.map_err(|reason| ModelError::File { path: path.to_owned(), reason })
}

/// Number of values in a shape, or nothing where it overflows.
pub(crate) fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d))
}

/// The values of a slice as the bytes that safetensors and ONNX store.
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
