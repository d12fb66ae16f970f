//! The weight gradient: every active cell adds its gradient times the input patch around it, `Σ g · patch(x)`, with the
//! patch as whole vectors in registers. Gradients and argmax bytes are channels last.
#![expect(
    unsafe_code,
    reason = "vector loads and stores through pointers whose ranges the public functions check"
)]

use std::ops::Range;

use super::patches::Patches;
use super::pixels::pixel;
use super::{MAX_LANES, WinogradRows, as_i32};
use crate::buffers::Aligned;
use crate::kernels::conv_block::{ConvBlock, KERNEL, OVERREAD, RELU_OFF};
use crate::kernels::simd::{Dst, Isa, Kernel, Level, Src, keep};

/// Pooled rows whose active cells are listed before their patches are added: lists and input stay in the level-2 cache.
const STRIP: usize = 4;

/// The sums of a block's weight and bias gradients over some photos.
#[derive(Debug)]
pub struct WeightGradient {
    shape: ConvBlock,
    level: Level,
    /// `[out][5][row]`: output channel, kernel row, kernel columns × channels in the order of the input.
    weights: Aligned,
    /// `[out][16]`: partial sums, one for each lane.
    bias: Aligned,
    /// The input rows of a strip, pixel by pixel.
    pixels: Aligned,
    /// The active cells of a strip, channel by channel: the offsets of their patches, and their gradients.
    offsets: Vec<i32>,
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
            level: conv.level,
            pixels: Aligned::zeros(pixels),
            weights: Aligned::zeros(outs * KERNEL * Self::row_len(&shape)),
            bias: Aligned::zeros(outs * MAX_LANES),
            offsets: vec![0; list],
            values: vec![0.0; list],
            counts: vec![0; outs],
        }
    }

    fn capacity(shape: &ConvBlock) -> usize {
        STRIP * shape.pooled_size().1 + MAX_LANES
    }

    /// Returns the length of a row of a patch, in whole vectors of any set.
    fn row_len(shape: &ConvBlock) -> usize {
        (KERNEL * pixel(shape.in_channels)).next_multiple_of(MAX_LANES)
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
            self.level.run(Strip { sums: self, rows: strip, gy: Src::of(gy), argmax: Src::of(argmax) });
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
        let (pixel, row) = (pixel(ins), Self::row_len(&self.shape));
        for (at, g) in gw.iter_mut().enumerate() {
            let (o, c, y, x) = (at / (25 * ins), at / 25 % ins, at / 5 % 5, at % 5);
            *g = self.weights[(o * KERNEL + y) * row + x * pixel + c];
        }
        for (g, sums) in gb.iter_mut().zip(self.bias.chunks_exact(MAX_LANES)) {
            *g = sums.iter().sum();
        }
    }
}

/// Adds some pooled rows of a photo. The slices are as long as [`WeightGradient::add`] checks, the pixels hold the strip's
/// input, and the lists have room for the active cells of a strip.
struct Strip<'a> {
    sums: &'a mut WeightGradient,
    rows: Range<usize>,
    gy: Src<'a, f32>,
    argmax: Src<'a, u8>,
}

impl Kernel for Strip<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { sums, rows, gy, argmax } = self;
        let pixel = pixel(sums.shape.in_channels);
        let row = sums.shape.in_size.1 * pixel;
        // SAFETY: rows of the map.
        unsafe { sums.list(isa, rows.start, rows.len(), gy, argmax) };
        let row_len = WeightGradient::row_len(&sums.shape);
        for o in 0..sums.shape.out_channels {
            let list = o * WeightGradient::capacity(&sums.shape);
            let patches = Patches {
                n: sums.counts[o],
                offsets: Src::of(&sums.offsets).add(list),
                values: Src::of(&sums.values).add(list),
                x: Src::of(&sums.pixels),
                row,
                sums: Dst::of(&mut sums.weights).add(o * KERNEL * row_len),
                row_len,
            };
            macro_rules! vectors_of {
                ($($v:literal)+) => {
                    match (KERNEL * pixel).div_ceil(I::LANES) {
                        $($v => patches.all::<I, $v>(isa),)+
                        _ => patches.all::<I, 10>(isa),
                    }
                };
            }
            vectors_of!(1 2 3 4 5);
        }
    }
}

impl WeightGradient {
    /// Lists the active cells of some pooled rows, and adds their gradients to the bias.
    ///
    /// # Safety
    ///
    /// Gradient and bytes hold the rows and the overread.
    #[inline(always)]
    unsafe fn list<I: Isa>(&mut self, isa: I, top: usize, rows: usize, gy: Src<f32>, argmax: Src<u8>) {
        let ConvBlock { in_channels, out_channels: outs, in_size: (_, in_width) } = self.shape;
        let width = self.shape.pooled_size().1;
        let step = as_i32(pixel(in_channels));
        let row = as_i32(in_width) * step;
        let lanes = isa.iota();
        let columns = isa.mul_i32(lanes, isa.splat_i32(2 * step));
        let capacity = Self::capacity(&self.shape);
        self.counts.fill(0);
        let (offsets, values) = (Dst::of(&mut self.offsets), Dst::of(&mut self.values));
        let bias = Dst::of(&mut self.bias);
        for y in 0..rows {
            for column in 0..width.div_ceil(I::LANES) {
                let left = (I::LANES * column).min(width - I::LANES);
                // The last block overlaps the one before: its first lanes are already listed.
                let listed = isa.splat_i32(as_i32(I::LANES * column - left) - 1);
                let new_lanes = isa.gt_i32(lanes, listed);
                let first = as_i32(2 * y) * row + as_i32(2 * left) * step;
                let start = isa.add_i32(columns, isa.splat_i32(first));
                for quad in (0..outs).step_by(4) {
                    let at = ((top + y) * width + left) * outs + quad;
                    // SAFETY: a vector of pixels of a row that exists; the last reads may reach into the overread.
                    let (four, bytes) =
                        unsafe { (isa.load_columns(gy.add(at), outs), isa.load_u8x4(argmax.add(at), outs)) };
                    // Not a loop: a vector of an array with a variable index would go through memory.
                    macro_rules! channels {
                        ($($c:literal)+) => {$(
                            let o = quad + $c;
                            if o < outs {
                                let id = isa.and_i32(isa.shift_right(bytes, 8 * $c), isa.splat_i32(255));
                                let active = isa.gt_i32(isa.splat_i32(i32::from(RELU_OFF)), id);
                                let active = isa.and(active, new_lanes);
                                let value = keep(isa, active, four[$c]);
                                let offset = isa.add_i32(start, isa.offset(id, step, row));
                                let at = o * capacity + self.counts[o];
                                let (sums, values) = (bias.add(MAX_LANES * o), values.add(at));
                                // SAFETY: channel o's list has room for a vector more; its sums are a vector.
                                unsafe {
                                    let listed = isa.compress(active, (value, values), (offset, offsets.add(at)));
                                    self.counts[o] += listed;
                                    isa.store(sums, isa.add(isa.load(sums.src()), value));
                                }
                            }
                        )+};
                    }
                    channels!(0 1 2 3);
                }
            }
        }
    }
}
