//! The product [`super::gemm_nt`] by blocks of dot products.
#![expect(unsafe_code, reason = "vector loads through pointers whose ranges the callers checked")]

use crate::kernels::simd::{Dst, Isa, Kernel, Src, vectors};

/// `C = A · Bᵀ` (or `+=`) through pointers: row i of A starts at `a[i · a_row]`, row j of B at `b[j · b_row]`.
#[derive(Clone, Copy)]
pub(super) struct DotTile<'a> {
    pub(super) a: Src<'a, f32>,
    pub(super) a_row: usize,
    pub(super) b: Src<'a, f32>,
    pub(super) b_row: usize,
    pub(super) c: Dst<'a, f32>,
    pub(super) c_row: usize,
    pub(super) size: (usize, usize, usize),
    pub(super) add: bool,
}

/// m rows of A and C, n rows of B and columns of C, each row of A and B of k values, are accessible.
impl Kernel for DotTile<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let (m, n, k) = self.size;
        for i in (0..m).step_by(3) {
            for j in (0..n).step_by(4) {
                let tile = Self {
                    a: self.a.add(i * self.a_row),
                    b: self.b.add(j * self.b_row),
                    c: self.c.add(i * self.c_row + j),
                    ..self
                };
                macro_rules! block {
                    ($r:literal, $s:literal) => {
                        isa.run(Block::<$r, $s>(tile, k))
                    };
                }
                match (m - i, n - j) {
                    (1, 1) => block!(1, 1),
                    (1, 2) => block!(1, 2),
                    (1, 3) => block!(1, 3),
                    (1, _) => block!(1, 4),
                    (2, 1) => block!(2, 1),
                    (2, 2) => block!(2, 2),
                    (2, 3) => block!(2, 3),
                    (2, _) => block!(2, 4),
                    (_, 1) => block!(3, 1),
                    (_, 2) => block!(3, 2),
                    (_, 3) => block!(3, 3),
                    (_, _) => block!(3, 4),
                }
            }
        }
    }
}

/// R × S dot products of k values.
struct Block<'a, const R: usize, const S: usize>(DotTile<'a>, usize);

impl<const R: usize, const S: usize> Kernel for Block<'_, R, S> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self(DotTile { a, a_row, b, b_row, c, c_row, add, .. }, k) = self;
        let mut sums = [[isa.zero(); S]; R];
        let whole = k / I::LANES * I::LANES;
        // SAFETY: whole vectors below k, then the rest with a mask, of rows that exist.
        unsafe {
            for p in (0..whole).step_by(I::LANES) {
                let right: [I::F32; S] = vectors!(|s| isa.load(b.add(s * b_row + p)));
                for r in 0..R {
                    let left = isa.load(a.add(r * a_row + p));
                    for s in 0..S {
                        sums[r][s] = isa.mul_add(left, right[s], sums[r][s]);
                    }
                }
            }
            if whole < k {
                let mask = isa.first(k - whole);
                let right: [I::F32; S] = vectors!(|s| isa.load_masked(b.add(s * b_row + whole), mask));
                for r in 0..R {
                    let left = isa.load_masked(a.add(r * a_row + whole), mask);
                    for s in 0..S {
                        sums[r][s] = isa.mul_add(left, right[s], sums[r][s]);
                    }
                }
            }
            for r in 0..R {
                for s in 0..S {
                    let (out, sum) = (c.add(r * c_row + s), isa.sum(sums[r][s]));
                    out.write(if add { out.src().read() + sum } else { sum });
                }
            }
        }
    }
}
