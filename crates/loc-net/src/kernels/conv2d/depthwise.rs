//! Depthwise convolution, 3×3 or 5×5: each channel has a kernel of its own, so that there is no matrix product in it.
//!
//! A plane is laid into a buffer with its padding, each row parted by the stride: column `s·j + r` stands at place j of
//! part r. Under every tap the outputs of a row then read adjacent numbers, and the loops below become vector code.

use rayon::prelude::*;

use super::with_buffers;
use crate::kernels::ConvShape;

/// Whether the form takes a convolution.
pub(super) fn fits(shape: &ConvShape) -> bool {
    let conv = &shape.conv;
    let alike = conv.groups == shape.in_channels && conv.out_channels == conv.groups;
    alike && shape.in_channels > 1 && matches!(conv.kernel, (3, 3) | (5, 5)) && conv.stride.0 == conv.stride.1
}

/// How a plane lies in the buffer.
#[derive(Debug, Clone, Copy)]
struct Frame {
    /// Of the input.
    size: (usize, usize),
    /// Of the output.
    out: (usize, usize),
    /// Before the first row and column.
    padding: (usize, usize),
    stride: usize,
    /// Rows of the buffer, and numbers in each part of a row.
    rows: usize,
    part: usize,
}

impl Frame {
    fn of(shape: &ConvShape) -> Self {
        let (out, k, s) = (shape.out_size(), shape.conv.kernel.0, shape.conv.stride.0);
        let part = (out.1 - 1 + (k - 1) / s + 1).max((shape.in_size.1 + shape.conv.padding.1).div_ceil(s));
        // Whole vectors may be read behind the last output.
        let part = part + 8;
        let rows = ((out.0 - 1) * s + k).max(shape.in_size.0 + shape.conv.padding.0);
        Self { size: shape.in_size, out, padding: shape.conv.padding, stride: s, rows, part }
    }

    fn len(&self) -> usize {
        self.rows * self.stride * self.part
    }

    /// Where a column of the input lies in a row of the buffer.
    #[inline(always)]
    fn place(&self, column: usize) -> usize {
        let column = column + self.padding.1;
        column % self.stride * self.part + column / self.stride
    }

    #[inline(always)]
    fn lay_in(&self, plane: &[f32], buffer: &mut [f32]) {
        buffer.fill(0.0);
        let row = self.stride * self.part;
        let rows = buffer.chunks_exact_mut(row).skip(self.padding.0).zip(plane.chunks_exact(self.size.1));
        for (to, from) in rows {
            if self.stride == 1 {
                to[self.padding.1..][..from.len()].copy_from_slice(from);
            } else {
                from.iter().enumerate().for_each(|(x, v)| to[self.place(x)] = *v);
            }
        }
    }

    /// The numbers that the outputs of a row see under a tap.
    #[inline(always)]
    fn seen<'a>(&self, buffer: &'a [f32], row: usize, (ky, kx): (usize, usize)) -> &'a [f32] {
        let at = (row * self.stride + ky) * self.stride * self.part;
        &buffer[at + kx % self.stride * self.part + kx / self.stride..][..self.out.1]
    }

    #[inline(always)]
    fn seen_mut<'a>(&self, buffer: &'a mut [f32], row: usize, (ky, kx): (usize, usize)) -> &'a mut [f32] {
        let at = (row * self.stride + ky) * self.stride * self.part;
        &mut buffer[at + kx % self.stride * self.part + kx / self.stride..][..self.out.1]
    }
}

#[inline(always)]
fn forward_plane<const K: usize>(
    frame: &Frame,
    x: &[f32],
    w: &[f32],
    b: f32,
    buffer: &mut [f32],
    y: &mut [f32],
) {
    frame.lay_in(x, buffer);
    for (row, y) in y.chunks_exact_mut(frame.out.1).enumerate() {
        y.fill(b);
        for ky in 0..K {
            let seen: [&[f32]; K] = std::array::from_fn(|kx| frame.seen(buffer, row, (ky, kx)));
            let w: [f32; K] = std::array::from_fn(|kx| w[ky * K + kx]);
            for (x, y) in y.iter_mut().enumerate() {
                let mut sum = *y;
                for kx in 0..K {
                    sum += w[kx] * seen[kx][x];
                }
                *y = sum;
            }
        }
    }
}

#[inline(always)]
fn weights_plane<const K: usize>(frame: &Frame, x: &[f32], gy: &[f32], buffer: &mut [f32], gw: &mut [f32]) {
    frame.lay_in(x, buffer);
    for ky in 0..K {
        let mut sums = [[0.0f32; 8]; K];
        for (row, gy) in gy.chunks_exact(frame.out.1).enumerate() {
            let (whole, rest) = gy.as_chunks::<8>();
            for (kx, sums) in sums.iter_mut().enumerate() {
                let (seen, seen_rest) = frame.seen(buffer, row, (ky, kx)).as_chunks::<8>();
                for (gy, seen) in whole.iter().zip(seen) {
                    for lane in 0..8 {
                        sums[lane] += gy[lane] * seen[lane];
                    }
                }
                for (lane, (gy, seen)) in rest.iter().zip(seen_rest).enumerate() {
                    sums[lane] += gy * seen;
                }
            }
        }
        for (gw, sums) in gw[ky * K..].iter_mut().zip(sums) {
            *gw += sums.iter().sum::<f32>();
        }
    }
}

#[inline(always)]
fn input_plane<const K: usize>(frame: &Frame, w: &[f32], gy: &[f32], buffer: &mut [f32], gx: &mut [f32]) {
    buffer.fill(0.0);
    for (row, gy) in gy.chunks_exact(frame.out.1).enumerate() {
        for (ky, kx) in (0..K).flat_map(|ky| (0..K).map(move |kx| (ky, kx))) {
            let w = w[ky * K + kx];
            frame.seen_mut(buffer, row, (ky, kx)).iter_mut().zip(gy).for_each(|(g, gy)| *g += w * gy);
        }
    }
    let row = frame.stride * frame.part;
    let rows = buffer.chunks_exact(row).skip(frame.padding.0).zip(gx.chunks_exact_mut(frame.size.1));
    for (from, to) in rows {
        to.iter_mut().enumerate().for_each(|(x, g)| *g = from[frame.place(x)]);
    }
}

/// A plane function as the processor runs it best: the same loops, compiled for AVX2 where that is there.
macro_rules! dispatched {
    ($name:ident = $plane:ident($($arg:ident: $type:ty),*)) => {
        fn $name(kernel: usize, $($arg: $type),*) {
            #[inline(always)]
            fn plain(kernel: usize, $($arg: $type),*) {
                match kernel {
                    3 => $plane::<3>($($arg),*),
                    _ => $plane::<5>($($arg),*),
                }
            }
            #[cfg(target_arch = "x86_64")]
            if crate::kernels::gemm::avx2::available() {
                #[target_feature(enable = "avx2")]
                fn vectors(kernel: usize, $($arg: $type),*) {
                    plain(kernel, $($arg),*);
                }
                #[expect(unsafe_code, reason = "calls the AVX2 form after checking for it")]
                // SAFETY: AVX2 is there.
                unsafe {
                    vectors(kernel, $($arg),*);
                }
                return;
            }
            plain(kernel, $($arg),*);
        }
    };
}

dispatched!(forward_any = forward_plane(frame: &Frame, x: &[f32], w: &[f32], b: f32, buffer: &mut [f32], y: &mut [f32]));
dispatched!(weights_any = weights_plane(frame: &Frame, x: &[f32], gy: &[f32], buffer: &mut [f32], gw: &mut [f32]));
dispatched!(input_any = input_plane(frame: &Frame, w: &[f32], gy: &[f32], buffer: &mut [f32], gx: &mut [f32]));

/// Planes a task takes.
const PLANES: usize = 8;

pub(super) fn forward(shape: &ConvShape, x: &[f32], w: &[f32], b: &[f32], y: &mut [f32]) {
    let (frame, k, channels) = (Frame::of(shape), shape.conv.kernel.0, shape.in_channels);
    let (from, to) = (frame.size.0 * frame.size.1, frame.out.0 * frame.out.1);
    let tasks = y.par_chunks_mut(PLANES * to).zip(x.par_chunks(PLANES * from)).enumerate();
    tasks.for_each(|(task, (y, x))| {
        with_buffers([frame.len()], |[buffer]| {
            for (i, (y, x)) in y.chunks_exact_mut(to).zip(x.chunks_exact(from)).enumerate() {
                let channel = (task * PLANES + i) % channels;
                forward_any(k, &frame, x, &w[channel * k * k..][..k * k], b[channel], buffer, y);
            }
        });
    });
}

/// The weight gradient of one photo, added.
pub(super) fn add_weights(shape: &ConvShape, x: &[f32], gy: &[f32], gw: &mut [f32]) {
    let (frame, k) = (Frame::of(shape), shape.conv.kernel.0);
    let (from, to) = (frame.size.0 * frame.size.1, frame.out.0 * frame.out.1);
    with_buffers([frame.len()], |[buffer]| {
        let planes = x.chunks_exact(from).zip(gy.chunks_exact(to)).zip(gw.chunks_exact_mut(k * k));
        planes.for_each(|((x, gy), gw)| weights_any(k, &frame, x, gy, buffer, gw));
    });
}

pub(super) fn input(shape: &ConvShape, w: &[f32], gy: &[f32], gx: &mut [f32]) {
    let (frame, k, channels) = (Frame::of(shape), shape.conv.kernel.0, shape.in_channels);
    let (from, to) = (frame.size.0 * frame.size.1, frame.out.0 * frame.out.1);
    let tasks = gx.par_chunks_mut(PLANES * from).zip(gy.par_chunks(PLANES * to)).enumerate();
    tasks.for_each(|(task, (gx, gy))| {
        with_buffers([frame.len()], |[buffer]| {
            for (i, (gx, gy)) in gx.chunks_exact_mut(from).zip(gy.chunks_exact(to)).enumerate() {
                let channel = (task * PLANES + i) % channels;
                input_any(k, &frame, &w[channel * k * k..][..k * k], gy, buffer, gx);
            }
        });
    });
}
