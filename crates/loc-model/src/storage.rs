//! Access to the slices in Candle's storages.

use std::ops::Deref;

use candle_core::{CpuStorage, Error, Layout, Result, Storage, WithDType};

/// Returns the values of a tensor, row-major.
///
/// # Errors
///
/// If the tensor has another type, or is not contiguous. The callers make their arguments contiguous first, so that the
/// copy is visible in their code.
pub(crate) fn values<'a, T: WithDType>(
    op: &'static str,
    storage: &'a CpuStorage,
    layout: &Layout,
) -> Result<&'a [T]> {
    let (start, end) = layout.contiguous_offsets().ok_or(Error::RequiresContiguous { op })?;
    Ok(&storage.as_slice::<T>()?[start..end])
}

/// Same as [`values`], from the result of `Tensor::storage_and_layout`: a backward pass gets tensors, not storages.
pub(crate) fn tensor_values<'a, T: WithDType>(
    op: &'static str,
    (storage, layout): &'a (impl Deref<Target = Storage>, &Layout),
) -> Result<&'a [T]> {
    match &**storage {
        Storage::Cpu(storage) => values(op, storage, layout),
        _ => Err(Error::Msg(format!("{op}: the kernels run on the CPU only"))),
    }
}
