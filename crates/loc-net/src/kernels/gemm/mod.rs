//! Two small matrix products, used by the convolution and the linear layer.
//!
//! [`gemm_nn`]: `C = A · B`, where B and C have contiguous rows and A any strides. [`gemm_nt`]: `C = A · Bᵀ`, where all
//! rows are contiguous. Both run on the calling thread; their callers distribute tiles over the threads. Each entry of
//! C is one sum in a fixed order that depends only on the inner length, so callers may split C in any way and get the
//! same bits.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
pub mod reference;
#[cfg(test)]
mod tests;

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
    assert!(c_row >= n && c.len() >= (m - 1) * c_row + n, "C holds m rows of n");
    if k > 0 {
        assert!(a.values.len() > (m - 1) * a.row + (k - 1) * a.col, "A holds m rows of k");
        assert!(b.row >= n && b.values.len() >= (k - 1) * b.row + n, "B holds k rows of n");
    }
    #[cfg(target_arch = "x86_64")]
    if avx2::available() {
        #[expect(unsafe_code, reason = "calls the AVX2 kernel after checking for AVX2")]
        // SAFETY: AVX2 and FMA are available, and the lengths were checked above.
        unsafe {
            avx2::gemm_nn((m, n, k), a, b, c, c_row, mode);
        }
        return;
    }
    reference::gemm_nn((m, n, k), a, b, c, c_row, mode);
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
    assert!(c_row >= n && c.len() >= (m - 1) * c_row + n, "C holds m rows of n");
    assert!(a.row >= k && a.values.len() >= (m - 1) * a.row + k, "A holds m rows of k");
    assert!(b.row >= k && b.values.len() >= (n - 1) * b.row + k, "B holds n rows of k");
    #[cfg(target_arch = "x86_64")]
    if avx2::available() {
        #[expect(unsafe_code, reason = "calls the AVX2 kernel after checking for AVX2")]
        // SAFETY: AVX2 and FMA are available, and the lengths were checked above.
        unsafe {
            avx2::gemm_nt((m, n, k), a, b, c, c_row, mode);
        }
        return;
    }
    reference::gemm_nt((m, n, k), a, b, c, c_row, mode);
}
