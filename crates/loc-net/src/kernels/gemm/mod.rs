//! Two small matrix products, used by the convolution and the linear layer.
//!
//! [`gemm_nn`]: `C = A · B`, where B and C have contiguous rows and A any strides. [`gemm_nt`]: `C = A · Bᵀ`, where all
//! rows are contiguous. Both run on the calling thread; their callers distribute tiles over the threads. Each entry of
//! C is one sum in a fixed order that depends only on the inner length, so callers may split C in any way and get the
//! same bits.

mod dot;
pub mod reference;
#[cfg(test)]
mod tests;
mod tile;

use super::simd::{Dst, Level, Src};
use dot::DotTile;
pub(crate) use tile::{DEPTH, Epilogue, GemmTile};

/// The left matrix of [`gemm_nn`]: entry (i, p) at `values[i · row + p · col]`.
#[derive(Debug, Clone, Copy)]
pub struct Strided<'a> {
    /// The values.
    pub values: &'a [f32],
    /// Distance from one row to the next.
    pub row: usize,
    /// Distance from one column to the next.
    pub col: usize,
}

/// A matrix with contiguous rows: row i starts at `values[i · row]`.
#[derive(Debug, Clone, Copy)]
pub struct RowMajor<'a> {
    /// The values.
    pub values: &'a [f32],
    /// Distance from one row to the next.
    pub row: usize,
}

/// Whether a product replaces C or is added to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `C = …`
    Replace,
    /// `C += …`
    Add,
}

/// `C[m×n] = A[m×k] · B[k×n]` (or `+=`); row i of C starts at `c[i · c_row]`.
///
/// # Panics
///
/// If a slice is shorter than its matrix.
pub fn gemm_nn(
    (m, n, k): (usize, usize, usize),
    a: Strided,
    b: RowMajor,
    c: &mut [f32],
    c_row: usize,
    mode: Mode,
) {
    if m == 0 || n == 0 {
        return;
    }
    assert!(c_row >= n && holds(c.len(), m, c_row, n), "C holds m rows of n");
    if k > 0 {
        let columns = (k - 1).checked_mul(a.col).and_then(|at| at.checked_add(1));
        assert!(columns.is_some_and(|n| holds(a.values.len(), m, a.row, n)), "A holds m rows of k");
        assert!(b.row >= n && holds(b.values.len(), k, b.row, n), "B holds k rows of n");
    }
    let tile = GemmTile {
        a: Src::of(a.values),
        a_row: a.row,
        a_col: a.col,
        b: Src::of(b.values),
        b_row: b.row,
        c: Dst::of(c),
        c_row,
        add: mode == Mode::Add,
    };
    Level::current().run(tile::Passes { tile, size: (m, n, k), epilogue: Epilogue::NONE });
}

/// `C[m×n] = A[m×k] · B[n×k]ᵀ` (or `+=`); row i of C starts at `c[i · c_row]`.
///
/// # Panics
///
/// If a slice is shorter than its matrix.
pub fn gemm_nt(
    (m, n, k): (usize, usize, usize),
    a: RowMajor,
    b: RowMajor,
    c: &mut [f32],
    c_row: usize,
    mode: Mode,
) {
    if m == 0 || n == 0 {
        return;
    }
    assert!(c_row >= n && holds(c.len(), m, c_row, n), "C holds m rows of n");
    assert!(a.row >= k && holds(a.values.len(), m, a.row, k), "A holds m rows of k");
    assert!(b.row >= k && holds(b.values.len(), n, b.row, k), "B holds n rows of k");
    Level::current().run(DotTile {
        a: Src::of(a.values),
        a_row: a.row,
        b: Src::of(b.values),
        b_row: b.row,
        c: Dst::of(c),
        c_row,
        size: (m, n, k),
        add: mode == Mode::Add,
    });
}

/// Returns whether `len` values hold `rows` rows (at least one) of `n` values that start `row` values apart.
pub(crate) fn holds(len: usize, rows: usize, row: usize, n: usize) -> bool {
    let needed = (rows - 1).checked_mul(row).and_then(|start| start.checked_add(n));
    needed.is_some_and(|needed| needed <= len)
}
