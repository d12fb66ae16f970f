//! AVX2 and FMA: 256 bits, sixteen registers.
#![expect(unsafe_code, reason = "intrinsics, whose set the value of the type proves")]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "one comment, before the implementation of the trait, holds for all of its blocks"
)]

use std::arch::x86_64::*;

use super::super::{Dst, Isa, Kernel, Src, vectors};

/// Proves that the processor has AVX2 and FMA.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Avx2(());

impl Avx2 {
    /// Returns the proof, if the processor has the set.
    pub(in super::super) fn new() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

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

/// Transposes 4×4 values in each half.
#[inline(always)]
fn transpose_halves([a, b, c, d]: [__m256; 4]) -> [__m256; 4] {
    // SAFETY: the callers hold the proof.
    unsafe {
        let (t0, t1) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        let (t2, t3) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
        [
            _mm256_shuffle_ps::<0x44>(t0, t2),
            _mm256_shuffle_ps::<0xEE>(t0, t2),
            _mm256_shuffle_ps::<0x44>(t1, t3),
            _mm256_shuffle_ps::<0xEE>(t1, t3),
        ]
    }
}

/// Packs eight values below 256 into eight bytes.
#[inline(always)]
fn bytes(v: __m256i) -> __m128i {
    // SAFETY: the callers hold the proof.
    unsafe {
        let words = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
        _mm_packus_epi16(words, words)
    }
}

// SAFETY of the blocks below: the value proves that the processor has AVX2 and FMA; accesses are guaranteed by the callers.
impl Isa for Avx2 {
    const LANES: usize = 8;
    const REGISTERS: usize = 16;
    type F32 = __m256;
    type I32 = __m256i;
    type Mask = __m256i;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma")]
        fn root<K: Kernel>(isa: Avx2, kernel: K) -> K::Output {
            kernel.eval(isa)
        }
        // SAFETY: see above.
        unsafe { root(self, kernel) }
    }

    #[inline(always)]
    fn splat(self, v: f32) -> __m256 {
        unsafe { _mm256_set1_ps(v) }
    }
    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_min_ps(a, b) }
    }
    #[inline(always)]
    fn sum(self, v: __m256) -> f32 {
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }
    #[inline(always)]
    fn gt(self, a: __m256, b: __m256) -> __m256i {
        unsafe { _mm256_castps_si256(_mm256_cmp_ps::<_CMP_GT_OQ>(a, b)) }
    }
    #[inline(always)]
    fn select(self, mask: __m256i, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_blendv_ps(b, a, _mm256_castsi256_ps(mask)) }
    }

    #[inline(always)]
    fn splat_i32(self, v: i32) -> __m256i {
        unsafe { _mm256_set1_epi32(v) }
    }
    #[inline(always)]
    fn iota(self) -> __m256i {
        unsafe { _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7) }
    }
    #[inline(always)]
    fn add_i32(self, a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_add_epi32(a, b) }
    }
    #[inline(always)]
    fn mul_i32(self, a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_mullo_epi32(a, b) }
    }
    #[inline(always)]
    fn or_i32(self, a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_or_si256(a, b) }
    }
    #[inline(always)]
    fn and_i32(self, a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_and_si256(a, b) }
    }
    #[inline(always)]
    fn shift_left(self, v: __m256i, bits: i32) -> __m256i {
        unsafe { _mm256_sll_epi32(v, _mm_cvtsi32_si128(bits)) }
    }
    #[inline(always)]
    fn shift_right(self, v: __m256i, bits: i32) -> __m256i {
        unsafe { _mm256_srl_epi32(v, _mm_cvtsi32_si128(bits)) }
    }
    #[inline(always)]
    fn gt_i32(self, a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_cmpgt_epi32(a, b) }
    }
    #[inline(always)]
    fn eq_i32(self, a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_cmpeq_epi32(a, b) }
    }
    #[inline(always)]
    fn to_f32(self, v: __m256i) -> __m256 {
        unsafe { _mm256_cvtepi32_ps(v) }
    }

    #[inline(always)]
    fn first(self, n: usize) -> __m256i {
        static TABLE: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
        // SAFETY: eight of the sixteen numbers.
        unsafe { _mm256_loadu_si256(TABLE.as_ptr().add(8 - n.min(8)).cast()) }
    }
    #[inline(always)]
    fn and(self, a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_and_si256(a, b) }
    }
    #[inline(always)]
    fn not(self, mask: __m256i) -> __m256i {
        unsafe { _mm256_xor_si256(mask, _mm256_set1_epi32(-1)) }
    }
    #[inline(always)]
    fn mask_bits(self, mask: __m256i) -> u32 {
        unsafe { _mm256_movemask_ps(_mm256_castsi256_ps(mask)).cast_unsigned() & 255 }
    }
    #[inline(always)]
    fn bits(self, mask: __m256i, v: i32) -> __m256i {
        unsafe { _mm256_and_si256(mask, _mm256_set1_epi32(v)) }
    }

    #[inline(always)]
    unsafe fn load(self, from: Src<f32>) -> __m256 {
        unsafe { _mm256_loadu_ps(from.access(8)) }
    }
    #[inline(always)]
    unsafe fn store(self, to: Dst<f32>, v: __m256) {
        unsafe { _mm256_storeu_ps(to.access(8), v) }
    }
    #[inline(always)]
    unsafe fn load_masked(self, from: Src<f32>, mask: __m256i) -> __m256 {
        unsafe { _mm256_maskload_ps(from.masked(self.mask_bits(mask)), mask) }
    }
    #[inline(always)]
    unsafe fn store_masked(self, to: Dst<f32>, mask: __m256i, v: __m256) {
        unsafe { _mm256_maskstore_ps(to.masked(self.mask_bits(mask)), mask, v) }
    }
    #[inline(always)]
    unsafe fn load_u8(self, from: Src<u8>) -> __m256i {
        unsafe { _mm256_cvtepu8_epi32(_mm_loadl_epi64(from.access(8).cast())) }
    }
    #[inline(always)]
    unsafe fn load_u8_masked(self, from: Src<u8>, mask: __m256i) -> __m256i {
        let lanes = self.mask_bits(mask);
        let from = from.masked(lanes);
        let mut bytes = [0u8; 8];
        unsafe {
            for (lane, byte) in bytes.iter_mut().enumerate() {
                if lanes >> lane & 1 == 1 {
                    *byte = from.wrapping_add(lane).read();
                }
            }
            _mm256_cvtepu8_epi32(_mm_loadl_epi64(bytes.as_ptr().cast()))
        }
    }
    #[inline(always)]
    unsafe fn store_u8(self, to: Dst<u8>, v: __m256i) {
        unsafe { _mm_storel_epi64(to.access(8).cast(), bytes(v)) }
    }
    #[inline(always)]
    unsafe fn store_u8_masked(self, to: Dst<u8>, mask: __m256i, v: __m256i) {
        let lanes = self.mask_bits(mask);
        let to = to.masked(lanes);
        unsafe {
            let bytes = _mm_cvtsi128_si64(bytes(v)).to_le_bytes();
            for (lane, byte) in bytes.into_iter().enumerate() {
                if lanes >> lane & 1 == 1 {
                    to.wrapping_add(lane).write(byte);
                }
            }
        }
    }
    #[inline(always)]
    unsafe fn store_i32(self, to: Dst<i32>, v: __m256i) {
        unsafe { _mm256_storeu_si256(to.access(8).cast(), v) }
    }
    #[inline(always)]
    unsafe fn load_u8x4(self, from: Src<u8>, stride: usize) -> __m256i {
        unsafe {
            let mut v = [0; 8];
            for (i, v) in v.iter_mut().enumerate() {
                *v = from.add(i * stride).access(4).cast::<i32>().read_unaligned();
            }
            _mm256_setr_epi32(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7])
        }
    }
    #[inline(always)]
    unsafe fn load_rgb(self, from: Src<u8>) -> [__m256i; 3] {
        const N: i8 = -1;
        unsafe {
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
            let from = from.access(24);
            let (low, high) = (_mm_loadu_si128(from.cast()), _mm_loadu_si128(from.wrapping_add(8).cast()));
            let mut colours = [_mm256_setzero_si256(); 3];
            for (colour, (l, h)) in colours.iter_mut().zip(masks) {
                let bytes = _mm_or_si128(_mm_shuffle_epi8(low, l), _mm_shuffle_epi8(high, h));
                *colour = _mm256_cvtepu8_epi32(bytes);
            }
            colours
        }
    }

    #[inline(always)]
    unsafe fn compress(
        self,
        mask: __m256i,
        (v, to): (__m256, Dst<f32>),
        (w, list): (__m256i, Dst<i32>),
    ) -> usize {
        let set = self.mask_bits(mask);
        unsafe {
            let order = _mm256_loadu_si256(PACK[set as usize].as_ptr().cast());
            _mm256_storeu_ps(to.access(8), _mm256_permutevar8x32_ps(v, order));
            _mm256_storeu_si256(list.access(8).cast(), _mm256_permutevar8x32_epi32(w, order));
        }
        set.count_ones() as usize
    }

    #[inline(always)]
    fn even_odd(self, a: __m256, b: __m256) -> (__m256, __m256) {
        // The quarters come in the order 0, 2, 1, 3.
        unsafe { (_mm256_shuffle_ps::<0x88>(a, b), _mm256_shuffle_ps::<0xDD>(a, b)) }
    }
    #[inline(always)]
    fn in_order(self, v: __m256) -> __m256 {
        unsafe { _mm256_castpd_ps(_mm256_permute4x64_pd::<0xD8>(_mm256_castps_pd(v))) }
    }
    #[inline(always)]
    fn in_order_i32(self, v: __m256i) -> __m256i {
        unsafe { _mm256_permute4x64_epi64::<0xD8>(v) }
    }
    #[inline(always)]
    fn offset(self, argmax: __m256i, right: i32, below: i32) -> __m256i {
        unsafe {
            let both = right + below;
            let table = _mm256_setr_epi32(0, right, below, both, 0, right, below, both);
            _mm256_permutevar8x32_epi32(table, argmax)
        }
    }
    #[inline(always)]
    unsafe fn load_columns(self, from: Src<f32>, stride: usize) -> [__m256; 4] {
        unsafe {
            transpose_halves(vectors!(|i| {
                let low = _mm_loadu_ps(from.add(i * stride).access(4));
                let high = _mm_loadu_ps(from.add((i + 4) * stride).access(4));
                _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(low), high)
            }))
        }
    }
    #[inline(always)]
    unsafe fn store_columns(self, v: [__m256; 4], n: usize, to: Dst<f32>, stride: usize) {
        unsafe {
            for (i, v) in transpose_halves(v).into_iter().enumerate() {
                let halves = [_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v)];
                for (half, v) in halves.into_iter().enumerate() {
                    let to = to.add((4 * half + i) * stride).access(n);
                    match n {
                        4 => _mm_storeu_ps(to, v),
                        2 => _mm_storel_pd(to.cast(), _mm_castps_pd(v)),
                        _ => _mm_maskstore_ps(to, _mm256_castsi256_si128(self.first(n)), v),
                    }
                }
            }
        }
    }
}
