//! A tensor of a PyTorch pickle: its offset and strides in a storage, and the conversion of its values to f32.
//! `state_dict` selects the tensors.

use std::collections::BTreeMap;

use loc_net::{Number, Weight, Weights};

use super::ImportError;
use super::pickle::{Heap, Id, Object};
use crate::floats;
use crate::weights::element_count;

/// A dense tensor in a storage. One object of the pickle may be used under many names, so this struct is kept small.
#[derive(Debug, Clone)]
pub(super) struct Dense<'a> {
    /// The entry of the archive.
    storage: &'a str,
    float: Number,
    /// Index in the storage of the first value.
    offset: usize,
    shape: Vec<usize>,
    /// The distance in the storage between neighbouring indices, for each dimension.
    stride: Vec<usize>,
}

/// The largest accepted number of dimensions: more than any layer's parameters have.
const MAX_DIMENSIONS: usize = 8;

/// The longest accepted name of a storage, in bytes: PyTorch uses a counter or an address.
pub(super) const MAX_KEY: usize = 64;

/// The largest depth at which wrappers around a tensor are unwrapped; PyTorch nests two.
const MAX_WRAPPERS: usize = 4;

/// Returns whether an object is a tensor of any kind.
pub(super) fn is_tensor(heap: &Heap<'_>, id: Id) -> bool {
    let Object::Call { callable, .. } = heap.get(id) else { return false };
    match heap.get(*callable) {
        Object::Global { module: "torch._utils" | "torch._tensor", name } => name.starts_with("_rebuild_"),
        _ => false,
    }
}

/// Reads a tensor's storage, offset, shape and strides.
pub(super) fn dense<'a>(heap: &Heap<'a>, id: Id) -> Result<Dense<'a>, String> {
    let Object::Call { mut callable, mut args, .. } = *heap.get(id) else {
        return Err("is not a tensor".into());
    };
    for _ in 0..MAX_WRAPPERS {
        let Object::Global { name, .. } = *heap.get(callable) else {
            return Err("is built by something unknown".into());
        };
        let items = tuple(heap, args)?;
        match (name, items) {
            ("_rebuild_tensor_v2", _) => return dense_from_args(heap, items),
            ("_rebuild_parameter" | "_rebuild_parameter_with_state", [data, ..]) => {
                let Object::Call { callable: inner, args: inner_args, .. } = *heap.get(*data) else {
                    return Err("is a parameter without a tensor".into());
                };
                (callable, args) = (inner, inner_args);
            }
            ("_rebuild_from_type_v2", [inner, _, inner_args, ..]) => (callable, args) = (*inner, *inner_args),
            _ => return Err(format!("is built by `{}`: only dense tensors are read", shown(name))),
        }
    }
    Err("is wrapped too deeply".into())
}

/// Reads the arguments of PyTorch's `_rebuild_tensor_v2`: storage, offset, size and stride; the others are not needed.
fn dense_from_args<'a>(heap: &Heap<'a>, args: &[Id]) -> Result<Dense<'a>, String> {
    let [storage, offset, shape, stride, rest @ ..] = args else {
        return Err("is built with too few arguments".into());
    };
    let Object::Persistent(storage) = heap.get(*storage) else { return Err("has no storage".into()) };
    let storage = tuple(heap, *storage)?;
    let [_, class, key, ..] = storage else { return Err("has no storage".into()) };
    let (Object::Global { name: class, .. }, Object::Text(key)) = (heap.get(*class), heap.get(*key)) else {
        return Err("has a storage without a type or a name".into());
    };
    if key.len() > MAX_KEY {
        return Err(format!(
            "has a storage whose name has {} bytes, but at most {MAX_KEY} are accepted",
            key.len()
        ));
    }
    // The seventh argument marks a tensor as conjugated or negated.
    let is_lazy = rest.get(2).is_some_and(|id| match heap.get(*id) {
        Object::None => false,
        Object::Dict(items) => !items.is_empty(),
        _ => true,
    });
    if is_lazy {
        return Err("is conjugated or negated lazily".into());
    }
    let float = match *class {
        "DoubleStorage" => "F64",
        "FloatStorage" => "F32",
        "HalfStorage" => "F16",
        "BFloat16Storage" => "BF16",
        _ => "",
    };
    let float =
        floats::named(float).ok_or_else(|| format!("has a {}, but must have floats", shown(class)))?;
    let mut dense = Dense {
        storage: key,
        float,
        offset: number(heap, *offset)?,
        shape: numbers(heap, *shape)?,
        stride: numbers(heap, *stride)?,
    };
    if dense.shape.len() != dense.stride.len() {
        return Err(format!("has {} dimensions and {} strides", dense.shape.len(), dense.stride.len()));
    }
    for (stride, _) in dense.stride.iter_mut().zip(&dense.shape).filter(|(_, size)| **size == 1) {
        // It is never used, and PyTorch writes arbitrary values there.
        *stride = 0;
    }
    Ok(dense)
}

fn tuple<'h>(heap: &'h Heap<'_>, id: Id) -> Result<&'h [Id], String> {
    match heap.get(id) {
        Object::Tuple(items) => Ok(items),
        _ => Err("is built without arguments".into()),
    }
}

fn number(heap: &Heap<'_>, id: Id) -> Result<usize, String> {
    match heap.get(id) {
        Object::Int(n) => usize::try_from(*n).map_err(|_| format!("has a size, stride or offset of {n}")),
        _ => Err("has a size, stride or offset that is not a number".into()),
    }
}

fn numbers(heap: &Heap<'_>, id: Id) -> Result<Vec<usize>, String> {
    let items = tuple(heap, id)?;
    if items.len() > MAX_DIMENSIONS {
        return Err(format!("has {} dimensions, at most {MAX_DIMENSIONS} are read", items.len()));
    }
    items.iter().map(|id| number(heap, *id)).collect()
}

/// The source of the storages of tensors.
pub(super) trait Storages {
    /// Returns the size of the file in bytes.
    fn size(&self) -> usize;
    /// Returns the bytes of a storage.
    fn storage(&mut self, key: &str) -> Result<Vec<u8>, ImportError>;
}

/// Reads the values of all tensors, one storage after the other.
pub(super) fn read_all(
    archive: &mut impl Storages,
    tensors: Vec<(&str, Dense<'_>)>,
) -> Result<Weights, ImportError> {
    // Tensors may share a storage, but a small file must not become a large model.
    let mut values_left = archive.size();
    let mut by_storage: BTreeMap<&str, Vec<(&str, Dense)>> = BTreeMap::new();
    for (name, dense) in tensors {
        let count = element_count(&dense.shape);
        values_left =
            count.and_then(|count| values_left.checked_sub(count)).ok_or_else(|| ImportError::Tensor {
                tensor: shown(name),
                reason: format!(
                    "the shape {:?} and those before it have more values than the file",
                    dense.shape
                ),
            })?;
        by_storage.entry(dense.storage).or_default().push((name, dense));
    }
    let mut weights = BTreeMap::new();
    // Storages must not share bytes: each is read once, so the file is read once.
    let mut bytes_left = archive.size();
    for (key, tensors) in by_storage {
        let storage = archive.storage(key)?;
        bytes_left = bytes_left.checked_sub(storage.len()).ok_or_else(|| {
            ImportError::Archive(format!(
                "storage `{}` and those before it have more bytes than the file",
                shown(key)
            ))
        })?;
        for (name, dense) in tensors {
            let data = dense.values(&storage);
            let data = data.map_err(|reason| ImportError::Tensor { tensor: shown(name), reason })?;
            weights.insert(name.to_owned(), Weight { shape: dense.shape, data });
        }
    }
    Ok(Weights(weights))
}

/// Prepares a name from the file for a message: control characters are escaped, and a long name is cut off.
pub(super) fn shown(name: &str) -> String {
    const MAX_CHARS: usize = 100;
    let mut text: String = name.chars().take(MAX_CHARS).flat_map(char::escape_debug).collect();
    if name.chars().nth(MAX_CHARS).is_some() {
        text.push('…');
    }
    text
}

impl Dense<'_> {
    /// Returns the values in row-major order, for any strides.
    fn values(&self, storage: &[u8]) -> Result<Vec<f32>, String> {
        let count = element_count(&self.shape).unwrap_or(0);
        if count == 0 {
            return Ok(vec![]);
        }
        let size = self.float.bytes;
        let available = storage.len() / size;
        let last =
            self.shape.iter().zip(&self.stride).try_fold(self.offset, |at, (&size, &stride)| {
                at.checked_add((size - 1).checked_mul(stride)?)
            });
        if last.is_none_or(|last| last >= available) {
            return Err(format!(
                "the shape {:?} with strides {:?} from {} exceeds its storage of {available} values",
                self.shape, self.stride, self.offset
            ));
        }
        // The bytes are reordered first, then converted block by block.
        const BLOCK: usize = 4096;
        let (mut values, mut bytes) = (Vec::with_capacity(count), Vec::with_capacity(BLOCK * size));
        let mut index = vec![0; self.shape.len()];
        let mut at = self.offset;
        for _ in 0..count {
            if bytes.len() == BLOCK * size {
                values.append(&mut (self.float.read)(&bytes)?);
                bytes.clear();
            }
            bytes.extend_from_slice(&storage[at * size..(at + 1) * size]);
            for (d, i) in index.iter_mut().enumerate().rev() {
                *i += 1;
                at += self.stride[d];
                if *i < self.shape[d] {
                    break;
                }
                at -= self.stride[d] * self.shape[d];
                *i = 0;
            }
        }
        values.append(&mut (self.float.read)(&bytes)?);
        Ok(values)
    }
}
