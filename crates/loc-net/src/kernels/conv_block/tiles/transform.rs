//! The transforms of tiles and the small matrix products. Lanes are channels of adjacent tiles ([`Lanes`]).
#![expect(unsafe_code, reason = "vector loads and stores through pointers whose ranges the callers checked")]

use std::ops::Range;

use super::lanes::Lanes;
use super::{ConvBlock, Grid, PRODUCTS, WinogradTiles};
use crate::kernels::gemm::GemmTile;
use crate::kernels::simd::{Dst, Isa, Src, vectors};
use crate::kernels::winograd::{INPUTS, OUTPUTS, transform};

/// Transforms some tiles of the photo `x[h][w][in]` to `Bᵀ · d · B`, into 64 planes `[tiles][in]` that are `plane` apart.
///
/// # Safety
///
/// `x` holds the photo, each plane of `to` the tiles' channels.
#[inline(always)]
pub(super) unsafe fn inputs<I: Isa>(
    isa: I,
    shape: &ConvBlock,
    grid: Grid,
    x: Src<f32>,
    tiles: Range<usize>,
    to: Dst<f32>,
    plane: usize,
) {
    let (ins, n) = (shape.in_channels, tiles.len());
    for vector in 0..Lanes::count::<I>(n, ins) {
        let lanes = Lanes::of::<I>(vector, n, ins);
        let first = x.add(grid.offset(shape, tiles.start + lanes.tile) + lanes.channel);
        let second = if lanes.split < lanes.len {
            x.add(grid.offset(shape, tiles.start + lanes.tile + 1)).back(lanes.split)
        } else {
            first
        };
        let to = to.add(vector * I::LANES);
        // SAFETY: the channels of tiles of 8×8 pixels inside the map.
        unsafe {
            if lanes.whole::<I>() {
                input::<I, true>(isa, shape, lanes, [first, second], to, plane);
            } else {
                input::<I, false>(isa, shape, lanes, [first, second], to, plane);
            }
        }
    }
}

/// Transforms one vector of [`inputs`]. `from` are the addresses of lane 0 in the first tile and in the second.
///
/// # Safety
///
/// As for [`inputs`].
#[inline(always)]
unsafe fn input<I: Isa, const WHOLE: bool>(
    isa: I,
    shape: &ConvBlock,
    lanes: Lanes,
    from: [Src<f32>; 2],
    to: Dst<f32>,
    plane: usize,
) {
    let (channels, row) = (shape.in_channels, shape.in_size.1 * shape.in_channels);
    let first = isa.first(lanes.split);
    let second = isa.and(isa.first(lanes.len), isa.not(first));
    // SAFETY: guaranteed by the caller.
    unsafe {
        let columns: [[I::F32; INPUTS]; INPUTS] = vectors!(|c| {
            let d = vectors!(|r| {
                let at = c * channels + r * row;
                if WHOLE {
                    isa.load(from[0].add(at))
                } else {
                    let (a, b) =
                        (isa.load_masked(from[0].add(at), first), isa.load_masked(from[1].add(at), second));
                    isa.select(first, a, b)
                }
            });
            transform::input(isa, d)
        });
        for r in 0..INPUTS {
            let q = transform::input(isa, vectors!(|c| columns[c][r]));
            for c in 0..INPUTS {
                let to = to.add((r * INPUTS + c) * plane);
                if lanes.len == I::LANES {
                    isa.store(to, q[c]);
                } else {
                    isa.store_masked(to, isa.first(lanes.len), q[c]);
                }
            }
        }
    }
}

/// The adjoint of [`inputs`]: adds to the photo's input gradient `gx`.
///
/// # Safety
///
/// `gx` holds the photo; each plane of `gv` the tiles' channels, the last one a vector more.
#[inline(always)]
pub(super) unsafe fn inputs_adjoint<I: Isa>(
    isa: I,
    shape: &ConvBlock,
    grid: Grid,
    gv: Src<f32>,
    plane: usize,
    tiles: Range<usize>,
    gx: Dst<f32>,
) {
    let (channels, row, n) = (shape.in_channels, shape.in_size.1 * shape.in_channels, tiles.len());
    for vector in 0..Lanes::count::<I>(n, channels) {
        let lanes = Lanes::of::<I>(vector, n, channels);
        let gv = gv.add(vector * I::LANES);
        // SAFETY: guaranteed by the caller; the channels of tiles of 8×8 pixels inside the map.
        unsafe {
            let columns: [[I::F32; INPUTS]; INPUTS] = vectors!(|c| {
                transform::input_adjoint(isa, vectors!(|r| isa.load(gv.add((r * INPUTS + c) * plane))))
            });
            for r in 0..INPUTS {
                let q = transform::input_adjoint(isa, vectors!(|c| columns[c][r]));
                for c in 0..INPUTS {
                    for part in lanes.parts().into_iter().flatten() {
                        let at = grid.offset(shape, tiles.start + part.tile) + part.channel;
                        part.add(isa, gx.add(at + r * row + c * channels), q[c]);
                    }
                }
            }
        }
    }
}

/// Computes `Aᵀ · m · A` for a vector: 4×4 outputs.
///
/// # Safety
///
/// A vector of each of the 64 planes can be read.
#[inline(always)]
pub(super) unsafe fn output<I: Isa>(isa: I, m: Src<f32>, plane: usize) -> [[I::F32; OUTPUTS]; OUTPUTS] {
    // SAFETY: guaranteed by the caller.
    let columns: [[I::F32; OUTPUTS]; INPUTS] = vectors!(|c| {
        transform::output(isa, vectors!(|r| unsafe { isa.load(m.add((r * INPUTS + c) * plane)) }))
    });
    vectors!(|r| transform::output(isa, vectors!(|c| columns[c][r])))
}

/// Computes `A · gy · Aᵀ` for a vector, of which `len` lanes are written: the adjoint of [`output`].
///
/// # Safety
///
/// These lanes of each of the 64 planes can be written.
#[inline(always)]
pub(super) unsafe fn output_adjoint<I: Isa>(
    isa: I,
    gy: &[[I::F32; OUTPUTS]; OUTPUTS],
    gm: Dst<f32>,
    plane: usize,
    len: usize,
) {
    let columns: [[I::F32; INPUTS]; OUTPUTS] =
        vectors!(|c| transform::output_adjoint(isa, vectors!(|r| gy[r][c])));
    for r in 0..INPUTS {
        let q = transform::output_adjoint(isa, vectors!(|c| columns[c][r]));
        for c in 0..INPUTS {
            let to = gm.add((r * INPUTS + c) * plane);
            // SAFETY: guaranteed by the caller.
            unsafe {
                if len == I::LANES {
                    isa.store(to, q[c]);
                } else {
                    isa.store_masked(to, isa.first(len), q[c]);
                }
            }
        }
    }
}

/// Matrices of the transformed domain: 64 planes `[tiles][channels]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Planes<P> {
    pub(super) at: P,
    /// Distance between the planes.
    pub(super) plane: usize,
}

/// Computes `M[p] = V[p] · U[p]` for all 64 products: n tiles, one block of output channels.
///
/// # Safety
///
/// The planes of `v` hold n tiles of the input channels, those of `m` n tiles of the block's channels.
#[inline(always)]
pub(super) unsafe fn products<I: Isa>(
    isa: I,
    conv: &WinogradTiles,
    block: usize,
    n: usize,
    v: Planes<Src<f32>>,
    m: Planes<Dst<f32>>,
) {
    let ins = conv.shape.in_channels;
    let (u, width) = conv.block(block);
    for p in 0..PRODUCTS {
        // SAFETY: the matrices of product p.
        unsafe {
            let product = GemmTile {
                a: v.at.add(p * v.plane),
                a_row: ins,
                a_col: 1,
                b: Src::of(u).add(p * ins * width),
                b_row: width,
                c: m.at.add(p * m.plane),
                c_row: width,
                add: false,
            };
            product.run(isa, (n, width, ins));
        }
    }
}

/// Computes `gV = gM · Uᵀ` of product `p`, for n tiles.
///
/// # Safety
///
/// `gm` is `[n][out]` and `gv` is `[n][in]`; the adjoint weights are packed.
#[inline(always)]
pub(super) unsafe fn input_product<I: Isa>(
    isa: I,
    conv: &WinogradTiles,
    p: usize,
    n: usize,
    gm: Src<f32>,
    gv: Dst<f32>,
) {
    let (ins, outs) = (conv.shape.in_channels, conv.shape.out_channels);
    let b = Src::of(&conv.adjoint).add(p * outs * ins);
    let product = GemmTile { a: gm, a_row: outs, a_col: 1, b, b_row: ins, c: gv, c_row: ins, add: false };
    // SAFETY: guaranteed by the caller; the adjoint weights of product p.
    unsafe { product.run(isa, (n, ins, outs)) };
}

/// Computes `gU = Vᵀ · gM` (or `+=`) of one product, for n tiles and `width` output channels.
///
/// # Safety
///
/// `v` is `[n][in]`, `gm` is `[n][out]` from the first of these channels on, and `gu` is `[in][width]`.
#[inline(always)]
pub(super) unsafe fn weight_product<I: Isa>(
    isa: I,
    shape: &ConvBlock,
    (n, width): (usize, usize),
    v: Src<f32>,
    gm: Src<f32>,
    gu: Dst<f32>,
    add: bool,
) {
    let (ins, outs) = (shape.in_channels, shape.out_channels);
    let product = GemmTile { a: v, a_row: 1, a_col: ins, b: gm, b_row: outs, c: gu, c_row: width, add };
    // SAFETY: guaranteed by the caller.
    unsafe { product.run(isa, (ins, width, n)) };
}
