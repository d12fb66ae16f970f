//! The tile kernel that ends with relu and an average pool: forward pass by blocks of channels; `backward` over a
//! batch.
#![expect(unsafe_code, reason = "calls the AVX2 kernels, whose availability `WinogradTiles::of` has checked")]

mod backward;

use std::arch::x86_64::{
    _CMP_GT_OQ, _mm256_add_ps, _mm256_castps_si256, _mm256_cmp_ps, _mm256_loadu_ps, _mm256_max_ps,
    _mm256_mul_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_srli_epi32, _mm256_storeu_ps,
};

use super::avx2;
use super::{BLOCK, Grid, PRODUCTS, Scratch, WinogradTiles};
use crate::buffers::grow;
use crate::kernels::{PoolShape, simd};
use crate::window;
pub use backward::{Batch, Gradient};

/// A convolution followed by relu and an average pool.
#[derive(Debug, Clone)]
pub struct Average {
    tiles: WinogradTiles,
    pool: PoolShape,
}

/// The transformed tiles of some photos.
#[derive(Debug, Default)]
pub struct Input {
    /// `[64][photos · tiles][in]`.
    values: Vec<f32>,
    photos: usize,
}

impl Average {
    /// Creates the kernel, or returns `None` if the pool does not fit.
    #[must_use]
    pub fn of(tiles: WinogradTiles, kernel: (usize, usize), stride: (usize, usize)) -> Option<Self> {
        let in_size = tiles.shape.conv_size();
        window::output(in_size, kernel, stride)?;
        let pool = PoolShape { channels: tiles.shape.out_channels, in_size, kernel, stride };
        Some(Self { tiles, pool })
    }

    /// Returns the convolution.
    #[must_use]
    pub fn tiles(&self) -> &WinogradTiles {
        &self.tiles
    }

    /// Returns the convolution, to pack weights.
    pub fn tiles_mut(&mut self) -> &mut WinogradTiles {
        &mut self.tiles
    }

    /// Returns the number of output values per photo, `[out, oh, ow]`.
    #[must_use]
    pub fn out_len(&self) -> usize {
        self.pool.out_len()
    }

    /// Returns the index in one photo's output at which a block of channels starts.
    #[must_use]
    pub fn block_start(&self, block: usize) -> usize {
        (block * BLOCK * self.out_cells()).min(self.out_len())
    }

    /// Returns the number of bytes per photo, `[h][w][out]`: 1 where relu of the convolution was active.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.pool.in_len()
    }

    fn out_cells(&self) -> usize {
        self.pool.out_len() / self.pool.channels
    }

    fn grid(&self) -> Grid {
        Grid::over(self.pool.in_size)
    }

    /// Transforms one photo `x[h][w][in]` and writes its tiles among those of `n` photos at `to`.
    ///
    /// # Safety
    ///
    /// AVX2 and FMA are available; `x` holds the photo, `to` is `[64][n · tiles][in]`.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn transform(&self, x: &[f32], photo: usize, n: usize, to: *mut f32) {
        let (ins, grid) = (self.tiles.shape.in_channels, self.grid());
        let count = grid.count();
        // SAFETY: guaranteed by the caller.
        unsafe {
            let to = to.add(photo * count * ins);
            avx2::inputs(&self.tiles.shape, grid, x.as_ptr(), 0..count, to, n * count * ins);
        }
    }

    /// Transforms `n` photos, each `[h][w][in]`; `x` returns a photo by its number.
    ///
    /// # Panics
    ///
    /// If a photo is shorter than its shape.
    pub fn input<'a>(&self, n: usize, x: impl Fn(usize) -> &'a [f32], input: &mut Input) {
        let shape = self.tiles.shape;
        grow(&mut input.values, PRODUCTS * n * self.grid().count() * shape.in_channels);
        input.photos = n;
        for photo in 0..n {
            let x = x(photo);
            assert!(x.len() >= shape.in_size.0 * shape.in_size.1 * shape.in_channels, "input");
            // SAFETY: AVX2 and FMA are available; `x` was checked and the buffer resized above.
            unsafe { self.transform(x, photo, n, input.values.as_mut_ptr()) };
        }
    }

    /// Computes one block of output channels for all transformed photos. Photo i's output starts at `y[i · stride]`,
    /// with the block's first channel; its bytes start at `active[i · byte_len()]`, with the map's first channel,
    /// unless `active` is empty.
    ///
    /// # Panics
    ///
    /// If a slice is too short.
    pub fn forward(
        &self,
        input: &Input,
        block: usize,
        scratch: &mut Scratch,
        y: &mut [f32],
        stride: usize,
        active: &mut [u8],
    ) {
        let n = input.photos;
        let (cells, map) = (self.out_cells(), self.pool.in_size.0 * self.pool.in_size.1);
        let (_, width) = self.tiles.block(block);
        assert!(n > 0 && y.len() >= (n - 1) * stride + width * cells, "output");
        assert!(active.is_empty() || active.len() >= n * self.byte_len(), "bytes");
        let ins = self.tiles.shape.in_channels;
        assert!(
            input.values.len() >= PRODUCTS * n * self.grid().count() * ins,
            "photos that this kernel has transformed"
        );
        grow(&mut scratch.products, PRODUCTS * n * self.grid().count() * width);
        grow(&mut scratch.gradient, map * width);
        // SAFETY: AVX2 and FMA are available, and the lengths were checked above.
        unsafe { self.block(input, block, scratch, y, stride, active) };
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
        y: &mut [f32],
        stride: usize,
        active: &mut [u8],
    ) {
        let outs = self.tiles.shape.out_channels;
        let (grid, width) = (self.grid(), self.tiles.block(block).1);
        let count = grid.count();
        let n = input.photos * count;
        let m = scratch.products.as_mut_ptr();
        // SAFETY: buffers of n tiles.
        unsafe { avx2::products(&self.tiles, block, n, input.values.as_ptr(), m) };
        let map_width = self.pool.in_size.1;
        for photo in 0..input.photos {
            for tile in 0..count {
                let (top, left) = grid.start(tile);
                for vector in 0..width / 8 {
                    // SAFETY: eight channels of a tile's products; cells of the map.
                    unsafe {
                        let m = m.add((photo * count + tile) * width + 8 * vector);
                        let channel = block * BLOCK + 8 * vector;
                        let bias = _mm256_loadu_ps(self.tiles.bias.as_ptr().add(channel));
                        for (i, row) in avx2::output(m, n * width).into_iter().enumerate() {
                            for (j, cell) in row.into_iter().enumerate() {
                                let at = (top + i) * map_width + left + j;
                                // With this order of arguments a NaN stays NaN.
                                let value = _mm256_max_ps(_mm256_setzero_ps(), _mm256_add_ps(cell, bias));
                                let to = scratch.gradient.as_mut_ptr().add(at * width + 8 * vector);
                                _mm256_storeu_ps(to, value);
                                if !active.is_empty() {
                                    let on = _mm256_cmp_ps::<_CMP_GT_OQ>(value, _mm256_setzero_ps());
                                    let on = simd::bytes(_mm256_srli_epi32::<31>(_mm256_castps_si256(on)));
                                    let at = photo * self.byte_len() + at * outs + channel;
                                    active.as_mut_ptr().add(at).cast::<u64>().write_unaligned(on);
                                }
                            }
                        }
                    }
                }
            }
            // SAFETY: the photo's map was just filled; its output starts at the stride.
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
        let (kernel, step) = (self.pool.kernel, self.pool.stride);
        let (map_width, out_width) = (self.pool.in_size.1, self.pool.out_size().1);
        let cells = self.out_cells();
        let scale = _mm256_set1_ps(1.0 / (kernel.0 * kernel.1) as f32);
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
                // SAFETY: eight values.
                unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), _mm256_mul_ps(sum, scale)) };
                for (lane, v) in lanes.into_iter().enumerate() {
                    y[(vector + lane) * cells + cell] = v;
                }
            }
        }
    }
}
