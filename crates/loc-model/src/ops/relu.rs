//! `max(x, 0)`; its gradient at exactly 0 is 0, as in PyTorch (Candle's own relu passes it on).

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, DType, Error, Layout, Result, Shape, Tensor, WithDType};
use loc_net::kernels::{self, Float};

use super::Form;
use super::cpu::values;

/// `max(x, 0)`, any shape; a NaN stays one.
///
/// # Errors
///
/// A Candle error if the device fails.
pub fn relu(x: &Tensor, form: Form) -> Result<Tensor> {
    match form {
        Form::Kernels => x.contiguous()?.apply_op1(Relu),
        // Chosen, not multiplied by a mask: 0 · ∞ would be NaN.
        Form::Composed => {
            let zeros = x.zeros_like()?;
            x.le(&zeros)?.where_cond(&zeros, x)
        }
    }
}

struct Relu;

impl CustomOp1 for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        fn run<T: WithDType + Float>(x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
            let x = values::<T>("relu", x, layout)?;
            let mut y = vec![T::default(); x.len()];
            kernels::relu::forward(x, &mut y);
            Ok((T::to_cpu_storage_owned(y), layout.shape().clone()))
        }
        match x.dtype() {
            DType::F32 => run::<f32>(x, layout),
            DType::F64 => run::<f64>(x, layout),
            dtype => Err(Error::UnsupportedDTypeForOp(dtype, self.name())),
        }
    }

    fn bwd(&self, _x: &Tensor, y: &Tensor, gy: &Tensor) -> Result<Option<Tensor>> {
        y.apply_op2_no_bwd(&gy.contiguous()?, &Gradient).map(Some)
    }
}

struct Gradient;

impl CustomOp2 for Gradient {
    fn name(&self) -> &'static str {
        "relu-gradient"
    }

    fn cpu_fwd(
        &self,
        y: &CpuStorage,
        y_layout: &Layout,
        gy: &CpuStorage,
        gy_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        fn run<T: WithDType + Float>(
            (y, y_layout): (&CpuStorage, &Layout),
            (gy, gy_layout): (&CpuStorage, &Layout),
        ) -> Result<(CpuStorage, Shape)> {
            let (y, gy) =
                (values::<T>("relu-gradient", y, y_layout)?, values::<T>("relu-gradient", gy, gy_layout)?);
            let mut gx = vec![T::default(); y.len()];
            kernels::relu::backward(y, gy, &mut gx);
            Ok((T::to_cpu_storage_owned(gx), y_layout.shape().clone()))
        }
        match y.dtype() {
            DType::F32 => run::<f32>((y, y_layout), (gy, gy_layout)),
            DType::F64 => run::<f64>((y, y_layout), (gy, gy_layout)),
            dtype => Err(Error::UnsupportedDTypeForOp(dtype, self.name())),
        }
    }
}
