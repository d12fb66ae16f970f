//! The linear layer `y = x · wᵀ + b`.

use std::sync::Arc;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor, WithDType};
use loc_net::kernels::linear::Features;

use super::{Backend, expect};
use crate::gradient_buffers::{GradientBuffers, Names};
use crate::storage::{by_type, lent, values};

/// `y[n, o] = b[o] + Σ_i w[o, i] · x[n, i]`.
///
/// # Shapes
///
/// x `[N, in]`, w `[out, in]`, b `[out]`; the result is `[N, out]`.
///
/// # Errors
///
/// A Candle error if the shapes do not fit each other.
pub fn linear(x: &Tensor, w: &Tensor, b: &Tensor, form: Backend) -> Result<Tensor> {
    let (n, features) = checked(x, w, b)?;
    match form {
        Backend::Kernels => {
            let op = Linear { n, features, sink: None };
            x.contiguous()?.apply_op3(&w.contiguous()?, &b.contiguous()?, op)
        }
        Backend::Composed => x.matmul(&w.t()?)?.broadcast_add(b),
    }
}

/// [`linear`] by the kernels, of f32, with the gradients of weight and bias left in a sink under these two names.
pub(crate) fn linear_to_sink(
    x: &Tensor,
    w: &Tensor,
    b: &Tensor,
    (sink, names): (&GradientBuffers, &Names),
) -> Result<Tensor> {
    let (n, features) = checked(x, w, b)?;
    let op = Linear { n, features, sink: Some((sink.clone(), Arc::clone(names))) };
    x.contiguous()?.apply_op3(&w.contiguous()?, &b.contiguous()?, op)
}

/// The shapes, if they fit each other.
fn checked(x: &Tensor, w: &Tensor, b: &Tensor) -> Result<(usize, Features)> {
    let (n, input) = x.dims2()?;
    let output = b.dims1()?;
    expect("linear weight", w, &[output, input])?;
    Ok((n, Features { input, output }))
}

struct Linear {
    n: usize,
    features: Features,
    /// Where the gradients of weight and bias go, if not to Candle's store.
    sink: Option<(GradientBuffers, Names)>,
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
        let (op, Linear { n, features, .. }) = (self.name(), self);
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
        let (op, Linear { n, features, .. }) = (self.name(), self);
        let gy = gy.contiguous()?;
        let lent_x = x.storage_and_layout();
        let (lent_w, lent_gy) = (w.storage_and_layout(), gy.storage_and_layout());
        by_type!(op, x.dtype(), linear, |T, kernel| {
            let gy_values = lent(op, &lent_gy)?;
            let (mut gx, mut gw, mut gb) = (None, None, None);
            if x.track_op() {
                let mut values: Vec<T> = vec![0.0; x.elem_count()];
                kernel::backward_input(*features, *n, lent(op, &lent_w)?, gy_values, &mut values);
                gx = Some(Tensor::from_vec(values, x.shape(), &Device::Cpu)?);
            }
            if let Some((sink, names)) = &self.sink {
                let lent_x = x.storage_and_layout();
                let (x, gy) = (lent(op, &lent_x)?, lent(op, &lent_gy)?);
                sink.put(names, features.input * features.output + features.output, |values| {
                    let (of_w, of_b) = values.split_at_mut(features.input * features.output);
                    loc_net::kernels::linear::backward_weights(*features, *n, x, gy, of_w, of_b);
                });
            } else if w.track_op() || b.track_op() {
                let (mut of_w, mut of_b): (Vec<T>, Vec<T>) =
                    (vec![0.0; w.elem_count()], vec![0.0; b.elem_count()]);
                kernel::backward_weights(*features, *n, lent(op, &lent_x)?, gy_values, &mut of_w, &mut of_b);
                gw = Some(Tensor::from_vec(of_w, w.shape(), &Device::Cpu)?);
                gb = Some(Tensor::from_vec(of_b, b.shape(), &Device::Cpu)?);
            }
            Ok((gx, gw, gb))
        })
    }
}
