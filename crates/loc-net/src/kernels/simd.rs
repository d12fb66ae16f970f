//! Vector helpers that several kernels use.

use std::arch::x86_64::{
    __m128i, __m256, __m256i, _CMP_GT_OQ, _CMP_NGT_UQ, _mm_cvtsi128_si64, _mm_packs_epi32, _mm_packus_epi16,
    _mm256_add_ps, _mm256_and_si256, _mm256_blendv_ps, _mm256_castps_si256, _mm256_castsi256_si128,
    _mm256_cmp_ps, _mm256_extracti128_si256, _mm256_max_ps, _mm256_or_si256, _mm256_permute2f128_ps,
    _mm256_set1_epi32, _mm256_setzero_ps, _mm256_shuffle_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps,
};

/// Makes an array of vectors, each computed from its index. A macro, since a closure passed to `array::from_fn` is
/// compiled without the caller's instruction set and is not inlined.
macro_rules! vectors {
    (|$i:ident| $value:expr) => {{
        let mut all = [std::arch::x86_64::_mm256_setzero_ps(); _];
        for ($i, v) in all.iter_mut().enumerate() {
            *v = $value;
        }
        all
    }};
}

/// `arrays!(all: [T; N] = |i| value)` declares the array `all`, each element computed from its index and written
/// directly to its place: otherwise the array would first be filled with zeros, or copied.
macro_rules! arrays {
    ($all:ident: $type:ty = |$i:ident| $value:expr) => {
        let mut place = std::mem::MaybeUninit::<$type>::uninit();
        for $i in 0..crate::kernels::simd::len(&place) {
            let value = $value;
            // SAFETY: one of the array's elements.
            #[allow(unused_unsafe, reason = "some callers are in an unsafe block already")]
            unsafe {
                crate::kernels::simd::put(&mut place, $i, value)
            };
        }
        // SAFETY: every element was written.
        #[allow(unused_unsafe, reason = "some callers are in an unsafe block already")]
        let $all = unsafe { place.assume_init_ref() };
    };
}

/// Returns the number of elements of an array.
#[inline(always)]
pub(crate) const fn len<T, const N: usize>(_: &std::mem::MaybeUninit<[T; N]>) -> usize {
    N
}

/// Writes one element of an array.
///
/// # Safety
///
/// `i` is below N.
#[inline(always)]
#[expect(unsafe_code, reason = "an element of an array that is being filled")]
pub(crate) unsafe fn put<T, const N: usize>(all: &mut std::mem::MaybeUninit<[T; N]>, i: usize, value: T) {
    // SAFETY: guaranteed by the caller.
    unsafe { all.as_mut_ptr().cast::<T>().add(i).write(value) }
}

pub(crate) use {arrays, vectors};

/// Transposes eight vectors of eight values.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn transpose(r: [__m256; 8]) -> [__m256; 8] {
    let pair = |a, b| (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    let ((t0, t1), (t2, t3)) = (pair(r[0], r[1]), pair(r[2], r[3]));
    let ((t4, t5), (t6, t7)) = (pair(r[4], r[5]), pair(r[6], r[7]));
    let low = |a, b| _mm256_shuffle_ps::<0x44>(a, b);
    let high = |a, b| _mm256_shuffle_ps::<0xEE>(a, b);
    let first = [low(t0, t2), high(t0, t2), low(t1, t3), high(t1, t3)];
    let second = [low(t4, t6), high(t4, t6), low(t5, t7), high(t5, t7)];
    let halves = |i: usize| {
        let (a, b) = (first[i], second[i]);
        (_mm256_permute2f128_ps::<0x20>(a, b), _mm256_permute2f128_ps::<0x31>(a, b))
    };
    let ((a, e), (b, f), (c, g), (d, h)) = (halves(0), halves(1), halves(2), halves(3));
    [a, b, c, d, e, f, g, h]
}

/// Takes the maximum of four cells, lane by lane, adds the bias and applies relu.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn pool([a, b, c, d]: [__m256; 4], bias: __m256) -> __m256 {
    let largest = _mm256_max_ps(_mm256_max_ps(a, b), _mm256_max_ps(c, d));
    // With this order of arguments a NaN stays NaN.
    _mm256_max_ps(_mm256_setzero_ps(), _mm256_add_ps(largest, bias))
}

/// Returns the argmax byte of [`pool`] for each lane, in 32 bits, as [`super::conv_block::RELU_OFF`] describes it.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn argmax_byte([a, b, c, d]: [__m256; 4], bias: __m256) -> __m256i {
    let (above, below) = (_mm256_max_ps(a, b), _mm256_max_ps(c, d));
    let value = _mm256_add_ps(_mm256_max_ps(above, below), bias);
    let greater = |x, y| _mm256_cmp_ps::<_CMP_GT_OQ>(x, y);
    let row = greater(below, above);
    let column = _mm256_blendv_ps(greater(b, a), greater(d, c), row);
    let off = _mm256_cmp_ps::<_CMP_NGT_UQ>(value, _mm256_setzero_ps());
    let bit = |mask, bit| _mm256_and_si256(_mm256_castps_si256(mask), _mm256_set1_epi32(bit));
    _mm256_or_si256(_mm256_or_si256(bit(column, 1), bit(row, 2)), bit(off, 4))
}

/// Packs eight 32-bit values below 256 into eight bytes, the first lane in the lowest byte.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn bytes(v: __m256i) -> u64 {
    let words = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
    let packed: __m128i = _mm_packus_epi16(words, words);
    _mm_cvtsi128_si64(packed).cast_unsigned()
}
