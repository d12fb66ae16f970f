//! The backward pass over a batch: the 64 products each over all photos at once.
#![expect(unsafe_code, reason = "calls the AVX2 forms, whose presence `WinogradTiles::of` made sure of")]

use std::arch::x86_64::{
    __m256, _mm_loadl_epi64, _mm256_add_ps, _mm256_and_ps, _mm256_castsi256_ps, _mm256_cvtepi8_epi32,
    _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

use rayon::prelude::*;

use super::super::{PRODUCTS, WeightGradient, avx2};
use super::Average;
use crate::buffers::grow;
use crate::kernels::conv_block::OVERREAD;
use crate::parallel::DisjointSlice;

/// Buffers of a backward pass over a batch.
#[derive(Debug, Default)]
pub struct Gradient {
    input: Vec<f32>,
    products: Vec<f32>,
    gradient: Vec<f32>,
    bias: Vec<f32>,
    /// Each photo's output gradient divided by the window's cells, `[oh · ow][out]`.
    windows: Vec<f32>,
}

/// What a backward pass reads of each photo, by its number.
pub trait Batch: Sync {
    /// The input `[h][w][in]`.
    fn input(&self, photo: usize) -> &[f32];
    /// The bytes of [`Average::forward`].
    fn active(&self, photo: usize) -> &[u8];
    /// The gradient of the output, `[out, oh, ow]`.
    fn gradient(&self, photo: usize) -> &[f32];
}

impl Average {
    /// Adds the photos to the weight gradient, and writes the gradient of each one's input to `gx[n][h · w · in + OVERREAD]`.
    ///
    /// Three passes, each over rayon's current pool: every photo's output gradient through `A`, then the 64 products,
    /// each over all photos at once, then every photo's input gradient through `B`.
    ///
    /// # Panics
    ///
    /// If a slice is too short, or the weights were packed for inference.
    pub fn backward(
        &self,
        n: usize,
        photos: &impl Batch,
        buffers: &mut Gradient,
        sums: &mut WeightGradient,
        gx: &mut [f32],
    ) {
        let shape = self.tiles.shape;
        let (ins, outs, padded) =
            (shape.in_channels, shape.out_channels, shape.in_channels.next_multiple_of(8));
        let (in_len, grid) = (shape.in_size.0 * shape.in_size.1 * ins, self.grid());
        let tiles = n * grid.count();
        assert!(gx.len() == n * (in_len + OVERREAD), "input gradient");
        assert!(sums.shape == shape && !self.tiles.adjoint.is_empty(), "sums and adjoint weights");
        grow(&mut buffers.input, PRODUCTS * tiles * ins);
        grow(&mut buffers.products, PRODUCTS * tiles * outs);
        grow(&mut buffers.gradient, PRODUCTS * tiles * padded);
        grow(&mut buffers.bias, n * outs);
        grow(&mut buffers.windows, n * self.out_len());
        // Longer than these photos need, where there were more before.
        let bias = &mut buffers.bias[..n * outs];
        let windows = &mut buffers.windows[..n * self.out_len()];

        let (v, gm) = (DisjointSlice::new(&mut buffers.input), DisjointSlice::new(&mut buffers.products));
        let own = bias.par_chunks_exact_mut(outs).zip(windows.par_chunks_exact_mut(self.out_len()));
        own.enumerate().for_each(|(photo, (bias, windows))| {
            let (x, active, gy) = (photos.input(photo), photos.active(photo), photos.gradient(photo));
            assert!(x.len() >= in_len && active.len() >= self.byte_len() && gy.len() >= self.out_len());
            // SAFETY: AVX2 and FMA are there; each photo writes its own tiles.
            unsafe {
                self.transform(x, photo, n, v.from(0));
                self.share(gy, windows);
                self.spread(windows, active, (photo, n), gm.from(0), bias);
            }
        });
        for bias in bias.chunks_exact(outs) {
            sums.bias.iter_mut().zip(bias).for_each(|(sum, b)| *sum += b);
        }

        let planes = buffers.gradient.par_chunks_exact_mut(tiles * padded);
        let planes = planes.zip(sums.sums.par_chunks_exact_mut(ins * outs));
        let planes = planes.zip(buffers.input.par_chunks_exact(tiles * ins));
        let planes = planes.zip(buffers.products.par_chunks_exact(tiles * outs));
        planes.enumerate().for_each(|(p, (((gv, gu), v), gm))| {
            let (read, written) = ((v.as_ptr(), gm.as_ptr()), (gv.as_mut_ptr(), gu.as_mut_ptr()));
            // SAFETY: AVX2 and FMA are there; each slice is its matrix.
            unsafe { avx2::product_adjoint(&self.tiles, p, tiles, read, written) };
        });

        gx.par_chunks_exact_mut(in_len + OVERREAD).enumerate().for_each(|(photo, gx)| {
            gx.fill(0.0);
            // SAFETY: AVX2 and FMA are there; the photo's own tiles.
            unsafe {
                let gv = buffers.gradient.as_ptr().add(photo * grid.count() * padded);
                let photo = 0..grid.count();
                avx2::inputs_adjoint((&shape, grid), gv, tiles * padded, photo, gx.as_mut_ptr());
            }
        });
    }

    /// One photo's output gradient `gy[out, oh, ow]` divided by the window's cells, channels last.
    fn share(&self, gy: &[f32], windows: &mut [f32]) {
        let (cells, outs) = (self.out_cells(), self.tiles.shape.out_channels);
        let share = 1.0 / (self.pool.kernel.0 * self.pool.kernel.1) as f32;
        for (channel, gy) in gy.chunks_exact(cells).enumerate().take(outs) {
            gy.iter().enumerate().for_each(|(cell, g)| windows[cell * outs + channel] = g * share);
        }
    }

    /// One photo's shares of the output gradient to every cell of the map, and through `A` to `gm`.
    ///
    /// # Safety
    ///
    /// AVX2 and FMA are available; `gm` is `[64][n · tiles][out]`, of which this writes photo's tiles.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn spread(
        &self,
        windows: &[f32],
        active: &[u8],
        (photo, n): (usize, usize),
        gm: *mut f32,
        bias: &mut [f32],
    ) {
        let outs = self.tiles.shape.out_channels;
        let (kernel, step) = (self.pool.kernel, self.pool.stride);
        let ((_, map_width), (_, out_width)) = (self.pool.in_size, self.pool.out_size());
        let (cells, grid) = (self.out_cells(), self.grid());
        let count = grid.count();
        for channel in (0..outs).step_by(8) {
            let mut sum = _mm256_setzero_ps();
            for tile in 0..count {
                let ((top, left), (fresh_row, fresh_column)) = (grid.start(tile), grid.fresh(tile));
                let mut tile_cells: [[__m256; 4]; 4] = [[_mm256_setzero_ps(); 4]; 4];
                // Every window adds its share to the cells of this tile that it covers.
                for cell in 0..cells {
                    let (from_y, from_x) = (cell / out_width * step.0, cell % out_width * step.1);
                    if from_y >= top + 4
                        || from_y + kernel.0 <= top
                        || from_x >= left + 4
                        || from_x + kernel.1 <= left
                    {
                        continue;
                    }
                    // SAFETY: eight channels of a window.
                    let g = unsafe { _mm256_loadu_ps(windows.as_ptr().add(cell * outs + channel)) };
                    for y in from_y.max(top)..(from_y + kernel.0).min(top + 4) {
                        for x in from_x.max(left)..(from_x + kernel.1).min(left + 4) {
                            let c = &mut tile_cells[y - top][x - left];
                            *c = _mm256_add_ps(*c, g);
                        }
                    }
                }
                for (y, row) in tile_cells.iter_mut().enumerate() {
                    for (x, c) in row.iter_mut().enumerate() {
                        // A cell that the tile before has too is left to it.
                        if top + y < fresh_row || left + x < fresh_column {
                            *c = _mm256_setzero_ps();
                            continue;
                        }
                        let at = ((top + y) * map_width + left + x) * outs + channel;
                        // SAFETY: eight bytes of the map's. A byte of 1 becomes 255, all bits.
                        let on = unsafe {
                            let on = active.as_ptr().add(at).cast::<u64>().read_unaligned().wrapping_mul(255);
                            _mm256_cvtepi8_epi32(_mm_loadl_epi64((&raw const on).cast()))
                        };
                        *c = _mm256_and_ps(*c, _mm256_castsi256_ps(on));
                        sum = _mm256_add_ps(sum, *c);
                    }
                }
                // SAFETY: eight channels of this photo's tile.
                unsafe {
                    let to = gm.add((photo * count + tile) * outs + channel);
                    avx2::output_adjoint(&tile_cells, to, n * count * outs);
                }
            }
            // SAFETY: eight numbers from `channel`.
            unsafe { _mm256_storeu_ps(bias[channel..channel + 8].as_mut_ptr(), sum) };
        }
    }
}
