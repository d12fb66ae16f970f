//! The sum of the weight gradient: patches of the input, each times the gradient of its cell.
#![expect(unsafe_code, reason = "vector loads and stores through pointers whose ranges the callers checked")]

use crate::kernels::conv_block::KERNEL;
use crate::kernels::simd::{Dst, Isa, Kernel, Src};

/// Patches to add: `sums += Σ value · patch at offset`. `n` offsets and values exist, all patches are inside the input and
/// its overread, and `sums` holds five rows.
#[derive(Clone, Copy)]
pub(super) struct Patches<'a> {
    pub(super) n: usize,
    pub(super) offsets: Src<'a, i32>,
    pub(super) values: Src<'a, f32>,
    pub(super) x: Src<'a, f32>,
    /// Distance between rows of the input.
    pub(super) row: usize,
    pub(super) sums: Dst<'a, f32>,
    pub(super) row_len: usize,
}

impl Patches<'_> {
    /// Adds the five rows of the patches, of V vectors each, as many at once as fit the registers.
    #[inline(always)]
    pub(super) fn all<I: Isa, const V: usize>(self, isa: I) {
        let fits = (I::REGISTERS - 1) / V;
        let mut from = 0;
        while from < KERNEL {
            let rows =
                Self { x: self.x.add(from * self.row), sums: self.sums.add(from * self.row_len), ..self };
            from += match fits.min(KERNEL - from) {
                5 if V == 1 => isa.run(TwoSums(rows)),
                5 => isa.run(Rows::<5, V>(rows)),
                3 | 4 => isa.run(Rows::<3, V>(rows)),
                2 => isa.run(Rows::<2, V>(rows)),
                _ => isa.run(Rows::<1, V>(rows)),
            };
        }
    }
}

/// R rows of V vectors.
struct Rows<'a, const R: usize, const V: usize>(Patches<'a>);

impl<const R: usize, const V: usize> Kernel for Rows<'_, R, V> {
    /// R
    type Output = usize;

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) -> usize {
        let Patches { n, offsets, values, x, row, sums, row_len } = self.0;
        // Starts from zero, not from the sums, so that the rounding error is only that of one strip's terms.
        let mut acc = [[isa.zero(); V]; R];
        // SAFETY: guaranteed by the fields.
        unsafe {
            for e in 0..n {
                let g = isa.load_splat(values.add(e));
                let patch = x.add(offsets.add(e).read() as usize);
                for r in 0..R {
                    for v in 0..V {
                        let x = isa.load(patch.add(r * row + v * I::LANES));
                        acc[r][v] = isa.mul_add(g, x, acc[r][v]);
                    }
                }
            }
            for r in 0..R {
                for v in 0..V {
                    let to = sums.add(r * row_len + v * I::LANES);
                    isa.store(to, isa.add(isa.load(to.src()), acc[r][v]));
                }
            }
        }
        R
    }
}

/// Five rows of one vector.
struct TwoSums<'a>(Patches<'a>);

impl Kernel for TwoSums<'_> {
    /// 5
    type Output = usize;

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) -> usize {
        let Patches { n, offsets, values, x, row, sums, row_len } = self.0;
        // With five sums only, each would wait for the one before: the patches take turns.
        let mut acc = [[isa.zero(); KERNEL]; 2];
        // SAFETY: guaranteed by the fields.
        unsafe {
            for e in 0..n / 2 {
                for u in 0..2 {
                    let g = isa.load_splat(values.add(2 * e + u));
                    let patch = x.add(offsets.add(2 * e + u).read() as usize);
                    for r in 0..KERNEL {
                        acc[u][r] = isa.mul_add(g, isa.load(patch.add(r * row)), acc[u][r]);
                    }
                }
            }
            if n % 2 == 1 {
                let g = isa.load_splat(values.add(n - 1));
                let patch = x.add(offsets.add(n - 1).read() as usize);
                for r in 0..KERNEL {
                    acc[0][r] = isa.mul_add(g, isa.load(patch.add(r * row)), acc[0][r]);
                }
            }
            for r in 0..KERNEL {
                let (to, sum) = (sums.add(r * row_len), isa.add(acc[0][r], acc[1][r]));
                isa.store(to, isa.add(isa.load(to.src()), sum));
            }
        }
        KERNEL
    }
}
