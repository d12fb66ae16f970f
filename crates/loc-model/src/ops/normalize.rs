//! `(x − mean) / std` of each colour channel: the network's first layer, where it has one.

use candle_core::{Result, Tensor};

/// `(x − mean[c]) / std[c]`.
///
/// The same composition on every device: it reads the photo, which has no gradient, and costs a pass over it.
///
/// # Shapes
///
/// x `[N, 3, h, w]`, as the result.
///
/// # Errors
///
/// A Candle error if x has not three channels.
pub fn normalize(x: &Tensor, mean: [f32; 3], std: [f32; 3]) -> Result<Tensor> {
    let channels =
        |values: [f32; 3]| Tensor::new(&values, x.device())?.to_dtype(x.dtype())?.reshape((1, 3, 1, 1));
    x.broadcast_sub(&channels(mean)?)?.broadcast_div(&channels(std)?)
}
