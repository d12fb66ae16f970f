//! The forward pass on AVX2 and FMA.
#![expect(unsafe_code, reason = "vector loads and stores through pointers whose ranges the caller checked")]

use std::arch::x86_64::{
    __m128i, _mm_cvtsi64_si128, _mm_setzero_si128, _mm_storel_epi64, _mm_unpackhi_epi16, _mm_unpackhi_epi32,
    _mm_unpackhi_epi64, _mm_unpacklo_epi8, _mm_unpacklo_epi16, _mm_unpacklo_epi32, _mm256_broadcast_ss,
    _mm256_castpd_ps, _mm256_castps_pd, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_permute4x64_epi64,
    _mm256_permute4x64_pd, _mm256_setzero_ps, _mm256_shuffle_ps, _mm256_storeu_ps,
};
use std::ops::Range;

use super::{CHANNELS, COLUMNS, Products, STRIP, Scratch, WinogradRows, stride};
use crate::kernels::conv_block::{RowView, run_len};
use crate::kernels::simd::{self, vectors};
use crate::kernels::winograd::avx2 as transform;
use crate::kernels::winograd::f65::INPUTS;

/// The forward pass over some pooled rows of one photo.
pub(super) struct Forward<'a> {
    pub(super) block: &'a WinogradRows,
    pub(super) x: RowView<'a>,
    pub(super) rows: Range<usize>,
}

impl Forward<'_> {
    /// # Safety
    ///
    /// AVX2 and FMA are available; input and outputs are as long as [`WinogradRows::forward`] checks.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn run<const LAST: bool, const ARGMAX: bool>(
        &self,
        scratch: &mut Scratch,
        y: &mut [f32],
        argmax: &mut [u8],
    ) {
        let (height, width) = self.block.shape.pooled_size();
        for first in self.rows.clone().step_by(STRIP) {
            // The last strip may start earlier; then only its last rows are written.
            let top = first.min(height - STRIP);
            // SAFETY: input rows 2·top to 2·top + 9 are among `WinogradRows::input_rows`.
            unsafe { self.transform_input(2 * top, scratch) };
            for block in 0..width.div_ceil(COLUMNS / 2) {
                let left = (block * COLUMNS / 2).min(width - COLUMNS / 2);
                for tile in 0..self.block.bias.len() / CHANNELS {
                    let out = Out {
                        rows: first..self.rows.end.min(top + STRIP),
                        top,
                        origin: self.rows.start,
                        tile,
                        left,
                        channels: self.block.shape.out_channels,
                        width,
                    };
                    // SAFETY: columns 2·left to 2·left + 19 are inside the width; the padded bias has six values from
                    // the tile's first; the outputs hold these rows.
                    unsafe {
                        self.multiply(scratch, tile, 2 * left);
                        let bias = self.block.bias.as_ptr().add(tile * CHANNELS);
                        let (y, argmax) = (y.as_mut_ptr(), argmax.as_mut_ptr());
                        out.pool::<LAST, ARGMAX>(&scratch.products, bias, y, argmax);
                    }
                }
            }
        }
    }

    /// Applies `Bᵀ` along y to ten input rows from `top`, for all channels.
    ///
    /// # Safety
    ///
    /// AVX2 and FMA are available and the rows exist.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn transform_input(&self, top: usize, scratch: &mut Scratch) {
        let (channels, width) = (self.block.shape.in_channels, self.block.shape.in_size.1);
        let stride = stride(width);
        for channel in 0..channels {
            for block in 0..width.div_ceil(8) {
                let left = (8 * block).min(width - 8);
                // SAFETY: columns left to left + 7 of existing rows, and of the buffer's runs.
                unsafe {
                    let at = self.x.values.as_ptr().add(self.x.start(top) + channel * self.x.channel + left);
                    let d = vectors!(|i| _mm256_loadu_ps(at.add(i * self.x.row)));
                    let to = scratch.input.as_mut_ptr().add(channel * stride + left);
                    for (i, v) in transform::f65_input(d).into_iter().enumerate() {
                        _mm256_storeu_ps(to.add(i * channels * stride), v);
                    }
                }
            }
        }
    }

    /// Computes the ten products of a tile of six channels and sixteen columns from `left`, into the buffer.
    ///
    /// # Safety
    ///
    /// AVX2 and FMA are available; the strip is transformed, and columns `left..left + 20` exist.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn multiply(&self, scratch: &mut Scratch, tile: usize, left: usize) {
        let channels = self.block.shape.in_channels;
        let stride = stride(self.block.shape.in_size.1);
        // SAFETY: the weights hold a tile's 10 · in · 5 · 6 numbers, the strip 10 · in runs of which 20 columns are
        // read.
        unsafe {
            let mut w = self.block.weights.as_ptr().add(tile * INPUTS * channels * 5 * CHANNELS);
            for (i, product) in scratch.products.iter_mut().enumerate() {
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
                for (to, sum) in product.iter_mut().zip(sums) {
                    _mm256_storeu_ps(to.as_mut_ptr(), sum[0]);
                    _mm256_storeu_ps(to.as_mut_ptr().add(8), sum[1]);
                }
            }
        }
    }
}

/// The destination of a tile's eight pooled columns.
struct Out {
    /// The pooled rows to write.
    rows: Range<usize>,
    /// The first pooled row of the strip.
    top: usize,
    /// The first pooled row that the outputs hold.
    origin: usize,
    tile: usize,
    left: usize,
    /// Total number of output channels, and the width.
    channels: usize,
    width: usize,
}

impl Out {
    /// Transforms the products to six output rows, pools these to three rows and writes them.
    ///
    /// # Safety
    ///
    /// AVX2 and FMA are available; `bias` points to six values; the outputs hold the rows.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn pool<const LAST: bool, const ARGMAX: bool>(
        &self,
        products: &Products,
        bias: *const f32,
        y: *mut f32,
        argmax: *mut u8,
    ) {
        let Self { rows, top, origin, .. } = self;
        let first = self.tile * CHANNELS;
        let channels = CHANNELS.min(self.channels - first);
        let mut values = [[_mm256_setzero_ps(); 8]; STRIP];
        let mut bytes = [[0u64; CHANNELS]; STRIP];
        for o in 0..channels {
            // SAFETY: sixteen values of each product; one of the six values of the bias.
            let (a, b, bias) = unsafe {
                (
                    transform::f65_output(vectors!(|i| _mm256_loadu_ps(products[i][o].as_ptr()))),
                    transform::f65_output(vectors!(|i| _mm256_loadu_ps(products[i][o].as_ptr().add(8)))),
                    _mm256_broadcast_ss(&*bias.add(o)),
                )
            };
            for row in 0..STRIP {
                let even = |r: usize| _mm256_shuffle_ps::<0x88>(a[r], b[r]);
                let odd = |r: usize| _mm256_shuffle_ps::<0xDD>(a[r], b[r]);
                let cells = [even(2 * row), odd(2 * row), even(2 * row + 1), odd(2 * row + 1)];
                // The shuffles left the quarters in the order 0, 2, 1, 3.
                let value = _mm256_castps_pd(simd::pool(cells, bias));
                let value = _mm256_castpd_ps(_mm256_permute4x64_pd::<0xD8>(value));
                if ARGMAX {
                    let byte = simd::argmax_byte(cells, bias);
                    bytes[row][o] = simd::bytes(_mm256_permute4x64_epi64::<0xD8>(byte));
                }
                if LAST {
                    values[row][o] = value;
                } else if rows.contains(&(top + row)) {
                    let at = (top + row - origin) * self.channels + first + o;
                    // SAFETY: eight columns of a row the outputs hold.
                    unsafe { _mm256_storeu_ps(y.add(at * run_len(self.width) + self.left), value) };
                }
            }
        }
        for row in 0..STRIP {
            if !rows.contains(&(top + row)) {
                continue;
            }
            let at = ((top + row - origin) * self.width + self.left) * self.channels + first;
            // SAFETY: `channels` channels of eight pixels of a row the outputs hold.
            unsafe {
                if LAST {
                    for (pixel, v) in simd::transpose(values[row]).into_iter().enumerate() {
                        let mut lanes = [0.0f32; 8];
                        _mm256_storeu_ps(lanes.as_mut_ptr(), v);
                        copy(&lanes, y.add(at + pixel * self.channels), channels);
                    }
                }
                if ARGMAX {
                    for (pixel, v) in pixels(&bytes[row]).into_iter().enumerate() {
                        copy(&v, argmax.add(at + pixel * self.channels), channels);
                    }
                }
            }
        }
    }
}

/// Copies a pixel's channels. Six, the most frequent number, are copied as four and two.
///
/// # Safety
///
/// `to` can hold `channels`, at most six.
#[inline]
unsafe fn copy<T: Copy>(from: &[T; 8], to: *mut T, channels: usize) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        if channels == CHANNELS {
            to.cast::<[T; 4]>().write_unaligned([from[0], from[1], from[2], from[3]]);
            to.add(4).cast::<[T; 2]>().write_unaligned([from[4], from[5]]);
        } else {
            (0..channels).for_each(|i| to.add(i).write(from[i]));
        }
    }
}

/// Transposes the bytes of eight columns, so that each column's channels are adjacent.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn pixels(bytes: &[u64; CHANNELS]) -> [[u8; 8]; 8] {
    let channel = |o: usize| _mm_cvtsi64_si128(bytes[o].cast_signed());
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
