//! Average pooling, any kernel and stride (the tutorial's windows overlap: 4×4, stride 2).

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Device, Error, Layout, Result, Shape, Tensor, WithDType};
use loc_net::exec::pool_shape;
use loc_net::kernels::PoolShape;
use loc_net::ops::Pool;

use super::Backend;
use crate::storage::{by_type, lent, values};

/// The mean of each window.
///
/// # Shapes
///
/// x `[N, C, h, w]`; the result is `[N, C, oh, ow]`. Cells that no window reaches get no gradient.
///
/// # Errors
///
/// A Candle error if the window does not fit the input.
pub fn avgpool2d(x: &Tensor, pool: Pool, form: Backend) -> Result<Tensor> {
    let (n, channels, height, width) = x.dims4()?;
    if pool.output((height, width)).is_none() {
        return Err(Error::Msg(format!("avgpool2d: {pool:?} does not fit an input of {:?}", x.dims())));
    }
    let shape = pool_shape(pool, channels, (height, width));
    match form {
        Backend::Kernels => x.contiguous()?.apply_op1(AvgPool { n, shape }),
        Backend::Composed => composed(x, n, &shape),
    }
}

/// A mean over rows after a mean over columns: two products with constant matrices.
fn composed(x: &Tensor, n: usize, shape: &PoolShape) -> Result<Tensor> {
    let PoolShape { kernel, stride, .. } = *shape;
    let ((h, w), (oh, ow)) = (shape.in_size, shape.out_size());
    let c = shape.channels;
    let across = means(x, w, kernel.1, stride.1, ow)?;
    let down = means(x, h, kernel.0, stride.0, oh)?;
    let y = x.reshape((n * c * h, w))?.matmul(&across)?; // [n·c·h, ow]
    let y = y.reshape((n * c, h, ow))?.transpose(1, 2)?.reshape((n * c * ow, h))?.matmul(&down)?; // [n·c·ow, oh]
    y.reshape((n * c, ow, oh))?.transpose(1, 2)?.reshape((n, c, oh, ow))
}

/// The matrix `[size, count]` whose column j holds 1/kernel where window j lies.
fn means(like: &Tensor, size: usize, kernel: usize, stride: usize, count: usize) -> Result<Tensor> {
    let mut matrix = vec![0.0f64; size * count];
    for window in 0..count {
        for cell in window * stride..window * stride + kernel {
            matrix[cell * count + window] = 1.0 / kernel as f64;
        }
    }
    Tensor::from_vec(matrix, (size, count), like.device())?.to_dtype(like.dtype())
}

struct AvgPool {
    n: usize,
    shape: PoolShape,
}

impl CustomOp1 for AvgPool {
    fn name(&self) -> &'static str {
        "avgpool2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (op, (oh, ow)) = (self.name(), self.shape.out_size());
        by_type!(op, x.dtype(), avgpool, |T, kernel| {
            let mut y: Vec<T> = vec![0.0; self.n * self.shape.out_len()];
            kernel::forward(&self.shape, self.n, values(op, x, layout)?, &mut y);
            Ok((T::to_cpu_storage_owned(y), Shape::from((self.n, self.shape.channels, oh, ow))))
        })
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, gy: &Tensor) -> Result<Option<Tensor>> {
        let (op, gy) = (self.name(), gy.contiguous()?);
        let lent_gy = gy.storage_and_layout();
        by_type!(op, gy.dtype(), avgpool, |T, kernel| {
            let mut gx: Vec<T> = vec![0.0; x.elem_count()];
            kernel::backward(&self.shape, self.n, lent(op, &lent_gy)?, &mut gx);
            Tensor::from_vec(gx, x.shape(), &Device::Cpu).map(Some)
        })
    }
}
