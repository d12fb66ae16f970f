//! `max(x, 0)` and `min(max(x, 0), 6)`; the gradient at exactly 0 is 0, as in PyTorch (Candle's own relu passes it on).

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, DType, Device, Error, Layout, Result, Shape, Tensor, WithDType};
use loc_net::kernels::{self, Float};

use super::Backend;
use crate::storage::{lent, values};

/// `max(x, 0)`, any shape; a NaN stays one.
///
/// # Errors
///
/// A Candle error if the device fails.
pub fn relu(x: &Tensor, form: Backend) -> Result<Tensor> {
    match form {
        Backend::Kernels => x.contiguous()?.apply_op1(Relu { capped: false }),
        // Chosen, not multiplied by a mask: 0 · ∞ would be NaN.
        Backend::Composed => {
            let zeros = x.zeros_like()?;
            x.le(&zeros)?.where_cond(&zeros, x)
        }
    }
}

/// `min(max(x, 0), 6)`, any shape; its gradient at both kinks is 0, as in PyTorch.
///
/// # Errors
///
/// A Candle error if the device fails.
pub fn relu6(x: &Tensor, form: Backend) -> Result<Tensor> {
    match form {
        Backend::Kernels => x.contiguous()?.apply_op1(Relu { capped: true }),
        Backend::Composed => {
            let (zeros, sixes) = (x.zeros_like()?, (x.zeros_like()? + 6.0)?);
            let above = x.le(&zeros)?.where_cond(&zeros, x)?;
            above.ge(&sixes)?.where_cond(&sixes, &above)
        }
    }
}

struct Relu {
    /// At 6.
    capped: bool,
}

impl CustomOp1 for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        fn run<T: WithDType + Float>(x: &[T], capped: bool) -> CpuStorage {
            let mut y = vec![T::default(); x.len()];
            let forward = if capped { kernels::activation::forward6 } else { kernels::activation::forward };
            forward(x, &mut y);
            T::to_cpu_storage_owned(y)
        }
        let y = match x.dtype() {
            DType::F32 => run::<f32>(values(self.name(), x, layout)?, self.capped),
            DType::F64 => run::<f64>(values(self.name(), x, layout)?, self.capped),
            dtype => return Err(Error::UnsupportedDTypeForOp(dtype, self.name())),
        };
        Ok((y, layout.shape().clone()))
    }

    fn bwd(&self, _x: &Tensor, y: &Tensor, gy: &Tensor) -> Result<Option<Tensor>> {
        fn run<T: WithDType + Float>(
            (y, gy): (&[T], &[T]),
            shape: &Shape,
            capped: bool,
        ) -> Result<Option<Tensor>> {
            let mut gx = vec![T::default(); y.len()];
            let backward =
                if capped { kernels::activation::backward6 } else { kernels::activation::backward };
            backward(y, gy, &mut gx);
            Tensor::from_vec(gx, shape, &Device::Cpu).map(Some)
        }
        let (op, gy) = (self.name(), gy.contiguous()?);
        let (lent_y, lent_gy) = (y.storage_and_layout(), gy.storage_and_layout());
        match y.dtype() {
            DType::F32 => run::<f32>((lent(op, &lent_y)?, lent(op, &lent_gy)?), y.shape(), self.capped),
            DType::F64 => run::<f64>((lent(op, &lent_y)?, lent(op, &lent_gy)?), y.shape(), self.capped),
            dtype => Err(Error::UnsupportedDTypeForOp(dtype, op)),
        }
    }
}
