//! The matrix products on AVX2 and FMA: 6×16 outer products for [`gemm_nn`], 3×4 dot products for [`gemm_nt`].
#![expect(unsafe_code, reason = "vector loads and stores through pointers whose ranges the callers checked")]

use std::arch::x86_64::{
    __m256, __m256i, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehdup_ps, _mm_movehl_ps,
    _mm256_broadcast_ss, _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
    _mm256_loadu_si256, _mm256_maskload_ps, _mm256_maskstore_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

use super::{Mode, RowMajor, Strided};
use crate::kernels::simd::vectors;

/// Inner length of one pass: a panel of B of two vectors this long (32 KB) stays in the level-1 cache.
const DEPTH: usize = 512;

pub(crate) fn available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// Returns the mask that enables lanes `0..n`, for n up to 8.
#[target_feature(enable = "avx2,fma")]
pub(crate) fn lanes(n: usize) -> __m256i {
    const TABLE: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    let start = &TABLE[8 - n.min(8)..][..8];
    // SAFETY: eight 32-bit numbers from the slice just taken.
    unsafe { _mm256_loadu_si256(start.as_ptr().cast()) }
}

/// # Safety
///
/// AVX2 and FMA are available; the slices hold their matrices as [`super::gemm_nn`] checks.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn gemm_nn(
    (m, n, k): (usize, usize, usize),
    a: Strided,
    b: RowMajor,
    c: &mut [f32],
    c_row: usize,
    mode: Mode,
) {
    let (a, a_row, a_col) = (a.values.as_ptr(), a.row, a.col);
    let (b, b_row, c) = (b.values.as_ptr(), b.row, c.as_mut_ptr());
    let product = GemmTile { a, a_row, a_col, b, b_row, c, c_row, add: mode == Mode::Add };
    // SAFETY: guaranteed by the caller.
    unsafe { product.run((m, n, k)) };
}

/// `C = A · B` (or `+=`) through pointers: entry (i, p) of A is at `a[i · a_row + p · a_col]`; rows of B and C are
/// contiguous.
#[derive(Clone, Copy)]
pub(crate) struct GemmTile {
    pub(crate) a: *const f32,
    pub(crate) a_row: usize,
    pub(crate) a_col: usize,
    pub(crate) b: *const f32,
    pub(crate) b_row: usize,
    pub(crate) c: *mut f32,
    pub(crate) c_row: usize,
    pub(crate) add: bool,
}

impl GemmTile {
    /// # Safety
    ///
    /// AVX2 and FMA are available; m rows of A and C, n columns of B and C, and k steps are accessible. With k = 0
    /// neither A nor B is read.
    #[target_feature(enable = "avx2,fma")]
    pub(crate) unsafe fn run(self, (m, n, k): (usize, usize, usize)) {
        let mut from = 0;
        loop {
            let depth = DEPTH.min(k - from);
            let pass = Self {
                a: self.a.wrapping_add(from * self.a_col),
                b: self.b.wrapping_add(from * self.b_row),
                add: self.add || from > 0,
                ..self
            };
            // SAFETY: steps from..from + depth, below k.
            unsafe { pass.columns((m, n, depth)) };
            from += depth;
            if from >= k {
                break;
            }
        }
    }

    /// # Safety
    ///
    /// As for [`GemmTile::run`].
    #[target_feature(enable = "avx2,fma")]
    unsafe fn columns(self, (m, n, k): (usize, usize, usize)) {
        let mut j = 0;
        while j < n {
            let panel = Self { b: self.b.wrapping_add(j), c: self.c.wrapping_add(j), ..self };
            // SAFETY: columns j.. below n; the masks disable the lanes beyond.
            unsafe {
                j += match n - j {
                    // Three vectors at once: after two, a single one would remain, which cannot use all multipliers.
                    24 => panel.rows::<3, true>((m, k), [lanes(8); 3]),
                    16.. => panel.rows::<2, true>((m, k), [lanes(8); 2]),
                    8 => panel.rows::<1, true>((m, k), [lanes(8); 1]),
                    left @ 9.. => panel.rows::<2, false>((m, k), [lanes(8), lanes(left - 8)]),
                    left => panel.rows::<1, false>((m, k), [lanes(left); 1]),
                };
            }
        }
    }

    /// Computes V vectors of columns, with nine to twelve sums in registers if there are enough rows. Returns the
    /// number of columns.
    ///
    /// # Safety
    ///
    /// As for [`GemmTile::run`], for the columns that the masks enable.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn rows<const V: usize, const FULL: bool>(
        self,
        (m, k): (usize, usize),
        masks: [__m256i; V],
    ) -> usize {
        let mut i = 0;
        while i < m {
            let block = Self {
                a: self.a.wrapping_add(i * self.a_row),
                c: self.c.wrapping_add(i * self.c_row),
                ..self
            };
            // SAFETY: rows i.. below m.
            unsafe {
                i += match m - i {
                    12.. if V == 1 => block.block::<12, V, FULL>(k, masks),
                    3.. if V == 3 => block.block::<3, V, FULL>(k, masks),
                    6.. => block.block::<6, V, FULL>(k, masks),
                    5 => block.block::<5, V, FULL>(k, masks),
                    4 => block.block::<4, V, FULL>(k, masks),
                    3 => block.block::<3, V, FULL>(k, masks),
                    2 => block.block::<2, V, FULL>(k, masks),
                    _ => block.block::<1, V, FULL>(k, masks),
                };
            }
        }
        8 * V
    }

    /// Computes R rows of V vectors, in registers over all k. Returns R.
    ///
    /// # Safety
    ///
    /// As for [`GemmTile::run`], for R rows and the columns that the masks enable; FULL only if all are enabled.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn block<const R: usize, const V: usize, const FULL: bool>(
        self,
        k: usize,
        masks: [__m256i; V],
    ) -> usize {
        let Self { a: mut left, a_row, a_col, b: mut right, b_row, c, c_row, .. } = self;
        // SAFETY: every pointer stays inside the matrices; masked lanes are not accessed.
        unsafe {
            let mut sums = [[_mm256_setzero_ps(); V]; R];
            if self.add {
                for (r, sums) in sums.iter_mut().enumerate() {
                    for (v, sum) in sums.iter_mut().enumerate() {
                        *sum = load::<FULL>(c.wrapping_add(r * c_row + 8 * v), masks[v]);
                    }
                }
            }
            for _ in 0..k {
                let row: [__m256; V] = vectors!(|v| load::<FULL>(right.wrapping_add(8 * v), masks[v]));
                for (r, sums) in sums.iter_mut().enumerate() {
                    let x = _mm256_broadcast_ss(&*left.add(r * a_row));
                    for (sum, y) in sums.iter_mut().zip(row) {
                        *sum = _mm256_fmadd_ps(x, y, *sum);
                    }
                }
                left = left.wrapping_add(a_col);
                right = right.wrapping_add(b_row);
            }
            for (r, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    let to = c.wrapping_add(r * c_row + 8 * v);
                    if FULL { _mm256_storeu_ps(to, *sum) } else { _mm256_maskstore_ps(to, masks[v], *sum) }
                }
            }
        }
        R
    }
}

/// # Safety
///
/// AVX2 and FMA are available; the enabled lanes, or with FULL all lanes, can be read.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn load<const FULL: bool>(p: *const f32, mask: __m256i) -> __m256 {
    // SAFETY: guaranteed by the caller.
    unsafe { if FULL { _mm256_loadu_ps(p) } else { _mm256_maskload_ps(p, mask) } }
}

/// # Safety
///
/// AVX2 and FMA are available; the slices hold their matrices as [`super::gemm_nt`] checks.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn gemm_nt(
    (m, n, k): (usize, usize, usize),
    a: RowMajor,
    b: RowMajor,
    c: &mut [f32],
    c_row: usize,
    mode: Mode,
) {
    for i in (0..m).step_by(3) {
        for j in (0..n).step_by(4) {
            // SAFETY: rows i.. of A below m and j.. of B below n hold k values each; checked by the caller.
            unsafe {
                let pa = a.values.as_ptr().add(i * a.row);
                let pb = b.values.as_ptr().add(j * b.row);
                let out = c.as_mut_ptr().add(i * c_row + j);
                let add = mode == Mode::Add;
                let block = DotTile { a: pa, a_row: a.row, b: pb, b_row: b.row, c: out, c_row, k, add };
                match (m - i, n - j) {
                    (1, 1) => block.run::<1, 1>(),
                    (1, 2) => block.run::<1, 2>(),
                    (1, 3) => block.run::<1, 3>(),
                    (1, _) => block.run::<1, 4>(),
                    (2, 1) => block.run::<2, 1>(),
                    (2, 2) => block.run::<2, 2>(),
                    (2, 3) => block.run::<2, 3>(),
                    (2, _) => block.run::<2, 4>(),
                    (_, 1) => block.run::<3, 1>(),
                    (_, 2) => block.run::<3, 2>(),
                    (_, 3) => block.run::<3, 3>(),
                    (_, _) => block.run::<3, 4>(),
                }
            }
        }
    }
}

/// A block of up to 3×4 dot products.
struct DotTile {
    a: *const f32,
    a_row: usize,
    b: *const f32,
    b_row: usize,
    c: *mut f32,
    c_row: usize,
    k: usize,
    add: bool,
}

impl DotTile {
    /// # Safety
    ///
    /// AVX2 and FMA are available; R rows of A, S rows of B, each of k values, and R×S entries of C exist.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn run<const R: usize, const S: usize>(&self) {
        let mut sums = [[_mm256_setzero_ps(); S]; R];
        let whole = self.k / 8 * 8;
        // SAFETY: whole vectors below k, then the rest with a mask, of rows that exist.
        unsafe {
            for p in (0..whole).step_by(8) {
                let b: [__m256; S] = vectors!(|s| _mm256_loadu_ps(self.b.add(s * self.b_row + p)));
                for (r, row) in sums.iter_mut().enumerate() {
                    let a = _mm256_loadu_ps(self.a.add(r * self.a_row + p));
                    for s in 0..S {
                        row[s] = _mm256_fmadd_ps(a, b[s], row[s]);
                    }
                }
            }
            if whole < self.k {
                let mask = lanes(self.k - whole);
                for (r, row) in sums.iter_mut().enumerate() {
                    let a = _mm256_maskload_ps(self.a.add(r * self.a_row + whole), mask);
                    for (s, sum) in row.iter_mut().enumerate() {
                        let b = _mm256_maskload_ps(self.b.add(s * self.b_row + whole), mask);
                        *sum = _mm256_fmadd_ps(a, b, *sum);
                    }
                }
            }
            for (r, row) in sums.iter().enumerate() {
                for (s, sum) in row.iter().enumerate() {
                    let out = self.c.add(r * self.c_row + s);
                    *out = if self.add { *out + horizontal_sum(*sum) } else { horizontal_sum(*sum) };
                }
            }
        }
    }
}

/// Returns the sum of the eight lanes.
#[target_feature(enable = "avx2,fma")]
pub(crate) fn horizontal_sum(v: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}
