//! One tensor of a PyTorch pickle: how it lies in its storage, and its values as f32. Which tensors, is decided
//! elsewhere.

use std::collections::BTreeMap;

use half::{bf16, f16};
use loc_net::{Weight, Weights};

use super::ImportError;
use super::pickle::{Heap, Id, Object};
use crate::weights::element_count;

/// A dense tensor in a storage.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dense {
    /// Entry of the archive.
    storage: String,
    float: Float,
    /// Values of the storage before the first.
    offset: usize,
    shape: Vec<usize>,
    /// Values of the storage from one index to the next, by dimension.
    stride: Vec<usize>,
}

/// The float types of PyTorch that are read.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Float {
    F64,
    F32,
    F16,
    Bf16,
}

/// Wrappers around a tensor are unwrapped this deep; PyTorch nests two.
const MAX_WRAPPERS: usize = 4;

/// Whether an object is a tensor of any kind.
pub(super) fn is_tensor(heap: &Heap<'_>, id: Id) -> bool {
    let Object::Call { callable, .. } = heap.get(id) else { return false };
    match heap.get(*callable) {
        Object::Global { module: "torch._utils" | "torch._tensor", name } => name.starts_with("_rebuild_"),
        _ => false,
    }
}

/// Reads how a tensor lies in its storage.
pub(super) fn dense(heap: &Heap<'_>, id: Id) -> Result<Dense, String> {
    let Object::Call { mut callable, mut args, .. } = *heap.get(id) else {
        return Err("is no tensor".into());
    };
    for _ in 0..MAX_WRAPPERS {
        let Object::Global { name, .. } = *heap.get(callable) else {
            return Err("is built by something unknown".into());
        };
        let items = tuple(heap, args)?;
        match (name, items) {
            ("_rebuild_tensor_v2", _) => return lies(heap, items),
            ("_rebuild_parameter" | "_rebuild_parameter_with_state", [data, ..]) => {
                let Object::Call { callable: inner, args: inner_args, .. } = *heap.get(*data) else {
                    return Err("is a parameter without a tensor".into());
                };
                (callable, args) = (inner, inner_args);
            }
            ("_rebuild_from_type_v2", [inner, _, inner_args, ..]) => (callable, args) = (*inner, *inner_args),
            _ => return Err(format!("is built by `{}`: only dense tensors are read", name.escape_debug())),
        }
    }
    Err("is wrapped too often".into())
}

/// The arguments of PyTorch's `_rebuild_tensor_v2`: storage, offset, size, stride, and what is of no use here.
fn lies(heap: &Heap<'_>, args: &[Id]) -> Result<Dense, String> {
    let [storage, offset, shape, stride, rest @ ..] = args else {
        return Err("is built with too few arguments".into());
    };
    let Object::Persistent(storage) = heap.get(*storage) else { return Err("has no storage".into()) };
    let storage = tuple(heap, *storage)?;
    let [_, class, key, ..] = storage else { return Err("has no storage".into()) };
    let (Object::Global { name: class, .. }, Object::Text(key)) = (heap.get(*class), heap.get(*key)) else {
        return Err("has a storage without a type or a name".into());
    };
    // The seventh argument marks a tensor as conjugated or negated.
    let marked = rest.get(2).is_some_and(|id| match heap.get(*id) {
        Object::None => false,
        Object::Dict(items) => !items.is_empty(),
        _ => true,
    });
    if marked {
        return Err("is conjugated or negated lazily".into());
    }
    let float = match *class {
        "DoubleStorage" => Float::F64,
        "FloatStorage" => Float::F32,
        "HalfStorage" => Float::F16,
        "BFloat16Storage" => Float::Bf16,
        _ => return Err(format!("has a {}, where floats are needed", class.escape_debug())),
    };
    let mut dense = Dense {
        storage: (*key).to_owned(),
        float,
        offset: number(heap, *offset)?,
        shape: numbers(heap, *shape)?,
        stride: numbers(heap, *stride)?,
    };
    if dense.shape.len() != dense.stride.len() {
        return Err(format!("has {} dimensions and {} strides", dense.shape.len(), dense.stride.len()));
    }
    for (stride, _) in dense.stride.iter_mut().zip(&dense.shape).filter(|(_, size)| **size == 1) {
        // Never stepped over, and PyTorch leaves anything there.
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
        _ => Err("has a size, stride or offset that is no number".into()),
    }
}

fn numbers(heap: &Heap<'_>, id: Id) -> Result<Vec<usize>, String> {
    tuple(heap, id)?.iter().map(|id| number(heap, *id)).collect()
}

/// What holds the storages of tensors.
pub(super) trait Storages {
    /// Bytes of the file.
    fn size(&self) -> usize;
    /// The bytes of a storage.
    fn storage(&mut self, key: &str) -> Result<Vec<u8>, ImportError>;
}

/// Reads the values of all tensors, one storage after the other.
pub(super) fn read_all(
    archive: &mut impl Storages,
    tensors: Vec<(String, Dense)>,
) -> Result<Weights, ImportError> {
    // Tensors may share a storage; but a small file does not become a large model.
    let mut left = archive.size();
    let mut by_storage: BTreeMap<String, Vec<(String, Dense)>> = BTreeMap::new();
    for (name, dense) in tensors {
        let count = element_count(&dense.shape);
        left = count.and_then(|count| left.checked_sub(count)).ok_or_else(|| ImportError::Tensor {
            tensor: name.clone(),
            reason: format!(
                "the shape {:?} and those before it are more than the file can hold",
                dense.shape
            ),
        })?;
        by_storage.entry(dense.storage.clone()).or_default().push((name, dense));
    }
    let mut weights = BTreeMap::new();
    for (key, tensors) in by_storage {
        let storage = archive.storage(&key)?;
        for (name, dense) in tensors {
            let data = dense.values(&storage);
            let data = data.map_err(|reason| ImportError::Tensor { tensor: name.clone(), reason })?;
            weights.insert(name, Weight { shape: dense.shape, data });
        }
    }
    Ok(Weights(weights))
}

impl Dense {
    /// The values in row-major order, whatever the strides.
    fn values(&self, storage: &[u8]) -> Result<Vec<f32>, String> {
        let count = element_count(&self.shape).unwrap_or(0);
        if count == 0 {
            return Ok(vec![]);
        }
        let available = storage.len() / self.float.size();
        let last =
            self.shape.iter().zip(&self.stride).try_fold(self.offset, |at, (&size, &stride)| {
                at.checked_add((size - 1).checked_mul(stride)?)
            });
        if last.is_none_or(|last| last >= available) {
            return Err(format!(
                "the shape {:?} with strides {:?} from {} does not lie in its storage of {available} values",
                self.shape, self.stride, self.offset
            ));
        }
        let mut values = Vec::with_capacity(count);
        let mut index = vec![0; self.shape.len()];
        let mut at = self.offset;
        for _ in 0..count {
            values.push(self.float.read(storage, at)?);
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
        Ok(values)
    }
}

impl Float {
    fn size(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// Value `at` of a storage that holds it.
    fn read(self, storage: &[u8], at: usize) -> Result<f32, String> {
        let at = at * self.size();
        Ok(match self {
            Self::F64 => {
                let value = f64::from_le_bytes(bytes(storage, at));
                let rounded = value as f32;
                if value.is_finite() && !rounded.is_finite() {
                    return Err(format!("holds {value}, which f32 cannot"));
                }
                rounded
            }
            Self::F32 => f32::from_le_bytes(bytes(storage, at)),
            Self::F16 => f16::from_le_bytes(bytes(storage, at)).to_f32(),
            Self::Bf16 => bf16::from_le_bytes(bytes(storage, at)).to_f32(),
        })
    }
}

fn bytes<const N: usize>(storage: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&storage[at..at + N]);
    bytes
}
