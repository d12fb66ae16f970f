//! Reference implementation of the fused blocks: the operations one after the other, on planar maps.

use super::{ConvBlock, PooledGradient, RELU_OFF};
use crate::kernels::{Float, conv2d, maxpool};

/// Computes `y[out, ph, pw]` and the argmax byte of each cell from one photo `x[in, h, w]`.
pub fn forward<F: Float>(shape: &ConvBlock, x: &[F], w: &[F], b: &[F], y: &mut [F], argmax: &mut [u8]) {
    let (conv, pool) = shape.parts();
    let mut map = vec![F::default(); conv.out_len()];
    conv2d::reference::forward(&conv, 1, x, w, b, &mut map);
    maxpool::reference::forward(&pool, 1, &map, y, argmax);
    for (y, byte) in y.iter_mut().zip(argmax) {
        let active = *y > F::default();
        if !active {
            *byte |= RELU_OFF;
        }
        if *y < F::default() {
            *y = F::default();
        }
    }
}

/// Computes `gw`, `gb` and `gx` of one photo from the gradient `gy[out, ph, pw]` and the argmax bytes.
pub fn backward<F: Float>(
    shape: &ConvBlock,
    x: &[F],
    w: &[F],
    pooled: PooledGradient<F>,
    gw: &mut [F],
    gb: &mut [F],
    gx: &mut [F],
) {
    let PooledGradient { gy, argmax } = pooled;
    let (conv, pool) = shape.parts();
    let active: Vec<F> =
        gy.iter().zip(argmax).map(|(g, byte)| if *byte < RELU_OFF { *g } else { F::default() }).collect();
    let cells: Vec<u8> = argmax.iter().map(|byte| byte % RELU_OFF).collect();
    let mut map = vec![F::default(); conv.out_len()];
    maxpool::reference::backward(&pool, 1, &cells, &active, &mut map);
    conv2d::reference::backward_weights(&conv, 1, x, &map, gw, gb);
    conv2d::reference::backward_input(&conv, 1, w, &map, gx);
}
