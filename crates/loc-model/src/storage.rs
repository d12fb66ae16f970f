//! What the CPU forms share: slices out of Candle's storages, and the choice between a kernel and its plain twin.

use std::ops::Deref;

use candle_core::{CpuStorage, Error, Layout, Result, Storage, WithDType};

/// The values of a tensor, row-major.
///
/// # Errors
///
/// If the tensor has another type, or a strided layout: the callers make their arguments contiguous first, since
/// a copy belongs where it can be seen.
pub(crate) fn values<'a, T: WithDType>(
    op: &'static str,
    storage: &'a CpuStorage,
    layout: &Layout,
) -> Result<&'a [T]> {
    let (start, end) = layout.contiguous_offsets().ok_or(Error::RequiresContiguous { op })?;
    Ok(&storage.as_slice::<T>()?[start..end])
}

/// [`values`] of what `Tensor::storage_and_layout` lends: a backward pass is given tensors, not storages.
pub(crate) fn lent<'a, T: WithDType>(
    op: &'static str,
    (storage, layout): &'a (impl Deref<Target = Storage>, &Layout),
) -> Result<&'a [T]> {
    match &**storage {
        Storage::Cpu(storage) => values(op, storage, layout),
        _ => Err(Error::Msg(format!("{op}: the kernels run on the CPU only"))),
    }
}

/// Runs `$body` with `$T` and `$kernel` bound to f32 and the kernel, or f64 and its plain twin.
macro_rules! by_type {
    ($op:expr, $dtype:expr, $module:ident, |$T:ident, $kernel:ident| $body:expr) => {
        match $dtype {
            candle_core::DType::F32 => {
                use loc_net::kernels::$module as $kernel;
                type $T = f32;
                $body
            }
            candle_core::DType::F64 => {
                use loc_net::kernels::$module::reference as $kernel;
                type $T = f64;
                $body
            }
            dtype => Err(candle_core::Error::UnsupportedDTypeForOp(dtype, $op)),
        }
    };
}

pub(crate) use by_type;
