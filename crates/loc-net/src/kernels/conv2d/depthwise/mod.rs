//! Depthwise convolution, 3×3 or 5×5: each channel has a kernel of its own, so that there is no matrix product in it.
//!
//! A plane is laid into a buffer with its padding, each row parted by the stride: column `s·j + r` stands at place j of
//! part r. Under every tap the outputs of a row then read adjacent numbers.

#[cfg(target_arch = "x86_64")]
mod avx2;

use rayon::prelude::*;

use crate::buffers::with_buffers;
use crate::kernels::Activation;
use crate::kernels::ConvShape;
use crate::kernels::parts::{Parts, SUM_PARTS, tree_sum};
use crate::parallel;

/// Whether the form takes a convolution.
pub(super) fn fits(shape: &ConvShape) -> bool {
    let conv = shape;
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
        let (out, k, s) = (shape.out_size(), shape.kernel.0, shape.stride.0);
        let part = (out.1 - 1 + (k - 1) / s + 1).max((shape.in_size.1 + shape.padding.1).div_ceil(s));
        // Two whole vectors may be read behind the last output.
        let part = part + 2 * LANES;
        let rows = ((out.0 - 1) * s + k).max(shape.in_size.0 + shape.padding.0);
        Self { size: shape.in_size, out, padding: shape.padding, stride: s, rows, part }
    }

    fn len(&self) -> usize {
        self.rows * self.stride * self.part
    }

    /// Where a column of the input lies in a row of the buffer.
    fn place(&self, column: usize) -> usize {
        let column = column + self.padding.1;
        column % self.stride * self.part + column / self.stride
    }

    /// Lays a plane into a buffer that is zero around it.
    fn lay_in(&self, plane: &[f32], buffer: &mut [f32]) {
        let row = self.stride * self.part;
        let rows = buffer.chunks_exact_mut(row).skip(self.padding.0).zip(plane.chunks_exact(self.size.1));
        for (to, from) in rows {
            if self.stride == 1 {
                to[self.padding.1..][..from.len()].copy_from_slice(from);
                continue;
            }
            for first in 0..self.stride.min(from.len()) {
                let to = &mut to[self.place(first)..];
                to.iter_mut().zip(from[first..].iter().step_by(self.stride)).for_each(|(to, v)| *to = *v);
            }
        }
    }

    /// Writes what stands where [`Frame::lay_in`] would put a plane.
    fn take_out(&self, buffer: &[f32], plane: &mut [f32]) {
        let row = self.stride * self.part;
        let rows = buffer.chunks_exact(row).skip(self.padding.0).zip(plane.chunks_exact_mut(self.size.1));
        for (from, to) in rows {
            for first in 0..self.stride.min(to.len()) {
                let from = &from[self.place(first)..];
                to[first..].iter_mut().step_by(self.stride).zip(from).for_each(|(g, v)| *g = *v);
            }
        }
    }

    /// Where the outputs of a row see their first number under a tap.
    #[inline]
    fn seen(&self, row: usize, (ky, kx): (usize, usize)) -> usize {
        (row * self.stride + ky) * self.stride * self.part + kx % self.stride * self.part + kx / self.stride
    }
}

/// Numbers of a vector.
const LANES: usize = 8;

/// A plane's outputs; the plane is laid into the buffer.
fn forward_plane(k: usize, frame: &Frame, w: &[f32], b: f32, buffer: &[f32], y: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if crate::kernels::gemm::avx2::available() {
        assert!(buffer.len() >= frame.len() && w.len() >= k * k && y.len() >= frame.out.0 * frame.out.1);
        #[expect(unsafe_code, reason = "calls the AVX2 form after checking for it")]
        // SAFETY: AVX2 and FMA are there, the lengths were checked above.
        unsafe {
            match k {
                3 => avx2::forward::<3>(frame, w, b, buffer, y),
                _ => avx2::forward::<5>(frame, w, b, buffer, y),
            }
        }
        return;
    }
    for (row, y) in y.chunks_exact_mut(frame.out.1).enumerate() {
        y.fill(b);
        for (tap, w) in w.iter().enumerate() {
            let seen = &buffer[frame.seen(row, (tap / k, tap % k))..];
            y.iter_mut().zip(seen).for_each(|(y, x)| *y += w * x);
        }
    }
}

/// Adds a plane's weight gradient; the plane is laid into the buffer.
fn weights_plane(k: usize, frame: &Frame, gy: &[f32], buffer: &[f32], gw: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if crate::kernels::gemm::avx2::available() {
        assert!(buffer.len() >= frame.len() && gw.len() >= k * k && gy.len() >= frame.out.0 * frame.out.1);
        #[expect(unsafe_code, reason = "calls the AVX2 form after checking for it")]
        // SAFETY: AVX2 and FMA are there, the lengths were checked above.
        unsafe {
            match k {
                3 => avx2::weights::<3>(frame, gy, buffer, gw),
                _ => avx2::weights::<5>(frame, gy, buffer, gw),
            }
        }
        return;
    }
    for (row, gy) in gy.chunks_exact(frame.out.1).enumerate() {
        for (tap, gw) in gw.iter_mut().enumerate() {
            let seen = &buffer[frame.seen(row, (tap / k, tap % k))..];
            *gw += gy.iter().zip(seen).map(|(gy, x)| gy * x).sum::<f32>();
        }
    }
}

/// The gradient of a plane, in the buffer.
fn scatter_plane(k: usize, frame: &Frame, w: &[f32], gy: &[f32], buffer: &mut [f32]) {
    buffer.fill(0.0);
    #[cfg(target_arch = "x86_64")]
    if crate::kernels::gemm::avx2::available() {
        assert!(buffer.len() >= frame.len() && w.len() >= k * k && gy.len() >= frame.out.0 * frame.out.1);
        #[expect(unsafe_code, reason = "calls the AVX2 form after checking for it")]
        // SAFETY: AVX2 and FMA are there, the lengths were checked above.
        unsafe {
            match k {
                3 => avx2::scatter::<3>(frame, w, gy, buffer),
                _ => avx2::scatter::<5>(frame, w, gy, buffer),
            }
        }
        return;
    }
    for (row, gy) in gy.chunks_exact(frame.out.1).enumerate() {
        for (tap, w) in w.iter().enumerate() {
            let seen = &mut buffer[frame.seen(row, (tap / k, tap % k))..];
            seen.iter_mut().zip(gy).for_each(|(g, gy)| *g += w * gy);
        }
    }
}

/// Planes a task takes.
const PLANES: usize = 8;
/// Weights of the largest kernel.
const MOST_TAPS: usize = 25;

pub(super) fn forward(
    shape: &ConvShape,
    activation: Activation,
    x: &[f32],
    w: &[f32],
    b: &[f32],
    y: &mut [f32],
) {
    let (frame, k, channels) = (Frame::of(shape), shape.kernel.0, shape.in_channels);
    let (from, to) = (frame.size.0 * frame.size.1, frame.out.0 * frame.out.1);
    parallel::chunks(y, PLANES * to, |task, y| {
        let x = &x[task * PLANES * from..];
        with_buffers([frame.len()], |[buffer]| {
            buffer.fill(0.0);
            for (i, (y, x)) in y.chunks_exact_mut(to).zip(x.chunks_exact(from)).enumerate() {
                let channel = (task * PLANES + i) % channels;
                frame.lay_in(x, buffer);
                forward_plane(k, &frame, &w[channel * k * k..][..k * k], b[channel], buffer, y);
                activation.apply(y);
            }
        });
    });
}

/// The gradients of weights and biases. A task has some channels, for which it goes through all photos.
pub(super) fn weights(
    shape: &ConvShape,
    parts: &Parts,
    x: &[f32],
    gy: &[f32],
    gw: &mut [f32],
    gb: &mut [f32],
) {
    let (frame, k, channels) = (Frame::of(shape), shape.kernel.0, shape.in_channels);
    let (from, to) = (frame.size.0 * frame.size.1, frame.out.0 * frame.out.1);
    let tasks = gw.par_chunks_mut(PLANES * k * k).zip(gb.par_chunks_mut(PLANES)).enumerate();
    tasks.for_each(|(task, (gw, gb))| {
        // Of each part the weights of all planes, and behind them the biases.
        let stride = PLANES * (k * k + 1);
        let mut sums = [0.0; SUM_PARTS * PLANES * (MOST_TAPS + 1)];
        with_buffers([frame.len()], |[buffer]| {
            buffer.fill(0.0);
            for (sums, photos) in sums.chunks_exact_mut(stride).zip(parts.iter()) {
                let (sum_w, sum_b) = sums.split_at_mut(PLANES * k * k);
                for photo in photos {
                    let sums = sum_w.chunks_exact_mut(k * k).zip(sum_b.iter_mut()).take(gb.len());
                    for (i, (gw, gb)) in sums.enumerate() {
                        let plane = photo * channels + task * PLANES + i;
                        let gy = &gy[plane * to..][..to];
                        frame.lay_in(&x[plane * from..][..from], buffer);
                        weights_plane(k, &frame, gy, buffer, gw);
                        *gb += super::sum(gy);
                    }
                }
            }
        });
        tree_sum(&sums, stride, parts.count(), gw);
        tree_sum(&sums[PLANES * k * k..], stride, parts.count(), gb);
    });
}

/// Of stride 1 and one padding on all sides the convolution whose output is the input's gradient: the kernel turned
/// around, its padding the rest of the kernel.
fn adjoint(shape: &ConvShape) -> Option<ConvShape> {
    let conv = shape;
    let rest = |padding: usize| (conv.kernel.0 - 1).checked_sub(padding);
    let padding = (rest(conv.padding.0)?, rest(conv.padding.1)?);
    let even = shape.stride == (1, 1) && shape.extra == (0, 0);
    even.then(|| ConvShape { padding, in_size: shape.out_size(), ..*shape })
}

pub(super) fn input(shape: &ConvShape, w: &[f32], gy: &[f32], gx: &mut [f32]) {
    if let Some(adjoint) = adjoint(shape) {
        let k = shape.kernel.0;
        let turned: Vec<f32> = w.chunks_exact(k * k).flat_map(|w| w.iter().rev().copied()).collect();
        return forward(&adjoint, Activation::None, gy, &turned, &vec![0.0; shape.in_channels], gx);
    }
    let (frame, k, channels) = (Frame::of(shape), shape.kernel.0, shape.in_channels);
    let (from, to) = (frame.size.0 * frame.size.1, frame.out.0 * frame.out.1);
    let tasks = gx.par_chunks_mut(PLANES * from).zip(gy.par_chunks(PLANES * to)).enumerate();
    tasks.for_each(|(task, (gx, gy))| {
        with_buffers([frame.len()], |[buffer]| {
            for (i, (gx, gy)) in gx.chunks_exact_mut(from).zip(gy.chunks_exact(to)).enumerate() {
                let channel = (task * PLANES + i) % channels;
                scatter_plane(k, &frame, &w[channel * k * k..][..k * k], gy, buffer);
                frame.take_out(buffer, gx);
            }
        });
    });
}
