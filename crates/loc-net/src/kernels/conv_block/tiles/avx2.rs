//! The transforms of tiles and the small matrix products, on AVX2 and FMA.
#![expect(unsafe_code, reason = "vector loads and stores through pointers whose ranges the callers checked")]
#![expect(clippy::needless_range_loop, reason = "matrices are read by row and by column, with both indices")]

use std::arch::x86_64::{
    __m256, _mm_add_ps, _mm_loadu_ps, _mm_storeu_ps, _mm256_add_ps, _mm256_castps256_ps128, _mm256_loadu_ps,
    _mm256_storeu_ps,
};
use std::ops::Range;

use super::{ConvBlock, Grid, PRODUCTS, WinogradTiles};
use crate::kernels::gemm::avx2::GemmTile;
use crate::kernels::simd::{arrays, vectors};
use crate::kernels::winograd::avx2 as transform;
use crate::kernels::winograd::{INPUTS, OUTPUTS};

/// Transforms the tile at `x` (a map with `row` values per row) to `Bᵀ · d · B`, for all `channels`. Writes it to `to`,
/// whose 64 planes are `plane` apart.
///
/// # Safety
///
/// AVX2 and FMA are available; 8×8 pixels of `channels` (at least 8) can be read, `channels` of each plane written.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn input(x: *const f32, row: usize, channels: usize, to: *mut f32, plane: usize) {
    for vector in 0..channels.div_ceil(8) {
        // The last vector overlaps the one before if `channels` is not a multiple of eight.
        let at = (8 * vector).min(channels - 8);
        // SAFETY: guaranteed by the caller.
        unsafe {
            arrays!(columns: [[__m256; INPUTS]; INPUTS] = |c| {
                let p = x.add(c * channels + at);
                transform::input(vectors!(|r| _mm256_loadu_ps(p.add(r * row))))
            });
            for r in 0..INPUTS {
                let q = transform::input(vectors!(|c| columns[c][r]));
                for (c, v) in q.into_iter().enumerate() {
                    _mm256_storeu_ps(to.add((r * INPUTS + c) * plane + at), v);
                }
            }
        }
    }
}

/// Applies [`input`] to some tiles of the photo `x`: the values of the first go to `to`, those of the others follow.
///
/// # Safety
///
/// AVX2 and FMA are available; `x` holds the photo, each plane of `to` the tiles' channels.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn inputs(
    shape: &ConvBlock,
    grid: Grid,
    x: *const f32,
    tiles: Range<usize>,
    to: *mut f32,
    plane: usize,
) {
    let (ins, width) = (shape.in_channels, shape.in_size.1);
    for (i, tile) in tiles.enumerate() {
        let (top, left) = grid.start(tile);
        // SAFETY: a tile of 8×8 pixels is inside the map.
        unsafe { input(x.add((top * width + left) * ins), width * ins, ins, to.add(i * ins), plane) };
    }
}

/// The adjoint of [`inputs`]: adds to the photo's input gradient `gx`.
///
/// # Safety
///
/// As for [`inputs`]; each plane of `gv` holds whole vectors of the tiles' channels.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn inputs_adjoint(
    shape: &ConvBlock,
    grid: Grid,
    gv: *const f32,
    plane: usize,
    tiles: Range<usize>,
    gx: *mut f32,
) {
    let (ins, width) = (shape.in_channels, shape.in_size.1);
    for (i, tile) in tiles.enumerate() {
        let (top, left) = grid.start(tile);
        // SAFETY: a tile of 8×8 pixels is inside the map.
        unsafe {
            let to = gx.add((top * width + left) * ins);
            input_adjoint(gv.add(i * ins.next_multiple_of(8)), plane, to, width * ins, ins);
        }
    }
}

/// Adds `B · gv · Bᵀ` to the tile at `gx`: the adjoint of [`input`]. The planes at `gv` hold whole vectors.
///
/// # Safety
///
/// As for [`input`], with reading and writing exchanged.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn input_adjoint(gv: *const f32, plane: usize, gx: *mut f32, row: usize, channels: usize) {
    for vector in 0..channels.div_ceil(8) {
        let at = 8 * vector;
        // SAFETY: guaranteed by the caller; if only four channels remain, four are written.
        unsafe {
            arrays!(columns: [[__m256; INPUTS]; INPUTS] = |c| transform::input_adjoint(vectors!(|r| _mm256_loadu_ps(
                gv.add((r * INPUTS + c) * plane + at)
            ))));
            for r in 0..INPUTS {
                let q = transform::input_adjoint(vectors!(|c| columns[c][r]));
                for (c, v) in q.into_iter().enumerate() {
                    let to = gx.add(r * row + c * channels + at);
                    if at + 8 <= channels {
                        _mm256_storeu_ps(to, _mm256_add_ps(_mm256_loadu_ps(to), v));
                    } else {
                        _mm_storeu_ps(to, _mm_add_ps(_mm_loadu_ps(to), _mm256_castps256_ps128(v)));
                    }
                }
            }
        }
    }
}

/// Computes `Aᵀ · m · A` for eight channels: 4×4 outputs.
///
/// # Safety
///
/// AVX2 and FMA are available; eight values of each of the 64 planes can be read.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn output(m: *const f32, plane: usize) -> [[__m256; OUTPUTS]; OUTPUTS] {
    // SAFETY: guaranteed by the caller.
    arrays!(columns: [[__m256; OUTPUTS]; INPUTS] = |c| transform::output(vectors!(|r| unsafe {
        _mm256_loadu_ps(m.add((r * INPUTS + c) * plane))
    })));
    let row = |r: usize| transform::output(vectors!(|c| columns[c][r]));
    [row(0), row(1), row(2), row(3)]
}

/// Computes `A · gy · Aᵀ` for eight channels: the adjoint of [`output`].
///
/// # Safety
///
/// As for [`output`], with reading and writing exchanged.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn output_adjoint(gy: &[[__m256; OUTPUTS]; OUTPUTS], gm: *mut f32, plane: usize) {
    arrays!(columns: [[__m256; INPUTS]; OUTPUTS] = |c| transform::output_adjoint(vectors!(|r| gy[r][c])));
    for r in 0..INPUTS {
        let q = transform::output_adjoint(vectors!(|c| columns[c][r]));
        for (c, v) in q.into_iter().enumerate() {
            // SAFETY: guaranteed by the caller.
            unsafe { _mm256_storeu_ps(gm.add((r * INPUTS + c) * plane), v) };
        }
    }
}

/// Computes `M[p] = V[p] · U[p]` for all 64 products: n tiles at `v`, one block of output channels, into `m`.
///
/// # Safety
///
/// AVX2 and FMA are available; `v` is `[64][n][in]`, `m` is `[64][n][width of the block]`.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn products(conv: &WinogradTiles, block: usize, n: usize, v: *const f32, m: *mut f32) {
    let ins = conv.shape.in_channels;
    let (u, width) = conv.block(block);
    for p in 0..PRODUCTS {
        // SAFETY: the matrices of product p.
        unsafe {
            let product = GemmTile {
                a: v.add(p * n * ins),
                a_row: ins,
                a_col: 1,
                b: u.as_ptr().add(p * ins * width),
                b_row: width,
                c: m.add(p * n * width),
                c_row: width,
                add: false,
            };
            product.run((n, width, ins));
        }
    }
}

/// Computes `gV = gM · Uᵀ` of product `p`, for n tiles.
///
/// # Safety
///
/// AVX2 and FMA are available; `gm` is `[n][out]` and `gv` is `[n][in up to whole vectors]`.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn input_product(conv: &WinogradTiles, p: usize, n: usize, gm: *const f32, gv: *mut f32) {
    let outs = conv.shape.out_channels;
    let padded = conv.shape.in_channels.next_multiple_of(8);
    // SAFETY: guaranteed by the caller; the adjoint weights of product p.
    unsafe {
        let product = GemmTile {
            a: gm,
            a_row: outs,
            a_col: 1,
            b: conv.adjoint.as_ptr().add(p * outs * padded),
            b_row: padded,
            c: gv,
            c_row: padded,
            add: false,
        };
        product.run((n, padded, outs));
    }
}

/// Computes `gU = Vᵀ · gM` (or `+=`) of one product, for n tiles and `width` output channels.
///
/// # Safety
///
/// AVX2 and FMA are available; `v` is `[n][in]`, `gm` is `[n][out]` from the first of these channels on, and `gu` is
/// `[in][width]`.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn weight_product(
    shape: &ConvBlock,
    n: usize,
    v: *const f32,
    gm: *const f32,
    gu: *mut f32,
    width: usize,
    add: bool,
) {
    let (ins, outs) = (shape.in_channels, shape.out_channels);
    // SAFETY: guaranteed by the caller.
    unsafe {
        let product = GemmTile { a: v, a_row: 1, a_col: ins, b: gm, b_row: outs, c: gu, c_row: width, add };
        product.run((ins, width, n));
    }
}
