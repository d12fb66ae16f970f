//! The weight gradient: for each kernel position a sum over the outputs, whose lanes are channels.
#![expect(
    unsafe_code,
    reason = "vector loads and stores through pointers into slices whose lengths are checked"
)]

use std::ops::Range;

use crate::kernels::ConvShape;
use crate::kernels::simd::{Dst, Isa, Kernel, Level, Src, load_lanes, store_lanes, vectors};

/// Rows of outputs that are finished for all channels before the next: they fit the level-2 cache.
const ROWS: usize = 8;

/// Adds the weight gradient of a photo to `gw[k · k, channels]`.
pub(in super::super) fn add(shape: &ConvShape, x: &[f32], gy: &[f32], gw: &mut [f32]) {
    assert_eq!((x.len(), gy.len()), (shape.in_len(), shape.out_len()), "input and output gradient");
    assert_eq!(gw.len(), shape.weight_len(), "weight gradient");
    let (height, level) = (shape.out_size().0, Level::current());
    for row in (0..height).step_by(ROWS) {
        let (rows, x, gy, gw) = (row..height.min(row + ROWS), Src::of(x), Src::of(gy), Dst::of(gw));
        let rows = Rows { shape, rows, x, gy, gw };
        match (shape.kernel.0, shape.stride.0) {
            (3, 1) => level.run(Taps::<3, 1>(rows)),
            (5, 1) => level.run(Taps::<5, 1>(rows)),
            (3, 2) => level.run(Taps::<3, 2>(rows)),
            (5, 2) => level.run(Taps::<5, 2>(rows)),
            _ => unreachable!("other kernels are not supported"),
        }
    }
}

/// Some rows of the output gradient.
#[derive(Clone)]
struct Rows<'a> {
    shape: &'a ConvShape,
    rows: Range<usize>,
    x: Src<'a, f32>,
    gy: Src<'a, f32>,
    gw: Dst<'a, f32>,
}

/// A kernel of T×T with stride S.
struct Taps<'a, const T: usize, const S: usize>(Rows<'a>);

impl<const T: usize, const S: usize> Kernel for Taps<'_, T, S> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let channels = self.0.shape.in_channels;
        for channel in (0..channels).step_by(I::LANES) {
            if channel + I::LANES <= channels {
                self.channels::<I, true>(isa, channel);
            } else {
                self.channels::<I, false>(isa, channel);
            }
        }
    }
}

impl<const T: usize, const S: usize> Taps<'_, T, S> {
    /// Adds the sums of one vector of channels, one row of the kernel after the other.
    #[inline(always)]
    fn channels<I: Isa, const FULL: bool>(&self, isa: I, channel: usize) {
        let Rows { shape, rows, x, gy, gw } = self.0.clone();
        let (channels, (height, width)) = (shape.in_channels, shape.in_size);
        let out_width = shape.out_size().1;
        let mask = isa.first(channels - channel);
        for ky in 0..T {
            // Two sums for each kernel column: a single one would wait for its own last addition.
            let mut sums = [[isa.zero(); 2]; T];
            for row in rows.clone() {
                let at = (row * S + ky).wrapping_sub(shape.padding.0);
                if at >= height {
                    continue;
                }
                let x = x.add(at * width * channels + channel);
                let gy = gy.add(row * out_width * channels + channel);
                let mut column = 0;
                while column < out_width {
                    let left = (column * S).wrapping_sub(shape.padding.1);
                    let gy = gy.add(column * channels);
                    macro_rules! cells {
                        ($n:literal) => {
                            cells::<I, T, S, $n, FULL>(isa, (x, left, width), gy, (channels, mask), &mut sums)
                        };
                    }
                    column += match out_width - column {
                        left if left % 7 == 0 && I::REGISTERS >= 32 => cells!(7),
                        4.. => cells!(4),
                        _ => cells!(1),
                    };
                }
            }
            for (kx, sums) in sums.into_iter().enumerate() {
                let to = gw.add((ky * T + kx) * channels + channel);
                // SAFETY: the place of a weight; whole vectors, or with a mask.
                unsafe {
                    let sum = isa.add(load_lanes::<I, FULL>(isa, to.src(), mask), isa.add(sums[0], sums[1]));
                    store_lanes::<I, FULL>(isa, to, mask, sum);
                }
            }
        }
    }
}

/// Adds the products of N outputs beside each other. An input is loaded once for all kernel columns. Returns N.
#[inline(always)]
fn cells<I: Isa, const T: usize, const S: usize, const N: usize, const FULL: bool>(
    isa: I,
    (x, left, width): (Src<f32>, usize, usize),
    gy: Src<f32>,
    (channels, mask): (usize, I::Mask),
    sums: &mut [[I::F32; 2]; T],
) -> usize {
    // SAFETY: cells inside of the maps; whole vectors of channels, or with a mask.
    unsafe {
        let g: [I::F32; N] = vectors!(|i| load_lanes::<I, FULL>(isa, gy.add(i * channels), mask));
        macro_rules! columns {
            ($($j:literal)+) => {$(
                let at = left.wrapping_add($j);
                if $j < S * (N - 1) + T && at < width {
                    let x = load_lanes::<I, FULL>(isa, x.add(at * channels), mask);
                    for i in 0..N {
                        if S * i <= $j && $j < S * i + T {
                            let sum = &mut sums[$j - S * i][i % 2];
                            *sum = isa.mul_add(g[i], x, *sum);
                        }
                    }
                }
            )+};
        }
        columns!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
    }
    N
}
