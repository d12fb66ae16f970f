//! A convolution of a few planar channels whose output has the channels last: the lanes are output channels.
#![expect(
    unsafe_code,
    reason = "vector loads and stores through pointers into slices whose lengths are checked"
)]

use std::ops::Range;

use crate::kernels::simd::{Dst, Isa, Kernel, Level, Src, activate, load_lanes, store_lanes, vectors};
use crate::kernels::{Activation, ConvShape};
use crate::parallel::{self, DisjointSlice};

/// The most input channels: with more of them a matrix product is faster.
const CHANNELS: usize = 4;
/// The largest kernel, stride and padding.
const SIDE: usize = 7;
/// Rows of a task.
const ROWS: usize = 8;

/// Returns whether this kernel supports the convolution.
pub(super) fn supports(shape: &ConvShape) -> bool {
    let pairs = [shape.kernel, shape.stride, shape.padding];
    shape.groups == 1
        && (1..=CHANNELS).contains(&shape.in_channels)
        && pairs.iter().all(|(y, x)| *y <= SIDE && *x <= SIDE)
}

/// Computes `y[n, oh, ow, outs]` from `x[n, channels, h, w]` and `w[channels · kh · kw, outs]`.
pub(super) fn forward(
    shape: &ConvShape,
    activation: Activation,
    n: usize,
    x: &[f32],
    w: &[f32],
    b: &[f32],
    y: &mut [f32],
) {
    let (in_len, out_len, height) = (shape.in_len(), shape.out_len(), shape.out_size().0);
    assert_eq!((w.len(), b.len()), (shape.weight_len(), shape.out_channels), "weights and biases");
    assert_eq!((x.len(), y.len()), (n * in_len, n * out_len), "input and output");
    let (tasks, y) = (height.div_ceil(ROWS), DisjointSlice::new(y));
    parallel::each(n * tasks, |task| {
        let (photo, row) = (task / tasks, task % tasks * ROWS);
        Level::current().run(Rows {
            shape,
            activation,
            rows: row..height.min(row + ROWS),
            x: Src::of(&x[photo * in_len..][..in_len]),
            w: Src::of(w),
            b: Src::of(b),
            y: y.pointer().add(photo * out_len),
        });
    });
}

/// Some rows of a photo's output.
struct Rows<'a> {
    shape: &'a ConvShape,
    activation: Activation,
    rows: Range<usize>,
    x: Src<'a, f32>,
    w: Src<'a, f32>,
    b: Src<'a, f32>,
    y: Dst<'a, f32>,
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let outs = self.shape.out_channels;
        for row in self.rows.clone() {
            let mut out = 0;
            while out < outs {
                out += match outs - out {
                    left if left >= 2 * I::LANES => self.row::<I, 2, true>(isa, row, out),
                    left if left >= I::LANES => self.row::<I, 1, true>(isa, row, out),
                    _ => self.row::<I, 1, false>(isa, row, out),
                };
            }
        }
    }
}

impl Rows<'_> {
    /// Computes a row of V vectors of output channels. Returns the number of channels.
    #[inline(always)]
    fn row<I: Isa, const V: usize, const FULL: bool>(&self, isa: I, row: usize, out: usize) -> usize {
        let (width, (stride, left)) = (self.shape.out_size().1, (self.shape.stride.1, self.shape.padding.1));
        let (kernel, in_width) = (self.shape.kernel.1, self.shape.in_size.1);
        let mut column = 0;
        while column < width {
            let inside = |n: usize| {
                column + n <= width
                    && column * stride >= left
                    && (column + n - 1) * stride + kernel <= in_width + left
            };
            column += if I::REGISTERS >= 32 && inside(8) {
                self.cells::<I, V, 8, FULL, true>(isa, row, column, out)
            } else if inside(4) {
                self.cells::<I, V, 4, FULL, true>(isa, row, column, out)
            } else {
                self.cells::<I, V, 1, FULL, false>(isa, row, column, out)
            };
        }
        V * I::LANES
    }

    /// Computes N outputs beside each other; all that they read is INSIDE of the map's columns, or each column is
    /// compared with its borders. Returns N.
    #[inline(always)]
    fn cells<I: Isa, const V: usize, const N: usize, const FULL: bool, const INSIDE: bool>(
        &self,
        isa: I,
        row: usize,
        column: usize,
        out: usize,
    ) -> usize {
        let Self { shape, activation, x, w, b, y, .. } = self;
        let ((height, width), outs, kernel) = (shape.in_size, shape.out_channels, shape.kernel);
        let mask = isa.first(outs - out);
        let (above, left) = (
            (row * shape.stride.0).wrapping_sub(shape.padding.0),
            (column * shape.stride.1).wrapping_sub(shape.padding.1),
        );
        // SAFETY: cells inside of the map; output channels as whole vectors, or with a mask.
        unsafe {
            let bias: [I::F32; V] = vectors!(|v| load_lanes::<I, FULL>(isa, b.add(out + v * I::LANES), mask));
            let mut sums = [bias; N];
            for channel in 0..shape.in_channels {
                for ky in 0..kernel.0 {
                    let at = above.wrapping_add(ky);
                    if at >= height {
                        continue;
                    }
                    let x = x.add((channel * height + at) * width);
                    let w = w.add((channel * kernel.0 + ky) * kernel.1 * outs + out);
                    for kx in 0..kernel.1 {
                        let w: [I::F32; V] =
                            vectors!(|v| load_lanes::<I, FULL>(isa, w.add(kx * outs + v * I::LANES), mask));
                        for i in 0..N {
                            let at = left.wrapping_add(i * shape.stride.1 + kx);
                            if INSIDE || at < width {
                                let x = isa.load_splat(x.add(at));
                                for v in 0..V {
                                    sums[i][v] = isa.mul_add(x, w[v], sums[i][v]);
                                }
                            }
                        }
                    }
                }
            }
            let to = y.add((row * shape.out_size().1 + column) * outs + out);
            for i in 0..N {
                for v in 0..V {
                    let (to, sum) = (to.add(i * outs + v * I::LANES), activate(isa, *activation, sums[i][v]));
                    store_lanes::<I, FULL>(isa, to, mask, sum);
                }
            }
        }
        N
    }
}

/// Adds the weight gradient of a photo to `gw[channels · kh · kw, outs]`.
pub(super) fn add_weight_gradient(shape: &ConvShape, x: &[f32], gy: &[f32], gw: &mut [f32]) {
    assert_eq!((x.len(), gy.len()), (shape.in_len(), shape.out_len()), "input and output gradient");
    assert_eq!(gw.len(), shape.weight_len(), "weight gradient");
    let height = shape.out_size().0;
    for row in (0..height).step_by(ROWS) {
        let rows = row..height.min(row + ROWS);
        Level::current().run(WeightSums { shape, rows, x: Src::of(x), gy: Src::of(gy), gw: Dst::of(gw) });
    }
}

/// Adds the weight gradient of some rows.
struct WeightSums<'a> {
    shape: &'a ConvShape,
    rows: Range<usize>,
    x: Src<'a, f32>,
    gy: Src<'a, f32>,
    gw: Dst<'a, f32>,
}

impl Kernel for WeightSums<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let ConvShape { in_channels, kernel: (height, width), out_channels: outs, .. } = *self.shape;
        for row in 0..in_channels * height {
            let (channel, ky) = (row / height, row % height);
            let mut out = 0;
            while out < outs {
                macro_rules! positions {
                    ($v:literal, $full:literal) => {{
                        let mut kx = 0;
                        while kx < width {
                            let at = (channel, ky, kx);
                            kx += match width - kx {
                                3.. => self.add::<I, $v, 3, $full>(isa, at, out),
                                _ => self.add::<I, $v, 1, $full>(isa, at, out),
                            };
                        }
                        $v * I::LANES
                    }};
                }
                out += match outs - out {
                    left if left >= 2 * I::LANES => positions!(2, true),
                    left if left >= I::LANES => positions!(1, true),
                    _ => positions!(1, false),
                };
            }
        }
    }
}

impl WeightSums<'_> {
    /// Adds the sums of K kernel positions beside each other and V vectors of output channels. Returns K.
    #[inline(always)]
    fn add<I: Isa, const V: usize, const K: usize, const FULL: bool>(
        &self,
        isa: I,
        (channel, ky, kx): (usize, usize, usize),
        out: usize,
    ) -> usize {
        let Self { shape, rows, x, gy, gw } = self;
        let ((height, width), outs, kernel) = (shape.in_size, shape.out_channels, shape.kernel);
        let out_width = shape.out_size().1;
        let mask = isa.first(outs - out);
        let mut sums = [[isa.zero(); V]; K];
        // SAFETY: cells inside of the maps; output channels as whole vectors, or with a mask.
        unsafe {
            for row in rows.clone() {
                let at = (row * shape.stride.0 + ky).wrapping_sub(shape.padding.0);
                if at >= height {
                    continue;
                }
                let x = x.add((channel * height + at) * width);
                let gy = gy.add(row * out_width * outs + out);
                for column in 0..out_width {
                    let left = (column * shape.stride.1 + kx).wrapping_sub(shape.padding.1);
                    let g: [I::F32; V] = vectors!(|v| {
                        load_lanes::<I, FULL>(isa, gy.add(column * outs + v * I::LANES), mask)
                    });
                    for k in 0..K {
                        let at = left.wrapping_add(k);
                        if at < width {
                            let x = isa.load_splat(x.add(at));
                            for v in 0..V {
                                sums[k][v] = isa.mul_add(x, g[v], sums[k][v]);
                            }
                        }
                    }
                }
            }
            let first = (channel * kernel.0 + ky) * kernel.1 + kx;
            for k in 0..K {
                for v in 0..V {
                    let to = gw.add((first + k) * outs + out + v * I::LANES);
                    let sum = isa.add(load_lanes::<I, FULL>(isa, to.src(), mask), sums[k][v]);
                    store_lanes::<I, FULL>(isa, to, mask, sum);
                }
            }
        }
        K
    }
}
