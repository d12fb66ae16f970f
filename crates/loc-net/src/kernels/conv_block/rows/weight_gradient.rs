//! The weight gradient: every active cell adds its gradient times the input patch around it, `Σ g · patch(x)`, with the
//! patch as whole vectors in registers. Gradients and argmax bytes are channels last.
#![expect(
    unsafe_code,
    reason = "vector loads and stores through pointers whose ranges the public functions check"
)]

use std::arch::x86_64::{
    _mm_cvtsi64_si128, _mm256_add_epi32, _mm256_add_ps, _mm256_and_ps, _mm256_broadcast_ss,
    _mm256_castsi256_ps, _mm256_cmpgt_epi32, _mm256_cvtepu8_epi32, _mm256_fmadd_ps, _mm256_loadu_ps,
    _mm256_mullo_epi32, _mm256_permutevar8x32_epi32, _mm256_set1_epi32, _mm256_setr_epi32, _mm256_setzero_ps,
    _mm256_storeu_ps,
};
use std::ops::Range;

use super::WinogradRows;
use super::active::{active, append, as_i32};
use super::pixels::pixel;
use crate::kernels::conv_block::{ConvBlock, KERNEL, OVERREAD};
use crate::kernels::gemm::avx2::horizontal_sum;
use crate::kernels::simd::{transpose, vectors};

/// Pooled rows whose active cells are listed before their patches are added: lists and input stay in the level-2 cache.
const STRIP: usize = 8;

/// The sums of a block's weight and bias gradients over some photos.
#[derive(Debug)]
pub struct WeightGradient {
    shape: ConvBlock,
    /// `[out][5][vectors · 8]`: output channel, kernel row, kernel columns × channels in the order of the input.
    weights: Vec<f32>,
    /// `[out][8]`: partial sums.
    bias: Vec<f32>,
    /// The input rows of a strip, pixel by pixel.
    pixels: Vec<f32>,
    /// The active cells of a strip, channel by channel: the offsets of their patches, and their gradients.
    offsets: Vec<u32>,
    values: Vec<f32>,
    counts: Vec<usize>,
}

impl WeightGradient {
    /// Creates sums of zero.
    #[must_use]
    pub fn of(conv: &WinogradRows) -> Self {
        let shape = conv.shape;
        let outs = shape.out_channels;
        let list = outs * Self::capacity(&shape);
        let pixels = (2 * STRIP + 4) * shape.in_size.1 * pixel(shape.in_channels) + OVERREAD;
        Self {
            shape,
            pixels: vec![0.0; pixels],
            weights: vec![0.0; outs * KERNEL * 8 * Self::vectors(&shape)],
            bias: vec![0.0; outs * 8],
            offsets: vec![0; list],
            values: vec![0.0; list],
            counts: vec![0; outs],
        }
    }

    fn capacity(shape: &ConvBlock) -> usize {
        STRIP * shape.pooled_size().1 + 8
    }

    /// Returns the number of vectors that hold a row of a patch.
    fn vectors(shape: &ConvBlock) -> usize {
        (KERNEL * pixel(shape.in_channels)).div_ceil(8)
    }

    /// Resets the sums to zero.
    pub fn clear(&mut self) {
        self.weights.fill(0.0);
        self.bias.fill(0.0);
    }

    /// Adds one photo: its gradient `gy[ph][pw][out]`, its argmax bytes in the same order, and its input. `fill` is
    /// called with ranges of input rows, each row once and in order; it writes them pixel by pixel, `[rows][w][pixel]`,
    /// into a slice with [`OVERREAD`] more values.
    ///
    /// # Panics
    ///
    /// If a slice is shorter than its map plus [`OVERREAD`].
    pub fn add(&mut self, mut fill: impl FnMut(Range<usize>, &mut [f32]), gy: &[f32], argmax: &[u8]) {
        let ConvBlock { in_channels, out_channels, in_size: (_, width) } = self.shape;
        let cells = self.shape.pooled_cells() * out_channels;
        assert!(
            gy.len() >= cells + OVERREAD && argmax.len() >= cells + OVERREAD,
            "gradient, bytes and overread"
        );
        let (rows, row) = (self.shape.pooled_size().0, width * pixel(in_channels));
        for top in (0..rows).step_by(STRIP) {
            let strip = top..rows.min(top + STRIP);
            // The last four rows of the strip before are kept: the kernels of this strip read them, too.
            let kept_rows = if top == 0 { 0 } else { 4 };
            if kept_rows > 0 {
                self.pixels.copy_within(2 * STRIP * row..(2 * STRIP + 4) * row, 0);
            }
            fill(2 * strip.start + kept_rows..2 * strip.end + 4, &mut self.pixels[kept_rows * row..]);
            // SAFETY: `WinogradRows::of` checked for AVX2 and FMA; the lengths were checked above; the lists have room
            // for the active cells of a strip, the pixels for its input.
            unsafe {
                match Self::vectors(&self.shape) {
                    1 => self.strip::<1>(strip, gy, argmax),
                    2 => self.strip::<2>(strip, gy, argmax),
                    3 => self.strip::<3>(strip, gy, argmax),
                    _ => self.strip::<5>(strip, gy, argmax),
                }
            }
        }
    }

    /// # Safety
    ///
    /// AVX2 and FMA are available; the slices are as long as [`WeightGradient::add`] checks, `V` is
    /// [`WeightGradient::vectors`], and the pixels hold the strip's input.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn strip<const V: usize>(&mut self, rows: Range<usize>, gy: &[f32], argmax: &[u8]) {
        let row = self.shape.in_size.1 * pixel(self.shape.in_channels);
        // SAFETY: rows of the map; the patch at every offset is inside the strip's input.
        unsafe {
            self.list(rows.start, rows.len(), gy, argmax);
            let base = self.pixels.as_ptr();
            for o in 0..self.shape.out_channels {
                let list = o * Self::capacity(&self.shape);
                let patches = Patches {
                    n: self.counts[o],
                    offsets: self.offsets.as_ptr().add(list),
                    values: self.values.as_ptr().add(list),
                    row,
                };
                let sums = self.weights.as_mut_ptr().add(o * KERNEL * 8 * V);
                if V <= 2 {
                    patches.add::<5, V>(base, sums);
                } else {
                    patches.add::<3, V>(base, sums);
                    patches.add::<2, V>(base.add(3 * row), sums.add(3 * 8 * V));
                }
            }
        }
    }

    /// Lists the active cells of some pooled rows.
    ///
    /// # Safety
    ///
    /// AVX2 and FMA are available; gradient and bytes hold the rows and the overread.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn list(&mut self, top: usize, rows: usize, gy: &[f32], argmax: &[u8]) {
        let ConvBlock { in_channels, out_channels: outs, in_size: (_, in_width) } = self.shape;
        let width = self.shape.pooled_size().1;
        let step = as_i32(pixel(in_channels));
        let row = as_i32(in_width) * step;
        let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        // The offset of the argmax in its window, by the byte; repeated for cells whose relu is off.
        let positions = _mm256_setr_epi32(0, step, row, row + step, 0, step, row, row + step);
        let columns = _mm256_mullo_epi32(lanes, _mm256_set1_epi32(2 * step));
        self.counts.fill(0);
        for y in 0..rows {
            for block in 0..width.div_ceil(8) {
                let left = (8 * block).min(width - 8);
                // The last block overlaps the one before: its first lanes are already listed.
                let listed = _mm256_set1_epi32(as_i32(8 * block - left) - 1);
                let new_lanes = _mm256_cmpgt_epi32(lanes, listed);
                let first = as_i32(2 * y) * row + as_i32(2 * left) * step;
                let start = _mm256_add_epi32(columns, _mm256_set1_epi32(first));
                for group in (0..outs).step_by(8) {
                    let at = ((top + y) * width + left) * outs + group;
                    // SAFETY: eight pixels of a row that exists; the last read may reach into the overread.
                    let (values, cells) = unsafe {
                        let mut pixels = [0; 8];
                        for (i, pixel) in pixels.iter_mut().enumerate() {
                            *pixel = argmax.as_ptr().add(at + i * outs).cast::<u64>().read_unaligned();
                        }
                        let values = vectors!(|i| _mm256_loadu_ps(gy.as_ptr().add(at + i * outs)));
                        (transpose(values), transposed_bytes(pixels))
                    };
                    for o in group..outs.min(group + 8) {
                        let id = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(cells[o - group].cast_signed()));
                        let active = active(id, new_lanes);
                        let value = _mm256_and_ps(values[o - group], _mm256_castsi256_ps(active));
                        let offset = _mm256_add_epi32(start, _mm256_permutevar8x32_epi32(positions, id));
                        let at = o * Self::capacity(&self.shape) + self.counts[o];
                        // SAFETY: channel o's list has room for eight more; its sums are eight values.
                        unsafe {
                            let offsets = self.offsets.as_mut_ptr().add(at);
                            let values = self.values.as_mut_ptr().add(at);
                            self.counts[o] += append(active, offset, offsets, value, values);
                            let sums = self.bias.as_mut_ptr().add(8 * o);
                            _mm256_storeu_ps(sums, _mm256_add_ps(_mm256_loadu_ps(sums), value));
                        }
                    }
                }
            }
        }
    }

    /// Writes the sums as `gw[out, in, 5, 5]` and `gb[out]`.
    ///
    /// # Panics
    ///
    /// If a slice does not have the length of its shape.
    pub fn write(&self, gw: &mut [f32], gb: &mut [f32]) {
        let ConvBlock { in_channels: ins, out_channels: outs, .. } = self.shape;
        assert_eq!((gw.len(), gb.len()), (self.shape.weight_len(), outs), "weight and bias gradient");
        let (pixel, row) = (pixel(ins), 8 * Self::vectors(&self.shape));
        for (at, g) in gw.iter_mut().enumerate() {
            let (o, c, y, x) = (at / (25 * ins), at / 25 % ins, at / 5 % 5, at % 5);
            *g = self.weights[(o * KERNEL + y) * row + x * pixel + c];
        }
        for (g, sums) in gb.iter_mut().zip(self.bias.chunks_exact(8)) {
            // SAFETY: eight values; `WinogradRows::of` checked for AVX2.
            *g = unsafe { horizontal_sum(_mm256_loadu_ps(sums.as_ptr())) };
        }
    }
}

/// Patches to add: `sums += Σ value · patch at offset`.
struct Patches {
    n: usize,
    offsets: *const u32,
    values: *const f32,
    /// Distance between rows of the input.
    row: usize,
}

impl Patches {
    /// Adds R rows of V vectors each. Not inlined: its R · V sums need all registers.
    ///
    /// # Safety
    ///
    /// AVX2 and FMA are available; `n` offsets and values exist, all patches from `x` are inside the input and its
    /// overread, and `sums` holds R · V vectors.
    #[inline(never)]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn add<const R: usize, const V: usize>(&self, x: *const f32, sums: *mut f32) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            // Starts from zero, not from the sums, so that the rounding error is only that of one strip's terms.
            let mut acc = [[_mm256_setzero_ps(); V]; R];
            for e in 0..self.n {
                let g = _mm256_broadcast_ss(&*self.values.add(e));
                let patch = x.add(*self.offsets.add(e) as usize);
                for (r, acc) in acc.iter_mut().enumerate() {
                    for (v, acc) in acc.iter_mut().enumerate() {
                        *acc = _mm256_fmadd_ps(g, _mm256_loadu_ps(patch.add(r * self.row + 8 * v)), *acc);
                    }
                }
            }
            for (r, acc) in acc.iter().enumerate() {
                for (v, acc) in acc.iter().enumerate() {
                    let sum = sums.add((r * V + v) * 8);
                    _mm256_storeu_ps(sum, _mm256_add_ps(_mm256_loadu_ps(sum), *acc));
                }
            }
        }
    }
}

/// Transposes eight pixels of eight bytes to eight channels of eight bytes.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn transposed_bytes(pixels: [u64; 8]) -> [u64; 8] {
    use std::arch::x86_64::{
        _mm_cvtsi128_si64, _mm_unpackhi_epi16, _mm_unpackhi_epi32, _mm_unpackhi_epi64, _mm_unpacklo_epi8,
        _mm_unpacklo_epi16, _mm_unpacklo_epi32,
    };
    let load = |i: usize| _mm_cvtsi64_si128(pixels[i].cast_signed());
    let pair = |i: usize| _mm_unpacklo_epi8(load(i), load(i + 1));
    let (a, b, c, d) = (pair(0), pair(2), pair(4), pair(6));
    let quads = [
        [_mm_unpacklo_epi16(a, b), _mm_unpacklo_epi16(c, d)],
        [_mm_unpackhi_epi16(a, b), _mm_unpackhi_epi16(c, d)],
    ];
    let mut out = [0; 8];
    for (half, [low, high]) in quads.into_iter().enumerate() {
        let (first, second) = (_mm_unpacklo_epi32(low, high), _mm_unpackhi_epi32(low, high));
        let all = [first, _mm_unpackhi_epi64(first, first), second, _mm_unpackhi_epi64(second, second)];
        for (i, v) in all.into_iter().enumerate() {
            out[4 * half + i] = _mm_cvtsi128_si64(v).cast_unsigned();
        }
    }
    out
}
