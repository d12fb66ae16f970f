//! The backward pass over a batch: each of the 64 matrix products takes all photos at once.
#![expect(unsafe_code, reason = "calls the AVX2 kernels, whose availability `WinogradTiles::of` has checked")]

use std::arch::x86_64::{
    __m256, _mm_loadl_epi64, _mm256_add_ps, _mm256_and_ps, _mm256_castsi256_ps, _mm256_cvtepi8_epi32,
    _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

use rayon::prelude::*;

use super::super::{PRODUCTS, avx2, weights_avx2};
use super::Average;
use crate::buffers::{grow, with_buffers};
use crate::kernels::conv_block::OVERREAD;
use crate::kernels::parts::{Parts, tree_sum};
use crate::parallel::DisjointSlice;

/// Output channels whose weight gradient a task computes: its buffers stay in the level-2 cache.
const CHANNELS: usize = 16;
/// Weights per pair of input and output channel.
const TAPS: usize = 25;

/// Buffers of a backward pass over a batch.
#[derive(Debug, Default)]
pub struct Gradient {
    input: Vec<f32>,
    products: Vec<f32>,
    gradient: Vec<f32>,
    bias: Vec<f32>,
    /// The bias gradients of the parts.
    part_bias: Vec<f32>,
    /// Each photo's output gradient divided by the number of cells in a window, `[oh · ow][out]`.
    windows: Vec<f32>,
}

/// The values that a backward pass reads of each photo, by its number.
pub trait Batch: Sync {
    /// Returns the input `[h][w][in]`.
    fn input(&self, photo: usize) -> &[f32];
    /// Returns the bytes that [`Average::forward`] wrote.
    fn active(&self, photo: usize) -> &[u8];
    /// Returns the gradient of the output, `[out, oh, ow]`.
    fn gradient(&self, photo: usize) -> &[f32];
}

impl Average {
    /// Computes the gradients of the weight `[out, in, 5, 5]` and the bias `[out]`, summed over the photos in the order
    /// of [`crate::kernels::parts`], and each photo's input gradient, into `gx[n][h · w · in + OVERREAD]`.
    ///
    /// There are four passes, each over rayon's current pool: (1) transform every photo's output gradient by `A`; (2)
    /// compute the 64 products of the input gradient, each over all photos at once; (3) transform these by `B`; (4) for
    /// a few output channels at a time, compute the 64 products of the weight gradient, part by part, and transform
    /// them by `G`.
    ///
    /// # Panics
    ///
    /// If a slice is too short, or the weights were packed for inference.
    pub fn backward(
        &self,
        parts: &Parts,
        photos: &impl Batch,
        buffers: &mut Gradient,
        gw: &mut [f32],
        gb: &mut [f32],
        gx: &mut [f32],
    ) {
        let (shape, n) = (self.tiles.shape, parts.photos());
        let (ins, outs, padded) =
            (shape.in_channels, shape.out_channels, shape.in_channels.next_multiple_of(8));
        let (in_len, grid) = (shape.in_size.0 * shape.in_size.1 * ins, self.grid());
        let tiles = n * grid.count();
        assert!(gx.len() == n * (in_len + OVERREAD), "input gradient");
        assert!(!self.tiles.adjoint.is_empty(), "weights that were packed for training");
        assert!(gw.len() == shape.weight_len() && gb.len() == outs, "weight and bias gradient");
        grow(&mut buffers.input, PRODUCTS * tiles * ins);
        grow(&mut buffers.products, PRODUCTS * tiles * outs);
        grow(&mut buffers.gradient, PRODUCTS * tiles * padded);
        grow(&mut buffers.bias, n * outs);
        grow(&mut buffers.windows, n * self.out_len());
        // The buffers may be longer than these photos need, if an earlier batch had more.
        let bias = &mut buffers.bias[..n * outs];
        let windows = &mut buffers.windows[..n * self.out_len()];

        let (v, gm) = (DisjointSlice::new(&mut buffers.input), DisjointSlice::new(&mut buffers.products));
        let photo_buffers = bias.par_chunks_exact_mut(outs).zip(windows.par_chunks_exact_mut(self.out_len()));
        photo_buffers.enumerate().for_each(|(photo, (bias, windows))| {
            let (x, active, gy) = (photos.input(photo), photos.active(photo), photos.gradient(photo));
            assert!(x.len() >= in_len && active.len() >= self.byte_len() && gy.len() >= self.out_len());
            // SAFETY: AVX2 and FMA are available; each photo writes its own tiles.
            unsafe {
                self.transform(x, photo, n, v.from(0));
                self.window_gradients(gy, windows);
                self.transform_gradient(windows, active, photo, n, gm.from(0), bias);
            }
        });
        let part_bias = &mut buffers.part_bias;
        part_bias.clear();
        part_bias.resize(parts.count() * outs, 0.0);
        for (sums, photos) in part_bias.chunks_exact_mut(outs).zip(parts.iter()) {
            for bias in bias[photos.start * outs..photos.end * outs].chunks_exact(outs) {
                sums.iter_mut().zip(bias).for_each(|(sum, b)| *sum += b);
            }
        }
        tree_sum(part_bias, outs, parts.count(), gb);

        let planes =
            buffers.gradient[..PRODUCTS * tiles * padded].par_chunks_exact_mut((tiles * padded).max(1));
        planes.zip(buffers.products.par_chunks_exact((tiles * outs).max(1))).enumerate().for_each(
            |(p, (gv, gm))| {
                // SAFETY: AVX2 and FMA are available; each slice is its matrix.
                unsafe { avx2::input_product(&self.tiles, p, tiles, gm.as_ptr(), gv.as_mut_ptr()) };
            },
        );
        self.weight_gradient(parts, &buffers.input, &buffers.products, gw);

        gx.par_chunks_exact_mut(in_len + OVERREAD).enumerate().for_each(|(photo, gx)| {
            gx.fill(0.0);
            // SAFETY: AVX2 and FMA are available; the photo's own tiles.
            unsafe {
                let gv = buffers.gradient.as_ptr().add(photo * grid.count() * padded);
                let photo = 0..grid.count();
                avx2::inputs_adjoint(&shape, grid, gv, tiles * padded, photo, gx.as_mut_ptr());
            }
        });
    }

    /// Computes the weight gradient of all photos from their transformed inputs `v` and gradients `gm`.
    fn weight_gradient(&self, parts: &Parts, v: &[f32], gm: &[f32], gw: &mut [f32]) {
        let (shape, tiles) = (self.tiles.shape, self.grid().count());
        let (ins, outs, all) = (shape.in_channels, shape.out_channels, parts.photos() * tiles);
        gw.par_chunks_mut(CHANNELS * ins * TAPS).enumerate().for_each(|(task, gw)| {
            let (first, width) = (task * CHANNELS, gw.len() / (ins * TAPS));
            with_buffers([PRODUCTS * ins * width, parts.count() * gw.len()], |[gu, part_gradients]| {
                for (part_gradient, photos) in part_gradients.chunks_exact_mut(gw.len()).zip(parts.iter()) {
                    for (p, gu) in gu.chunks_exact_mut(ins * width).enumerate() {
                        let at = p * all + photos.start * tiles;
                        // SAFETY: AVX2 and FMA are available; the part's tiles of product p, and these channels of
                        // them.
                        unsafe {
                            let (v, gm) = (v.as_ptr().add(at * ins), gm.as_ptr().add(at * outs + first));
                            let n = photos.len() * tiles;
                            avx2::weight_product(&shape, n, v, gm, gu.as_mut_ptr(), width, false);
                        }
                    }
                    for (group, gw) in part_gradient.chunks_exact_mut(8 * ins * TAPS).enumerate() {
                        // SAFETY: AVX2 and FMA are available; eight of these channels.
                        unsafe { weights_avx2::unpack(&shape, &gu[8 * group..], width, gw) };
                    }
                }
                tree_sum(part_gradients, gw.len(), parts.count(), gw);
            });
        });
    }

    /// Writes one photo's output gradient `gy[out, oh, ow]`, divided by the number of cells in a window, channels last.
    fn window_gradients(&self, gy: &[f32], windows: &mut [f32]) {
        let (cells, outs) = (self.out_cells(), self.tiles.shape.out_channels);
        let scale = 1.0 / (self.pool.kernel.0 * self.pool.kernel.1) as f32;
        for (channel, gy) in gy.chunks_exact(cells).enumerate().take(outs) {
            gy.iter().enumerate().for_each(|(cell, g)| windows[cell * outs + channel] = g * scale);
        }
    }

    /// Computes the gradient of every cell of one photo's map from its `windows`, and transforms it by `A` into `gm`.
    ///
    /// # Safety
    ///
    /// AVX2 and FMA are available; `gm` is `[64][n · tiles][out]`, of which this writes the photo's tiles.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn transform_gradient(
        &self,
        windows: &[f32],
        active: &[u8],
        photo: usize,
        n: usize,
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
                let ((top, left), (new_row, new_column)) = (grid.start(tile), grid.first_new(tile));
                let mut tile_cells: [[__m256; 4]; 4] = [[_mm256_setzero_ps(); 4]; 4];
                // Every window adds its gradient to the cells of this tile that it covers.
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
                        // A cell that is also in an earlier tile is computed with that tile.
                        if top + y < new_row || left + x < new_column {
                            *c = _mm256_setzero_ps();
                            continue;
                        }
                        let at = ((top + y) * map_width + left + x) * outs + channel;
                        // SAFETY: eight bytes of the map. A byte of 1 is turned into 255, which sets all bits of the
                        // lane.
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
            // SAFETY: eight values from `channel`.
            unsafe { _mm256_storeu_ps(bias[channel..channel + 8].as_mut_ptr(), sum) };
        }
    }
}
