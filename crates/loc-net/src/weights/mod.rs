//! Parameters by name, and reading them from a safetensors file. A file is read and checked completely, or rejected.

mod header;
mod looks;

use std::collections::BTreeMap;
use std::io::Read;

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

use crate::{FormatError, NetError, Network, TensorError};

/// The only metadata key of a model file; its value is JSON.
pub const METADATA_KEY: &str = "loc";

/// A parameter: its dimensions and its values, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Weight {
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Values: as many as the product of the dimensions.
    pub data: Vec<f32>,
}

/// Parameters by name, sorted by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Weights(pub BTreeMap<String, Weight>);

impl Weights {
    /// Returns the values of a parameter, or an empty slice if no parameter has this name.
    #[must_use]
    pub fn values(&self, name: &str) -> &[f32] {
        self.0.get(name).map_or(&[], |w| &w.data)
    }

    /// Checks that these are exactly the network's parameters, and that all values are finite.
    ///
    /// # Errors
    ///
    /// [`NetError::Mismatch`] with every missing, extra, misshapen and non-finite tensor at once.
    pub fn check(&self, network: &Network) -> Result<(), NetError> {
        self.compare(network, false)
    }

    /// Same as [`Weights::check`], but values may be infinite or NaN.
    ///
    /// # Errors
    ///
    /// [`NetError::Mismatch`] with every missing, extra and misshapen tensor at once.
    pub fn check_shapes(&self, network: &Network) -> Result<(), NetError> {
        self.compare(network, true)
    }

    fn compare(&self, network: &Network, nonfinite: bool) -> Result<(), NetError> {
        let (mut differences, mut bad_tensors) = (Vec::new(), 0);
        for param in network.params() {
            match self.0.get(&param.name) {
                None => differences.push(format!("missing `{}` {:?}", param.name, param.shape)),
                Some(w) if w.shape != param.shape => differences.push(format!(
                    "`{}` has the shape {:?}, but must have {:?}",
                    param.name, w.shape, param.shape
                )),
                Some(_) if nonfinite => {}
                Some(w) => {
                    let bad = w.data.iter().filter(|v| !v.is_finite()).count();
                    if bad > 0 {
                        bad_tensors += 1;
                        differences.push(format!("{} holds {bad} non-finite values", param.name));
                    }
                }
            }
        }
        for (name, w) in &self.0 {
            if !network.params().iter().any(|p| p.name == *name) {
                differences.push(format!("extra `{}` {:?}", name.escape_debug(), w.shape));
            }
        }
        let nonfinite_only = differences.len() == bad_tensors;
        if differences.is_empty() { Ok(()) } else { Err(NetError::Mismatch { differences, nonfinite_only }) }
    }
}

/// A number type of safetensors files, and its conversion to f32.
#[derive(Debug, Clone, Copy)]
pub struct Number {
    /// The name in the format, such as `F32`.
    pub name: &'static str,
    /// Bytes per value.
    pub bytes: usize,
    /// Converts the bytes of some values to f32, or returns why that is impossible.
    pub read: fn(&[u8]) -> Result<Vec<f32>, String>,
}

impl Number {
    /// f32, the type of model files.
    pub const F32: Self = Self {
        name: "F32",
        bytes: 4,
        read: |bytes| {
            Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
        },
    };
}

/// Returns the number type with this name.
pub(crate) fn number(numbers: &[Number], name: &str) -> Result<Number, TensorError> {
    let needed = || numbers.iter().map(|number| number.name).collect();
    let found = numbers.iter().find(|number| number.name == name).copied();
    found.ok_or_else(|| TensorError::Dtype { found: name.to_owned(), needed: needed() })
}

/// The contents of a safetensors file.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightFile {
    /// All tensors.
    pub weights: Weights,
    /// The JSON under the metadata key `loc`; `None` in a plain safetensors file.
    pub metadata: Option<String>,
}

impl WeightFile {
    /// Reads a model file from its bytes.
    ///
    /// # Errors
    ///
    /// [`NetError::Format`] if the bytes are not a safetensors file, [`NetError::Tensor`] if a tensor is not f32, is
    /// not at the position in the header, or has the name of another tensor.
    pub fn parse(bytes: &[u8]) -> Result<Self, NetError> {
        Self::parse_numbers(bytes, &[Number::F32])
    }

    /// Same as [`WeightFile::parse`], for a file whose tensors have any of these types.
    ///
    /// # Errors
    ///
    /// Those of [`WeightFile::parse`]; also [`NetError::Tensor`] if a value cannot be converted to f32.
    pub fn parse_numbers(bytes: &[u8], numbers: &[Number]) -> Result<Self, NetError> {
        header::check(bytes, bytes.len() as u64, numbers)?;
        let format = |e: safetensors::SafeTensorError| NetError::Format(FormatError::Safetensors(e));
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(format)?;
        let metadata = header.metadata().as_ref().and_then(|m| m.get(METADATA_KEY)).cloned();
        let file = SafeTensors::deserialize(bytes).map_err(format)?;
        let mut weights = BTreeMap::new();
        for (name, view) in file.iter() {
            let data = values(&view, numbers)
                .map_err(|error| NetError::Tensor { tensor: name.to_owned(), error })?;
            weights.insert(name.to_owned(), Weight { shape: view.shape().to_vec(), data });
        }
        Ok(Self { weights: Weights(weights), metadata })
    }

    /// Reads a model file of `length` bytes. Reads the header first, and the rest only if the header describes exactly
    /// `length` bytes. The bytes are copied, not mapped: a later change of the file has no effect.
    ///
    /// # Errors
    ///
    /// Those of [`WeightFile::parse`]; also [`NetError::Read`] if reading fails.
    pub fn read(source: impl Read, length: u64) -> Result<Self, NetError> {
        Self::read_numbers(source, length, &[Number::F32])
    }

    /// Same as [`WeightFile::read`], for a file whose tensors have any of these types.
    ///
    /// # Errors
    ///
    /// Those of [`WeightFile::parse_numbers`]; also [`NetError::Read`] if reading fails.
    pub fn read_numbers(mut source: impl Read, length: u64, numbers: &[Number]) -> Result<Self, NetError> {
        let mut bytes = Vec::new();
        source.by_ref().take(header::PREFIX as u64).read_to_end(&mut bytes).map_err(NetError::Read)?;
        let left = header::end(&bytes, length.max(bytes.len() as u64))? - header::PREFIX;
        source.by_ref().take(left as u64).read_to_end(&mut bytes).map_err(NetError::Read)?;
        header::check(&bytes, length, numbers)?;
        let left = length - bytes.len() as u64;
        let rest_len = usize::try_from(left).unwrap_or(usize::MAX);
        bytes.try_reserve_exact(rest_len).map_err(|e| NetError::Read(e.into()))?;
        // One byte more than the header describes, to detect a file that has grown.
        source.take(left + 1).read_to_end(&mut bytes).map_err(NetError::Read)?;
        Self::parse_numbers(&bytes, numbers)
    }
}

/// Returns a tensor's values as f32.
fn values(view: &TensorView<'_>, numbers: &[Number]) -> Result<Vec<f32>, TensorError> {
    let number = number(numbers, &view.dtype().to_string())?;
    (number.read)(view.data()).map_err(TensorError::Values)
}
