//! The product [`super::gemm_nn`] by blocks of C that stay in registers over the inner length.
#![expect(unsafe_code, reason = "vector loads and stores through pointers whose ranges the callers checked")]

use crate::kernels::Activation;
use crate::kernels::simd::{Dst, Isa, Kernel, Src, activate, vectors};

/// Inner length of one pass: a panel of B of two vectors this long stays in the level-1 cache.
pub(crate) const DEPTH: usize = 512;

/// `C = A · B` (or `+=`) through pointers: entry (i, p) of A is at `a[i · a_row + p · a_col]`; rows of B and C are
/// contiguous.
#[derive(Clone, Copy)]
pub(crate) struct GemmTile<'a> {
    pub(crate) a: Src<'a, f32>,
    pub(crate) a_row: usize,
    pub(crate) a_col: usize,
    pub(crate) b: Src<'a, f32>,
    pub(crate) b_row: usize,
    pub(crate) c: Dst<'a, f32>,
    pub(crate) c_row: usize,
    pub(crate) add: bool,
}

/// What is done with the sums while they are in registers.
#[derive(Clone, Copy)]
pub(crate) struct Epilogue<'a> {
    /// A value for each column of C, added to its sums. Not allowed together with [`GemmTile::add`].
    pub(crate) bias: Option<Src<'a, f32>>,
    /// Whether the values of C are added to the sums at the end. For long sums this is more accurate than
    /// [`GemmTile::add`], which starts from C. The inner length is at most [`DEPTH`].
    pub(crate) accumulate: bool,
    /// The activation of the sums.
    pub(crate) activation: Activation,
}

impl Epilogue<'_> {
    pub(crate) const NONE: Self = Self { bias: None, accumulate: false, activation: Activation::None };
}

impl<'a> GemmTile<'a> {
    /// # Safety
    ///
    /// m rows of A and C, n columns of B and C, and k steps are accessible. With k = 0 neither A nor B is read.
    #[inline(always)]
    pub(crate) unsafe fn run<I: Isa>(self, isa: I, size: (usize, usize, usize)) {
        isa.run(Passes { tile: self, size, epilogue: Epilogue::NONE });
    }

    /// Same as [`GemmTile::run`], with an epilogue.
    ///
    /// # Safety
    ///
    /// As for [`GemmTile::run`]; the bias has n values.
    #[inline(always)]
    pub(crate) unsafe fn run_with<I: Isa>(self, isa: I, size: (usize, usize, usize), epilogue: Epilogue<'a>) {
        isa.run(Passes { tile: self, size, epilogue });
    }
}

/// The whole product; the matrices are as [`GemmTile::run`] requires.
pub(super) struct Passes<'a> {
    pub(super) tile: GemmTile<'a>,
    pub(super) size: (usize, usize, usize),
    pub(super) epilogue: Epilogue<'a>,
}

impl Kernel for Passes<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let (m, n, k) = self.size;
        let tile = self.tile;
        let mut from = 0;
        loop {
            let depth = DEPTH.min(k - from);
            let epilogue = Epilogue {
                bias: self.epilogue.bias.filter(|_| from == 0),
                accumulate: self.epilogue.accumulate,
                activation: if from + depth >= k { self.epilogue.activation } else { Activation::None },
            };
            let pass = GemmTile {
                a: tile.a.add(from * tile.a_col),
                b: tile.b.add(from * tile.b_row),
                add: tile.add || from > 0,
                ..tile
            };
            // SAFETY: steps from..from + depth, below k.
            unsafe { pass.columns(isa, (m, n, depth), epilogue) };
            from += depth;
            if from >= k {
                break;
            }
        }
    }
}

impl<'a> GemmTile<'a> {
    /// # Safety
    ///
    /// As for [`GemmTile::run_with`].
    #[inline(always)]
    unsafe fn columns<I: Isa>(self, isa: I, (m, n, k): (usize, usize, usize), epilogue: Epilogue<'a>) {
        let (l, wide) = (I::LANES, I::REGISTERS >= 32);
        let mut j = 0;
        while j < n {
            let panel = Self { b: self.b.add(j), c: self.c.add(j), ..self };
            let own = match epilogue.bias {
                Some(bias) => Epilogue { bias: Some(bias.add(j)), ..epilogue },
                None => epilogue,
            };
            let left = n - j;
            // SAFETY: columns j.. below n; the mask disables the lanes beyond.
            unsafe {
                j += if left == 3 * l || (wide && left > 3 * l) {
                    // Three vectors at once: after two, a single one could remain, which cannot use all multipliers.
                    panel.rows::<I, 3, true>(isa, (m, k), 3 * l, own)
                } else if wide && left > 2 * l {
                    panel.rows::<I, 3, false>(isa, (m, k), left, own)
                } else if left >= 2 * l {
                    panel.rows::<I, 2, true>(isa, (m, k), 2 * l, own)
                } else if left > l {
                    panel.rows::<I, 2, false>(isa, (m, k), left, own)
                } else if left == l {
                    panel.rows::<I, 1, true>(isa, (m, k), l, own)
                } else {
                    panel.rows::<I, 1, false>(isa, (m, k), left, own)
                };
            }
        }
    }

    /// Computes `n` columns in V vectors, with as many rows at once as leave registers for the sums. Returns n.
    ///
    /// # Safety
    ///
    /// As for [`GemmTile::run`], for n columns.
    #[inline(always)]
    unsafe fn rows<I: Isa, const V: usize, const FULL: bool>(
        self,
        isa: I,
        (m, k): (usize, usize),
        n: usize,
        epilogue: Epilogue<'a>,
    ) -> usize {
        let rest = n - (V - 1) * I::LANES;
        let mut i = 0;
        while i < m {
            let tile = Self { a: self.a.add(i * self.a_row), c: self.c.add(i * self.c_row), ..self };
            macro_rules! block {
                ($rows:literal) => {
                    isa.run(Block::<$rows, V, FULL> { tile, k, rest, epilogue })
                };
            }
            let left = m - i;
            i += if I::REGISTERS >= 32 {
                match left {
                    14.. if V == 1 => block!(14),
                    14 | 28 | 42.. if V == 2 => block!(14),
                    12.. if V <= 2 => block!(12),
                    10 | 11 if V <= 2 => block!(10),
                    8.. => block!(8),
                    7 => block!(7),
                    6 => block!(6),
                    5 => block!(5),
                    4 => block!(4),
                    3 => block!(3),
                    2 => block!(2),
                    _ => block!(1),
                }
            } else {
                match left {
                    12.. if V == 1 => block!(12),
                    3.. if V == 3 => block!(3),
                    6.. => block!(6),
                    5 => block!(5),
                    4 => block!(4),
                    3 => block!(3),
                    2 => block!(2),
                    _ => block!(1),
                }
            };
        }
        n
    }
}

/// R rows of V vectors, in registers over all k. The last vector has `rest` columns; all of its lanes, if FULL.
struct Block<'a, const R: usize, const V: usize, const FULL: bool> {
    tile: GemmTile<'a>,
    k: usize,
    rest: usize,
    epilogue: Epilogue<'a>,
}

impl<const R: usize, const V: usize, const FULL: bool> Kernel for Block<'_, R, V, FULL> {
    /// R
    type Output = usize;

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) -> usize {
        let GemmTile { a: mut left, a_row, a_col, b: mut right, b_row, c, c_row, add } = self.tile;
        let mask = isa.first(self.rest);
        let mut sums = [[isa.zero(); V]; R];
        // SAFETY: guaranteed by the caller of `GemmTile::run`; masked lanes are not accessed.
        unsafe {
            if add {
                for r in 0..R {
                    for v in 0..V {
                        let from = c.src().add(r * c_row + v * I::LANES);
                        sums[r][v] = load::<I, FULL>(isa, from, v + 1 == V, mask);
                    }
                }
            }
            if let Some(bias) = self.epilogue.bias {
                let bias: [I::F32; V] =
                    vectors!(|v| load::<I, FULL>(isa, bias.add(v * I::LANES), v + 1 == V, mask));
                sums = [bias; R];
            }
            for _ in 0..self.k {
                let row: [I::F32; V] =
                    vectors!(|v| load::<I, FULL>(isa, right.add(v * I::LANES), v + 1 == V, mask));
                for r in 0..R {
                    let x = isa.load_splat(left.add(r * a_row));
                    for v in 0..V {
                        sums[r][v] = isa.mul_add(x, row[v], sums[r][v]);
                    }
                }
                left = left.add(a_col);
                right = right.add(b_row);
            }
            if self.epilogue.accumulate {
                for r in 0..R {
                    for v in 0..V {
                        let from = c.src().add(r * c_row + v * I::LANES);
                        sums[r][v] = isa.add(load::<I, FULL>(isa, from, v + 1 == V, mask), sums[r][v]);
                    }
                }
            }
            if self.epilogue.activation != Activation::None {
                for r in 0..R {
                    for v in 0..V {
                        sums[r][v] = activate(isa, self.epilogue.activation, sums[r][v]);
                    }
                }
            }
            for r in 0..R {
                for v in 0..V {
                    let to = c.add(r * c_row + v * I::LANES);
                    if FULL || v + 1 < V {
                        isa.store(to, sums[r][v]);
                    } else {
                        isa.store_masked(to, mask, sums[r][v]);
                    }
                }
            }
        }
        R
    }
}

/// # Safety
///
/// The vector can be read; only the enabled lanes, if it is the last one and they are not FULL.
#[inline(always)]
unsafe fn load<I: Isa, const FULL: bool>(isa: I, from: Src<f32>, last: bool, mask: I::Mask) -> I::F32 {
    // SAFETY: guaranteed by the caller.
    unsafe { if FULL || !last { isa.load(from) } else { isa.load_masked(from, mask) } }
}
