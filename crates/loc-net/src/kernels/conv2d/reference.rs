//! Reference implementation of the convolution, generic over f32 and f64.

use crate::kernels::Activation;
use crate::kernels::{ConvShape, Float};

/// One term of the convolution: indices into output, input and weight, without the photo.
struct Term {
    out: usize,
    input: usize,
    weight: usize,
}

/// Calls `f` for every product `w · x` that contributes to an output cell.
fn for_each_term(shape: &ConvShape, mut f: impl FnMut(Term)) {
    let ((h, w), (oh, ow)) = (shape.in_size, shape.out_size());
    let conv = shape;
    let (channels, group_out) = (shape.in_channels / conv.groups, conv.out_channels / conv.groups);
    for o in 0..conv.out_channels {
        for (i, j) in (0..oh).flat_map(|i| (0..ow).map(move |j| (i, j))) {
            for c in 0..channels {
                for (ky, kx) in (0..conv.kernel.0).flat_map(|u| (0..conv.kernel.1).map(move |v| (u, v))) {
                    let (y, x) = (i * conv.stride.0 + ky, j * conv.stride.1 + kx);
                    let (Some(y), Some(x)) = (y.checked_sub(conv.padding.0), x.checked_sub(conv.padding.1))
                    else {
                        continue;
                    };
                    if y < h && x < w {
                        f(Term {
                            out: (o * oh + i) * ow + j,
                            input: ((o / group_out * channels + c) * h + y) * w + x,
                            weight: ((o * channels + c) * conv.kernel.0 + ky) * conv.kernel.1 + kx,
                        });
                    }
                }
            }
        }
    }
}

/// Reference of [`super::activated`].
pub fn activated<F: Float>(
    shape: &ConvShape,
    activation: Activation,
    n: usize,
    x: &[F],
    w: &[F],
    b: &[F],
    y: &mut [F],
) {
    forward(shape, n, x, w, b, y);
    activation.apply(y);
}

/// Reference of [`super::forward`].
pub fn forward<F: Float>(shape: &ConvShape, n: usize, x: &[F], w: &[F], b: &[F], y: &mut [F]) {
    let (in_len, out_len) = (shape.in_len(), shape.out_len());
    let plane = shape.out_size().0 * shape.out_size().1;
    for photo in 0..n {
        let (x, y) = (&x[photo * in_len..][..in_len], &mut y[photo * out_len..][..out_len]);
        for (plane, bias) in y.chunks_exact_mut(plane).zip(b) {
            plane.fill(*bias);
        }
        for_each_term(shape, |t| y[t.out] += w[t.weight] * x[t.input]);
    }
}

/// Reference of [`super::backward_weights`].
pub fn backward_weights<F: Float>(
    shape: &ConvShape,
    n: usize,
    x: &[F],
    gy: &[F],
    gw: &mut [F],
    gb: &mut [F],
) {
    let (in_len, out_len) = (shape.in_len(), shape.out_len());
    let plane = shape.out_size().0 * shape.out_size().1;
    gw.fill(F::default());
    gb.fill(F::default());
    for photo in 0..n {
        let (x, gy) = (&x[photo * in_len..][..in_len], &gy[photo * out_len..][..out_len]);
        for (i, g) in gy.iter().enumerate() {
            gb[i / plane] += *g;
        }
        for_each_term(shape, |t| gw[t.weight] += gy[t.out] * x[t.input]);
    }
}

/// Reference of [`super::backward_input`].
pub fn backward_input<F: Float>(shape: &ConvShape, n: usize, w: &[F], gy: &[F], gx: &mut [F]) {
    let (in_len, out_len) = (shape.in_len(), shape.out_len());
    gx.fill(F::default());
    for photo in 0..n {
        let (gx, gy) = (&mut gx[photo * in_len..][..in_len], &gy[photo * out_len..][..out_len]);
        for_each_term(shape, |t| gx[t.input] += gy[t.out] * w[t.weight]);
    }
}
