//! Checks the header of a safetensors file before any value is read. The format's own reader rejects nearly the same
//! files; this module reports the tensor, the byte and the numbers, and finds a name that occurs twice, which a map would
//! hide.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::weights::Number;
use crate::{NetError, weights};

/// Number of bytes that hold the header's length.
pub(crate) const PREFIX: usize = 8;
/// The largest accepted header: 4 MiB are enough for about 30,000 tensors.
const LARGEST: u64 = 4 << 20;
/// The largest accepted number of dimensions: more than any layer's parameters have.
const DIMENSIONS: usize = 8;

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
struct Place {
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
        return Err(NetError::Format(format!("header too small ({length} bytes)")));
    };
    let header = u64::from_le_bytes(*prefix);
    if header > LARGEST {
        return Err(NetError::Format(format!(
            "its header would have {header} bytes, but at most {LARGEST} are accepted"
        )));
    }
    let end = PREFIX as u64 + header;
    if end > length {
        return Err(NetError::Format(format!(
            "file is {length} bytes, but its header alone would end at byte {end}"
        )));
    }
    // At most 4 MiB.
    Ok(usize::try_from(end).unwrap_or(usize::MAX))
}

/// Checks the header of a file of `length` bytes. `start` holds at least the header; `numbers` are the accepted types.
///
/// # Errors
///
/// [`NetError::Format`] or [`NetError::Tensor`] with the first problem.
pub(crate) fn check(start: &[u8], length: u64, numbers: &[Number]) -> Result<(), NetError> {
    let end = end(start, length)?;
    let Some(header) = start.get(PREFIX..end) else {
        return Err(NetError::Format(format!("file is {} bytes, header describes {end}", start.len())));
    };
    let text = std::str::from_utf8(header)
        .map_err(|e| NetError::Format(format!("header, byte {}: not UTF-8", PREFIX + e.valid_up_to())))?;
    let Entries(entries) = serde_json::from_str(text)
        .map_err(|e| NetError::Format(format!("header, byte {}: {e}", PREFIX + offset(text, &e))))?;
    let mut names = BTreeSet::new();
    let mut places = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        if !names.insert(name.clone()) {
            return Err(tensor(name, "occurs twice in the header".into()));
        }
        if name == "__metadata__" {
            check_metadata(&value)?;
        } else {
            places.push(place(name, &value, numbers)?);
        }
    }
    let described = end as u64 + contiguous(places)?;
    if described != length {
        return Err(NetError::Format(format!("file is {length} bytes, header describes {described}")));
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
        return Err(NetError::Format(format!("`__metadata__` is {}, but must be an object", kind(value))));
    };
    match entries.iter().find(|(_, value)| !value.is_string()) {
        None => Ok(()),
        Some((key, value)) => Err(NetError::Format(format!(
            "`__metadata__`: the value of `{}` is {}, but must be text",
            key.escape_debug(),
            kind(value)
        ))),
    }
}

fn place(name: String, value: &Value, numbers: &[Number]) -> Result<Place, NetError> {
    let read = || {
        let dtype = value["dtype"].as_str().ok_or("has no `dtype`")?;
        let number = weights::number(numbers, dtype).ok_or_else(|| {
            let needed: Vec<&str> = numbers.iter().map(|number| number.name).collect();
            format!("has type {}, but must be {}", dtype.escape_debug(), needed.join(" or "))
        })?;
        let shape = whole(&value["shape"]).ok_or("has no `shape` of whole numbers")?;
        if shape.len() > DIMENSIONS {
            return Err(format!("has {} dimensions, at most {DIMENSIONS} are read", shape.len()));
        }
        let offsets = whole(&value["data_offsets"]).ok_or("has no `data_offsets` of whole numbers")?;
        let [begin, end] = offsets[..] else {
            return Err(format!("has {} `data_offsets`, but must have 2", offsets.len()));
        };
        let span =
            end.checked_sub(begin).ok_or_else(|| format!("begins at byte {begin} and ends at {end}"))?;
        let needed = shape.iter().try_fold(number.bytes as u64, |n, d| n.checked_mul(*d));
        match needed {
            Some(needed) if needed == span => Ok((begin, end)),
            Some(needed) => Err(format!(
                "has the shape {shape:?}, which needs {needed} bytes, but the header gives it {span}"
            )),
            None => Err(format!(
                "has the shape {shape:?}, which needs more than {} bytes, but the header gives it {span}",
                u64::MAX
            )),
        }
    };
    match read() {
        Ok((begin, end)) => Ok(Place { name, begin, end }),
        Err(reason) => Err(tensor(name, reason)),
    }
}

/// Checks that the tensors follow each other without holes, and returns their total number of bytes.
fn contiguous(mut places: Vec<Place>) -> Result<u64, NetError> {
    places.sort_by_key(|place| (place.begin, place.end));
    let mut at = 0;
    let mut before = "the header".to_owned();
    for Place { name, begin, end } in places {
        if begin != at {
            let what = if begin > at { "a gap" } else { "an overlap" };
            return Err(tensor(name, format!("begins at byte {begin}, {before} ends at {at}: {what}")));
        }
        (at, before) = (end, format!("`{}`", name.escape_debug()));
    }
    Ok(at)
}

fn whole(value: &Value) -> Option<Vec<u64>> {
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

fn tensor(tensor: String, reason: String) -> NetError {
    NetError::Tensor { tensor, reason }
}
