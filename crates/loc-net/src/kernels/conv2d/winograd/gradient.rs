//! The weight gradient.
#![expect(unsafe_code, reason = "vector loads and stores through pointers whose ranges the callers checked")]

use super::transform::{channels_last, clear};
use super::{CHANNELS, Sizes};
use crate::kernels::parts::{Parts, SUM_PARTS};
use crate::kernels::simd::{Dst, Isa, Kernel, Src, vectors};
use crate::kernels::winograd::f53::{self, INPUTS, OUTPUTS, TAPS};

/// Transforms a photo's output gradient `gy[out, h, w]` by `A`, and sums it over the cells. `frame` holds
/// [`Sizes::frame`] values; `gm` is the photo's first tile in the first of seven planes `[tiles][width][out]`.
pub(super) struct OutputGradient<'a> {
    pub(super) sizes: Sizes,
    pub(super) gy: Src<'a, f32>,
    pub(super) frame: Dst<'a, f32>,
    pub(super) gm: Dst<'a, f32>,
    pub(super) plane: usize,
    pub(super) bias: Dst<'a, f32>,
}

impl Kernel for OutputGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { sizes, gy, frame, gm, plane, bias } = self;
        let channels = sizes.outs;
        let (row, whole) = (sizes.width * channels, sizes.cells() * channels);
        // SAFETY: the lengths that the fields promise.
        unsafe {
            channels_last(isa, gy, channels, sizes.cells(), frame);
            clear(isa, frame.add(whole), OUTPUTS * sizes.tiles() * row - whole);
            for channel in (0..channels).step_by(I::LANES) {
                let mut sum = isa.zero();
                for cell in 0..sizes.cells() {
                    sum = isa.add(sum, isa.load(frame.src().add(cell * channels + channel)));
                }
                isa.store(bias.add(channel), sum);
            }
            for tile in 0..sizes.tiles() {
                let (from, to) = (frame.src().add(OUTPUTS * tile * row), gm.add(tile * row));
                for at in (0..row).step_by(I::LANES) {
                    let q = f53::output_adjoint(isa, vectors!(|i| isa.load(from.add(i * row + at))));
                    for p in 0..INPUTS {
                        isa.store(to.add(p * plane + at), q[p]);
                    }
                }
            }
        }
    }
}

/// Computes the gradients of the weights of sixteen input channels from `channel` on, into `gw[out, in, 3, 3]`, from the
/// transformed inputs and output gradients of all photos.
pub(super) struct WeightGradient<'a> {
    pub(super) sizes: Sizes,
    pub(super) parts: &'a Parts,
    pub(super) channel: usize,
    /// `[7][tiles][width + 2][in]`, and the distance of its planes.
    pub(super) v: (Src<'a, f32>, usize),
    /// `[7][tiles][width][out]`, and the distance of its planes.
    pub(super) gm: (Src<'a, f32>, usize),
    /// The gradient of the transformed weights in one part, `[7][3][16][out]`.
    pub(super) gu: &'a mut [f32],
    /// The gradients of the weights in each part, `[parts][9][16][out]`.
    pub(super) sums: &'a mut [f32],
    pub(super) gw: Dst<'a, f32>,
}

impl Kernel for WeightGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { sizes, parts, channel, v, gm, gu, sums, gw } = self;
        let (outs, tiles) = (sizes.outs, sizes.tiles());
        let row = CHANNELS * outs;
        for (sums, photos) in sums.chunks_exact_mut(TAPS * TAPS * row).zip(parts.iter()) {
            let first = photos.start * tiles;
            for p in 0..INPUTS {
                for x in 0..TAPS {
                    let columns = x * sizes.ins + channel;
                    let product = OuterProducts {
                        sizes,
                        tiles: photos.len() * tiles,
                        v: v.0.add(p * v.1 + first * sizes.in_row() + columns),
                        gm: gm.0.add(p * gm.1 + first * sizes.out_row(outs)),
                        sums: Dst::of(gu).add((p * TAPS + x) * row),
                    };
                    // SAFETY: the photos of a part, sixteen channels of these columns, and their sums.
                    unsafe { product.all(isa) };
                }
            }
            let (gu, sums) = (Src::of(gu), Dst::of(sums));
            for x in 0..TAPS {
                for at in (0..row).step_by(I::LANES) {
                    // SAFETY: a vector of each product, and of each tap.
                    unsafe {
                        let from = gu.add(x * row + at);
                        let taps = f53::kernel_adjoint(isa, vectors!(|p| isa.load(from.add(p * TAPS * row))));
                        for y in 0..TAPS {
                            isa.store(sums.add((y * TAPS + x) * row + at), taps[y]);
                        }
                    }
                }
            }
        }
        let (sums, part) = (Src::of(sums), TAPS * TAPS * row);
        let step = sizes.ins * TAPS * TAPS;
        for c in 0..CHANNELS {
            for o in (0..outs).step_by(I::LANES) {
                let from = sums.add(c * outs + o);
                // SAFETY: a vector of output channels of each tap; the kernels of these channels.
                unsafe {
                    let taps: [I::F32; TAPS * TAPS] =
                        vectors!(|tap| tree(isa, from.add(tap * row), part, parts.count()));
                    let to = gw.add((o * sizes.ins + channel + c) * TAPS * TAPS);
                    isa.store_columns([taps[0], taps[1], taps[2], taps[3]], 4, to, step);
                    isa.store_columns([taps[4], taps[5], taps[6], taps[7]], 4, to.add(4), step);
                    isa.store_columns([taps[8], taps[8], taps[8], taps[8]], 1, to.add(8), step);
                }
            }
        }
    }
}

/// Returns the sum of a vector over the parts, `stride` values apart, in the tree of [`crate::kernels::parts::tree_sum`].
///
/// # Safety
///
/// A vector of each part can be read.
#[inline(always)]
unsafe fn tree<I: Isa>(isa: I, at: Src<f32>, stride: usize, count: usize) -> I::F32 {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let mut sums: [I::F32; SUM_PARTS] =
            vectors!(|part| isa.load(at.add(if part < count { part } else { 0 } * stride)));
        let mut width = count;
        while width > 1 {
            width /= 2;
            for i in 0..width {
                sums[i] = isa.add(sums[2 * i], sums[2 * i + 1]);
            }
        }
        sums[0]
    }
}

/// `sums[c][o] = Σ v[tile][x][c] · gm[tile][x][o]` over some tiles and all x, for sixteen channels c.
#[derive(Clone, Copy)]
struct OuterProducts<'a> {
    sizes: Sizes,
    tiles: usize,
    v: Src<'a, f32>,
    gm: Src<'a, f32>,
    sums: Dst<'a, f32>,
}

impl OuterProducts<'_> {
    /// # Safety
    ///
    /// The tiles' values and the sums are accessible.
    #[inline(always)]
    unsafe fn all<I: Isa>(self, isa: I) {
        let vectors = self.sizes.outs / I::LANES;
        let mut from = 0;
        while from < vectors {
            from += match vectors - from {
                2 | 4 => self.rows::<I, 2>(isa, from),
                1 => self.rows::<I, 1>(isa, from),
                _ => self.rows::<I, 3>(isa, from),
            };
        }
    }

    #[inline(always)]
    fn rows<I: Isa, const V: usize>(self, isa: I, from: usize) -> usize {
        let at = from * I::LANES;
        let block = Self { gm: self.gm.add(at), sums: self.sums.add(at), ..self };
        if I::REGISTERS >= 32 {
            for row in (0..CHANNELS).step_by(8) {
                isa.run(OuterBlock::<8, V> { block, row });
            }
        } else {
            for row in (0..CHANNELS).step_by(4) {
                isa.run(OuterBlock::<4, V> { block, row });
            }
        }
        V
    }
}

/// R channels and V vectors of outputs, in registers. The values are as [`OuterProducts::all`] requires.
struct OuterBlock<'a, const R: usize, const V: usize> {
    block: OuterProducts<'a>,
    row: usize,
}

impl<const R: usize, const V: usize> Kernel for OuterBlock<'_, R, V> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let OuterProducts { sizes, tiles, v, gm, sums } = self.block;
        let (mut acc, v) = ([[isa.zero(); V]; R], v.add(self.row));
        // SAFETY: guaranteed by the caller of `OuterProducts::all`.
        unsafe {
            for tile in 0..tiles {
                let mut left = v.add(tile * sizes.in_row());
                let mut right = gm.add(tile * sizes.out_row(sizes.outs));
                for _ in 0..sizes.width {
                    let g: [I::F32; V] = vectors!(|i| isa.load(right.add(i * I::LANES)));
                    for r in 0..R {
                        let x = isa.load_splat(left.add(r));
                        for i in 0..V {
                            acc[r][i] = isa.mul_add(x, g[i], acc[r][i]);
                        }
                    }
                    left = left.add(sizes.ins);
                    right = right.add(sizes.outs);
                }
            }
            for r in 0..R {
                for i in 0..V {
                    isa.store(sums.add((self.row + r) * sizes.outs + i * I::LANES), acc[r][i]);
                }
            }
        }
    }
}
