//! The small matrix products of the transformed domain.
#![expect(unsafe_code, reason = "products through pointers whose ranges the callers checked")]

use super::{ConvBlock, PRODUCTS, WinogradTiles};
use crate::kernels::gemm::GemmTile;
use crate::kernels::simd::{Dst, Isa, Src};

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
