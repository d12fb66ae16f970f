//! The tile kernel that ends with a 2×2 max-pool and relu: forward pass and both gradients.
#![expect(unsafe_code, reason = "calls the AVX2 kernels, whose availability `WinogradTiles::of` has checked")]

use std::arch::x86_64::{
    _mm_loadl_epi64, _mm256_add_ps, _mm256_and_ps, _mm256_castsi256_ps, _mm256_cmpeq_epi32,
    _mm256_cvtepu8_epi32, _mm256_loadu_ps, _mm256_set1_epi32, _mm256_setzero_ps, _mm256_storeu_ps,
};
use std::ops::Range;

use super::avx2;
use super::{BLOCK, Grid, PRODUCTS, Scratch, WeightGradient, WinogradTiles};
use crate::buffers::grow;
use crate::kernels::conv_block::{OVERREAD, PooledGradient};
use crate::kernels::simd;

/// Approximate number of tiles of a strip: enough to make the matrix products efficient, few enough for the level-2
/// cache.
const STRIP: usize = 28;

impl WinogradTiles {
    /// Returns the tiles whose outputs are pooled.
    fn pooled_grid(&self) -> Grid {
        let (height, width) = self.shape.pooled_size();
        Grid::over((2 * height, 2 * width))
    }
}

/// Iterates over the strips of some rows of tiles, as ranges of tiles.
fn strips(grid: Grid, rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let each = (STRIP / grid.columns.tiles).max(1);
    let end = rows.end;
    rows.step_by(each).map(move |row| row * grid.columns.tiles..end.min(row + each) * grid.columns.tiles)
}

/// Computes the pooled rows `rows` of one photo `x[h][w][in]` into `y[rows][pw][out]`, and the argmax byte of each cell
/// into `argmax`, in the same order, unless it is empty.
///
/// `rows` starts at an even row, so that a map computed in pieces has the same bytes as a whole one.
///
/// # Panics
///
/// If a slice is too short, or `rows` starts at an odd row or ends beyond the map.
pub fn forward(
    tiles: &WinogradTiles,
    x: &[f32],
    rows: Range<usize>,
    scratch: &mut Scratch,
    y: &mut [f32],
    argmax: &mut [u8],
) {
    let shape = tiles.shape;
    let (height, width) = shape.pooled_size();
    let len = rows.len() * width * shape.out_channels;
    assert!(rows.start.is_multiple_of(2) && rows.end <= height, "rows of the map");
    assert!(y.len() >= len && (argmax.is_empty() || argmax.len() >= len), "output");
    assert!(x.len() >= shape.in_size.0 * shape.in_size.1 * shape.in_channels, "input");
    for strip in strips(tiles.pooled_grid(), rows.start / 2..rows.end.div_ceil(2)) {
        // SAFETY: AVX2 and FMA are available, and the lengths were checked above.
        unsafe { forward_strip(tiles, x, strip, rows.clone(), scratch, y, argmax) };
    }
}

/// # Safety
///
/// AVX2 and FMA are available; the slices are as long as [`forward`] checks.
#[target_feature(enable = "avx2,fma")]
unsafe fn forward_strip(
    conv: &WinogradTiles,
    x: &[f32],
    strip: Range<usize>,
    rows: Range<usize>,
    scratch: &mut Scratch,
    y: &mut [f32],
    argmax: &mut [u8],
) {
    let (ins, outs) = (conv.shape.in_channels, conv.shape.out_channels);
    let (width, grid, n) = (conv.shape.pooled_size().1, conv.pooled_grid(), strip.len());
    grow(&mut scratch.input, PRODUCTS * n * ins);
    grow(&mut scratch.products, PRODUCTS * n * BLOCK);
    let (v, m) = (scratch.input.as_mut_ptr(), scratch.products.as_mut_ptr());
    // SAFETY: tiles of the map, buffers of n tiles.
    unsafe { avx2::inputs(&conv.shape, grid, x.as_ptr(), strip.clone(), v, n * ins) };
    for block in 0..conv.blocks() {
        let block_width = conv.block(block).1;
        // SAFETY: buffers of n tiles.
        unsafe { avx2::products(conv, block, n, v, m) };
        for (i, tile) in strip.clone().enumerate() {
            let ((top, left), (first_new, _)) = (grid.start(tile), grid.first_new(tile));
            for vector in 0..block_width / 8 {
                let channel = block * BLOCK + 8 * vector;
                // SAFETY: eight channels of a tile's products; cells of rows the outputs hold.
                unsafe {
                    let cells = avx2::output(m.add(i * block_width + 8 * vector), n * block_width);
                    let bias = _mm256_loadu_ps(conv.bias.as_ptr().add(channel));
                    for (a, b) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                        let row = top / 2 + a;
                        // Rows that are also in the tile above are written with that tile, so that the result does not
                        // depend on how the map is split.
                        if row < first_new / 2 || row >= rows.end {
                            continue;
                        }
                        let window = [
                            cells[2 * a][2 * b],
                            cells[2 * a][2 * b + 1],
                            cells[2 * a + 1][2 * b],
                            cells[2 * a + 1][2 * b + 1],
                        ];
                        let at = ((row - rows.start) * width + left / 2 + b) * outs + channel;
                        _mm256_storeu_ps(y.as_mut_ptr().add(at), simd::pool(window, bias));
                        if !argmax.is_empty() {
                            let bytes = simd::bytes(simd::argmax_byte(window, bias));
                            argmax.as_mut_ptr().add(at).cast::<u64>().write_unaligned(bytes);
                        }
                    }
                }
            }
        }
    }
}

/// Adds one photo to the weight gradient, and writes its input gradient to `gx[h][w][in]` (plus [`OVERREAD`]).
///
/// The gradient and the argmax bytes are `[ph][pw][out]`.
///
/// # Panics
///
/// If a slice is too short, or the weights were packed for inference.
pub fn backward(
    tiles: &WinogradTiles,
    x: &[f32],
    pooled: PooledGradient<f32>,
    scratch: &mut Scratch,
    sums: &mut WeightGradient,
    gx: &mut [f32],
) {
    let shape = tiles.shape;
    let cells = shape.pooled_cells() * shape.out_channels;
    let len = shape.in_size.0 * shape.in_size.1 * shape.in_channels;
    assert!(pooled.gy.len() >= cells && pooled.argmax.len() >= cells, "gradient and bytes");
    assert!(x.len() >= len && gx.len() >= len + OVERREAD, "input, and its gradient with overread");
    assert!(sums.shape == shape && !tiles.adjoint.is_empty(), "sums and adjoint weights of this block");
    gx[..len].fill(0.0);
    let grid = tiles.pooled_grid();
    for strip in strips(grid, 0..grid.rows.tiles) {
        // SAFETY: AVX2 and FMA are available, and the lengths were checked above.
        unsafe { backward_strip(tiles, x, pooled, strip, scratch, sums, gx) };
    }
}

/// # Safety
///
/// AVX2 and FMA are available; the slices are as long as [`backward`] checks.
#[target_feature(enable = "avx2,fma")]
unsafe fn backward_strip(
    conv: &WinogradTiles,
    x: &[f32],
    pooled: PooledGradient<f32>,
    strip: Range<usize>,
    scratch: &mut Scratch,
    sums: &mut WeightGradient,
    gx: &mut [f32],
) {
    let PooledGradient { gy, argmax } = pooled;
    let (ins, outs) = (conv.shape.in_channels, conv.shape.out_channels);
    let padded = ins.next_multiple_of(8);
    let (width, grid, n) = (conv.shape.pooled_size().1, conv.pooled_grid(), strip.len());
    grow(&mut scratch.input, PRODUCTS * n * ins);
    grow(&mut scratch.products, PRODUCTS * n * outs);
    grow(&mut scratch.gradient, PRODUCTS * n * padded);
    let (v, gm) = (scratch.input.as_mut_ptr(), scratch.products.as_mut_ptr());
    let gv = scratch.gradient.as_mut_ptr();
    // SAFETY: tiles of the map, buffers of n tiles.
    unsafe { avx2::inputs(&conv.shape, grid, x.as_ptr(), strip.clone(), v, n * ins) };
    for (i, tile) in strip.clone().enumerate() {
        let ((top, left), (new_row, new_column)) = (grid.start(tile), grid.first_new(tile));
        for channel in (0..outs).step_by(8) {
            let mut cells = [[_mm256_setzero_ps(); 4]; 4];
            let mut bias = _mm256_setzero_ps();
            for (a, b) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let (row, column) = (top / 2 + a, left / 2 + b);
                // A cell that is also in an earlier tile is computed with that tile.
                if row < new_row / 2 || column < new_column / 2 {
                    continue;
                }
                let at = (row * width + column) * outs + channel;
                // SAFETY: eight channels of a cell.
                let (g, byte) = unsafe {
                    let byte = _mm_loadl_epi64(argmax.as_ptr().add(at).cast());
                    (_mm256_loadu_ps(gy.as_ptr().add(at)), _mm256_cvtepu8_epi32(byte))
                };
                for q in 0..4 {
                    let is_argmax = _mm256_cmpeq_epi32(byte, _mm256_set1_epi32(q));
                    let g = _mm256_and_ps(g, _mm256_castsi256_ps(is_argmax));
                    let q = q.cast_unsigned() as usize;
                    cells[2 * a + q / 2][2 * b + q % 2] = g;
                    bias = _mm256_add_ps(bias, g);
                }
            }
            // SAFETY: eight channels of the sums, and of the tile's products.
            unsafe {
                let to = sums.bias.as_mut_ptr().add(channel);
                _mm256_storeu_ps(to, _mm256_add_ps(_mm256_loadu_ps(to), bias));
                avx2::output_adjoint(&cells, gm.add(i * outs + channel), n * outs);
            }
        }
    }
    // SAFETY: buffers of n tiles, sums of this layout, tiles of the map.
    unsafe {
        for p in 0..PRODUCTS {
            let (v, gm) = (v.add(p * n * ins).cast_const(), gm.add(p * n * outs).cast_const());
            avx2::input_product(conv, p, n, gm, gv.add(p * n * padded));
            let gu = sums.sums.as_mut_ptr().add(p * ins * outs);
            avx2::weight_product(&conv.shape, n, v, gm, gu, outs, true);
        }
        avx2::inputs_adjoint(&conv.shape, grid, gv, n * padded, strip, gx.as_mut_ptr());
    }
}
