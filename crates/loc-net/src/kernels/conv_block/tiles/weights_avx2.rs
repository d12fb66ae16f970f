//! The transforms of weights and of their gradient, on AVX2 and FMA.
#![expect(clippy::needless_range_loop, reason = "matrices are read by row and by column, with both indices")]
#![expect(unsafe_code, reason = "vector loads and stores through pointers whose ranges the callers checked")]

use std::arch::x86_64::{
    __m256, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_storeu_ps,
};

use super::{BLOCK, ConvBlock, PRODUCTS};
use crate::kernels::simd::{arrays, transpose, vectors};
use crate::kernels::winograd::{INPUTS, KERNEL, TAPS};
use crate::parallel::DisjointSlice;

/// `G` in f32.
fn kernel() -> [[f32; TAPS]; INPUTS] {
    KERNEL.map(|row| row.map(|v| v as f32))
}

/// `Σ_k row[k] · v[k]`.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn combine<const N: usize>(row: [f32; N], v: [__m256; N]) -> __m256 {
    let mut sum = _mm256_mul_ps(_mm256_set1_ps(row[0]), v[0]);
    for k in 1..N {
        sum = _mm256_fmadd_ps(_mm256_set1_ps(row[k]), v[k], sum);
    }
    sum
}

/// Computes `U = G · w · Gᵀ` for eight output channels from `first`, in the layout of [`super::WinogradTiles`], and the
/// adjoint weights unless that slice is empty.
///
/// # Safety
///
/// AVX2 and FMA are available; the slices have the lengths of the shape, and no other task writes these channels.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn pack(
    shape: &ConvBlock,
    first: usize,
    w: &[f32],
    weights: &DisjointSlice<f32>,
    adjoint: &DisjointSlice<f32>,
) {
    let (ins, outs) = (shape.in_channels, shape.out_channels);
    let (g, padded) = (kernel(), ins.next_multiple_of(8));
    let (block, width) = (first / BLOCK, BLOCK.min(outs - first / BLOCK * BLOCK));
    let to = block * BLOCK * PRODUCTS * ins + first % BLOCK;
    for c in 0..ins {
        // Eight output channels per vector.
        let mut taps = [[0.0f32; 8]; TAPS * TAPS];
        for lane in 0..8 {
            let from = &w[((first + lane) * ins + c) * 25..][..25];
            taps.iter_mut().zip(from).for_each(|(t, w)| t[lane] = *w);
        }
        // SAFETY: eight values each.
        let taps: [__m256; TAPS * TAPS] = vectors!(|i| unsafe { _mm256_loadu_ps(taps[i].as_ptr()) });
        for i in 0..INPUTS {
            let along: [__m256; TAPS] = vectors!(|x| combine(g[i], vectors!(|y| taps[y * TAPS + x])));
            for j in 0..INPUTS {
                let (v, p) = (combine(g[j], along), i * INPUTS + j);
                // SAFETY: eight channels of the block, whose row has `width`.
                unsafe { _mm256_storeu_ps(weights.from(to + (p * ins + c) * width), v) };
            }
        }
    }
    if adjoint.is_empty() {
        return;
    }
    for p in 0..PRODUCTS {
        for c in (0..ins).step_by(8) {
            // SAFETY: eight channels in and out; rows beyond the last input channel are zeros.
            unsafe {
                let from = weights.from(to + (p * ins + c) * width).cast_const();
                let rows = vectors!(|i| {
                    if c + i < ins { _mm256_loadu_ps(from.add(i * width)) } else { _mm256_setzero_ps() }
                });
                let to = adjoint.from((p * outs + first) * padded + c);
                for (o, v) in transpose(rows).into_iter().enumerate() {
                    _mm256_storeu_ps(to.add(o * padded), v);
                }
            }
        }
    }
}

/// Computes `gW = Gᵀ · gU · G` for eight output channels: `gw[8, in, 5, 5]`.
///
/// # Safety
///
/// AVX2 and FMA are available; `sums` holds `[64][in]` rows that are `row` apart and start with the eight channels; `gw` has
/// the length of its shape.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn unpack(shape: &ConvBlock, sums: &[f32], row: usize, gw: &mut [f32]) {
    let (ins, g) = (shape.in_channels, kernel());
    let adjoint: [[f32; INPUTS]; TAPS] = std::array::from_fn(|tap| std::array::from_fn(|i| g[i][tap]));
    for c in 0..ins {
        arrays!(columns: [[__m256; TAPS]; INPUTS] = |j| {
            let column: [__m256; INPUTS] = vectors!(|i| {
                let at = ((i * INPUTS + j) * ins + c) * row;
                // SAFETY: eight output channels of product (i, j) and input channel c.
                unsafe { _mm256_loadu_ps(sums.as_ptr().add(at)) }
            });
            vectors!(|y| combine(adjoint[y], column))
        });
        for y in 0..TAPS {
            let row: [__m256; INPUTS] = vectors!(|j| columns[j][y]);
            for x in 0..TAPS {
                let mut lanes = [0.0f32; 8];
                // SAFETY: eight values.
                unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), combine(adjoint[x], row)) };
                for (lane, v) in lanes.into_iter().enumerate() {
                    gw[(lane * ins + c) * 25 + y * TAPS + x] = v;
                }
            }
        }
    }
}
