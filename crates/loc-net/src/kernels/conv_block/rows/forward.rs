//! The forward pass.
#![expect(unsafe_code, reason = "vector loads and stores through pointers whose ranges the caller checked")]

use std::ops::Range;

use super::{CHANNELS, STRIP, Scratch, WinogradRows, stride};
use crate::kernels::conv_block::{RowView, run_len};
use crate::kernels::simd::{self, Dst, Isa, Kernel, Src, vectors};
use crate::kernels::winograd::f65::INPUTS;
use crate::kernels::winograd::transform;

/// The forward pass over some pooled rows of one photo; input and outputs are as long as [`WinogradRows::forward`] checks,
/// and the map has at least as many pooled columns as a vector has lanes.
pub(super) struct Forward<'a, const LAST: bool, const ARGMAX: bool> {
    pub(super) block: &'a WinogradRows,
    pub(super) x: RowView<'a>,
    pub(super) rows: Range<usize>,
    pub(super) scratch: &'a mut Scratch,
    pub(super) y: Dst<'a, f32>,
    pub(super) argmax: Dst<'a, u8>,
}

impl<const LAST: bool, const ARGMAX: bool> Kernel for Forward<'_, LAST, ARGMAX> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { block, x, rows, scratch, y, argmax } = self;
        let (height, width) = block.shape.pooled_size();
        let (input, products) = (Dst::of(&mut scratch.input), Dst::of(&mut scratch.products));
        for first in rows.clone().step_by(STRIP) {
            // The last strip may start earlier; then only its last rows are written.
            let top = first.min(height - STRIP);
            // SAFETY: input rows 2·top to 2·top + 9 are among `WinogradRows::input_rows`.
            unsafe { transform_input(isa, block, x, 2 * top, input) };
            for column in 0..width.div_ceil(I::LANES) {
                let left = (column * I::LANES).min(width - I::LANES);
                for tile in 0..block.bias.len() / CHANNELS {
                    let out = Out {
                        rows: first..rows.end.min(top + STRIP),
                        top,
                        origin: rows.start,
                        tile,
                        left,
                        channels: block.shape.out_channels,
                        width,
                    };
                    // SAFETY: columns 2·left to 2·(left + lanes) + 3 are inside the width; the padded bias has six values
                    // from the tile's first; the outputs hold these rows.
                    unsafe {
                        multiply(isa, block, tile, input.src().add(2 * left), products);
                        let bias = Src::of(&block.bias).add(tile * CHANNELS);
                        out.pool::<I, LAST, ARGMAX>(isa, products.src(), bias, y, argmax);
                    }
                }
            }
        }
    }
}

/// Applies `Bᵀ` along y to ten input rows from `top`, for all channels.
///
/// # Safety
///
/// The rows exist.
#[inline(always)]
unsafe fn transform_input<I: Isa>(isa: I, block: &WinogradRows, x: RowView, top: usize, to: Dst<f32>) {
    let (channels, width) = (block.shape.in_channels, block.shape.in_size.1);
    let stride = stride(width);
    let from = Src::of(x.values).add(x.start(top));
    for channel in 0..channels {
        for column in 0..width.div_ceil(I::LANES) {
            let left = (column * I::LANES).min(width - I::LANES);
            // SAFETY: a vector of columns of existing rows, and of the buffer's runs.
            unsafe {
                let at = from.add(channel * x.channel + left);
                let q = transform::f65_input(isa, vectors!(|i| isa.load(at.add(i * x.row))));
                let to = to.add(channel * stride + left);
                for i in 0..INPUTS {
                    isa.store(to.add(i * channels * stride), q[i]);
                }
            }
        }
    }
}

/// Computes the ten products of a tile of six channels and two vectors of columns from `x`: `[10][6][2 · lanes]`.
///
/// # Safety
///
/// The strip is transformed; four columns after the two vectors exist.
#[inline(always)]
unsafe fn multiply<I: Isa>(isa: I, block: &WinogradRows, tile: usize, x: Src<f32>, products: Dst<f32>) {
    let channels = block.shape.in_channels;
    let stride = stride(block.shape.in_size.1);
    let mut w = Src::of(&block.weights).add(tile * INPUTS * channels * 5 * CHANNELS);
    // SAFETY: the weights hold a tile's 10 · in · 5 · 6 numbers, the strip 10 · in runs.
    unsafe {
        for i in 0..INPUTS {
            let mut sums = [[isa.zero(); 2]; CHANNELS];
            for channel in 0..channels {
                let x = x.add((i * channels + channel) * stride);
                for column in 0..5 {
                    let d: [I::F32; 2] = vectors!(|v| isa.load(x.add(column + v * I::LANES)));
                    for o in 0..CHANNELS {
                        let w = isa.load_splat(w.add(o));
                        for v in 0..2 {
                            sums[o][v] = isa.mul_add(w, d[v], sums[o][v]);
                        }
                    }
                    w = w.add(CHANNELS);
                }
            }
            for o in 0..CHANNELS {
                for v in 0..2 {
                    isa.store(products.add(((i * CHANNELS + o) * 2 + v) * I::LANES), sums[o][v]);
                }
            }
        }
    }
}

/// The destination of a tile's pooled columns.
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
    /// `bias` points to six values; the outputs hold the rows.
    #[inline(always)]
    unsafe fn pool<I: Isa, const LAST: bool, const ARGMAX: bool>(
        &self,
        isa: I,
        products: Src<f32>,
        bias: Src<f32>,
        y: Dst<f32>,
        argmax: Dst<u8>,
    ) {
        let first = self.tile * CHANNELS;
        let channels = CHANNELS.min(self.channels - first);
        let mut values = [[isa.zero(); 8]; STRIP];
        // Four channels to a number.
        let mut bytes = [[isa.splat_i32(0); 2]; STRIP];
        for o in 0..channels {
            // SAFETY: two vectors of each product; one of the six values of the bias.
            let (a, b, bias) = unsafe {
                let at = products.add(o * 2 * I::LANES);
                let a = vectors!(|i| isa.load(at.add(i * CHANNELS * 2 * I::LANES)));
                let b = vectors!(|i| isa.load(at.add((i * CHANNELS * 2 + 1) * I::LANES)));
                (transform::f65_output(isa, a), transform::f65_output(isa, b), isa.load_splat(bias.add(o)))
            };
            for row in 0..STRIP {
                let (left_above, right_above) = isa.even_odd(a[2 * row], b[2 * row]);
                let (left_below, right_below) = isa.even_odd(a[2 * row + 1], b[2 * row + 1]);
                let cells = [left_above, right_above, left_below, right_below];
                let value = isa.in_order(simd::pool(isa, cells, bias));
                if ARGMAX {
                    let byte = isa.in_order_i32(simd::argmax_byte(isa, cells, bias));
                    let shift = if o % 4 == 0 { 0 } else { 8 * (o % 4) as i32 };
                    bytes[row][o / 4] = isa.or_i32(bytes[row][o / 4], isa.shift_left(byte, shift));
                }
                if LAST {
                    values[row][o] = value;
                } else if self.rows.contains(&(self.top + row)) {
                    let at = (self.top + row - self.origin) * self.channels + first + o;
                    // SAFETY: a vector of columns of a row the outputs hold.
                    unsafe { isa.store(y.add(at * run_len(self.width) + self.left), value) };
                }
            }
        }
        for row in 0..STRIP {
            if !self.rows.contains(&(self.top + row)) {
                continue;
            }
            let at = ((self.top + row - self.origin) * self.width + self.left) * self.channels + first;
            for quad in 0..channels.div_ceil(4) {
                let (at, n) = (at + 4 * quad, 4.min(channels - 4 * quad));
                // SAFETY: `n` channels of a vector of pixels of a row the outputs hold.
                unsafe {
                    if LAST {
                        let v = vectors!(|c| values[row][4 * quad + c]);
                        isa.store_columns(v, n, y.add(at), self.channels);
                    }
                    if ARGMAX {
                        isa.store_u8x4(bytes[row][quad], n, argmax.add(at), self.channels);
                    }
                }
            }
        }
    }
}
