//! Convolution, max-pool and relu as one operation: what a backbone repeats, without its two widest tensors.
//!
//! Between a convolution and its pool lies the widest map of the network, and in the backward pass its gradient,
//! three cells in four of it zero. Here both exist for one photo at a time, in a buffer that stays in the cache.

use std::ops::Range;
use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp3, DType, Device, Error, Layout, Result, Shape, Tensor};
use loc_net::kernels::{
    ConvShape, PoolShape, activation as relu_kernel, conv2d as conv_kernel, maxpool as pool_kernel,
};
use loc_net::ops::{Conv2d, Pool};
use rayon::prelude::*;

use super::{Backend, conv2d, maxpool2d, relu};
use crate::storage::{lent, values};

/// The batch's weight gradient is summed over this many parts, whoever computes them: the order of the sum, and so
/// its bytes, do not depend on the number of threads.
const PARTS: usize = 8;

/// `relu(maxpool2d(conv2d(x, w, b)))`, values and gradients.
///
/// # Shapes
///
/// x `[N, in, h, w]`, w `[out, in/groups, kh, kw]`, b `[out]`; the result is `[N, out, oh, ow]` of the pool.
///
/// # Errors
///
/// As [`conv2d`] and [`maxpool2d`].
pub fn conv_pool_relu(
    x: &Tensor,
    w: &Tensor,
    b: &Tensor,
    conv: &Conv2d,
    pool: Pool,
    form: Backend,
) -> Result<Tensor> {
    if form != Backend::Kernels || x.dtype() != DType::F32 {
        return relu(&maxpool2d(&conv2d(x, w, b, conv, form)?, pool, form)?, form);
    }
    let (n, conv) = super::conv2d::checked(x, w, b, conv)?;
    let pool = super::maxpool2d::checked(conv.out_channels, conv.out_size(), pool)?;
    let op = ConvPoolRelu { n, conv, pool, winners: OnceLock::new() };
    x.contiguous()?.apply_op3(&w.contiguous()?, &b.contiguous()?, op)
}

struct ConvPoolRelu {
    n: usize,
    conv: ConvShape,
    pool: PoolShape,
    /// Which cell of its window each output came from, for the backward pass: an op object serves one call.
    winners: OnceLock<Vec<u8>>,
}

impl CustomOp3 for ConvPoolRelu {
    fn name(&self) -> &'static str {
        "conv-pool-relu"
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
        let (op, Self { n, conv, pool, .. }) = (self.name(), self);
        let (x, w) = (values::<f32>(op, x, x_layout)?, values::<f32>(op, w, w_layout)?);
        let b = values::<f32>(op, b, b_layout)?;
        let (len, (oh, ow)) = (pool.out_len(), pool.out_size());
        let mut y = vec![0.0; n * len];
        let mut winners = vec![0; n * len];
        let photos = y.par_chunks_exact_mut(len).zip(winners.par_chunks_exact_mut(len));
        photos.zip(x.par_chunks_exact(conv.in_len())).for_each_init(
            || (vec![0.0; conv.out_len()], vec![0.0; len]),
            |(map, pooled), ((y, winners), x)| {
                conv_kernel::forward(conv, 1, x, w, b, map);
                pool_kernel::forward(pool, 1, map, pooled, winners);
                relu_kernel::forward(pooled, y);
            },
        );
        self.winners.set(winners).map_err(|_| Error::Msg(format!("{op}: an op object serves one call")))?;
        Ok((CpuStorage::F32(y), Shape::from((*n, pool.channels, oh, ow))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        y: &Tensor,
        gy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let op = self.name();
        let gy = gy.contiguous()?;
        let (lent_x, lent_w) = (x.storage_and_layout(), w.storage_and_layout());
        let (lent_y, lent_gy) = (y.storage_and_layout(), gy.storage_and_layout());
        let pass = Backward {
            op: self,
            winners: self
                .winners
                .get()
                .ok_or_else(|| Error::Msg(format!("{op}: backward before forward")))?,
            x: lent(op, &lent_x)?,
            w: lent(op, &lent_w)?,
            y: lent(op, &lent_y)?,
            gy: lent(op, &lent_gy)?,
            wants_weights: w.track_op() || b.track_op(),
        };
        let mut gx = vec![0.0f32; if x.track_op() { x.elem_count() } else { 0 }];
        let (gw, gb) = pass.run(&mut gx);
        let tensor = |values, like: &Tensor| Tensor::from_vec(values, like.shape(), &Device::Cpu);
        Ok((
            if x.track_op() { Some(tensor(gx, x)?) } else { None },
            if pass.wants_weights { Some(tensor(gw, w)?) } else { None },
            if pass.wants_weights { Some(tensor(gb, b)?) } else { None },
        ))
    }
}

/// What a backward pass reads.
struct Backward<'a> {
    op: &'a ConvPoolRelu,
    winners: &'a [u8],
    x: &'a [f32],
    w: &'a [f32],
    y: &'a [f32],
    gy: &'a [f32],
    wants_weights: bool,
}

impl Backward<'_> {
    /// Fills `gx` unless it is empty; the gradients of weight and bias are zeros where nobody wants them.
    fn run(&self, gx: &mut [f32]) -> (Vec<f32>, Vec<f32>) {
        let (n, conv) = (self.op.n, &self.op.conv);
        let parts = n.min(PARTS);
        let photo_len = gx.len() / n.max(1);
        let mut rest = gx;
        let mut tasks = Vec::with_capacity(parts);
        for part in 0..parts {
            let photos = part * n / parts..(part + 1) * n / parts;
            let (own, others) = std::mem::take(&mut rest).split_at_mut(photos.len() * photo_len);
            rest = others;
            tasks.push((photos, own));
        }
        let sums: Vec<_> = tasks.into_par_iter().map(|(photos, gx)| self.part(photos, gx)).collect();
        let (mut gw, mut gb) = (vec![0.0; conv.weight_len()], vec![0.0; conv.out_channels]);
        for (part_w, part_b) in &sums {
            gw.iter_mut().zip(part_w).for_each(|(g, p)| *g += p);
            gb.iter_mut().zip(part_b).for_each(|(g, p)| *g += p);
        }
        (gw, gb)
    }

    /// Some photos, one after the other: the sums of their weight and bias gradients.
    fn part(&self, photos: Range<usize>, gx: &mut [f32]) -> (Vec<f32>, Vec<f32>) {
        let ConvPoolRelu { conv, pool, .. } = self.op;
        let (in_len, len) = (conv.in_len(), pool.out_len());
        let (mut pooled, mut map) = (vec![0.0; len], vec![0.0; conv.out_len()]);
        let (mut gw, mut gb) = (vec![0.0; conv.weight_len()], vec![0.0; conv.out_channels]);
        let (mut sum_w, mut sum_b) = (gw.clone(), gb.clone());
        for (i, photo) in photos.enumerate() {
            let out = photo * len..(photo + 1) * len;
            relu_kernel::backward(&self.y[out.clone()], &self.gy[out.clone()], &mut pooled);
            pool_kernel::backward(pool, 1, &self.winners[out], &pooled, &mut map);
            if self.wants_weights {
                conv_kernel::backward_weights(
                    conv,
                    1,
                    &self.x[photo * in_len..][..in_len],
                    &map,
                    &mut gw,
                    &mut gb,
                );
                sum_w.iter_mut().zip(&gw).for_each(|(s, g)| *s += g);
                sum_b.iter_mut().zip(&gb).for_each(|(s, g)| *s += g);
            }
            if !gx.is_empty() {
                conv_kernel::backward_input(conv, 1, self.w, &map, &mut gx[i * in_len..][..in_len]);
            }
        }
        (sum_w, sum_b)
    }
}
