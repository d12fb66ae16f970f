//! The matrix products on AVX2 and FMA: 6×16 outer products for [`multiply`], 3×4 dot products for [`dots`].
#![expect(unsafe_code, reason = "vector loads and stores through pointers whose ranges the callers checked")]

use std::arch::x86_64::{
    __m256, __m256i, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehdup_ps, _mm_movehl_ps,
    _mm256_broadcast_ss, _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
    _mm256_loadu_si256, _mm256_maskload_ps, _mm256_maskstore_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

use super::{Mode, Rows, Strided};

/// Rows of C in registers at once.
const ROWS: usize = 6;
/// Columns of C in registers at once: two vectors.
const COLS: usize = 16;
/// Inner length of a pass: a 16-column panel of B this long (32 KB) stays in the first-level cache.
const DEPTH: usize = 512;

pub(crate) fn available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// Lanes `0..n` on, for n up to 8.
#[target_feature(enable = "avx2,fma")]
pub(crate) fn lanes(n: usize) -> __m256i {
    const TABLE: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    let start = &TABLE[8 - n.min(8)..][..8];
    // SAFETY: eight 32-bit numbers from the slice just taken.
    unsafe { _mm256_loadu_si256(start.as_ptr().cast()) }
}

/// # Safety
///
/// AVX2 and FMA are available; the slices hold their matrices as [`super::multiply`] checks.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn multiply(
    (m, n, k): (usize, usize, usize),
    a: Strided,
    b: Rows,
    c: &mut [f32],
    c_row: usize,
    mode: Mode,
) {
    let mut from = 0;
    loop {
        let depth = DEPTH.min(k - from);
        let add = mode == Mode::Add || from > 0;
        for j in (0..n).step_by(COLS) {
            for i in (0..m).step_by(ROWS) {
                // SAFETY: rows i.. below m, columns j.. below n, inner from..from+depth below k: inside the
                // matrices, whose lengths the caller checked. With k = 0 the pointers of A and B are not read.
                unsafe {
                    let a_at = a.values.as_ptr().wrapping_add(i * a.row + from * a.col);
                    let b_at = b.values.as_ptr().wrapping_add(from * b.row + j);
                    let block = Block {
                        a: (a_at, a.row, a.col),
                        b: (b_at, b.row),
                        c: (c.as_mut_ptr().add(i * c_row + j), c_row),
                        depth,
                        cols: COLS.min(n - j),
                        add,
                    };
                    match m - i {
                        1 => block.run::<1>(),
                        2 => block.run::<2>(),
                        3 => block.run::<3>(),
                        4 => block.run::<4>(),
                        5 => block.run::<5>(),
                        _ => block.run::<ROWS>(),
                    }
                }
            }
        }
        from += depth;
        if from >= k {
            break;
        }
    }
}

/// One block of C: up to 6×16 entries, kept in registers over `depth` steps.
struct Block {
    a: (*const f32, usize, usize),
    b: (*const f32, usize),
    c: (*mut f32, usize),
    depth: usize,
    cols: usize,
    add: bool,
}

impl Block {
    /// # Safety
    ///
    /// AVX2 and FMA are available; R rows of C and A, `cols` columns of C and B, `depth` steps can be accessed.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn run<const R: usize>(&self) {
        // SAFETY: as this function's own; the masks switch off the lanes beyond `cols`.
        unsafe {
            if self.cols == COLS {
                self.accumulate::<R, true>(lanes(8), lanes(8));
            } else {
                self.accumulate::<R, false>(lanes(self.cols), lanes(self.cols.saturating_sub(8)));
            }
        }
    }

    /// # Safety
    ///
    /// As [`Block::run`]; FULL only with all 16 columns.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn accumulate<const R: usize, const FULL: bool>(&self, low: __m256i, high: __m256i) {
        let (a, a_row, a_col) = self.a;
        let (b, b_row) = self.b;
        let (c, c_row) = self.c;
        // SAFETY: every pointer stays inside the block described by `run`; masked lanes are not accessed.
        unsafe {
            let load = |p: *const f32, mask: __m256i| {
                if FULL { _mm256_loadu_ps(p) } else { _mm256_maskload_ps(p, mask) }
            };
            let mut sums = [[_mm256_setzero_ps(); 2]; R];
            if self.add {
                for (r, sum) in sums.iter_mut().enumerate() {
                    let at = c.add(r * c_row);
                    *sum = [load(at, low), load(at.wrapping_add(8), high)];
                }
            }
            for p in 0..self.depth {
                let row = b.add(p * b_row);
                let (b0, b1) = (load(row, low), load(row.wrapping_add(8), high));
                let left = a.add(p * a_col);
                for (r, sum) in sums.iter_mut().enumerate() {
                    let x = _mm256_broadcast_ss(&*left.add(r * a_row));
                    sum[0] = _mm256_fmadd_ps(x, b0, sum[0]);
                    sum[1] = _mm256_fmadd_ps(x, b1, sum[1]);
                }
            }
            for (r, sum) in sums.iter().enumerate() {
                let at = c.add(r * c_row);
                if FULL {
                    _mm256_storeu_ps(at, sum[0]);
                    _mm256_storeu_ps(at.add(8), sum[1]);
                } else {
                    _mm256_maskstore_ps(at, low, sum[0]);
                    _mm256_maskstore_ps(at.wrapping_add(8), high, sum[1]);
                }
            }
        }
    }
}

/// # Safety
///
/// AVX2 and FMA are available; the slices hold their matrices as [`super::dots`] checks.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn dots(
    (m, n, k): (usize, usize, usize),
    a: Rows,
    b: Rows,
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
                let block = Dots { a: (pa, a.row), b: (pb, b.row), c: (out, c_row), k, add };
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
struct Dots {
    a: (*const f32, usize),
    b: (*const f32, usize),
    c: (*mut f32, usize),
    k: usize,
    add: bool,
}

impl Dots {
    /// # Safety
    ///
    /// AVX2 and FMA are available; R rows of A, S rows of B, each of k values, and R×S entries of C exist.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn run<const R: usize, const S: usize>(&self) {
        let mut sums = [[_mm256_setzero_ps(); S]; R];
        let whole = self.k / 8 * 8;
        // SAFETY: whole vectors below k, then the rest under a mask, of rows that exist.
        unsafe {
            for p in (0..whole).step_by(8) {
                let b: [__m256; S] = std::array::from_fn(|s| _mm256_loadu_ps(self.b.0.add(s * self.b.1 + p)));
                for (r, row) in sums.iter_mut().enumerate() {
                    let a = _mm256_loadu_ps(self.a.0.add(r * self.a.1 + p));
                    for s in 0..S {
                        row[s] = _mm256_fmadd_ps(a, b[s], row[s]);
                    }
                }
            }
            if whole < self.k {
                let mask = lanes(self.k - whole);
                for (r, row) in sums.iter_mut().enumerate() {
                    let a = _mm256_maskload_ps(self.a.0.add(r * self.a.1 + whole), mask);
                    for (s, sum) in row.iter_mut().enumerate() {
                        let b = _mm256_maskload_ps(self.b.0.add(s * self.b.1 + whole), mask);
                        *sum = _mm256_fmadd_ps(a, b, *sum);
                    }
                }
            }
            for (r, row) in sums.iter().enumerate() {
                for (s, sum) in row.iter().enumerate() {
                    let out = self.c.0.add(r * self.c.1 + s);
                    *out = if self.add { *out + total(*sum) } else { total(*sum) };
                }
            }
        }
    }
}

/// The sum of the eight lanes.
#[target_feature(enable = "avx2,fma")]
pub(crate) fn total(v: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}
