//! Two-dimensional convolution with bias: any kernel, stride, padding and groups.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Error, Layout, Result, Shape, Tensor, WithDType};
use loc_net::Conv2d;
use loc_net::kernels::ConvShape;

use super::cpu::{by_type, values};
use super::windows::every;
use super::{Form, expect};

/// `y[o, i, j] = b[o] + Σ_{c,u,v} w[o, c, u, v] · x[c, i·s + u − p, j·s + v − p]`, zero outside x.
///
/// # Shapes
///
/// x `[N, in, h, w]`, w `[out, in/groups, kh, kw]`, b `[out]`; the result is `[N, out, oh, ow]`.
///
/// # Errors
///
/// A Candle error if the shapes do not fit each other, or the kernel does not fit the input.
pub fn conv2d(x: &Tensor, w: &Tensor, b: &Tensor, conv: &Conv2d, form: Form) -> Result<Tensor> {
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
    let shape = ConvShape { in_channels, in_size: (height, width), conv: conv.clone() };
    match form {
        Form::Kernels => {
            x.contiguous()?.apply_op3(&w.contiguous()?, &b.contiguous()?, Convolution { n, shape })
        }
        Form::Composed => composed(x, w, b, &shape),
    }
}

fn composed(x: &Tensor, w: &Tensor, b: &Tensor, shape: &ConvShape) -> Result<Tensor> {
    let Conv2d { kernel, stride, padding, groups, out_channels } = shape.conv;
    let (oh, ow) = shape.out_size();
    let (h, w_in) = shape.in_size;
    let beyond = |size: usize, k: usize, s: usize, p: usize| (size + 2 * p - k) % s;
    // Candle has one stride and one padding, and its gradient takes what lies beyond the last window as equal on
    // both axes. Where they differ: pad by hand, and let it step by one and drop what is between the steps.
    let alike = stride.0 == stride.1
        && padding.0 == padding.1
        && beyond(h, kernel.0, stride.0, padding.0) == beyond(w_in, kernel.1, stride.1, padding.1);
    let y = if alike {
        x.conv2d(w, padding.0, stride.0, 1, groups)?
    } else {
        let padded = x.pad_with_zeros(2, padding.0, padding.0)?.pad_with_zeros(3, padding.1, padding.1)?;
        let dense = padded.conv2d(w, 0, 1, 1, groups)?;
        every(&every(&dense, 2, 0, stride.0, oh)?, 3, 0, stride.1, ow)?
    };
    y.broadcast_add(&b.reshape((1, out_channels, 1, 1))?)
}

struct Convolution {
    n: usize,
    shape: ConvShape,
}

impl Convolution {
    fn out_dims(&self) -> Shape {
        let (oh, ow) = self.shape.out_size();
        Shape::from((self.n, self.shape.conv.out_channels, oh, ow))
    }
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
        let op = self.name();
        by_type!(op, x.dtype(), conv2d, |T, kernel| {
            let mut y: Vec<T> = vec![0.0; self.n * self.shape.out_len()];
            let (x, w, b) = (values(op, x, x_layout)?, values(op, w, w_layout)?, values(op, b, b_layout)?);
            kernel::forward(&self.shape, self.n, x, w, b, &mut y);
            Ok((T::to_cpu_storage_owned(y), self.out_dims()))
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
        // Nobody wants the photo's own gradient: it would cost the first convolution a third of its backward.
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
struct WeightGradient<'a>(&'a Convolution);

impl CustomOp2 for WeightGradient<'_> {
    fn name(&self) -> &'static str {
        "conv2d-weight-gradient"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        gy: &CpuStorage,
        gy_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (op, shape) = (self.name(), &self.0.shape);
        let len = shape.weight_len() + shape.conv.out_channels;
        by_type!(op, x.dtype(), conv2d, |T, kernel| {
            let mut both: Vec<T> = vec![0.0; len];
            let (gw, gb) = both.split_at_mut(shape.weight_len());
            let (x, gy) = (values(op, x, x_layout)?, values(op, gy, gy_layout)?);
            kernel::backward_weights(shape, self.0.n, x, gy, gw, gb);
            Ok((T::to_cpu_storage_owned(both), Shape::from(len)))
        })
    }
}

struct InputGradient<'a>(&'a Convolution);

impl CustomOp2 for InputGradient<'_> {
    fn name(&self) -> &'static str {
        "conv2d-input-gradient"
    }

    fn cpu_fwd(
        &self,
        gy: &CpuStorage,
        gy_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (op, n, shape) = (self.name(), self.0.n, &self.0.shape);
        let (h, w_in) = shape.in_size;
        by_type!(op, gy.dtype(), conv2d, |T, kernel| {
            let mut gx: Vec<T> = vec![0.0; n * shape.in_len()];
            let (gy, w) = (values(op, gy, gy_layout)?, values(op, w, w_layout)?);
            kernel::backward_input(shape, n, w, gy, &mut gx);
            Ok((T::to_cpu_storage_owned(gx), Shape::from((n, shape.in_channels, h, w_in))))
        })
    }
}
