//! The backward pass: only the cells that won, and whose relu was on, are walked.
//!
//! Gradients and bytes lie channels last. Of each window one cell at most has a gradient `g`, so the weight gradient is
//! `Σ g · patch(x)` and the input gradient `Σ g · w`, each patch and each kernel as whole vectors in registers.
#![expect(
    unsafe_code,
    reason = "vector loads and stores through pointers whose ranges are checked at the doors"
)]

use std::arch::x86_64::{
    __m256, __m256i, _mm_cvtsi64_si128, _mm256_add_epi32, _mm256_add_ps, _mm256_and_ps, _mm256_and_si256,
    _mm256_broadcast_ss, _mm256_castsi256_ps, _mm256_cmpgt_epi32, _mm256_cvtepu8_epi32, _mm256_fmadd_ps,
    _mm256_loadu_ps, _mm256_loadu_si256, _mm256_movemask_ps, _mm256_mullo_epi32, _mm256_permutevar8x32_epi32,
    _mm256_permutevar8x32_ps, _mm256_set1_epi32, _mm256_setr_epi32, _mm256_setzero_ps, _mm256_storeu_ps,
    _mm256_storeu_si256,
};
use std::ops::Range;

use crate::kernels::fused::{DEAD, Fused, KERNEL, RowMap, SLACK};
use crate::kernels::gemm::avx2::total;
use crate::kernels::simd::{transpose, vectors};

/// Pooled rows whose winners are listed before their patches are added: lists and input stay in the second-level cache.
const STRIP: usize = 8;

/// For each set of lanes, the order that brings them to the front.
static PACK: [[i32; 8]; 256] = {
    let mut table = [[0; 8]; 256];
    let mut set = 0;
    while set < 256 {
        let (mut lane, mut to) = (0, 0);
        while lane < 8 {
            if set >> lane & 1 == 1 {
                table[set][to] = lane;
                to += 1;
            }
            lane += 1;
        }
        set += 1;
    }
    table
};

/// Values from one pixel to the next where an input of few channels lies channels last: packed, or whole vectors.
#[must_use]
pub fn pixel(channels: usize) -> usize {
    if channels <= 4 { channels } else { 8 }
}

/// Writes some rows of a map pixel by pixel, `[rows][w][pixel]`, zeros behind the channels: what [`WeightGradient::add`]
/// asks for.
///
/// # Panics
///
/// If a slice is too short, or the width is below eight.
pub fn spread(shape: &Fused, x: RowMap, rows: Range<usize>, out: &mut [f32]) {
    let Fused { in_channels, in_size: (height, width), .. } = *shape;
    let step = pixel(in_channels);
    assert!(rows.end <= height, "rows of the map");
    assert!(x.values.len() >= (height - 1) * x.row + (in_channels - 1) * x.channel + width, "input");
    assert!(width >= 8 && out.len() >= rows.len() * width * step + SLACK, "output and slack");
    // SAFETY: `Rows::of` has seen AVX2 and FMA; the lengths were checked above.
    unsafe { spread_rows(x, rows, (width, in_channels), step, out.as_mut_ptr()) };
}

/// # Safety
///
/// AVX2 and FMA are available; input and output are as long as [`spread`] checks.
#[target_feature(enable = "avx2,fma")]
unsafe fn spread_rows(
    x: RowMap,
    rows: Range<usize>,
    (width, channels): (usize, usize),
    step: usize,
    out: *mut f32,
) {
    let first = rows.start;
    for y in rows {
        for block in 0..width.div_ceil(8) {
            let left = (8 * block).min(width - 8);
            // SAFETY: eight columns of a row; eight pixels, written first to last: what is written behind the channels of
            // one is overwritten by the next, behind the last of all by slack.
            unsafe {
                let from = x.values.as_ptr().add(y * x.row + left);
                let lanes = vectors!(|c| if c < channels {
                    _mm256_loadu_ps(from.add(c * x.channel))
                } else {
                    _mm256_setzero_ps()
                });
                let to = out.add(((y - first) * width + left) * step);
                for (i, v) in transpose(lanes).into_iter().enumerate() {
                    _mm256_storeu_ps(to.add(i * step), v);
                }
            }
        }
    }
}

/// The sums of a block's weight and bias gradient over some photos.
#[derive(Debug)]
pub struct WeightGradient {
    shape: Fused,
    /// `[out][5][vectors · 8]`: output channel, kernel row, kernel columns × channels as they lie in the input.
    weights: Vec<f32>,
    /// `[out][8]`: partial sums.
    bias: Vec<f32>,
    /// The input rows of a strip, pixel by pixel.
    pixels: Vec<f32>,
    /// The winners of a strip, channel by channel: where their patch begins, and their gradient.
    offsets: Vec<u32>,
    values: Vec<f32>,
    counts: Vec<usize>,
}

impl WeightGradient {
    /// Zeros, for a block that [`super::Rows`] takes.
    #[must_use]
    pub fn of(shape: Fused) -> Self {
        let outs = shape.out_channels;
        let list = outs * Self::capacity(&shape);
        let pixels = (2 * STRIP + 4) * shape.in_size.1 * pixel(shape.in_channels) + SLACK;
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

    fn capacity(shape: &Fused) -> usize {
        STRIP * shape.pooled_size().1 + 8
    }

    /// Vectors that hold a row of a patch.
    fn vectors(shape: &Fused) -> usize {
        (KERNEL * pixel(shape.in_channels)).div_ceil(8)
    }

    /// Back to zeros.
    pub fn clear(&mut self) {
        self.weights.fill(0.0);
        self.bias.fill(0.0);
    }

    /// Adds one photo: the gradient `gy[ph][pw][out]`, the cells' bytes in the same order, and its input: `fill` writes the
    /// rows it is asked for pixel by pixel, `[rows][w][pixel]` and [`SLACK`]; it is asked for each row once, in order.
    ///
    /// # Panics
    ///
    /// If a slice is shorter than its map and [`SLACK`].
    pub fn add(&mut self, mut fill: impl FnMut(Range<usize>, &mut [f32]), gy: &[f32], winners: &[u8]) {
        let Fused { in_channels, out_channels, in_size: (_, width) } = self.shape;
        let cells = self.shape.pooled_cells() * out_channels;
        assert!(gy.len() >= cells + SLACK && winners.len() >= cells + SLACK, "gradient, bytes and slack");
        let (rows, row) = (self.shape.pooled_size().0, width * pixel(in_channels));
        for top in (0..rows).step_by(STRIP) {
            let strip = top..rows.min(top + STRIP);
            // Four rows are left of the strip before, under its last windows' kernels.
            let known = if top == 0 { 0 } else { 4 };
            if known > 0 {
                self.pixels.copy_within(2 * STRIP * row..(2 * STRIP + 4) * row, 0);
            }
            fill(2 * strip.start + known..2 * strip.end + 4, &mut self.pixels[known * row..]);
            // SAFETY: `Rows::of` has seen AVX2 and FMA; the lengths were checked above, the lists have room for the winners
            // of a strip, the pixels for its input.
            unsafe {
                match Self::vectors(&self.shape) {
                    1 => self.strip::<1>(strip, gy, winners),
                    2 => self.strip::<2>(strip, gy, winners),
                    3 => self.strip::<3>(strip, gy, winners),
                    _ => self.strip::<5>(strip, gy, winners),
                }
            }
        }
    }

    /// # Safety
    ///
    /// AVX2 and FMA are available; the slices are as long as [`WeightGradient::add`] checks, `V` as
    /// [`WeightGradient::vectors`] says, the strip's input is there.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn strip<const V: usize>(&mut self, rows: Range<usize>, gy: &[f32], winners: &[u8]) {
        let row = self.shape.in_size.1 * pixel(self.shape.in_channels);
        // SAFETY: rows of the map; every offset leads to a patch inside the strip's input.
        unsafe {
            self.list(rows.start, rows.len(), gy, winners);
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

    /// Lists the winners of some pooled rows.
    ///
    /// # Safety
    ///
    /// AVX2 and FMA are available; gradient and bytes hold the rows and the slack.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn list(&mut self, top: usize, rows: usize, gy: &[f32], winners: &[u8]) {
        let Fused { in_channels, out_channels: outs, in_size: (_, in_width) } = self.shape;
        let width = self.shape.pooled_size().1;
        let step = as_i32(pixel(in_channels));
        let row = as_i32(in_width) * step;
        let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        // Where in its window the winner is, by the byte; the same again for dead cells.
        let places = _mm256_setr_epi32(0, step, row, row + step, 0, step, row, row + step);
        let columns = _mm256_mullo_epi32(lanes, _mm256_set1_epi32(2 * step));
        self.counts.fill(0);
        for y in 0..rows {
            for block in 0..width.div_ceil(8) {
                let left = (8 * block).min(width - 8);
                // The last block overlaps the one before: its first lanes were listed there.
                let listed = _mm256_set1_epi32(as_i32(8 * block - left) - 1);
                let fresh = _mm256_cmpgt_epi32(lanes, listed);
                let first = as_i32(2 * y) * row + as_i32(2 * left) * step;
                let start = _mm256_add_epi32(columns, _mm256_set1_epi32(first));
                for group in (0..outs).step_by(8) {
                    let at = ((top + y) * width + left) * outs + group;
                    // SAFETY: eight pixels of a row that exists; the last reads into the slack.
                    let (values, cells) = unsafe {
                        let mut pixels = [0; 8];
                        for (i, pixel) in pixels.iter_mut().enumerate() {
                            *pixel = winners.as_ptr().add(at + i * outs).cast::<u64>().read_unaligned();
                        }
                        let values = vectors!(|i| _mm256_loadu_ps(gy.as_ptr().add(at + i * outs)));
                        (transpose(values), turned(pixels))
                    };
                    for o in group..outs.min(group + 8) {
                        let id = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(cells[o - group].cast_signed()));
                        let alive = _mm256_and_si256(
                            _mm256_cmpgt_epi32(_mm256_set1_epi32(i32::from(DEAD)), id),
                            fresh,
                        );
                        let value = _mm256_and_ps(values[o - group], _mm256_castsi256_ps(alive));
                        let offset = _mm256_add_epi32(start, _mm256_permutevar8x32_epi32(places, id));
                        // SAFETY: channel o's list has room for eight more; its sums are eight numbers.
                        unsafe { self.append(o, alive, offset, value) };
                    }
                }
            }
        }
    }

    /// Appends the lanes that are on to channel `o`'s list.
    ///
    /// # Safety
    ///
    /// AVX2 and FMA are available and the list has room for eight.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn append(&mut self, o: usize, alive: __m256i, offset: __m256i, value: __m256) {
        let set = _mm256_movemask_ps(_mm256_castsi256_ps(alive)).cast_unsigned() as usize;
        let at = o * Self::capacity(&self.shape) + self.counts[o];
        // SAFETY: eight numbers from `at`, which the list has room for; eight partial sums of the channel.
        unsafe {
            let order = _mm256_loadu_si256(PACK[set & 255].as_ptr().cast());
            let offset = _mm256_permutevar8x32_epi32(offset, order);
            _mm256_storeu_si256(self.offsets.as_mut_ptr().add(at).cast(), offset);
            _mm256_storeu_ps(self.values.as_mut_ptr().add(at), _mm256_permutevar8x32_ps(value, order));
            let sums = self.bias.as_mut_ptr().add(8 * o);
            _mm256_storeu_ps(sums, _mm256_add_ps(_mm256_loadu_ps(sums), value));
        }
        self.counts[o] += set.count_ones() as usize;
    }

    /// Adds another one's sums.
    pub fn merge(&mut self, other: &Self) {
        self.weights.iter_mut().zip(&other.weights).for_each(|(a, b)| *a += b);
        self.bias.iter_mut().zip(&other.bias).for_each(|(a, b)| *a += b);
    }

    /// Adds the sums to `gw[out, in, 5, 5]` and `gb[out]`.
    ///
    /// # Panics
    ///
    /// If a slice has not the length its shape says.
    pub fn add_to(&self, gw: &mut [f32], gb: &mut [f32]) {
        let Fused { in_channels: ins, out_channels: outs, .. } = self.shape;
        assert_eq!((gw.len(), gb.len()), (self.shape.weight_len(), outs), "weight and bias gradient");
        let (pixel, row) = (pixel(ins), 8 * Self::vectors(&self.shape));
        for (at, g) in gw.iter_mut().enumerate() {
            let (o, c, y, x) = (at / (25 * ins), at / 25 % ins, at / 5 % 5, at % 5);
            *g += self.weights[(o * KERNEL + y) * row + x * pixel + c];
        }
        for (g, sums) in gb.iter_mut().zip(self.bias.chunks_exact(8)) {
            // SAFETY: eight numbers; `Rows::of` has seen AVX2.
            *g += unsafe { total(_mm256_loadu_ps(sums.as_ptr())) };
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
    /// R rows of V vectors each. Not inlined: its R · V sums need all registers.
    ///
    /// # Safety
    ///
    /// AVX2 and FMA are available; `n` offsets and values exist, all patches from `x` lie inside the input and its
    /// slack, and `sums` holds R · V vectors.
    #[inline(never)]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn add<const R: usize, const V: usize>(&self, x: *const f32, sums: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe {
            // From zero, not from the sums: rounding stays that of one strip's terms.
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

/// Eight pixels of eight bytes as eight channels of eight bytes.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn turned(pixels: [u64; 8]) -> [u64; 8] {
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

/// A block's kernels, laid out for its input gradient.
#[derive(Debug)]
pub struct InputGradient {
    shape: Fused,
    /// `[3][out][4][2][vectors · 8]`: two of the six rows of a window's patch, output channel, winner, row, six columns ×
    /// channels: the kernel moved to where the winner is, zeros around it.
    kernels: Vec<f32>,
}

impl InputGradient {
    /// Without weights yet, for a block that [`super::Rows`] takes.
    #[must_use]
    pub fn of(shape: Fused) -> Self {
        let kernels = vec![0.0; 3 * shape.out_channels * 4 * 2 * 8 * Self::vectors(&shape)];
        Self { shape, kernels }
    }

    /// Vectors that hold a row of a window's patch: six pixels.
    fn vectors(shape: &Fused) -> usize {
        (6 * shape.in_channels).div_ceil(8)
    }

    /// Takes over `w[out, in, 5, 5]`.
    ///
    /// # Panics
    ///
    /// If the slice has not the length its shape says.
    pub fn pack(&mut self, w: &[f32]) {
        let Fused { in_channels: ins, out_channels: outs, .. } = self.shape;
        assert_eq!(w.len(), self.shape.weight_len(), "weight");
        let row_len = 8 * Self::vectors(&self.shape);
        for (at, w) in w.iter().enumerate() {
            let (o, c, y, x) = (at / (25 * ins), at / 25 % ins, at / 5 % 5, at % 5);
            for winner in 0..4 {
                let (row, column) = (y + winner / 2, x + winner % 2);
                let kernel = ((row / 2 * outs + o) * 4 + winner) * 2 + row % 2;
                self.kernels[kernel * row_len + column * ins + c] = *w;
            }
        }
    }

    /// Adds to `gx[h][w][in]` from the gradient `gy[ph][pw][out]` and the cells' bytes in the same order.
    ///
    /// # Panics
    ///
    /// If a slice is shorter than its map and [`SLACK`].
    pub fn add(&self, gy: &[f32], winners: &[u8], list: &mut List, gx: &mut [f32]) {
        let Fused { in_channels, out_channels, in_size: (height, width) } = self.shape;
        let cells = self.shape.pooled_cells() * out_channels + SLACK;
        assert!(gy.len() >= cells && winners.len() >= cells, "gradient, bytes and slack");
        assert!(gx.len() >= height * width * in_channels + SLACK, "input gradient and slack");
        let pooled_width = self.shape.pooled_size().1;
        let room = pooled_width * out_channels + 8;
        list.offsets.resize(room.max(list.offsets.len()), 0);
        list.values.resize(room.max(list.values.len()), 0.0);
        list.starts.resize((pooled_width + 1).max(list.starts.len()), 0);
        // SAFETY: `Rows::of` has seen AVX2 and FMA, and the lengths were checked above.
        unsafe {
            match Self::vectors(&self.shape) {
                1 => self.photo::<1>(gy, winners, list, gx),
                2 => self.photo::<2>(gy, winners, list, gx),
                3 => self.photo::<3>(gy, winners, list, gx),
                4 => self.photo::<4>(gy, winners, list, gx),
                5 => self.photo::<5>(gy, winners, list, gx),
                _ => self.photo::<6>(gy, winners, list, gx),
            }
        }
    }

    /// # Safety
    ///
    /// AVX2 and FMA are available; the slices are as long as [`InputGradient::add`] checks, `V` as
    /// [`InputGradient::vectors`] says.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn photo<const V: usize>(&self, gy: &[f32], winners: &[u8], list: &mut List, gx: &mut [f32]) {
        let Fused { in_channels: ins, out_channels: outs, in_size: (_, in_width) } = self.shape;
        let (rows, width) = self.shape.pooled_size();
        let kernel = 2 * 8 * V;
        let row = in_width * ins;
        for y in 0..rows {
            // SAFETY: a row of the map, the last one with slack behind it; the list has room for it.
            unsafe { self.list(&gy[y * width * outs..], &winners[y * width * outs..], as_i32(kernel), list) };
            for part in 0..3 {
                // SAFETY: kernels of this part; two rows of the patch of each window, which lies inside the input: only
                // zeros are added beyond its last column.
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

    /// Lists the living cells of a pooled row, pixel by pixel: which kernel, and how much of it.
    ///
    /// # Safety
    ///
    /// AVX2 and FMA are available; gradient and bytes hold a row and eight more, the list has room for a row and eight.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn list(&self, gy: &[f32], winners: &[u8], kernel: i32, list: &mut List) {
        let (outs, width) = (self.shape.out_channels, self.shape.pooled_size().1);
        let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        let each = _mm256_mullo_epi32(lanes, _mm256_set1_epi32(4 * kernel));
        let places = _mm256_setr_epi32(0, kernel, 2 * kernel, 3 * kernel, 0, kernel, 2 * kernel, 3 * kernel);
        let mut n = 0;
        for x in 0..width {
            list.starts[x] = n;
            for group in (0..outs).step_by(8) {
                let channels = _mm256_cmpgt_epi32(_mm256_set1_epi32(as_i32(outs - group)), lanes);
                // SAFETY: eight channels from `group`, the last ones beyond the pixel where there are fewer; the list has
                // room for eight.
                unsafe {
                    let at = x * outs + group;
                    let bytes = winners.as_ptr().add(at).cast::<i64>().read_unaligned();
                    let id = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(bytes));
                    let alive = _mm256_cmpgt_epi32(_mm256_set1_epi32(i32::from(DEAD)), id);
                    let alive = _mm256_castsi256_ps(_mm256_and_si256(alive, channels));
                    let set = _mm256_movemask_ps(alive).cast_unsigned() as usize & 255;
                    let order = _mm256_loadu_si256(PACK[set].as_ptr().cast());
                    let first = _mm256_set1_epi32(as_i32(group) * 4 * kernel);
                    let offset = _mm256_add_epi32(each, _mm256_permutevar8x32_epi32(places, id));
                    let offset = _mm256_permutevar8x32_epi32(_mm256_add_epi32(first, offset), order);
                    _mm256_storeu_si256(list.offsets.as_mut_ptr().add(n).cast(), offset);
                    let value = _mm256_loadu_ps(gy.as_ptr().add(at));
                    let value = _mm256_permutevar8x32_ps(value, order);
                    _mm256_storeu_ps(list.values.as_mut_ptr().add(n), value);
                    n += set.count_ones() as usize;
                }
            }
        }
        list.starts[width] = n;
    }
}

/// The living cells of a row: buffers of [`InputGradient::add`].
#[derive(Debug, Default)]
pub struct List {
    offsets: Vec<u32>,
    values: Vec<f32>,
    /// Where each pixel's cells begin, and where the last one's end.
    starts: Vec<usize>,
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "offsets into one photo's map"
)]
fn as_i32(n: usize) -> i32 {
    n as i32
}
