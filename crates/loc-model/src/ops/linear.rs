//! The linear layer `y = x · wᵀ + b`.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, WithDType};
use loc_net::kernels::linear::Features;

use super::cpu::{by_type, values};
use super::{Form, expect};

/// `y[n, o] = b[o] + Σ_i w[o, i] · x[n, i]`.
///
/// # Shapes
///
/// x `[N, in]`, w `[out, in]`, b `[out]`; the result is `[N, out]`.
///
/// # Errors
///
/// A Candle error if the shapes do not fit each other.
pub fn linear(x: &Tensor, w: &Tensor, b: &Tensor, form: Form) -> Result<Tensor> {
    let (n, input) = x.dims2()?;
    let output = b.dims1()?;
    expect("linear weight", w, &[output, input])?;
    match form {
        Form::Kernels => {
            let op = Linear { n, features: Features { input, output } };
            x.contiguous()?.apply_op3(&w.contiguous()?, &b.contiguous()?, op)
        }
        Form::Composed => x.matmul(&w.t()?)?.broadcast_add(b),
    }
}

struct Linear {
    n: usize,
    features: Features,
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (op, Linear { n, features }) = (self.name(), self);
        by_type!(op, x.dtype(), linear, |T, kernel| {
            let mut y: Vec<T> = vec![0.0; n * features.output];
            let (x, w, b) = (values(op, x, x_layout)?, values(op, w, w_layout)?, values(op, b, b_layout)?);
            kernel::forward(*features, *n, x, w, b, &mut y);
            Ok((T::to_cpu_storage_owned(y), Shape::from((*n, features.output))))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        gy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gy = gy.contiguous()?;
        let gx = if x.track_op() { Some(gy.apply_op2_no_bwd(w, &InputGradient(self))?) } else { None };
        if !w.track_op() && !b.track_op() {
            return Ok((gx, None, None));
        }
        let both = x.apply_op2_no_bwd(&gy, &WeightGradient(self))?;
        let gw = both.narrow(0, 0, w.elem_count())?.reshape(w.shape())?;
        let gb = both.narrow(0, w.elem_count(), b.elem_count())?;
        Ok((gx, Some(gw), Some(gb)))
    }
}

/// The gradients of weight and bias behind one another: one pass makes both, and an op has one output.
struct WeightGradient<'a>(&'a Linear);

impl CustomOp2 for WeightGradient<'_> {
    fn name(&self) -> &'static str {
        "linear-weight-gradient"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        gy: &CpuStorage,
        gy_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (op, Linear { n, features }) = (self.name(), self.0);
        let weights = features.input * features.output;
        let len = weights + features.output;
        by_type!(op, x.dtype(), linear, |T, kernel| {
            let mut both: Vec<T> = vec![0.0; len];
            let (gw, gb) = both.split_at_mut(weights);
            let (x, gy) = (values(op, x, x_layout)?, values(op, gy, gy_layout)?);
            kernel::backward_weights(*features, *n, x, gy, gw, gb);
            Ok((T::to_cpu_storage_owned(both), Shape::from(len)))
        })
    }
}

struct InputGradient<'a>(&'a Linear);

impl CustomOp2 for InputGradient<'_> {
    fn name(&self) -> &'static str {
        "linear-input-gradient"
    }

    fn cpu_fwd(
        &self,
        gy: &CpuStorage,
        gy_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (op, Linear { n, features }) = (self.name(), self.0);
        by_type!(op, gy.dtype(), linear, |T, kernel| {
            let mut gx: Vec<T> = vec![0.0; n * features.input];
            let (gy, w) = (values(op, gy, gy_layout)?, values(op, w, w_layout)?);
            kernel::backward_input(*features, *n, w, gy, &mut gx);
            Ok((T::to_cpu_storage_owned(gx), Shape::from((*n, features.input))))
        })
    }
}
