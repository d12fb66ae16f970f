//! The small operations of the heads, composed of Candle's own on every device: profiles, enlarging, expectations,
//! means, dropout.

use candle_core::{D, Result, Tensor};
use loc_net::kernels;
use loc_net::ops::Axis;

/// `x · weight + bias` for each channel or feature, cut at ± `limit`.
///
/// # Shapes
///
/// x `[N, C, …]`, weight and bias `[C]`; the result is as x.
///
/// # Errors
///
/// A Candle error if the shapes do not fit or the device fails.
pub fn affine(x: &Tensor, weight: &Tensor, bias: &Tensor, limit: f32) -> Result<Tensor> {
    let mut dims = vec![1; x.rank()];
    dims[1] = weight.elem_count();
    let y = x.broadcast_mul(&weight.reshape(&dims[..])?)?.broadcast_add(&bias.reshape(&dims[..])?)?;
    y.clamp(-limit, limit)
}

/// Of each channel the mean, then of each the largest, along an axis.
///
/// Where several cells are the largest each gets the whole gradient; behind relu, where that happens, relu stops it.
///
/// # Shapes
///
/// x `[N, C, h, w]`; the result is `[N, 2·C, h, 1]` or `[N, 2·C, 1, w]`.
///
/// # Errors
///
/// A Candle error if the shape does not fit or the device fails.
pub fn profile(x: &Tensor, axis: Axis) -> Result<Tensor> {
    let along = match axis {
        Axis::Rows => 3,
        Axis::Columns => 2,
    };
    Tensor::cat(&[x.mean_keepdim(along)?, x.max_keepdim(along)?], 1)
}

/// A map enlarged, bilinear, as PyTorch's `interpolate` with `align_corners=False`: a product with a matrix for each
/// axis.
///
/// # Shapes
///
/// x `[N, C, h, w]`; the result is `[N, C, H, W]`.
///
/// # Errors
///
/// A Candle error if the shape does not fit or the device fails.
pub fn upsample(x: &Tensor, (height, width): (usize, usize)) -> Result<Tensor> {
    let (n, channels, h, w) = x.dims4()?;
    let matrix = |from: usize, to: usize| {
        let mut values = vec![0.0f64; from * to];
        for (i, at) in kernels::upsample::between(from, to).into_iter().enumerate() {
            values[at.first * to + i] += 1.0 - at.weight;
            values[at.second * to + i] += at.weight;
        }
        Tensor::from_vec(values, (from, to), x.device())?.to_dtype(x.dtype())
    };
    let rows = x.reshape((n * channels * h, w))?.matmul(&matrix(w, width)?)?;
    let turned = rows.reshape((n * channels, h, width))?.transpose(1, 2)?.contiguous()?;
    let columns = turned.reshape((n * channels * width, h))?.matmul(&matrix(h, height)?)?;
    columns
        .reshape((n * channels, width, height))?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((n, channels, height, width))
}

/// The mean place of each distribution of `bins` logits; the first place is 0, the last 1.
///
/// # Shapes
///
/// logits `[N, E·bins]`; the result is `[N, E]`.
///
/// # Errors
///
/// A Candle error if the shape does not fit or the device fails.
pub fn expectation(logits: &Tensor, bins: usize) -> Result<Tensor> {
    let (n, all) = logits.dims2()?;
    let logits = logits.reshape((n * all / bins, bins))?;
    // The shift cancels, so its gradient is zero.
    let weights = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?.exp()?;
    let places: Vec<f64> = (0..bins).map(|bin| bin as f64 / (bins - 1) as f64).collect();
    let places = Tensor::from_vec(places, (bins, 1), logits.device())?.to_dtype(logits.dtype())?;
    let moments = weights.matmul(&places)?;
    (moments / weights.sum_keepdim(D::Minus1)?)?.reshape((n, all / bins))
}

/// The mean of the parts of each row, which lie one behind the other.
///
/// # Shapes
///
/// x `[N, parts·n]`; the result is `[N, n]`.
///
/// # Errors
///
/// A Candle error if the shape does not fit or the device fails.
pub fn mean(x: &Tensor, parts: usize) -> Result<Tensor> {
    let (n, all) = x.dims2()?;
    x.reshape((n, parts, all / parts))?.mean(1)
}

/// What a training step drops: each value with a probability, by a key; those that stay are scaled up, so that the mean
/// stays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Probability, 0 or more and below 1.
    pub rate: f64,
    /// What decides, with the layer's name and the value's index: seed, epoch and step.
    pub key: [u64; 3],
}

impl Dropout {
    /// Drops values of a layer's output. Of maps, `[N, C, h, w]`, whole channels.
    ///
    /// # Errors
    ///
    /// A Candle error if the device fails.
    pub fn apply(&self, x: &Tensor, layer: &str) -> Result<Tensor> {
        let mut dims = x.dims().to_vec();
        dims.iter_mut().skip(2).for_each(|d| *d = 1);
        let [seed, epoch, step] = self.key;
        let stream = crate::init::Stream::new(seed, &format!("dropout {layer} {epoch} {step}"));
        let keep = (1.0 / (1.0 - self.rate)) as f32;
        let len = dims.iter().product::<usize>() as u64;
        let mask: Vec<f32> =
            (0..len).map(|i| if stream.uniform(i) < self.rate { 0.0 } else { keep }).collect();
        x.broadcast_mul(&Tensor::from_vec(mask, dims, x.device())?.to_dtype(x.dtype())?)
    }
}
