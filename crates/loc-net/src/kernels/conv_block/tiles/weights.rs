//! The transforms of weights and of their gradient. Lanes are output channels.
#![expect(unsafe_code, reason = "vector loads and stores through pointers whose ranges the callers checked")]

use super::{ConvBlock, GROUP, PRODUCTS, block_len};
use crate::kernels::simd::{Dst, Isa, Kernel, Src, vectors};
use crate::kernels::winograd::{INPUTS, KERNEL, TAPS};

/// `G` in f32.
fn kernel() -> [[f32; TAPS]; INPUTS] {
    KERNEL.map(|row| row.map(|v| v as f32))
}

/// `Σ_k row[k] · v[k]`.
#[inline(always)]
fn combine<I: Isa, const N: usize>(isa: I, row: [f32; N], v: [I::F32; N]) -> I::F32 {
    let mut sum = isa.mul(isa.splat(row[0]), v[0]);
    for k in 1..N {
        sum = isa.mul_add(isa.splat(row[k]), v[k], sum);
    }
    sum
}

/// Loads the 25 taps of an input channel, each as a vector of output channels, which are `stride` apart: the first `count`
/// of them, at most a vector.
///
/// # Safety
///
/// The values exist.
#[inline(always)]
unsafe fn load_taps<I: Isa>(
    isa: I,
    w: &[f32],
    from: usize,
    stride: usize,
    count: usize,
) -> [I::F32; TAPS * TAPS] {
    let w = Src::of(w).add(from);
    let mut taps = [isa.zero(); TAPS * TAPS];
    if count >= I::LANES {
        // The last four overlap the ones before.
        for tap in [0, 4, 8, 12, 16, 20, 21] {
            // SAFETY: guaranteed by the caller.
            let four = unsafe { isa.load_columns(w.add(tap), stride) };
            taps[tap..tap + 4].copy_from_slice(&four);
        }
        return taps;
    }
    for (tap, v) in taps.iter_mut().enumerate() {
        let mut lanes = [0.0f32; GROUP];
        // SAFETY: guaranteed by the caller; a vector of at most sixteen values.
        unsafe {
            for (lane, to) in lanes.iter_mut().enumerate().take(count) {
                *to = w.add(lane * stride + tap).read();
            }
            *v = isa.load(Src::of(&lanes));
        }
    }
    taps
}

/// Computes `U = G · w · Gᵀ` for up to sixteen output channels from `first`, in the layout of [`super::WinogradTiles`],
/// and the adjoint weights if there are any. The slices have the lengths of the shape, and no other task writes these
/// channels.
pub(super) struct Pack<'a> {
    pub(super) shape: &'a ConvBlock,
    pub(super) first: usize,
    pub(super) w: &'a [f32],
    pub(super) weights: Dst<'a, f32>,
    pub(super) adjoint: Option<Dst<'a, f32>>,
}

impl Kernel for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { shape, first, w, weights, adjoint } = self;
        let (ins, outs) = (shape.in_channels, shape.out_channels);
        let g = kernel();
        let start = first / block_len(outs) * block_len(outs);
        let width = block_len(outs).min(outs - start);
        let to = weights.add(start * PRODUCTS * ins + first - start);
        let count = GROUP.min(outs - first);
        for c in 0..ins {
            for at in (0..count).step_by(I::LANES) {
                let mask = isa.first(count - at);
                // SAFETY: channels that exist, of which `w` holds 25 numbers for each input channel.
                let taps = unsafe { load_taps(isa, w, ((first + at) * ins + c) * 25, ins * 25, count - at) };
                for i in 0..INPUTS {
                    let along: [I::F32; TAPS] =
                        vectors!(|x| combine(isa, g[i], vectors!(|y| taps[y * TAPS + x])));
                    for j in 0..INPUTS {
                        let p = i * INPUTS + j;
                        // SAFETY: these channels of the block, whose row has `width`.
                        unsafe {
                            isa.store_masked(
                                to.add((p * ins + c) * width + at),
                                mask,
                                combine(isa, g[j], along),
                            );
                        }
                    }
                }
            }
        }
        let Some(adjoint) = adjoint else { return };
        for p in 0..PRODUCTS {
            let from = to.src().add(p * ins * width);
            let to = adjoint.add((p * outs + first) * ins);
            for c in (0..ins).step_by(4) {
                let mut at = 0;
                // SAFETY: these channels of a row of weights and of the adjoint weights; `ins` is a multiple of four.
                unsafe {
                    while at + I::LANES <= count {
                        let rows = vectors!(|i| isa.load(from.add((c + i) * width + at)));
                        isa.store_columns(rows, 4, to.add(at * ins + c), ins);
                        at += I::LANES;
                    }
                    for o in at..count {
                        for i in c..c + 4 {
                            to.add(o * ins + i).write(from.add(i * width + o).read());
                        }
                    }
                }
            }
        }
    }
}

/// Computes `gW = Gᵀ · gU · G` for up to sixteen output channels: `gw[channels, in, 5, 5]`. `sums` holds `[64][in]` rows
/// that are `row` apart and start with these channels; `gw` has the length of its shape.
pub(super) struct Unpack<'a> {
    pub(super) shape: &'a ConvBlock,
    pub(super) sums: Src<'a, f32>,
    pub(super) row: usize,
    pub(super) gw: &'a mut [f32],
}

impl Kernel for Unpack<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { shape, sums, row, gw } = self;
        let (ins, g) = (shape.in_channels, kernel());
        let adjoint: [[f32; INPUTS]; TAPS] = vectors!(|tap| vectors!(|i| g[i][tap]));
        let count = gw.len() / (ins * TAPS * TAPS);
        for at in (0..count).step_by(I::LANES) {
            let mask = isa.first(count - at);
            for c in 0..ins {
                let columns: [[I::F32; TAPS]; INPUTS] = vectors!(|j| {
                    let column: [I::F32; INPUTS] = vectors!(|i| {
                        let from = sums.add(((i * INPUTS + j) * ins + c) * row + at);
                        // SAFETY: these output channels of product (i, j) and input channel c.
                        unsafe { isa.load_masked(from, mask) }
                    });
                    vectors!(|y| combine(isa, adjoint[y], column))
                });
                let taps: [[I::F32; TAPS]; TAPS] =
                    vectors!(|y| vectors!(|x| combine(isa, adjoint[x], vectors!(|j| columns[j][y]))));
                let to = &mut gw[(at * ins + c) * 25..];
                // SAFETY: the taps of these channels.
                unsafe { store_taps(isa, &taps, to, ins * 25, count - at) };
            }
        }
    }
}

/// The inverse of [`load_taps`].
///
/// # Safety
///
/// The places exist.
#[inline(always)]
unsafe fn store_taps<I: Isa>(
    isa: I,
    taps: &[[I::F32; TAPS]; TAPS],
    to: &mut [f32],
    stride: usize,
    count: usize,
) {
    let to = Dst::of(to);
    if count >= I::LANES {
        for tap in [0, 4, 8, 12, 16, 20, 21] {
            let four = vectors!(|i| taps[(tap + i) / TAPS][(tap + i) % TAPS]);
            // SAFETY: guaranteed by the caller.
            unsafe { isa.store_columns(four, 4, to.add(tap), stride) };
        }
        return;
    }
    for tap in 0..TAPS * TAPS {
        let mut lanes = [0.0f32; GROUP];
        // SAFETY: a vector of at most sixteen values; guaranteed by the caller.
        unsafe {
            isa.store(Dst::of(&mut lanes), taps[tap / TAPS][tap % TAPS]);
            for (lane, v) in lanes.into_iter().enumerate().take(count) {
                to.add(lane * stride + tap).write(v);
            }
        }
    }
}
