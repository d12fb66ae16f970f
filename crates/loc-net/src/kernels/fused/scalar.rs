//! The plain twin of the fused blocks: the separate operations, one after the other, on planar maps.

use super::{DEAD, Fused};
use crate::kernels::{Float, conv2d, maxpool2d};

/// `y[out, ph, pw]` of one photo `x[in, h, w]`, and the byte of each cell.
pub fn forward<F: Float>(shape: &Fused, x: &[F], w: &[F], b: &[F], y: &mut [F], winners: &mut [u8]) {
    let (conv, pool) = shape.parts();
    let mut map = vec![F::default(); conv.out_len()];
    conv2d::scalar::forward(&conv, 1, x, w, b, &mut map);
    maxpool2d::scalar::forward(&pool, 1, &map, y, winners);
    for (y, byte) in y.iter_mut().zip(winners) {
        let alive = *y > F::default();
        if !alive {
            *byte |= DEAD;
        }
        if *y < F::default() {
            *y = F::default();
        }
    }
}

/// `gw`, `gb` and `gx` of one photo from the gradient `gy[out, ph, pw]` and the cells' bytes.
pub fn backward<F: Float>(
    shape: &Fused,
    (x, w): (&[F], &[F]),
    (gy, winners): (&[F], &[u8]),
    (gw, gb): (&mut [F], &mut [F]),
    gx: &mut [F],
) {
    let (conv, pool) = shape.parts();
    let alive: Vec<F> =
        gy.iter().zip(winners).map(|(g, byte)| if *byte < DEAD { *g } else { F::default() }).collect();
    let cells: Vec<u8> = winners.iter().map(|byte| byte % DEAD).collect();
    let mut map = vec![F::default(); conv.out_len()];
    maxpool2d::scalar::backward(&pool, 1, &cells, &alive, &mut map);
    conv2d::scalar::backward_weights(&conv, 1, x, &map, gw, gb);
    conv2d::scalar::backward_input(&conv, 1, w, &map, gx);
}
