//! Checks the header of a safetensors file before any value is read. The format's own reader rejects nearly the same
//! files; this module reports the tensor, the byte and the numbers, and finds a name that occurs twice, which a map
//! would not show.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::weights::Number;
use crate::{FormatError, NetError, TensorError, weights};

/// Number of bytes that hold the header's length.
pub(crate) const PREFIX: usize = 8;
/// The largest accepted header: 4 MiB are enough for about 30,000 tensors.
const MAX_HEADER: u64 = 4 << 20;
/// The largest accepted number of dimensions: more than any layer's parameters have.
const MAX_DIMENSIONS: usize = 8;

/// The header's entries in file order, including repeated names.
struct Entries(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// The position of one tensor according to the header.
struct TensorRange {
    name: String,
    begin: u64,
    end: u64,
}

/// Returns the byte at which the header ends, from the first bytes of a file of `length` bytes.
///
/// # Errors
///
/// [`NetError::Format`] if there is no header of that length.
pub(crate) fn end(start: &[u8], length: u64) -> Result<usize, NetError> {
    let Some(prefix) = start.first_chunk::<PREFIX>() else {
        return Err(NetError::Format(FormatError::NoHeader { length }));
    };
    let header = u64::from_le_bytes(*prefix);
    if header > MAX_HEADER {
        return Err(NetError::Format(FormatError::HeaderTooLong { header, limit: MAX_HEADER }));
    }
    let header_end = PREFIX as u64 + header;
    if header_end > length {
        return Err(NetError::Format(FormatError::HeaderCut { length, header_end }));
    }
    // At most 4 MiB.
    Ok(usize::try_from(header_end).unwrap_or(usize::MAX))
}

/// Checks the header of a file of `length` bytes. `start` holds at least the header; `numbers` are the accepted types.
///
/// # Errors
///
/// [`NetError::Format`] or [`NetError::Tensor`] with the first problem.
pub(crate) fn check(start: &[u8], length: u64, numbers: &[Number]) -> Result<(), NetError> {
    let end = end(start, length)?;
    let Some(header) = start.get(PREFIX..end) else {
        let (length, described) = (start.len() as u64, end as u64);
        return Err(NetError::Format(FormatError::Length { length, described }));
    };
    let text = std::str::from_utf8(header)
        .map_err(|error| FormatError::NotUtf8 { offset: PREFIX + error.valid_up_to(), error })
        .map_err(NetError::Format)?;
    let Entries(entries) = serde_json::from_str(text)
        .map_err(|error| FormatError::Json { offset: PREFIX + offset(text, &error), error })
        .map_err(NetError::Format)?;
    let mut names = BTreeSet::new();
    let mut ranges = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        if !names.insert(name.clone()) {
            return Err(tensor(name, TensorError::Duplicate));
        }
        if name == "__metadata__" {
            check_metadata(&value)?;
        } else {
            ranges.push(tensor_range(name, &value, numbers)?);
        }
    }
    let described = end as u64 + contiguous(ranges)?;
    if described != length {
        return Err(NetError::Format(FormatError::Length { length, described }));
    }
    Ok(())
}

/// Returns the offset in the text at which the JSON is invalid.
fn offset(text: &str, error: &serde_json::Error) -> usize {
    let before = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len);
    before.sum::<usize>() + error.column().saturating_sub(1)
}

fn check_metadata(value: &Value) -> Result<(), NetError> {
    let Some(entries) = value.as_object() else {
        return Err(NetError::Format(FormatError::Metadata { found: kind(value) }));
    };
    match entries.iter().find(|(_, value)| !value.is_string()) {
        None => Ok(()),
        Some((key, value)) => {
            Err(NetError::Format(FormatError::MetadataValue { key: key.clone(), found: kind(value) }))
        }
    }
}

fn tensor_range(name: String, value: &Value, numbers: &[Number]) -> Result<TensorRange, NetError> {
    let read = || {
        let dtype = value["dtype"].as_str().ok_or(TensorError::Missing("`dtype`"))?;
        let number = weights::number(numbers, dtype)?;
        let shape = integers(&value["shape"]).ok_or(TensorError::Missing("`shape` of whole numbers"))?;
        if shape.len() > MAX_DIMENSIONS {
            return Err(TensorError::Dimensions { count: shape.len(), limit: MAX_DIMENSIONS });
        }
        let offsets = integers(&value["data_offsets"])
            .ok_or(TensorError::Missing("`data_offsets` of whole numbers"))?;
        let [begin, end] = offsets[..] else {
            return Err(TensorError::Offsets { count: offsets.len() });
        };
        let given = end.checked_sub(begin).ok_or(TensorError::Reversed { begin, end })?;
        let needed = shape.iter().try_fold(number.bytes as u64, |n, d| n.checked_mul(*d));
        match needed == Some(given) {
            true => Ok((begin, end)),
            false => Err(TensorError::Size { shape, needed, given }),
        }
    };
    match read() {
        Ok((begin, end)) => Ok(TensorRange { name, begin, end }),
        Err(error) => Err(tensor(name, error)),
    }
}

/// Checks that the tensors follow each other without gaps, and returns their total number of bytes.
fn contiguous(mut ranges: Vec<TensorRange>) -> Result<u64, NetError> {
    ranges.sort_by_key(|tensor_range| (tensor_range.begin, tensor_range.end));
    let (mut at, mut previous) = (0, None);
    for TensorRange { name, begin, end } in ranges {
        if begin != at {
            return Err(tensor(name, TensorError::Gap { begin, previous, end: at }));
        }
        (at, previous) = (end, Some(name));
    }
    Ok(at)
}

fn integers(value: &Value) -> Option<Vec<u64>> {
    value.as_array()?.iter().map(Value::as_u64).collect()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn tensor(tensor: String, error: TensorError) -> NetError {
    NetError::Tensor { tensor, error }
}
