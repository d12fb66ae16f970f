//! Ends in max-pool 2×2 and relu: forward, and both gradients.
#![expect(unsafe_code, reason = "calls the AVX2 forms, whose presence `Tiles::of` made sure of")]

use std::arch::x86_64::{
    _mm_loadl_epi64, _mm256_add_ps, _mm256_and_ps, _mm256_castsi256_ps, _mm256_cmpeq_epi32,
    _mm256_cvtepu8_epi32, _mm256_loadu_ps, _mm256_set1_epi32, _mm256_setzero_ps, _mm256_storeu_ps,
};
use std::ops::Range;

use super::avx2;
use super::{Axis, BLOCK, PRODUCTS, Scratch, Tiles, WeightGradient};
use crate::kernels::fused::SLACK;
use crate::kernels::gemm::avx2::Product;
use crate::kernels::simd;

/// Tiles of a strip, about: so many that the products' rows pay, so few that they stay in the second-level cache.
const STRIP: usize = 28;

impl Tiles {
    fn pooled_axes(&self) -> (Axis, Axis) {
        let (height, width) = self.shape.pooled_size();
        (Axis::over(2 * height), Axis::over(2 * width))
    }
}

/// The pooled rows `rows` of one photo `x[h][w][in]` into `y[rows][pw][out]`; into `winners`, unless it is empty, the
/// byte of each cell in the same order.
///
/// Rows begin at an even row, so that a map cut in pieces has the same bytes as a whole one.
///
/// # Panics
///
/// If a slice is too short, `rows` begins at an odd row or ends beyond the map.
pub fn forward(
    tiles: &Tiles,
    x: &[f32],
    rows: Range<usize>,
    scratch: &mut Scratch,
    y: &mut [f32],
    winners: &mut [u8],
) {
    let shape = tiles.shape;
    let (height, width) = shape.pooled_size();
    let len = rows.len() * width * shape.out_channels;
    assert!(rows.start.is_multiple_of(2) && rows.end <= height, "rows of the map");
    assert!(y.len() >= len && (winners.is_empty() || winners.len() >= len), "output");
    assert!(x.len() >= shape.in_size.0 * shape.in_size.1 * shape.in_channels, "input");
    // SAFETY: AVX2 and FMA are there, and the lengths were checked above.
    unsafe {
        if winners.is_empty() {
            strips::<false>(tiles, x, rows, scratch, y, winners);
        } else {
            strips::<true>(tiles, x, rows, scratch, y, winners);
        }
    }
}

/// # Safety
///
/// AVX2 and FMA are available; the slices are as long as [`forward`] checks.
#[target_feature(enable = "avx2,fma")]
unsafe fn strips<const WINNERS: bool>(
    tiles: &Tiles,
    x: &[f32],
    rows: Range<usize>,
    scratch: &mut Scratch,
    y: &mut [f32],
    winners: &mut [u8],
) {
    let (ins, outs) = (tiles.shape.in_channels, tiles.shape.out_channels);
    let width = tiles.shape.pooled_size().1;
    let (down, across) = tiles.pooled_axes();
    let tile_rows = rows.start / 2..rows.end.div_ceil(2);
    let each = (STRIP / across.tiles).max(1);
    for first in tile_rows.clone().step_by(each) {
        let strip = first..tile_rows.end.min(first + each);
        let n = strip.len() * across.tiles;
        // SAFETY: tiles inside the map.
        unsafe { transform(tiles, x, strip.clone(), scratch) };
        scratch.products.resize((PRODUCTS * n * BLOCK).max(scratch.products.len()), 0.0);
        for block in 0..tiles.blocks() {
            let (u, block_width) = tiles.block(block);
            for p in 0..PRODUCTS {
                // SAFETY: n rows of the strip's inputs, a block's weights, n rows of products.
                unsafe {
                    let product = Product {
                        a: (scratch.input.as_ptr().add(p * n * ins), ins, 1),
                        b: (u.as_ptr().add(p * ins * block_width), block_width),
                        c: (scratch.products.as_mut_ptr().add(p * n * block_width), block_width),
                        add: false,
                    };
                    product.run((n, block_width, ins));
                }
            }
            for tile in 0..n {
                let (tile_row, tile_column) = (strip.start + tile / across.tiles, tile % across.tiles);
                let (top, left) = (down.start(tile_row) / 2, across.start(tile_column) / 2);
                for vector in 0..block_width / 8 {
                    let channel = block * BLOCK + 8 * vector;
                    // SAFETY: eight channels of a tile's products; cells of rows the outputs hold.
                    unsafe {
                        let m = scratch.products.as_ptr().add(tile * block_width + 8 * vector);
                        let cells = avx2::output(m, n * block_width);
                        let bias = _mm256_loadu_ps(tiles.bias.as_ptr().add(channel));
                        for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                            let row = top + i;
                            if row < 2 * tile_row || row >= rows.end {
                                continue;
                            }
                            let window = [
                                cells[2 * i][2 * j],
                                cells[2 * i][2 * j + 1],
                                cells[2 * i + 1][2 * j],
                                cells[2 * i + 1][2 * j + 1],
                            ];
                            let at = ((row - rows.start) * width + left + j) * outs + channel;
                            _mm256_storeu_ps(y.as_mut_ptr().add(at), simd::pool(window, bias));
                            if WINNERS {
                                let bytes = simd::bytes(simd::winner(window, bias));
                                winners.as_mut_ptr().add(at).cast::<u64>().write_unaligned(bytes);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Transforms the inputs of some rows of tiles.
///
/// # Safety
///
/// AVX2 and FMA are available; the tiles lie inside the map.
#[target_feature(enable = "avx2,fma")]
unsafe fn transform(tiles: &Tiles, x: &[f32], strip: Range<usize>, scratch: &mut Scratch) {
    let ins = tiles.shape.in_channels;
    let row = tiles.shape.in_size.1 * ins;
    let (down, across) = tiles.pooled_axes();
    let n = strip.len() * across.tiles;
    scratch.input.resize((PRODUCTS * n * ins).max(scratch.input.len()), 0.0);
    for tile in 0..n {
        let (top, left) = (down.start(strip.start + tile / across.tiles), across.start(tile % across.tiles));
        // SAFETY: a tile of 8×8 pixels from (top, left) ends with the map at most; the buffer holds n tiles.
        unsafe {
            let from = x.as_ptr().add(top * row + left * ins);
            avx2::input(from, row, ins, scratch.input.as_mut_ptr().add(tile * ins), n * ins);
        }
    }
}

/// Adds one photo to the weight gradient, and writes the gradient of its input to `gx[h][w][in]` (with [`SLACK`]).
///
/// `gy` and the bytes are `[ph][pw][out]`.
///
/// # Panics
///
/// If a slice is too short, or the weights were packed for inference.
pub fn backward(
    tiles: &Tiles,
    x: &[f32],
    (gy, winners): (&[f32], &[u8]),
    scratch: &mut Scratch,
    sums: &mut WeightGradient,
    gx: &mut [f32],
) {
    let shape = tiles.shape;
    let cells = shape.pooled_cells() * shape.out_channels;
    let len = shape.in_size.0 * shape.in_size.1 * shape.in_channels;
    assert!(gy.len() >= cells && winners.len() >= cells, "gradient and bytes");
    assert!(x.len() >= len && gx.len() >= len + SLACK, "input, and its gradient with slack");
    assert!(sums.shape == shape && !tiles.adjoint.is_empty(), "sums and adjoint weights of this block");
    gx[..len].fill(0.0);
    // SAFETY: AVX2 and FMA are there, and the lengths were checked above.
    unsafe { backward_strips(tiles, x, (gy, winners), scratch, sums, gx) };
}

/// # Safety
///
/// AVX2 and FMA are available; the slices are as long as [`backward`] checks.
#[target_feature(enable = "avx2,fma")]
unsafe fn backward_strips(
    tiles: &Tiles,
    x: &[f32],
    (gy, winners): (&[f32], &[u8]),
    scratch: &mut Scratch,
    sums: &mut WeightGradient,
    gx: &mut [f32],
) {
    let (ins, outs) = (tiles.shape.in_channels, tiles.shape.out_channels);
    let padded = ins.next_multiple_of(8);
    let row = tiles.shape.in_size.1 * ins;
    let width = tiles.shape.pooled_size().1;
    let (down, across) = tiles.pooled_axes();
    let each = (STRIP / across.tiles).max(1);
    for first in (0..down.tiles).step_by(each) {
        let strip = first..down.tiles.min(first + each);
        let n = strip.len() * across.tiles;
        scratch.products.resize((PRODUCTS * n * outs).max(scratch.products.len()), 0.0);
        scratch.gradient.resize((PRODUCTS * n * padded).max(scratch.gradient.len()), 0.0);
        // SAFETY: tiles inside the map; buffers of n tiles.
        unsafe {
            transform(tiles, x, strip.clone(), scratch);
            for tile in 0..n {
                let (i, j) = (strip.start + tile / across.tiles, tile % across.tiles);
                let (top, left) = (down.start(i) / 2, across.start(j) / 2);
                for channel in (0..outs).step_by(8) {
                    let mut cells = [[_mm256_setzero_ps(); 4]; 4];
                    let mut bias = _mm256_setzero_ps();
                    for (a, b) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                        // A cell that the tile before has too is left to it.
                        if top + a < Axis::fresh(i) / 2 || left + b < Axis::fresh(j) / 2 {
                            continue;
                        }
                        let at = ((top + a) * width + left + b) * outs + channel;
                        let g = _mm256_loadu_ps(gy.as_ptr().add(at));
                        let byte = _mm256_cvtepu8_epi32(_mm_loadl_epi64(winners.as_ptr().add(at).cast()));
                        for q in 0..4 {
                            let won = _mm256_cmpeq_epi32(byte, _mm256_set1_epi32(q));
                            let g = _mm256_and_ps(g, _mm256_castsi256_ps(won));
                            let q = q.cast_unsigned() as usize;
                            cells[2 * a + q / 2][2 * b + q % 2] = g;
                            bias = _mm256_add_ps(bias, g);
                        }
                    }
                    let to = sums.bias.as_mut_ptr().add(channel);
                    _mm256_storeu_ps(to, _mm256_add_ps(_mm256_loadu_ps(to), bias));
                    let gm = scratch.products.as_mut_ptr().add(tile * outs + channel);
                    avx2::output_adjoint(&cells, gm, n * outs);
                }
            }
            products(tiles, n, scratch, &mut sums.sums);
            for tile in 0..n {
                let (i, j) = (strip.start + tile / across.tiles, tile % across.tiles);
                let to = gx.as_mut_ptr().add(down.start(i) * row + across.start(j) * ins);
                avx2::input_adjoint(scratch.gradient.as_ptr().add(tile * padded), n * padded, to, row, ins);
            }
        }
    }
}

/// `gV = gM · Uᵀ` and `gU += Vᵀ · gM` of a strip of n tiles.
///
/// # Safety
///
/// AVX2 and FMA are available; the buffers hold n tiles.
#[target_feature(enable = "avx2,fma")]
unsafe fn products(tiles: &Tiles, n: usize, scratch: &mut Scratch, sums: &mut [f32]) {
    let (ins, outs) = (tiles.shape.in_channels, tiles.shape.out_channels);
    let padded = ins.next_multiple_of(8);
    for p in 0..PRODUCTS {
        // SAFETY: the caller's promise; matrices of product p.
        unsafe {
            let gm = scratch.products.as_ptr().add(p * n * outs);
            let gv = Product {
                a: (gm, outs, 1),
                b: (tiles.adjoint.as_ptr().add(p * outs * padded), padded),
                c: (scratch.gradient.as_mut_ptr().add(p * n * padded), padded),
                add: false,
            };
            gv.run((n, padded, outs));
            let gu = Product {
                a: (scratch.input.as_ptr().add(p * n * ins), 1, ins),
                b: (gm, outs),
                c: (sums.as_mut_ptr().add(p * ins * outs), outs),
                add: true,
            };
            gu.run((ins, outs, n));
        }
    }
}
