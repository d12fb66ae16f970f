//! Reference implementations of the matrix products.

use super::{Mode, RowMajor, Strided};

/// Reference of [`super::gemm_nn`].
pub fn gemm_nn(
    (m, n, k): (usize, usize, usize),
    a: Strided,
    b: RowMajor,
    c: &mut [f32],
    c_row: usize,
    mode: Mode,
) {
    for i in 0..m {
        let row = &mut c[i * c_row..][..n];
        if mode == Mode::Replace {
            row.fill(0.0);
        }
        for p in 0..k {
            let left = a.values[i * a.row + p * a.col];
            for (out, right) in row.iter_mut().zip(&b.values[p * b.row..][..n]) {
                *out += left * right;
            }
        }
    }
}

/// Reference of [`super::gemm_nt`].
pub fn gemm_nt(
    (m, n, k): (usize, usize, usize),
    a: RowMajor,
    b: RowMajor,
    c: &mut [f32],
    c_row: usize,
    mode: Mode,
) {
    for i in 0..m {
        for j in 0..n {
            let left = &a.values[i * a.row..][..k];
            let right = &b.values[j * b.row..][..k];
            let sum: f32 = left.iter().zip(right).map(|(x, y)| x * y).sum();
            let out = &mut c[i * c_row + j];
            *out = if mode == Mode::Replace { sum } else { *out + sum };
        }
    }
}
