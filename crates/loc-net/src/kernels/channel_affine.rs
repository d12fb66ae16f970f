//! `x · weight + bias` for each channel, clipped to ± a limit.

use super::Float;
use super::layer::{ForwardPass, Gradients, LayerKernel, SavedPass};
use super::parts::{Parts, SUM_PARTS, tree_fold};

/// The number of channels, the cells per channel, and the limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChannelAffineShape {
    /// Channels of input and output.
    pub channels: usize,
    /// Cells per channel, 1 for a vector.
    pub cells: usize,
    /// Outputs are clipped to `-limit..=limit`; above 0.
    pub limit: f32,
}

/// Computes `y[n, channels, cells]` from `x` in the same layout, `weight[channels]` and `bias[channels]`.
///
/// # Panics
///
/// If a slice does not have the length of its shape.
pub fn forward<F: Float>(shape: &ChannelAffineShape, n: usize, x: &[F], w: &[F], b: &[F], y: &mut [F]) {
    let len = n * shape.channels * shape.cells;
    assert_eq!((x.len(), y.len()), (len, len), "input and output");
    assert_eq!((w.len(), b.len()), (shape.channels, shape.channels), "weight and bias");
    let limit = F::from_f64(f64::from(shape.limit));
    let min = F::default() - limit;
    let planes = y.chunks_exact_mut(shape.cells).zip(x.chunks_exact(shape.cells));
    for ((y, x), (w, b)) in planes.zip(w.iter().zip(b).cycle()) {
        for (y, x) in y.iter_mut().zip(x) {
            let v = *x * *w + *b;
            // With this order of comparisons a NaN stays NaN.
            let v = if v < min { min } else { v };
            *y = if v > limit { limit } else { v };
        }
    }
}

/// The input and the parameters of a forward pass.
#[derive(Debug, Clone, Copy)]
pub struct AffinePass<'a, F> {
    /// The input.
    pub x: &'a [F],
    /// The weight.
    pub w: &'a [F],
    /// The bias.
    pub b: &'a [F],
}

/// Computes the gradients of the input (if a slice is given for it), the weight and the bias. A clipped value has
/// gradient 0; a value at the limit itself is not clipped, as in PyTorch. Weight and bias gradients are summed over the
/// batch in the order of [`super::parts`].
///
/// # Panics
///
/// If a slice does not have the length of its shape.
pub fn backward<F: Float>(
    shape: &ChannelAffineShape,
    parts: &Parts,
    pass: AffinePass<F>,
    gy: &[F],
    mut gx: Option<&mut [F]>,
    gw: &mut [F],
    gb: &mut [F],
) {
    let AffinePass { x, w, b } = pass;
    let ChannelAffineShape { channels, cells, .. } = *shape;
    let len = parts.photos() * channels * cells;
    assert_eq!(
        (x.len(), gy.len(), gx.as_ref().map_or(len, |gx| gx.len())),
        (len, len, len),
        "input and gradients"
    );
    assert_eq!((gw.len(), gb.len()), (channels, channels), "weight and bias gradient");
    let limit = F::from_f64(f64::from(shape.limit));
    let min = F::default() - limit;
    for channel in 0..channels {
        let mut sums = [[F::default(); 2]; SUM_PARTS];
        for (sum, photos) in sums.iter_mut().zip(parts.iter()) {
            for photo in photos {
                let plane = (photo * channels + channel) * cells;
                for at in plane..plane + cells {
                    let v = x[at] * w[channel] + b[channel];
                    let g = if v >= min && v <= limit { gy[at] } else { F::default() };
                    sum[0] += g * x[at];
                    sum[1] += g;
                    if let Some(gx) = &mut gx {
                        gx[at] = g * w[channel];
                    }
                }
            }
        }
        [gw[channel], gb[channel]] = tree_fold(&sums[..parts.count()], |a, b| [a[0] + b[0], a[1] + b[1]]);
    }
}

impl LayerKernel for ChannelAffineShape {
    fn forward(&self, pass: ForwardPass) {
        let ForwardPass { n, inputs, params, y, .. } = pass;
        forward(self, n, inputs[0], params[0], params[1], y);
    }

    fn backward(&self, parts: &Parts, pass: &SavedPass, gradients: Gradients) {
        let [gx] = gradients.inputs else { return };
        let gx = gx.as_deref_mut();
        let values = AffinePass { x: pass.inputs[0], w: pass.params[0], b: pass.params[1] };
        match gradients.params {
            [gw, gb] => backward(self, parts, values, gradients.output, gx, gw, gb),
            _ => {
                let (mut gw, mut gb) = (vec![0.0; self.channels], vec![0.0; self.channels]);
                backward(self, parts, values, gradients.output, gx, &mut gw, &mut gb);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{check_gradient, numbers, weighted};

    #[test]
    fn scales_shifts_and_clips() {
        let mut y = [7.0f32; 4];
        let shape = ChannelAffineShape { channels: 2, cells: 2, limit: 6.0 };
        forward(&shape, 1, &[1.0, 2.0, -1.0, f32::NAN], &[3.0, 0.5], &[1.0, -9.0], &mut y);
        assert_eq!(y[..3], [4.0, 6.0, -6.0]);
        assert!(y[3].is_nan());
    }

    #[test]
    fn gradients_are_the_difference_quotients() {
        let shape = ChannelAffineShape { channels: 3, cells: 4, limit: 0.5 };
        let (x, w, b, gy) = (numbers(1, 24), numbers(2, 3), numbers(3, 3), numbers(4, 24));
        let loss = |x: &[f64], w: &[f64], b: &[f64]| {
            let mut y = vec![0.0; 24];
            forward(&shape, 2, x, w, b, &mut y);
            weighted(&y, &gy)
        };
        let (mut gx, mut gw, mut gb) = (vec![7.0; 24], vec![7.0; 3], vec![7.0; 3]);
        let pass = AffinePass { x: &x, w: &w, b: &b };
        backward(&shape, &Parts::of(2), pass, &gy, Some(&mut gx), &mut gw, &mut gb);
        check_gradient("gx", &x, &gx, |x| loss(x, &w, &b));
        check_gradient("gw", &w, &gw, |w| loss(&x, w, &b));
        check_gradient("gb", &b, &gb, |b| loss(&x, &w, b));
    }
}
