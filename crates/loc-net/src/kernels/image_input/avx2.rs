//! Conversion of pixel bytes to floats, with AVX2 and FMA.
#![expect(unsafe_code, reason = "vector loads and stores through pointers whose ranges were checked")]

use std::arch::x86_64::{
    __m256, __m256i, _mm_loadl_epi64, _mm_loadu_si128, _mm_or_si128, _mm_setr_epi8, _mm_shuffle_epi8,
    _mm256_cvtepi32_ps, _mm256_cvtepu8_epi32, _mm256_fmadd_ps, _mm256_fnmadd_ps, _mm256_loadu_ps,
    _mm256_mul_ps, _mm256_set1_ps, _mm256_storeu_ps, _mm256_sub_ps,
};

use super::InputNorm;

/// Converts eight bytes to floats in 0..1: `v / 255`, correctly rounded (the product with the reciprocal, and one
/// correction step that removes its error).
#[inline]
#[target_feature(enable = "avx2,fma")]
fn fraction(bytes: __m256i) -> __m256 {
    let v = _mm256_cvtepi32_ps(bytes);
    let (divisor, reciprocal) = (_mm256_set1_ps(255.0), _mm256_set1_ps(1.0 / 255.0));
    let q = _mm256_mul_ps(v, reciprocal);
    _mm256_fmadd_ps(_mm256_fnmadd_ps(q, divisor, v), reciprocal, q)
}

/// Splits a row of pixels into three runs of one colour each, `stride` apart.
///
/// # Safety
///
/// AVX2 and FMA are available; three runs of a third of the row's bytes can be written.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn deinterleave(row: &[u8], norm: &InputNorm, out: &mut [f32], stride: usize) {
    const N: i8 = -1;
    // The bytes of each colour among the first sixteen, and among the sixteen from the eighth on.
    let masks = [
        (
            _mm_setr_epi8(0, 3, 6, 9, 12, 15, N, N, N, N, N, N, N, N, N, N),
            _mm_setr_epi8(N, N, N, N, N, N, 10, 13, N, N, N, N, N, N, N, N),
        ),
        (
            _mm_setr_epi8(1, 4, 7, 10, 13, N, N, N, N, N, N, N, N, N, N, N),
            _mm_setr_epi8(N, N, N, N, N, 8, 11, 14, N, N, N, N, N, N, N, N),
        ),
        (
            _mm_setr_epi8(2, 5, 8, 11, 14, N, N, N, N, N, N, N, N, N, N, N),
            _mm_setr_epi8(N, N, N, N, N, 9, 12, 15, N, N, N, N, N, N, N, N),
        ),
    ];
    let width = row.len() / 3;
    for block in 0..width.div_ceil(8) {
        // The last block overlaps the one before; rows have at least eight pixels.
        let left = (8 * block).min(width - 8);
        // SAFETY: 24 bytes of the row from pixel `left`, eight values of each run.
        unsafe {
            let from = row.as_ptr().add(3 * left);
            let (low, high) = (_mm_loadu_si128(from.cast()), _mm_loadu_si128(from.add(8).cast()));
            for (colour, (low_mask, high_mask)) in masks.into_iter().enumerate() {
                let bytes = _mm_or_si128(_mm_shuffle_epi8(low, low_mask), _mm_shuffle_epi8(high, high_mask));
                let x = fraction(_mm256_cvtepu8_epi32(bytes));
                let x = _mm256_sub_ps(x, _mm256_set1_ps(norm.mean[colour]));
                let x = _mm256_mul_ps(x, _mm256_set1_ps(norm.scale[colour]));
                _mm256_storeu_ps(out.as_mut_ptr().add(colour * stride + left), x);
            }
        }
    }
}

/// Converts bytes to floats in the same order.
///
/// # Safety
///
/// AVX2 and FMA are available.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn bytes_to_floats(bytes: &[u8], norm: &InputNorm, out: &mut [f32]) {
    let mean: [f32; 24] = std::array::from_fn(|i| norm.mean[i % 3]);
    let scale: [f32; 24] = std::array::from_fn(|i| norm.scale[i % 3]);
    let n = bytes.len().min(out.len());
    for from in (0..n / 24 * 24).step_by(24) {
        for part in [0, 8, 16] {
            // SAFETY: eight of 24 values that both slices hold.
            unsafe {
                let eight = _mm_loadl_epi64(bytes.as_ptr().add(from + part).cast());
                let x = fraction(_mm256_cvtepu8_epi32(eight));
                let x = _mm256_sub_ps(x, _mm256_loadu_ps(mean.as_ptr().add(part)));
                let x = _mm256_mul_ps(x, _mm256_loadu_ps(scale.as_ptr().add(part)));
                _mm256_storeu_ps(out.as_mut_ptr().add(from + part), x);
            }
        }
    }
    for i in n / 24 * 24..n {
        out[i] = norm.apply(i % 3, f32::from(bytes[i]) / 255.0);
    }
}
