//! Active cells: those where relu is active, so that the gradient passes. Eight cells are tested at a time, and the
//! active ones are appended to a list.
#![expect(
    unsafe_code,
    reason = "vector loads and stores through pointers whose ranges the public functions check"
)]

use std::arch::x86_64::{
    __m256, __m256i, _mm256_and_si256, _mm256_castsi256_ps, _mm256_cmpgt_epi32, _mm256_loadu_si256,
    _mm256_movemask_ps, _mm256_permutevar8x32_epi32, _mm256_permutevar8x32_ps, _mm256_set1_epi32,
    _mm256_storeu_ps, _mm256_storeu_si256,
};

use crate::kernels::conv_block::RELU_OFF;

/// For each set of lanes, the permutation that moves them to the front.
static PACK: [[i32; 8]; 256] = {
    let mut table = [[0; 8]; 256];
    let mut set = 0;
    while set < 256 {
        let (mut lane, mut to) = (0, 0);
        while lane < 8 {
            if set >> lane & 1 == 1 {
                table[set][to] = lane;
                to += 1;
            }
            lane += 1;
        }
        set += 1;
    }
    table
};

/// Returns which of eight cells are active according to their argmax bytes, among the `wanted` ones.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn active(bytes: __m256i, wanted: __m256i) -> __m256i {
    _mm256_and_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(i32::from(RELU_OFF)), bytes), wanted)
}

/// Writes offset and value of the active lanes, in the order of the lanes. Returns their number.
///
/// # Safety
///
/// AVX2 and FMA are available; eight numbers can be written to each list.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn append(
    active: __m256i,
    offset: __m256i,
    offsets: *mut u32,
    value: __m256,
    values: *mut f32,
) -> usize {
    let set = _mm256_movemask_ps(_mm256_castsi256_ps(active)).cast_unsigned() as usize & 255;
    // SAFETY: eight values of the table; eight of each list, guaranteed by the caller.
    unsafe {
        let order = _mm256_loadu_si256(PACK[set].as_ptr().cast());
        _mm256_storeu_si256(offsets.cast(), _mm256_permutevar8x32_epi32(offset, order));
        _mm256_storeu_ps(values, _mm256_permutevar8x32_ps(value, order));
    }
    set.count_ones() as usize
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "offsets into one photo's map"
)]
pub(super) fn as_i32(n: usize) -> i32 {
    n as i32
}
