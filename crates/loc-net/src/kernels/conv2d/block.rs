//! The inner loops of the direct kernel: sums of shifted input rows, and dot products with shifted input rows.
#![expect(unsafe_code, reason = "vector loads and stores through pointers whose ranges the functions check")]

use crate::kernels::gemm::holds;
use crate::kernels::simd::{Dst, Isa, Kernel, Level, Src, vectors};

/// Output columns of a block; a narrower map has fewer.
pub(super) const COLS: usize = 16;
/// Output channels of a block.
pub(super) const CHANNELS: usize = 6;

/// Some rows of a group's output gradient and the input rows they depend on.
pub(super) struct GradientTile<'a> {
    pub(super) x: &'a [f32],
    pub(super) x_row: usize,
    pub(super) offsets: &'a [usize],
    pub(super) gy: &'a [f32],
    pub(super) gy_row: usize,
    pub(super) gy_plane: usize,
    pub(super) rows: usize,
}

/// `sums[c][j] = Σ_k weights[k][c] · x[offsets[k] + j]` for `channels` of the block (1 to 6) and 16 columns.
pub(super) fn weighted_sums(
    channels: usize,
    weights: &[f32],
    offsets: &[usize],
    x: &[f32],
    sums: &mut [[f32; COLS]; CHANNELS],
) {
    assert!(
        (1..=CHANNELS).contains(&channels) && weights.len() == channels * offsets.len(),
        "a block's weights"
    );
    let last = offsets.iter().copied().max().unwrap_or(0);
    assert!(last <= x.len() && x.len() - last >= COLS, "the input is too short for a kernel position");
    let level = Level::current();
    macro_rules! rows {
        ($r:literal) => {
            level.run(WeightedSums::<$r> { weights, offsets, x, sums })
        };
    }
    match channels {
        1 => rows!(1),
        2 => rows!(2),
        3 => rows!(3),
        4 => rows!(4),
        5 => rows!(5),
        _ => rows!(6),
    }
}

/// [`weighted_sums`] of R channels. `x` holds sixteen values from each offset on.
struct WeightedSums<'a, const R: usize> {
    weights: &'a [f32],
    offsets: &'a [usize],
    x: &'a [f32],
    sums: &'a mut [[f32; COLS]; CHANNELS],
}

impl<const R: usize> Kernel for WeightedSums<'_, R> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        match COLS / I::LANES {
            1 => self.vectors::<I, 1>(isa, 0),
            _ => {
                let Self { weights, offsets, x, sums } = self;
                for column in (0..COLS).step_by(2 * I::LANES) {
                    WeightedSums::<R> { weights, offsets, x, sums }.vectors::<I, 2>(isa, column);
                }
            }
        }
    }
}

impl<const R: usize> WeightedSums<'_, R> {
    /// Computes V vectors of columns from `column` on.
    #[inline(always)]
    fn vectors<I: Isa, const V: usize>(self, isa: I, column: usize) {
        let Self { weights, offsets, x, sums } = self;
        let mut acc = [[isa.zero(); V]; R];
        let (x, mut w) = (Src::of(x).add(column), Src::of(weights));
        // SAFETY: the lengths are those of the fields; writes fill columns of `sums`.
        unsafe {
            for offset in offsets {
                let at = x.add(*offset);
                let x: [I::F32; V] = vectors!(|v| isa.load(at.add(v * I::LANES)));
                for r in 0..R {
                    let weight = isa.load_splat(w.add(r));
                    for v in 0..V {
                        acc[r][v] = isa.mul_add(weight, x[v], acc[r][v]);
                    }
                }
                w = w.add(R);
            }
            for (acc, sums) in acc.iter().zip(sums) {
                let to = Dst::of(sums).add(column);
                for v in 0..V {
                    isa.store(to.add(v * I::LANES), acc[v]);
                }
            }
        }
    }
}

/// `gw[o][k] += Σ_{rows, columns} gy[o][row][column] · x[offsets[k] + row · x_row + column]`, for `channels` values of
/// o.
pub(super) fn add_dot_products(tile: &GradientTile, channels: usize, gw: &mut [f32]) {
    let fan_in = tile.offsets.len();
    let last = tile.offsets.iter().copied().max().unwrap_or(0);
    let rows = |len: usize, row: usize| holds(len, tile.rows, row, tile.gy_row);
    assert!(last <= tile.x.len() && rows(tile.x.len() - last, tile.x_row), "the input is too short");
    let plane = tile.rows * tile.gy_row;
    assert!(holds(tile.gy.len(), channels, tile.gy_plane, plane), "output gradient of all channels");
    assert!(gw.len() == channels * fan_in, "weight gradient of all channels");
    Level::current().run(DotProducts { tile, channels, gw });
}

/// [`add_dot_products`], whose lengths were checked.
struct DotProducts<'a> {
    tile: &'a GradientTile<'a>,
    channels: usize,
    gw: &'a mut [f32],
}

impl Kernel for DotProducts<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { tile, channels, gw } = self;
        let fan_in = tile.offsets.len();
        for o in (0..channels).step_by(3) {
            for k in (0..fan_in).step_by(4) {
                macro_rules! block {
                    ($r:literal, $s:literal, $at:expr) => {
                        isa.run(Dots::<$r, $s> { tile, o, k: $at, gw: &mut *gw })
                    };
                }
                macro_rules! positions {
                    ($r:literal) => {
                        if fan_in - k >= 4 {
                            block!($r, 4, k);
                        } else {
                            for k in k..fan_in {
                                block!($r, 1, k);
                            }
                        }
                    };
                }
                match channels - o {
                    1 => positions!(1),
                    2 => positions!(2),
                    _ => positions!(3),
                }
            }
        }
    }
}

/// R channels from `o` and S kernel positions from `k`, which exist.
struct Dots<'a, const R: usize, const S: usize> {
    tile: &'a GradientTile<'a>,
    o: usize,
    k: usize,
    gw: &'a mut [f32],
}

impl<const R: usize, const S: usize> Kernel for Dots<'_, R, S> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { tile, o, k, gw } = self;
        let fan_in = tile.offsets.len();
        let whole = tile.gy_row / I::LANES * I::LANES;
        let mask = isa.first(tile.gy_row - whole);
        let mut sums = [[isa.zero(); S]; R];
        let gy = Src::of(tile.gy).add(o * tile.gy_plane);
        let x: [Src<f32>; S] = vectors!(|s| Src::of(tile.x).add(tile.offsets[k + s]));
        // SAFETY: whole vectors inside each row, the rest with a mask.
        unsafe {
            for row in 0..tile.rows {
                let (gy, x_row) = (gy.add(row * tile.gy_row), row * tile.x_row);
                for j in (0..whole).step_by(I::LANES) {
                    let x: [I::F32; S] = vectors!(|s| isa.load(x[s].add(x_row + j)));
                    for r in 0..R {
                        let g = isa.load(gy.add(r * tile.gy_plane + j));
                        for s in 0..S {
                            sums[r][s] = isa.mul_add(g, x[s], sums[r][s]);
                        }
                    }
                }
                if whole < tile.gy_row {
                    let x: [I::F32; S] = vectors!(|s| isa.load_masked(x[s].add(x_row + whole), mask));
                    for r in 0..R {
                        let g = isa.load_masked(gy.add(r * tile.gy_plane + whole), mask);
                        for s in 0..S {
                            sums[r][s] = isa.mul_add(g, x[s], sums[r][s]);
                        }
                    }
                }
            }
        }
        for r in 0..R {
            for s in 0..S {
                gw[(o + r) * fan_in + k + s] += isa.sum(sums[r][s]);
            }
        }
    }
}
