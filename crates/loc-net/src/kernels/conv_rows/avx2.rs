//! The forward pass on AVX2 and FMA.
#![expect(unsafe_code, reason = "vector loads and stores through pointers whose ranges the caller checked")]

use std::arch::x86_64::{
    __m128i, __m256, __m256i, _mm_cvtsi64_si128, _mm_setzero_si128, _mm_storel_epi64, _mm_unpackhi_epi16,
    _mm_unpackhi_epi32, _mm_unpackhi_epi64, _mm_unpacklo_epi8, _mm_unpacklo_epi16, _mm_unpacklo_epi32,
    _mm256_broadcast_ss, _mm256_castpd_ps, _mm256_castps_pd, _mm256_fmadd_ps, _mm256_loadu_ps,
    _mm256_permute4x64_epi64, _mm256_permute4x64_pd, _mm256_setzero_ps, _mm256_shuffle_ps, _mm256_storeu_ps,
};
use std::ops::Range;

use super::{CHANNELS, COLUMNS, Rows, Scratch};
use crate::kernels::fused::{RowMap, run};
use crate::kernels::simd::{bytes, pool, transpose};
use crate::kernels::winograd::avx2 as transform;
use crate::kernels::winograd::{INPUTS, OUTPUTS};

/// Some pooled rows of one photo.
pub(super) struct Forward<'a> {
    pub(super) block: &'a Rows,
    pub(super) x: RowMap<'a>,
    pub(super) rows: Range<usize>,
}

/// The products of a tile: `[8][6]` vectors of 16 columns.
type Products = [[[__m256; 2]; CHANNELS]; INPUTS];

impl Forward<'_> {
    /// # Safety
    ///
    /// AVX2 and FMA are available; input and outputs are as long as [`Rows::forward`] checks.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn run<const LAST: bool, const WINNERS: bool>(
        &self,
        scratch: &mut Scratch,
        y: &mut [f32],
        winners: &mut [u8],
    ) {
        let (height, width) = self.block.shape.pooled_size();
        for first in self.rows.clone().step_by(2) {
            // A strip is two pooled rows; the last one may begin a row earlier and write its second row only.
            let top = first.min(height - 2);
            // SAFETY: input rows 2·top to 2·top + 7 exist, since top is at most height − 2.
            unsafe { self.transform_input(2 * top, scratch) };
            for block in 0..width.div_ceil(COLUMNS / 2) {
                let left = (block * COLUMNS / 2).min(width - COLUMNS / 2);
                for tile in 0..self.block.bias.len() / CHANNELS {
                    // SAFETY: columns 2·left to 2·left + 19 are inside the width; `products` has AVX2 and FMA.
                    let products = unsafe { self.multiply(scratch, tile, 2 * left) };
                    // SAFETY: six numbers of the padded bias from the tile's first.
                    let cells = unsafe { pooled(&products, self.block.bias.as_ptr().add(tile * CHANNELS)) };
                    for (i, cells) in cells.iter().enumerate() {
                        let row = top + i;
                        if row < first || row >= self.rows.end {
                            continue;
                        }
                        let out = Out {
                            row: row - self.rows.start,
                            tile,
                            left,
                            channels: self.block.shape.out_channels,
                            width,
                        };
                        // SAFETY: the row is one of those the outputs hold.
                        unsafe { out.store::<LAST, WINNERS>(cells, y.as_mut_ptr(), winners.as_mut_ptr()) };
                    }
                }
            }
        }
    }

    /// Eight input rows from `top`, all channels, through `Bᵀ` along y.
    ///
    /// # Safety
    ///
    /// AVX2 and FMA are available and the rows exist.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn transform_input(&self, top: usize, scratch: &mut Scratch) {
        let (channels, width) = (self.block.shape.in_channels, self.block.shape.in_size.1);
        let stride = run(width);
        for channel in 0..channels {
            for block in 0..width.div_ceil(8) {
                let left = (8 * block).min(width - 8);
                // SAFETY: columns left to left + 7 of existing rows, and of the buffer's runs.
                unsafe {
                    let at = self.x.values.as_ptr().add(top * self.x.row + channel * self.x.channel + left);
                    let d = std::array::from_fn(|i| _mm256_loadu_ps(at.add(i * self.x.row)));
                    let to = scratch.input.as_mut_ptr().add(channel * stride + left);
                    for (i, v) in transform::input(d).into_iter().enumerate() {
                        _mm256_storeu_ps(to.add(i * channels * stride), v);
                    }
                }
            }
        }
    }

    /// The eight products of a tile of six channels, sixteen columns from `left`.
    ///
    /// # Safety
    ///
    /// AVX2 and FMA are available; the strip is transformed, and columns `left..left + 20` exist.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn multiply(&self, scratch: &Scratch, tile: usize, left: usize) -> Products {
        let channels = self.block.shape.in_channels;
        let stride = run(self.block.shape.in_size.1);
        let mut products = [[[_mm256_setzero_ps(); 2]; CHANNELS]; INPUTS];
        // SAFETY: the weights hold a tile's 8 · in · 5 · 6 numbers, the strip 8 · in runs of which 20 columns are read.
        unsafe {
            let mut w = self.block.weights.as_ptr().add(tile * INPUTS * channels * 5 * CHANNELS);
            for (i, product) in products.iter_mut().enumerate() {
                let mut sums = [[_mm256_setzero_ps(); 2]; CHANNELS];
                for channel in 0..channels {
                    let x = scratch.input.as_ptr().add((i * channels + channel) * stride + left);
                    for column in 0..5 {
                        let (a, b) = (_mm256_loadu_ps(x.add(column)), _mm256_loadu_ps(x.add(column + 8)));
                        for (o, sum) in sums.iter_mut().enumerate() {
                            let w = _mm256_broadcast_ss(&*w.add(o));
                            *sum = [_mm256_fmadd_ps(w, a, sum[0]), _mm256_fmadd_ps(w, b, sum[1])];
                        }
                        w = w.add(CHANNELS);
                    }
                }
                *product = sums;
            }
        }
        products
    }
}

/// Values and bytes of two pooled rows of a tile.
type Cells = [[(__m256, __m256i); CHANNELS]; 2];

/// Four output rows out of the products, pooled to two.
///
/// # Safety
///
/// AVX2 and FMA are available; `bias` points to six numbers.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn pooled(products: &Products, bias: *const f32) -> Cells {
    let zero = (_mm256_setzero_ps(), std::arch::x86_64::_mm256_setzero_si256());
    let mut cells = [[zero; CHANNELS]; 2];
    for o in 0..CHANNELS {
        let half = |v: usize| transform::output(std::array::from_fn(|i| products[i][o][v]));
        let (a, b): ([__m256; OUTPUTS], [__m256; OUTPUTS]) = (half(0), half(1));
        // SAFETY: one of six numbers.
        let bias = unsafe { _mm256_broadcast_ss(&*bias.add(o)) };
        for row in 0..2 {
            let even = |r: usize| _mm256_shuffle_ps::<0x88>(a[r], b[r]);
            let odd = |r: usize| _mm256_shuffle_ps::<0xDD>(a[r], b[r]);
            let (r0, r1) = (2 * row, 2 * row + 1);
            let (value, byte) = pool([even(r0), odd(r0), even(r1), odd(r1)], bias);
            // The shuffles left the quarters in the order 0, 2, 1, 3.
            let value = _mm256_castpd_ps(_mm256_permute4x64_pd::<0xD8>(_mm256_castps_pd(value)));
            cells[row][o] = (value, _mm256_permute4x64_epi64::<0xD8>(byte));
        }
    }
    cells
}

/// Where a tile's row of eight pooled columns goes.
struct Out {
    row: usize,
    tile: usize,
    left: usize,
    /// Output channels in all, and columns.
    channels: usize,
    width: usize,
}

impl Out {
    /// # Safety
    ///
    /// AVX2 and FMA are available; the outputs hold the row.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn store<const LAST: bool, const WINNERS: bool>(
        &self,
        cells: &[(__m256, __m256i); CHANNELS],
        y: *mut f32,
        winners: *mut u8,
    ) {
        let first = self.tile * CHANNELS;
        let channels = CHANNELS.min(self.channels - first);
        let last = (self.row * self.width + self.left) * self.channels + first;
        // SAFETY: eight columns from `left`, `channels` channels from `first`, of a row the outputs hold.
        unsafe {
            if LAST {
                let zero = _mm256_setzero_ps();
                let lanes = std::array::from_fn(|o| if o < CHANNELS { cells[o].0 } else { zero });
                for (pixel, v) in transpose(lanes).into_iter().enumerate() {
                    let mut values = [0.0f32; 8];
                    _mm256_storeu_ps(values.as_mut_ptr(), v);
                    copy(&values, y.add(last + pixel * self.channels), channels);
                }
            } else {
                let to = y.add((self.row * self.channels + first) * run(self.width) + self.left);
                for (o, (value, _)) in cells.iter().enumerate().take(channels) {
                    _mm256_storeu_ps(to.add(o * run(self.width)), *value);
                }
            }
            if WINNERS {
                for (pixel, v) in pixels(cells).into_iter().enumerate() {
                    copy(&v, winners.add(last + pixel * self.channels), channels);
                }
            }
        }
    }
}

/// A pixel's channels; six, the usual number, without a loop.
///
/// # Safety
///
/// `to` has room for `channels`, at most six.
#[inline]
unsafe fn copy<T: Copy>(from: &[T; 8], to: *mut T, channels: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        if channels == CHANNELS {
            to.copy_from_nonoverlapping(from.as_ptr(), CHANNELS);
        } else {
            to.copy_from_nonoverlapping(from.as_ptr(), channels);
        }
    }
}

/// The bytes of eight columns, each with its channels together.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn pixels(cells: &[(__m256, __m256i); CHANNELS]) -> [[u8; 8]; 8] {
    let channel = |o: usize| _mm_cvtsi64_si128(bytes(cells[o].1).cast_signed());
    let pair = |o: usize| _mm_unpacklo_epi8(channel(o), channel(o + 1));
    let (a, b, c, zero) = (pair(0), pair(2), pair(4), _mm_setzero_si128());
    let quads = |low: __m128i, high: __m128i| [_mm_unpacklo_epi16(low, high), _mm_unpackhi_epi16(low, high)];
    let (ab, c) = (quads(a, b), quads(c, zero));
    let mut out = [[0u8; 8]; 8];
    for half in 0..2 {
        let (low, high) = (_mm_unpacklo_epi32(ab[half], c[half]), _mm_unpackhi_epi32(ab[half], c[half]));
        let two = [low, _mm_unpackhi_epi64(low, low), high, _mm_unpackhi_epi64(high, high)];
        for (i, v) in two.into_iter().enumerate() {
            // SAFETY: eight bytes.
            unsafe { _mm_storel_epi64(out[4 * half + i].as_mut_ptr().cast(), v) };
        }
    }
    out
}
