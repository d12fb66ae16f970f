//! Max-pooling. On a tie the first cell in row order wins and gets the whole gradient, as in PyTorch.

use std::sync::OnceLock;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Device, Error, Layout, Result, Shape, Tensor, WithDType};
use loc_net::exec::pool_shape;
use loc_net::kernels::PoolShape;
use loc_net::ops::Pool;

use super::Backend;
use super::windows::every;
use crate::storage::{by_type, lent, values};

/// The largest cell of each window; a NaN beats every number.
///
/// # Shapes
///
/// x `[N, C, h, w]`; the result is `[N, C, oh, ow]`. Cells that no window reaches get no gradient.
///
/// # Errors
///
/// A Candle error if the window does not fit the input, or has more than 256 cells.
pub fn maxpool2d(x: &Tensor, pool: Pool, form: Backend) -> Result<Tensor> {
    let (n, channels, height, width) = x.dims4()?;
    let shape = checked(channels, (height, width), pool)?;
    match form {
        Backend::Kernels => x.contiguous()?.apply_op1(MaxPool { n, shape, winners: OnceLock::new() }),
        Backend::Composed => composed(x, &shape),
    }
}

/// The pool's shape, once it fits the input.
pub(super) fn checked(channels: usize, in_size: (usize, usize), pool: Pool) -> Result<PoolShape> {
    // 256: a winner is kept as a byte.
    if pool.output(in_size).is_none() || pool.kernel.0 * pool.kernel.1 > 256 {
        return Err(Error::Msg(format!("maxpool2d: {pool:?} does not fit an input of {in_size:?}")));
    }
    Ok(pool_shape(pool, channels, in_size))
}

/// Goes through the window's cells in row order and keeps the best so far. Each choice is a `where_cond`, which
/// passes the gradient to the chosen side alone: exact at ties, which `max` over a reshaped window is not (there
/// every cell of a tie gets the whole gradient), and for any kernel and stride.
fn composed(x: &Tensor, shape: &PoolShape) -> Result<Tensor> {
    let PoolShape { kernel, stride, .. } = *shape;
    let (oh, ow) = shape.out_size();
    let mut best: Option<Tensor> = None;
    for u in 0..kernel.0 {
        let rows = every(x, 2, u, stride.0, oh)?;
        for v in 0..kernel.1 {
            let cell = every(&rows, 3, v, stride.1, ow)?.contiguous()?;
            best = Some(match best {
                None => cell,
                Some(best) => {
                    let is_nan = best.ne(&best)?;
                    cell.le(&best)?.maximum(&is_nan)?.where_cond(&best, &cell)?
                }
            });
        }
    }
    best.ok_or_else(|| Error::Msg("maxpool2d: a window without cells".into()))
}

struct MaxPool {
    n: usize,
    shape: PoolShape,
    /// Which cell of its window each output came from. An op object serves one call, and Candle keeps it for the
    /// backward pass: the one place to leave what that pass needs.
    winners: OnceLock<Vec<u8>>,
}

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "maxpool2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (op, (oh, ow)) = (self.name(), self.shape.out_size());
        let len = self.n * self.shape.out_len();
        let mut winners = vec![0; len];
        let out = by_type!(op, x.dtype(), maxpool, |T, kernel| {
            let mut y: Vec<T> = vec![0.0; len];
            kernel::forward(&self.shape, self.n, values(op, x, layout)?, &mut y, &mut winners);
            Ok((T::to_cpu_storage_owned(y), Shape::from((self.n, self.shape.channels, oh, ow))))
        });
        self.winners
            .set(winners)
            .map_err(|_| Error::Msg("maxpool2d: an op object serves one call".into()))?;
        out
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, gy: &Tensor) -> Result<Option<Tensor>> {
        let (op, MaxPool { n, shape, winners }) = (self.name(), self);
        let winners = winners.get().ok_or_else(|| Error::Msg("maxpool2d: backward before forward".into()))?;
        let gy = gy.contiguous()?;
        let lent_gy = gy.storage_and_layout();
        by_type!(op, gy.dtype(), maxpool, |T, kernel| {
            let mut gx: Vec<T> = vec![0.0; x.elem_count()];
            kernel::backward(shape, *n, winners, lent(op, &lent_gy)?, &mut gx);
            Tensor::from_vec(gx, x.shape(), &Device::Cpu).map(Some)
        })
    }
}
