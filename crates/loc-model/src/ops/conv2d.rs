//! Two-dimensional convolution with bias: any kernel, stride, padding and groups.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, Device, Error, Layout, Result, Shape, Tensor, WithDType};
use loc_net::exec::conv_shape;
use loc_net::kernels::Activation;
use loc_net::kernels::{self, ConvShape};
use loc_net::ops::Conv2d;

use super::windows::every;
use super::{Backend, expect, relu, relu6};
use crate::storage::{by_type, lent, values};

/// `y[o, i, j] = b[o] + Σ_{c,u,v} w[o, c, u, v] · x[c, i·s + u − p, j·s + v − p]`, zero outside x.
///
/// # Shapes
///
/// x `[N, in, h, w]`, w `[out, in/groups, kh, kw]`, b `[out]`; the result is `[N, out, oh, ow]`.
///
/// # Errors
///
/// A Candle error if the shapes do not fit each other, or the kernel does not fit the input.
pub fn conv2d(x: &Tensor, w: &Tensor, b: &Tensor, conv: &Conv2d, form: Backend) -> Result<Tensor> {
    activated(x, w, b, conv, Activation::None, form)
}

/// [`conv2d`] and what is done with its outputs, as one operation: what lies between is never kept.
///
/// # Errors
///
/// As [`conv2d`].
pub fn activated(
    x: &Tensor,
    w: &Tensor,
    b: &Tensor,
    conv: &Conv2d,
    activation: Activation,
    form: Backend,
) -> Result<Tensor> {
    let (n, shape) = checked(x, w, b, conv)?;
    match form {
        Backend::Kernels => {
            let op = Convolution { n, shape, activation };
            x.contiguous()?.apply_op3(&w.contiguous()?, &b.contiguous()?, op)
        }
        Backend::Composed => {
            let y = composed(x, w, b, &shape)?;
            match activation {
                Activation::None => Ok(y),
                Activation::Relu => relu(&y, form),
                Activation::Relu6 => relu6(&y, form),
            }
        }
    }
}

/// The batch size and the convolution's shape, once all tensors fit.
pub(super) fn checked(x: &Tensor, w: &Tensor, b: &Tensor, conv: &Conv2d) -> Result<(usize, ConvShape)> {
    let (n, in_channels, height, width) = x.dims4()?;
    let fits = conv.groups > 0
        && in_channels.is_multiple_of(conv.groups)
        && conv.out_channels.is_multiple_of(conv.groups)
        && conv.output((height, width)).is_some();
    if !fits {
        return Err(Error::Msg(format!("conv2d: {conv:?} does not fit an input of {:?}", x.dims())));
    }
    let (kernel_h, kernel_w) = conv.kernel;
    expect("conv2d weight", w, &[conv.out_channels, in_channels / conv.groups, kernel_h, kernel_w])?;
    expect("conv2d bias", b, &[conv.out_channels])?;
    Ok((n, conv_shape(conv, in_channels, (height, width))))
}

fn composed(x: &Tensor, w: &Tensor, b: &Tensor, shape: &ConvShape) -> Result<Tensor> {
    let ConvShape { kernel, stride, padding, extra, groups, out_channels, .. } = *shape;
    let ((height, width), (oh, ow)) = (shape.in_size, shape.out_size());
    let beyond = |size: usize, k: usize, s: usize, p: usize| (size + 2 * p - k) % s;
    // Candle has one stride and one padding, and its gradient takes what lies beyond the last window as equal on
    // both axes. Where they differ: pad by hand, and let it step by one and drop what is between the steps.
    let alike = extra == (0, 0)
        && stride.0 == stride.1
        && padding.0 == padding.1
        && beyond(height, kernel.0, stride.0, padding.0) == beyond(width, kernel.1, stride.1, padding.1);
    let y = if alike {
        x.conv2d(w, padding.0, stride.0, 1, groups)?
    } else {
        let padded = x.pad_with_zeros(2, padding.0, padding.0 + extra.0)?;
        let padded = padded.pad_with_zeros(3, padding.1, padding.1 + extra.1)?;
        let dense = padded.conv2d(w, 0, 1, 1, groups)?;
        every(&every(&dense, 2, 0, stride.0, oh)?, 3, 0, stride.1, ow)?
    };
    y.broadcast_add(&b.reshape((1, out_channels, 1, 1))?)
}

struct Convolution {
    n: usize,
    shape: ConvShape,
    activation: Activation,
}

impl CustomOp3 for Convolution {
    fn name(&self) -> &'static str {
        "conv2d"
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
        let (op, (oh, ow)) = (self.name(), self.shape.out_size());
        by_type!(op, x.dtype(), conv2d, |T, kernel| {
            let mut y: Vec<T> = vec![0.0; self.n * self.shape.out_len()];
            let (x, w, b) = (values(op, x, x_layout)?, values(op, w, w_layout)?, values(op, b, b_layout)?);
            kernel::activated(&self.shape, self.activation, self.n, x, w, b, &mut y);
            let dims = (self.n, self.shape.out_channels, oh, ow);
            Ok((T::to_cpu_storage_owned(y), Shape::from(dims)))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        y: &Tensor,
        gy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (op, Convolution { n, shape, activation }) = (self.name(), self);
        let gy = gy.contiguous()?;
        let (lent_x, lent_y) = (x.storage_and_layout(), y.storage_and_layout());
        let (lent_w, lent_gy) = (w.storage_and_layout(), gy.storage_and_layout());
        by_type!(op, x.dtype(), conv2d, |T, kernel| {
            let mut masked: Vec<T> = Vec::new();
            let gy_values: &[T] = match activation {
                Activation::None => lent(op, &lent_gy)?,
                _ => {
                    masked.resize(gy.elem_count(), 0.0);
                    let (y, gy) = (lent(op, &lent_y)?, lent(op, &lent_gy)?);
                    match activation {
                        Activation::Relu6 => kernels::activation::backward6(y, gy, &mut masked),
                        _ => kernels::activation::backward(y, gy, &mut masked),
                    }
                    &masked
                }
            };
            let (mut gx, mut gw, mut gb) = (None, None, None);
            // Nobody wants the photo's own gradient: it would cost the first convolution a third of its backward.
            if x.track_op() {
                let mut values: Vec<T> = vec![0.0; x.elem_count()];
                kernel::backward_input(shape, *n, lent(op, &lent_w)?, gy_values, &mut values);
                gx = Some(Tensor::from_vec(values, x.shape(), &Device::Cpu)?);
            }
            if w.track_op() || b.track_op() {
                let (mut of_w, mut of_b): (Vec<T>, Vec<T>) =
                    (vec![0.0; w.elem_count()], vec![0.0; b.elem_count()]);
                kernel::backward_weights(shape, *n, lent(op, &lent_x)?, gy_values, &mut of_w, &mut of_b);
                gw = Some(Tensor::from_vec(of_w, w.shape(), &Device::Cpu)?);
                gb = Some(Tensor::from_vec(of_b, b.shape(), &Device::Cpu)?);
            }
            Ok((gx, gw, gb))
        })
    }
}
