//! Depthwise convolution with the channels last, 3×3 or 5×5, stride 1 or 2: the lanes are channels.
#![expect(
    unsafe_code,
    reason = "vector loads and stores through pointers into slices whose lengths are checked"
)]

mod weights;

use std::ops::Range;

use crate::buffers::Aligned;
use crate::kernels::simd::{Dst, Isa, Kernel, Level, Src, activate, load_lanes, store_lanes, vectors};
use crate::kernels::{Activation, ConvShape};
use crate::parallel::{self, DisjointSlice};
pub(super) use weights::add as add_weight_gradient;

/// Rows and channels of a task.
const ROWS: usize = 8;
const CHANNELS: usize = 128;

/// Returns whether this kernel supports the convolution.
pub(super) fn supports(shape: &ConvShape) -> bool {
    let k = shape.kernel.0;
    shape.groups == shape.in_channels
        && shape.out_channels == shape.groups
        && shape.in_channels > 1
        && shape.kernel == (k, k)
        && matches!(k, 3 | 5)
        && matches!(shape.stride, (1, 1) | (2, 2))
        && shape.padding.0 < k
        && shape.padding.1 < k
}

/// Computes `y[n, oh, ow, channels]` from `x[n, h, w, channels]` and `w[k · k, channels]`.
pub(super) fn forward(
    shape: &ConvShape,
    activation: Activation,
    n: usize,
    x: &[f32],
    w: &[f32],
    b: &[f32],
    y: &mut [f32],
) {
    let window = Window {
        channels: shape.in_channels,
        size: shape.in_size,
        out: shape.out_size(),
        taps: shape.kernel,
        before: shape.padding,
        step: (1, 1),
        row: shape.out_size().1,
    };
    let (in_len, out_len) = (shape.in_len(), shape.out_len());
    let (rows, groups) = (window.out.0.div_ceil(ROWS), shape.in_channels.div_ceil(CHANNELS));
    assert_eq!((w.len(), b.len()), (shape.weight_len(), shape.in_channels), "weights and biases");
    assert_eq!((x.len(), y.len()), (n * in_len, n * out_len), "input and output");
    let y = DisjointSlice::new(y);
    parallel::each(n * rows * groups, |task| {
        let (photo, row, group) =
            (task / groups / rows, task / groups % rows * ROWS, task % groups * CHANNELS);
        let part = Part {
            window: &window,
            rows: row..window.out.0.min(row + ROWS),
            channels: group..shape.in_channels.min(group + CHANNELS),
            x: Src::of(&x[photo * in_len..][..in_len]),
            w: Src::of(w),
            bias: Some(Src::of(b)),
            activation,
            y: y.pointer().add(photo * out_len),
        };
        part.run(shape.stride.0);
    });
}

/// A part of the kernel and of the inputs: input gradients at every `stride`th place, a sum over the output gradients
/// beside it.
#[derive(Debug)]
pub(super) struct Phase {
    window: Window,
    /// The weights `[rows, columns, channels]`.
    w: Aligned,
    /// The first cell.
    first: usize,
}

/// Returns the phases of the input gradient, which is a convolution of the output gradient for each of them: input i,
/// padding p: `gx[i] = Σ w[k] · gy[(i + p − k) / stride]` over the k for which the division has no remainder.
pub(super) fn phases(shape: &ConvShape, w: &[f32]) -> Vec<Phase> {
    let (stride, k, channels) = (shape.stride.0, shape.kernel.0, shape.in_channels);
    let (height, width) = shape.in_size;
    // For a first row or column: the first kernel position, their number, and the output before the first that is read.
    let axis = |first: usize, padding: usize| {
        let position = (first + padding) % stride;
        let taps = (k - position).div_ceil(stride);
        (position, taps, (taps - 1).wrapping_sub((first + padding) / stride))
    };
    let firsts = (0..stride.min(height)).flat_map(|y| (0..stride.min(width)).map(move |x| (y, x)));
    let phase = |(y, x): (usize, usize)| {
        let ((ky, rows, above), (kx, columns, left)) = (axis(y, shape.padding.0), axis(x, shape.padding.1));
        let mut own = Aligned::zeros(rows * columns * channels);
        for (i, own) in own.chunks_exact_mut(channels).take(rows * columns).enumerate() {
            // The last kernel position first.
            let (row, column) = (rows - 1 - i / columns, columns - 1 - i % columns);
            let at = (ky + stride * row) * k + kx + stride * column;
            own.iter_mut().zip(w[at..].iter().step_by(k * k)).for_each(|(own, w)| *own = *w);
        }
        let window = Window {
            channels,
            size: shape.out_size(),
            out: ((height - y).div_ceil(stride), (width - x).div_ceil(stride)),
            taps: (rows, columns),
            before: (above, left),
            step: (stride, stride),
            row: width,
        };
        Phase { window, w: own, first: y * width + x }
    };
    firsts.map(phase).collect()
}

/// Computes the input gradient `gx[h, w, channels]` of a photo.
pub(super) fn input_gradient(shape: &ConvShape, phases: &[Phase], gy: &[f32], gx: &mut [f32]) {
    assert_eq!((gy.len(), gx.len()), (shape.out_len(), shape.in_len()), "gradients");
    for phase in phases {
        let part = Part {
            window: &phase.window,
            rows: 0..phase.window.out.0,
            channels: 0..shape.in_channels,
            x: Src::of(gy),
            w: Src::of(&phase.w),
            bias: None,
            activation: Activation::None,
            y: Dst::of(gx).add(phase.first * shape.in_channels),
        };
        part.run(1);
    }
}

/// Where the values are that the outputs read, and where the outputs are.
#[derive(Debug, Clone, Copy)]
struct Window {
    channels: usize,
    /// Height and width of the input and of the outputs that are computed.
    size: (usize, usize),
    out: (usize, usize),
    /// Rows and columns of the kernel.
    taps: (usize, usize),
    /// Rows above and columns before the first input that the first output reads; below 0 they wrap.
    before: (usize, usize),
    /// Steps between the outputs in their map, and the cells of a row of that map.
    step: (usize, usize),
    row: usize,
}

/// Some rows and channels of the outputs.
#[derive(Clone)]
struct Part<'a> {
    window: &'a Window,
    rows: Range<usize>,
    channels: Range<usize>,
    x: Src<'a, f32>,
    w: Src<'a, f32>,
    bias: Option<Src<'a, f32>>,
    activation: Activation,
    y: Dst<'a, f32>,
}

impl Part<'_> {
    fn run(self, stride: usize) {
        let level = Level::current();
        match (self.window.taps.1, stride) {
            (1, 1) => level.run(Taps::<1, 1>(self)),
            (2, 1) => level.run(Taps::<2, 1>(self)),
            (3, 1) => level.run(Taps::<3, 1>(self)),
            (5, 1) => level.run(Taps::<5, 1>(self)),
            (3, 2) => level.run(Taps::<3, 2>(self)),
            (5, 2) => level.run(Taps::<5, 2>(self)),
            _ => unreachable!("other kernels are not supported"),
        }
    }
}

/// T columns of the kernel; the outputs are S inputs apart.
struct Taps<'a, const T: usize, const S: usize>(Part<'a>);

impl<const T: usize, const S: usize> Kernel for Taps<'_, T, S> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Range { start, end } = self.0.channels;
        let whole = start + (end - start) / I::LANES * I::LANES;
        for row in self.0.rows.clone() {
            for channel in (start..whole).step_by(I::LANES) {
                self.row(isa, row, channel);
            }
            if whole < end {
                for column in 0..self.0.window.out.1 {
                    self.cells::<I, 1, false>(isa, row, column, whole);
                }
            }
        }
    }
}

impl<const T: usize, const S: usize> Taps<'_, T, S> {
    /// Computes a row of outputs for one vector of channels.
    #[inline(always)]
    fn row<I: Isa>(&self, isa: I, row: usize, channel: usize) {
        let mut column = 0;
        while column < self.0.window.out.1 {
            column += match self.0.window.out.1 - column {
                left if left % 7 == 0 => self.cells::<I, 7, true>(isa, row, column, channel),
                8.. => self.cells::<I, 8, true>(isa, row, column, channel),
                4.. => self.cells::<I, 4, true>(isa, row, column, channel),
                _ => self.cells::<I, 1, true>(isa, row, column, channel),
            };
        }
    }

    /// Computes N outputs beside each other, whose sums stay in registers. A weight is loaded once for all of them, and
    /// an input once for all kernel columns. Returns N.
    #[inline(always)]
    fn cells<I: Isa, const N: usize, const FULL: bool>(
        &self,
        isa: I,
        row: usize,
        column: usize,
        channel: usize,
    ) -> usize {
        let Part { window, x, w, bias, y, activation, .. } = self.0.clone();
        let Window { channels, size: (height, width), before, .. } = *window;
        let mask = isa.first(channels - channel);
        // SAFETY: cells inside of the map, and channels from `channel` on: a whole vector or with a mask.
        unsafe {
            let first = match bias {
                Some(bias) => load_lanes::<I, FULL>(isa, bias.add(channel), mask),
                None => isa.zero(),
            };
            let mut sums = [first; N];
            // Row and column of the first input, which wrap below 0.
            let (above, left) = ((row * S).wrapping_sub(before.0), (column * S).wrapping_sub(before.1));
            for ky in 0..window.taps.0 {
                let at = above.wrapping_add(ky);
                if at >= height {
                    continue;
                }
                let x = x.add(at * width * channels + channel);
                let w = w.add(ky * T * channels + channel);
                let weights: [I::F32; T] =
                    vectors!(|t| load_lanes::<I, FULL>(isa, w.add(t * channels), mask));
                macro_rules! columns {
                    ($($j:literal)+) => {$(
                        let at = left.wrapping_add($j);
                        if $j < S * (N - 1) + T && at < width {
                            let x = load_lanes::<I, FULL>(isa, x.add(at * channels), mask);
                            for i in 0..N {
                                if S * i <= $j && $j < S * i + T {
                                    sums[i] = isa.mul_add(weights[$j - S * i], x, sums[i]);
                                }
                            }
                        }
                    )+};
                }
                columns!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18);
            }
            let cell = row * window.step.0 * window.row + column * window.step.1;
            for i in 0..N {
                let to = y.add((cell + i * window.step.1) * channels + channel);
                let v = activate(isa, activation, sums[i]);
                store_lanes::<I, FULL>(isa, to, mask, v);
            }
        }
        N
    }
}
