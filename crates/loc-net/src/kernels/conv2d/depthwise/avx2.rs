//! The loops over a plane in AVX2 and FMA. The compiler's own vectorisation loads the weights as vectors and then
//! extracts single lanes.
#![expect(unsafe_code, reason = "vector loads through pointers whose ranges the padded plane guarantees")]

use std::arch::x86_64::{
    _mm256_broadcast_ss, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_maskload_ps, _mm256_maskstore_ps,
    _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

use super::{LANES, PaddedPlane};
use crate::kernels::gemm::avx2::lanes;

/// Computes a plane's outputs from the padded plane in the buffer.
///
/// # Safety
///
/// AVX2 and FMA are available; the buffer has the length of the padded plane, w has K·K values, y the outputs.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn forward<const K: usize>(
    plane: &PaddedPlane,
    w: &[f32],
    b: f32,
    buffer: &[f32],
    y: &mut [f32],
) {
    let width = plane.out.1;
    for (row, y) in y.chunks_exact_mut(width).enumerate() {
        let mut column = 0;
        // SAFETY: for each kernel position a row of the buffer holds whole vectors for all outputs, and one vector
        // more.
        unsafe {
            while column < width {
                let mut sums = [_mm256_set1_ps(b); 2];
                for ky in 0..K {
                    for kx in 0..K {
                        let x = buffer.as_ptr().add(plane.input_index(row, (ky, kx)) + column);
                        let w = _mm256_broadcast_ss(&*w.as_ptr().add(ky * K + kx));
                        sums[0] = _mm256_fmadd_ps(w, _mm256_loadu_ps(x), sums[0]);
                        sums[1] = _mm256_fmadd_ps(w, _mm256_loadu_ps(x.add(LANES)), sums[1]);
                    }
                }
                for (i, sum) in sums.into_iter().enumerate() {
                    let first = column + i * LANES;
                    if first + LANES <= width {
                        _mm256_storeu_ps(y.as_mut_ptr().add(first), sum);
                    } else if first < width {
                        _mm256_maskstore_ps(y.as_mut_ptr().add(first), lanes(width - first), sum);
                    }
                }
                column += 2 * LANES;
            }
        }
    }
}

/// Adds a plane's weight gradient; the padded plane is in the buffer.
///
/// # Safety
///
/// AVX2 and FMA are available; the buffer has the length of the padded plane, gw has K·K values, gy the outputs.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn weights<const K: usize>(
    plane: &PaddedPlane,
    gy: &[f32],
    buffer: &[f32],
    gw: &mut [f32],
) {
    let width = plane.out.1;
    for ky in 0..K {
        let mut sums = [_mm256_setzero_ps(); K];
        for (row, gy) in gy.chunks_exact(width).enumerate() {
            let at: [usize; K] = std::array::from_fn(|kx| plane.input_index(row, (ky, kx)));
            for column in (0..width).step_by(LANES) {
                // SAFETY: as above; the last vector of gy is loaded with a mask.
                unsafe {
                    let gy = gy.as_ptr().add(column);
                    let gy = match width - column {
                        rest @ 0..LANES => _mm256_maskload_ps(gy, lanes(rest)),
                        _ => _mm256_loadu_ps(gy),
                    };
                    for (sum, at) in sums.iter_mut().zip(at) {
                        *sum = _mm256_fmadd_ps(gy, _mm256_loadu_ps(buffer.as_ptr().add(at + column)), *sum);
                    }
                }
            }
        }
        for (gw, sum) in gw[ky * K..].iter_mut().zip(sums) {
            let mut numbers = [0.0; LANES];
            // SAFETY: eight values.
            unsafe { _mm256_storeu_ps(numbers.as_mut_ptr(), sum) };
            *gw += numbers.iter().sum::<f32>();
        }
    }
}

/// Adds the input gradient of each output row to the buffer: `buffer += w · gy` for every kernel position.
///
/// # Safety
///
/// As for [`weights`].
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn scatter<const K: usize>(plane: &PaddedPlane, w: &[f32], gy: &[f32], buffer: &mut [f32]) {
    let width = plane.out.1;
    for (row, gy) in gy.chunks_exact(width).enumerate() {
        for column in (0..width).step_by(LANES) {
            // SAFETY: as above; zeros are added to the values after the row's last output.
            unsafe {
                let gy = gy.as_ptr().add(column);
                let gy = match width - column {
                    rest @ 0..LANES => _mm256_maskload_ps(gy, lanes(rest)),
                    _ => _mm256_loadu_ps(gy),
                };
                for (i, w) in w.iter().enumerate().take(K * K) {
                    let x = buffer.as_mut_ptr().add(plane.input_index(row, (i / K, i % K)) + column);
                    _mm256_storeu_ps(x, _mm256_fmadd_ps(_mm256_set1_ps(*w), gy, _mm256_loadu_ps(x)));
                }
            }
        }
    }
}
