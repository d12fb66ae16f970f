//! Ends in relu and an average pool: forward by blocks of channels, backward over a batch.
#![expect(unsafe_code, reason = "calls the AVX2 forms, whose presence `Tiles::of` made sure of")]

use std::arch::x86_64::{
    __m256, _CMP_GT_OQ, _mm_loadl_epi64, _mm256_add_ps, _mm256_and_ps, _mm256_castps_si256,
    _mm256_castsi256_ps, _mm256_cmp_ps, _mm256_cvtepi8_epi32, _mm256_loadu_ps, _mm256_max_ps, _mm256_mul_ps,
    _mm256_set1_ps, _mm256_setzero_ps, _mm256_srli_epi32, _mm256_storeu_ps,
};

use rayon::prelude::*;

use super::avx2;
use super::{Axis, BLOCK, PRODUCTS, Scratch, Tiles, WeightGradient};
use crate::Pool;
use crate::idle::grow;
use crate::kernels::fused::SLACK;
use crate::kernels::gemm::avx2::Product;
use crate::kernels::shared::Shared;
use crate::kernels::{PoolShape, simd};

/// A convolution that ends in relu and an average pool.
#[derive(Debug, Clone)]
pub struct Average {
    tiles: Tiles,
    pool: PoolShape,
}

/// Some photos on their way through: their tiles, transformed.
#[derive(Debug, Default)]
pub struct Input {
    /// `[64][photos · tiles][in]`.
    values: Vec<f32>,
    photos: usize,
}

impl Average {
    /// The form, or nothing where [`Tiles::of`] does not fit or the pool does not.
    #[must_use]
    pub fn of(tiles: Tiles, pool: Pool) -> Option<Self> {
        let pool = PoolShape { channels: tiles.shape.out_channels, in_size: tiles.shape.conv_size(), pool };
        pool.pool.output(pool.in_size)?;
        Some(Self { tiles, pool })
    }

    /// The convolution.
    #[must_use]
    pub fn tiles(&self) -> &Tiles {
        &self.tiles
    }

    /// The convolution, to pack weights.
    pub fn tiles_mut(&mut self) -> &mut Tiles {
        &mut self.tiles
    }

    /// Values of one photo's output, `[out, oh, ow]`.
    #[must_use]
    pub fn out_len(&self) -> usize {
        self.pool.out_len()
    }

    /// Values of one photo's output from the first channel of a block of weights on.
    #[must_use]
    pub fn block_start(&self, block: usize) -> usize {
        (block * BLOCK * self.out_cells()).min(self.out_len())
    }

    /// Bytes of one photo: which cells of the convolution relu let through, `[h][w][out]`.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.pool.in_len()
    }

    fn out_cells(&self) -> usize {
        self.pool.out_len() / self.pool.channels
    }

    fn axes(&self) -> (Axis, Axis) {
        let (height, width) = self.pool.in_size;
        (Axis::over(height), Axis::over(width))
    }

    /// Tiles of one photo.
    fn count(&self) -> usize {
        let (down, across) = self.axes();
        down.tiles * across.tiles
    }

    /// Transforms one photo `x[h][w][in]` into its place among the tiles of `n` photos at `to`.
    ///
    /// # Safety
    ///
    /// AVX2 and FMA are available; `x` holds the photo, `to` is `[64][n · tiles][in]`.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn transform(&self, x: &[f32], photo: usize, n: usize, to: *mut f32) {
        let (ins, width) = (self.tiles.shape.in_channels, self.tiles.shape.in_size.1);
        let ((down, across), count) = (self.axes(), self.count());
        for tile in 0..count {
            let (top, left) = (down.start(tile / across.tiles), across.start(tile % across.tiles));
            // SAFETY: a tile of 8×8 pixels ends with the map at most.
            unsafe {
                let from = x.as_ptr().add((top * width + left) * ins);
                let to = to.add((photo * count + tile) * ins);
                avx2::input(from, width * ins, ins, to, n * count * ins);
            }
        }
    }

    /// Transforms `n` photos, given by their number, each `[h][w][in]`.
    ///
    /// # Panics
    ///
    /// If a photo is shorter than its shape.
    pub fn input<'a>(&self, n: usize, x: impl Fn(usize) -> &'a [f32], input: &mut Input) {
        let shape = self.tiles.shape;
        let len = PRODUCTS * n * self.count() * shape.in_channels;
        input.values.resize(len.max(input.values.len()), 0.0);
        input.photos = n;
        for photo in 0..n {
            let x = x(photo);
            assert!(x.len() >= shape.in_size.0 * shape.in_size.1 * shape.in_channels, "input");
            // SAFETY: AVX2 and FMA are there; the lengths were just made sure of.
            unsafe { self.transform(x, photo, n, input.values.as_mut_ptr()) };
        }
    }

    /// One block of channels of the transformed photos. Photo i's output begins at `y[i · stride]`, with the block's
    /// first channel; its bytes, unless `alive` is empty, at `alive[i · byte_len()]`, with the map's first channel.
    ///
    /// # Panics
    ///
    /// If a slice is too short.
    pub fn forward(
        &self,
        input: &Input,
        block: usize,
        scratch: &mut Scratch,
        (y, stride): (&mut [f32], usize),
        alive: &mut [u8],
    ) {
        let n = input.photos;
        let (cells, map) = (self.out_cells(), self.pool.in_size.0 * self.pool.in_size.1);
        let (_, width) = self.tiles.block(block);
        assert!(n > 0 && y.len() >= (n - 1) * stride + width * cells, "output");
        assert!(alive.is_empty() || alive.len() >= n * self.byte_len(), "bytes");
        let tiles = n * self.count();
        scratch.products.resize((PRODUCTS * tiles * width).max(scratch.products.len()), 0.0);
        scratch.gradient.resize((map * width).max(scratch.gradient.len()), 0.0);
        // SAFETY: AVX2 and FMA are there, and the lengths were checked above.
        unsafe { self.block(input, block, scratch, (y, stride), alive) };
    }

    /// # Safety
    ///
    /// AVX2 and FMA are available; the slices are as long as [`Average::forward`] checks.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn block(
        &self,
        input: &Input,
        block: usize,
        scratch: &mut Scratch,
        (y, stride): (&mut [f32], usize),
        alive: &mut [u8],
    ) {
        let (ins, outs) = (self.tiles.shape.in_channels, self.tiles.shape.out_channels);
        let (u, width) = self.tiles.block(block);
        let count = self.count();
        let n = input.photos * count;
        for p in 0..PRODUCTS {
            // SAFETY: n rows of inputs, the block's weights, n rows of products.
            unsafe {
                let product = Product {
                    a: (input.values.as_ptr().add(p * n * ins), ins, 1),
                    b: (u.as_ptr().add(p * ins * width), width),
                    c: (scratch.products.as_mut_ptr().add(p * n * width), width),
                    add: false,
                };
                product.run((n, width, ins));
            }
        }
        let (down, across) = self.axes();
        let map_width = self.pool.in_size.1;
        for photo in 0..input.photos {
            for tile in 0..count {
                let (top, left) = (down.start(tile / across.tiles), across.start(tile % across.tiles));
                for vector in 0..width / 8 {
                    // SAFETY: eight channels of a tile's products; cells of the map.
                    unsafe {
                        let m = scratch.products.as_ptr().add((photo * count + tile) * width + 8 * vector);
                        let channel = block * BLOCK + 8 * vector;
                        let bias = _mm256_loadu_ps(self.tiles.bias.as_ptr().add(channel));
                        for (i, row) in avx2::output(m, n * width).into_iter().enumerate() {
                            for (j, cell) in row.into_iter().enumerate() {
                                let at = (top + i) * map_width + left + j;
                                // In this order a NaN stays one.
                                let value = _mm256_max_ps(_mm256_setzero_ps(), _mm256_add_ps(cell, bias));
                                let to = scratch.gradient.as_mut_ptr().add(at * width + 8 * vector);
                                _mm256_storeu_ps(to, value);
                                if !alive.is_empty() {
                                    let on = _mm256_cmp_ps::<_CMP_GT_OQ>(value, _mm256_setzero_ps());
                                    let on = simd::bytes(_mm256_srli_epi32::<31>(_mm256_castps_si256(on)));
                                    let at = photo * self.byte_len() + at * outs + channel;
                                    alive.as_mut_ptr().add(at).cast::<u64>().write_unaligned(on);
                                }
                            }
                        }
                    }
                }
            }
            // SAFETY: the photo's map was just filled; its output begins at the stride.
            unsafe { self.average(scratch.gradient.as_ptr(), width, &mut y[photo * stride..]) };
        }
    }

    /// Averages a map `[h][w][width]` into `y[width][oh · ow]`.
    ///
    /// # Safety
    ///
    /// AVX2 and FMA are available; the map can be read.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn average(&self, map: *const f32, width: usize, y: &mut [f32]) {
        let (kernel, step) = (self.pool.pool.kernel, self.pool.pool.stride);
        let (map_width, out_width) = (self.pool.in_size.1, self.pool.out_size().1);
        let cells = self.out_cells();
        let share = _mm256_set1_ps(1.0 / (kernel.0 * kernel.1) as f32);
        for cell in 0..cells {
            let (top, left) = (cell / out_width * step.0, cell % out_width * step.1);
            for vector in (0..width).step_by(8) {
                let mut sum = _mm256_setzero_ps();
                for at in 0..kernel.0 * kernel.1 {
                    let at = (top + at / kernel.1) * map_width + left + at % kernel.1;
                    // SAFETY: a cell of the map.
                    sum = _mm256_add_ps(sum, unsafe { _mm256_loadu_ps(map.add(at * width + vector)) });
                }
                let mut lanes = [0.0f32; 8];
                // SAFETY: eight numbers.
                unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), _mm256_mul_ps(sum, share)) };
                for (lane, v) in lanes.into_iter().enumerate() {
                    y[(vector + lane) * cells + cell] = v;
                }
            }
        }
    }
}

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
pub trait Photos: Sync {
    /// The input `[h][w][in]`.
    fn input(&self, photo: usize) -> &[f32];
    /// The bytes of [`Average::forward`].
    fn alive(&self, photo: usize) -> &[u8];
    /// The gradient of the output, `[out, oh, ow]`.
    fn gradient(&self, photo: usize) -> &[f32];
}

impl Average {
    /// Adds the photos to the weight gradient, and writes the gradient of each one's input to `gx[n][h · w · in + SLACK]`.
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
        photos: &impl Photos,
        buffers: &mut Gradient,
        sums: &mut WeightGradient,
        gx: &mut [f32],
    ) {
        let shape = self.tiles.shape;
        let (ins, outs, padded) =
            (shape.in_channels, shape.out_channels, shape.in_channels.next_multiple_of(8));
        let (in_len, tiles) = (shape.in_size.0 * shape.in_size.1 * ins, n * self.count());
        assert!(gx.len() == n * (in_len + SLACK), "input gradient");
        assert!(sums.shape == shape && !self.tiles.adjoint.is_empty(), "sums and adjoint weights");
        grow(&mut buffers.input, PRODUCTS * tiles * ins);
        grow(&mut buffers.products, PRODUCTS * tiles * outs);
        grow(&mut buffers.gradient, PRODUCTS * tiles * padded);
        grow(&mut buffers.bias, n * outs);
        grow(&mut buffers.windows, n * self.out_len());
        // Longer than these photos need, where there were more before.
        let bias = &mut buffers.bias[..n * outs];
        let windows = &mut buffers.windows[..n * self.out_len()];

        let (v, gm) = (Shared::new(&mut buffers.input), Shared::new(&mut buffers.products));
        let own = bias.par_chunks_exact_mut(outs).zip(windows.par_chunks_exact_mut(self.out_len()));
        own.enumerate().for_each(|(photo, (bias, windows))| {
            let (x, alive, gy) = (photos.input(photo), photos.alive(photo), photos.gradient(photo));
            assert!(x.len() >= in_len && alive.len() >= self.byte_len() && gy.len() >= self.out_len());
            // SAFETY: AVX2 and FMA are there; each photo writes its own tiles.
            unsafe {
                self.transform(x, photo, n, v.from(0));
                self.share(gy, windows);
                self.spread(windows, alive, (photo, n), gm.from(0), bias);
            }
        });
        for bias in bias.chunks_exact(outs) {
            sums.bias.iter_mut().zip(bias).for_each(|(sum, b)| *sum += b);
        }

        let planes = buffers.gradient.par_chunks_exact_mut(tiles * padded);
        let planes = planes.zip(sums.sums.par_chunks_exact_mut(ins * outs));
        let planes = planes.zip(buffers.input.par_chunks_exact(tiles * ins));
        let planes = planes.zip(buffers.products.par_chunks_exact(tiles * outs));
        let planes = planes.zip(self.tiles.adjoint.par_chunks_exact(outs * padded));
        planes.for_each(|((((gv, gu), v), gm), ut)| {
            // SAFETY: AVX2 and FMA are there; each slice is its matrix.
            unsafe {
                let (gm, ut) = (gm.as_ptr(), (ut.as_ptr(), padded));
                let gv = Product { a: (gm, outs, 1), b: ut, c: (gv.as_mut_ptr(), padded), add: false };
                gv.run((tiles, padded, outs));
                let v = (v.as_ptr(), 1, ins);
                let gu = Product { a: v, b: (gm, outs), c: (gu.as_mut_ptr(), outs), add: true };
                gu.run((ins, outs, tiles));
            }
        });

        let (down, across) = self.axes();
        gx.par_chunks_exact_mut(in_len + SLACK).enumerate().for_each(|(photo, gx)| {
            gx.fill(0.0);
            for tile in 0..self.count() {
                let (top, left) = (down.start(tile / across.tiles), across.start(tile % across.tiles));
                // SAFETY: AVX2 and FMA are there; the tile lies inside the map.
                unsafe {
                    let gv = buffers.gradient.as_ptr().add((photo * self.count() + tile) * padded);
                    let to = gx.as_mut_ptr().add((top * shape.in_size.1 + left) * ins);
                    avx2::input_adjoint(gv, tiles * padded, to, shape.in_size.1 * ins, ins);
                }
            }
        });
    }

    /// One photo's output gradient `gy[out, oh, ow]` divided by the window's cells, channels last.
    fn share(&self, gy: &[f32], windows: &mut [f32]) {
        let (cells, outs) = (self.out_cells(), self.tiles.shape.out_channels);
        let share = 1.0 / (self.pool.pool.kernel.0 * self.pool.pool.kernel.1) as f32;
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
        alive: &[u8],
        (photo, n): (usize, usize),
        gm: *mut f32,
        bias: &mut [f32],
    ) {
        let outs = self.tiles.shape.out_channels;
        let (kernel, step) = (self.pool.pool.kernel, self.pool.pool.stride);
        let ((_, map_width), (_, out_width)) = (self.pool.in_size, self.pool.out_size());
        let (cells, count) = (self.out_cells(), self.count());
        let (down, across) = self.axes();
        for channel in (0..outs).step_by(8) {
            let mut sum = _mm256_setzero_ps();
            for tile in 0..count {
                let (i, j) = (tile / across.tiles, tile % across.tiles);
                let (top, left) = (down.start(i), across.start(j));
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
                        if top + y < Axis::fresh(i) || left + x < Axis::fresh(j) {
                            *c = _mm256_setzero_ps();
                            continue;
                        }
                        let at = ((top + y) * map_width + left + x) * outs + channel;
                        // SAFETY: eight bytes of the map's. A byte of 1 becomes all bits by negation.
                        let on = unsafe {
                            let on = alive.as_ptr().add(at).cast::<u64>().read_unaligned().wrapping_mul(255);
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
