//! The input gradient: every active cell adds its gradient times the kernel, `Σ g · w`. The kernels are stored shifted
//! for each of the four argmax positions. Gradients and argmax bytes are channels last.
#![expect(
    unsafe_code,
    reason = "vector loads and stores through pointers whose ranges the public functions check"
)]

use std::arch::x86_64::{
    _mm_cvtsi64_si128, _mm256_add_epi32, _mm256_add_ps, _mm256_broadcast_ss, _mm256_cmpgt_epi32,
    _mm256_cvtepu8_epi32, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_mullo_epi32, _mm256_permutevar8x32_epi32,
    _mm256_set1_epi32, _mm256_setr_epi32, _mm256_setzero_ps, _mm256_storeu_ps,
};

use super::WinogradRows;
use super::active::{active, append, as_i32};
use crate::kernels::conv_block::{ConvBlock, OVERREAD};

/// A block's kernels, laid out for its input gradient.
#[derive(Debug)]
pub struct InputGradient {
    shape: ConvBlock,
    /// `[3][out][4][2][vectors · 8]`: pair of rows of a window's patch (six rows), output channel, argmax, row of the
    /// pair, six columns × channels. Each is the kernel shifted to the argmax position, with zeros around it.
    kernels: Vec<f32>,
}

impl InputGradient {
    /// Creates it without weights.
    #[must_use]
    pub fn of(conv: &WinogradRows) -> Self {
        let shape = conv.shape;
        let kernels = vec![0.0; 3 * shape.out_channels * 4 * 2 * 8 * Self::vectors(&shape)];
        Self { shape, kernels }
    }

    /// Returns the number of vectors that hold a row of a window's patch, which is six pixels.
    fn vectors(shape: &ConvBlock) -> usize {
        (6 * shape.in_channels).div_ceil(8)
    }

    /// Packs the weights `w[out, in, 5, 5]`.
    ///
    /// # Panics
    ///
    /// If the slice does not have the length of its shape.
    pub fn pack(&mut self, w: &[f32]) {
        let ConvBlock { in_channels: ins, out_channels: outs, .. } = self.shape;
        assert_eq!(w.len(), self.shape.weight_len(), "weight");
        let row_len = 8 * Self::vectors(&self.shape);
        for (at, w) in w.iter().enumerate() {
            let (o, c, y, x) = (at / (25 * ins), at / 25 % ins, at / 5 % 5, at % 5);
            for position in 0..4 {
                let (row, column) = (y + position / 2, x + position % 2);
                let kernel = ((row / 2 * outs + o) * 4 + position) * 2 + row % 2;
                self.kernels[kernel * row_len + column * ins + c] = *w;
            }
        }
    }

    /// Adds to `gx[h][w][in]` the input gradient, from the gradient `gy[ph][pw][out]` and the argmax bytes in the same
    /// order.
    ///
    /// # Panics
    ///
    /// If a slice is shorter than its map plus [`OVERREAD`].
    pub fn add(&self, gy: &[f32], argmax: &[u8], list: &mut ActiveList, gx: &mut [f32]) {
        let ConvBlock { in_channels, out_channels, in_size: (height, width) } = self.shape;
        let cells = self.shape.pooled_cells() * out_channels + OVERREAD;
        assert!(gy.len() >= cells && argmax.len() >= cells, "gradient, bytes and overread");
        assert!(gx.len() >= height * width * in_channels + OVERREAD, "input gradient and overread");
        let pooled_width = self.shape.pooled_size().1;
        let capacity = pooled_width * out_channels + 8;
        list.offsets.resize(capacity.max(list.offsets.len()), 0);
        list.values.resize(capacity.max(list.values.len()), 0.0);
        list.starts.resize((pooled_width + 1).max(list.starts.len()), 0);
        // SAFETY: `WinogradRows::of` checked for AVX2 and FMA, and the lengths were checked above.
        unsafe {
            match Self::vectors(&self.shape) {
                1 => self.photo::<1>(gy, argmax, list, gx),
                2 => self.photo::<2>(gy, argmax, list, gx),
                3 => self.photo::<3>(gy, argmax, list, gx),
                4 => self.photo::<4>(gy, argmax, list, gx),
                5 => self.photo::<5>(gy, argmax, list, gx),
                _ => self.photo::<6>(gy, argmax, list, gx),
            }
        }
    }

    /// # Safety
    ///
    /// AVX2 and FMA are available; the slices are as long as [`InputGradient::add`] checks, `V` is
    /// [`InputGradient::vectors`].
    #[target_feature(enable = "avx2,fma")]
    unsafe fn photo<const V: usize>(&self, gy: &[f32], argmax: &[u8], list: &mut ActiveList, gx: &mut [f32]) {
        let ConvBlock { in_channels: ins, out_channels: outs, in_size: (_, in_width) } = self.shape;
        let (rows, width) = self.shape.pooled_size();
        let kernel = 2 * 8 * V;
        let row = in_width * ins;
        for y in 0..rows {
            // SAFETY: a row of the map, the last one with the overread after it; the list is long enough for it.
            unsafe { self.list(&gy[y * width * outs..], &argmax[y * width * outs..], as_i32(kernel), list) };
            for part in 0..3 {
                // SAFETY: kernels of this pair of rows; two rows of each window's patch, which is inside the input:
                // only zeros are added after its last column.
                unsafe {
                    let kernels = self.kernels.as_ptr().add(part * outs * 4 * kernel);
                    let to = gx.as_mut_ptr().add((2 * y + 2 * part) * row);
                    for x in 0..width {
                        let mut acc = [[_mm256_setzero_ps(); V]; 2];
                        for e in *list.starts.get_unchecked(x)..*list.starts.get_unchecked(x + 1) {
                            let g = _mm256_broadcast_ss(list.values.get_unchecked(e));
                            let w = kernels.add(*list.offsets.get_unchecked(e) as usize);
                            for (r, acc) in acc.iter_mut().enumerate() {
                                for (v, acc) in acc.iter_mut().enumerate() {
                                    *acc = _mm256_fmadd_ps(g, _mm256_loadu_ps(w.add((r * V + v) * 8)), *acc);
                                }
                            }
                        }
                        for (r, acc) in acc.iter().enumerate() {
                            for (v, acc) in acc.iter().enumerate() {
                                let at = to.add(r * row + 2 * x * ins + 8 * v);
                                _mm256_storeu_ps(at, _mm256_add_ps(_mm256_loadu_ps(at), *acc));
                            }
                        }
                    }
                }
            }
        }
    }

    /// Lists the active cells of a pooled row, pixel by pixel: the kernel's offset and the factor.
    ///
    /// # Safety
    ///
    /// AVX2 and FMA are available; gradient and bytes hold a row and eight more, the list has room for a row and eight.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn list(&self, gy: &[f32], argmax: &[u8], kernel: i32, list: &mut ActiveList) {
        let (outs, width) = (self.shape.out_channels, self.shape.pooled_size().1);
        let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        let each = _mm256_mullo_epi32(lanes, _mm256_set1_epi32(4 * kernel));
        let positions =
            _mm256_setr_epi32(0, kernel, 2 * kernel, 3 * kernel, 0, kernel, 2 * kernel, 3 * kernel);
        let mut n = 0;
        for x in 0..width {
            list.starts[x] = n;
            for group in (0..outs).step_by(8) {
                let channels = _mm256_cmpgt_epi32(_mm256_set1_epi32(as_i32(outs - group)), lanes);
                // SAFETY: eight channels from `group`; for the last group some may be beyond the pixel; the list has
                // room for eight.
                unsafe {
                    let at = x * outs + group;
                    let bytes = argmax.as_ptr().add(at).cast::<i64>().read_unaligned();
                    let id = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(bytes));
                    let first = _mm256_set1_epi32(as_i32(group) * 4 * kernel);
                    let offset = _mm256_add_epi32(each, _mm256_permutevar8x32_epi32(positions, id));
                    let offset = _mm256_add_epi32(first, offset);
                    let value = _mm256_loadu_ps(gy.as_ptr().add(at));
                    let offsets = list.offsets.as_mut_ptr().add(n);
                    let values = list.values.as_mut_ptr().add(n);
                    n += append(active(id, channels), offset, offsets, value, values);
                }
            }
        }
        list.starts[width] = n;
    }
}

/// The active cells of a row: the buffers of [`InputGradient::add`].
#[derive(Debug, Default)]
pub struct ActiveList {
    offsets: Vec<u32>,
    values: Vec<f32>,
    /// The index at which each pixel's cells start, and the end of the last pixel's cells.
    starts: Vec<usize>,
}
