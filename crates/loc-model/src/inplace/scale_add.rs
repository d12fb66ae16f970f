//! `y ← a · y + b · x` and `y ← a · y + b · x²` in place: the basic steps of optimizers.
//!
//! On the CPU they run on rayon's pool without allocating a tensor; Candle's own arithmetic would allocate, and start
//! threads of its own that spin beside rayon's.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, Device, Error, InplaceOp1, Layout, Result, Tensor, Var};
use rayon::prelude::*;

use crate::storage::tensor_values;

/// Values per task.
const CHUNK: usize = 1 << 15;

/// Computes `y ← a · y + b · x` for tensors of the same shape.
///
/// # Errors
///
/// A Candle error if the shapes differ or the device fails.
pub fn scale_add(y: &Var, a: f64, x: &Tensor, b: f64) -> Result<()> {
    match x.device() {
        Device::Cpu => {
            let x = x.contiguous()?;
            let storage = x.storage_and_layout();
            scale_add_slice(y, a, tensor_values("scale-add", &storage)?, b)
        }
        _ => y.set(&((y.as_detached_tensor() * a)? + (x.detach() * b)?)?),
    }
}

/// Same as [`scale_add`], with the values of x in row-major order; on the CPU.
///
/// # Errors
///
/// A Candle error if the number of values differs, or y is not f32 on the CPU.
pub(crate) fn scale_add_slice(y: &Var, a: f64, x: &[f32], b: f64) -> Result<()> {
    if y.elem_count() != x.len() {
        return Err(Error::Msg(format!("scale-add: {} values for {} of y", x.len(), y.elem_count())));
    }
    y.as_tensor().inplace_op1(&ScaleAdd { a: a as f32, x, b: b as f32, square: false })
}

/// Computes `y ← a · y + b · x²`; otherwise as [`scale_add_slice`].
///
/// # Errors
///
/// A Candle error if the number of values differs, or y is not f32 on the CPU.
pub(crate) fn scale_add_square_slice(y: &Var, a: f64, x: &[f32], b: f64) -> Result<()> {
    if y.elem_count() != x.len() {
        return Err(Error::Msg(format!("scale-add: {} values for {} of y", x.len(), y.elem_count())));
    }
    y.as_tensor().inplace_op1(&ScaleAdd { a: a as f32, x, b: b as f32, square: true })
}

struct ScaleAdd<'a> {
    a: f32,
    x: &'a [f32],
    b: f32,
    square: bool,
}

impl InplaceOp1 for ScaleAdd<'_> {
    fn name(&self) -> &'static str {
        "scale-add"
    }

    fn cpu_fwd(&self, y: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (start, end) =
            layout.contiguous_offsets().ok_or(Error::RequiresContiguous { op: self.name() })?;
        let CpuStorage::F32(y) = y else {
            return Err(Error::UnsupportedDTypeForOp(y.dtype(), self.name()));
        };
        let (a, b, square) = (self.a, self.b, self.square);
        y[start..end].par_chunks_mut(CHUNK).zip(self.x.par_chunks(CHUNK)).for_each(|(y, x)| match square {
            false => y.iter_mut().zip(x).for_each(|(y, x)| *y = a * *y + b * x),
            true => y.iter_mut().zip(x).for_each(|(y, x)| *y = a * *y + b * x * x),
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_and_adds_in_place() {
        let y = Var::new(&[[1.0f32, 2.0], [3.0, 4.0]], &Device::Cpu).unwrap();
        let seen = y.as_tensor().clone();
        let x = Tensor::new(&[[10.0f32, 30.0], [20.0, 40.0]], &Device::Cpu).unwrap();
        scale_add(&y, 2.0, &x.t().unwrap(), -0.5).unwrap();
        assert_eq!(seen.to_vec2::<f32>().unwrap(), [[-3.0, -6.0], [-9.0, -12.0]]);
        assert!(scale_add_slice(&y, 1.0, &[0.0; 3], 1.0).is_err());
        scale_add_square_slice(&y, 1.0, &[0.0, 1.0, 2.0, -3.0], 2.0).unwrap();
        assert_eq!(seen.to_vec2::<f32>().unwrap(), [[-3.0, -4.0], [-1.0, 6.0]]);
    }
}
