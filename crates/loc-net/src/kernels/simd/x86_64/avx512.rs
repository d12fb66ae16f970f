//! AVX-512 (F, VL, BW and DQ): 512 bits, 32 registers, mask registers.
#![expect(unsafe_code, reason = "intrinsics, whose set the value of the type proves")]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "one comment, before the implementation of the trait, holds for all of its blocks"
)]

use std::arch::x86_64::*;

use super::super::{Dst, Isa, Kernel, Src, vectors};

/// Proves that the processor has AVX-512 F, VL, BW and DQ, besides AVX2 and FMA.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Avx512(());

impl Avx512 {
    /// Returns the proof, if the processor has the sets.
    pub(in super::super) fn new() -> Option<Self> {
        let has = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq");
        has.then_some(Self(()))
    }
}

/// Transposes 4×4 values in each quarter.
#[inline(always)]
fn transpose_quarters([a, b, c, d]: [__m512; 4]) -> [__m512; 4] {
    // SAFETY: the callers hold the proof.
    unsafe {
        let (t0, t1) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
        let (t2, t3) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
        [
            _mm512_shuffle_ps::<0x44>(t0, t2),
            _mm512_shuffle_ps::<0xEE>(t0, t2),
            _mm512_shuffle_ps::<0x44>(t1, t3),
            _mm512_shuffle_ps::<0xEE>(t1, t3),
        ]
    }
}

// SAFETY of the blocks below: the value proves that the processor has the sets; accesses are guaranteed by the callers.
impl Isa for Avx512 {
    const LANES: usize = 16;
    const REGISTERS: usize = 32;
    type F32 = __m512;
    type I32 = __m512i;
    type Mask = __mmask16;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512bw,avx512dq")]
        fn root<K: Kernel>(isa: Avx512, kernel: K) -> K::Output {
            kernel.eval(isa)
        }
        // SAFETY: see above.
        unsafe { root(self, kernel) }
    }

    #[inline(always)]
    fn splat(self, v: f32) -> __m512 {
        unsafe { _mm512_set1_ps(v) }
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    fn sum(self, v: __m512) -> f32 {
        unsafe { _mm512_reduce_add_ps(v) }
    }
    #[inline(always)]
    fn gt(self, a: __m512, b: __m512) -> __mmask16 {
        unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b) }
    }
    #[inline(always)]
    fn select(self, mask: __mmask16, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mask_blend_ps(mask, b, a) }
    }

    #[inline(always)]
    fn splat_i32(self, v: i32) -> __m512i {
        unsafe { _mm512_set1_epi32(v) }
    }
    #[inline(always)]
    fn iota(self) -> __m512i {
        unsafe { _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) }
    }
    #[inline(always)]
    fn add_i32(self, a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_add_epi32(a, b) }
    }
    #[inline(always)]
    fn mul_i32(self, a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_mullo_epi32(a, b) }
    }
    #[inline(always)]
    fn or_i32(self, a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_or_si512(a, b) }
    }
    #[inline(always)]
    fn and_i32(self, a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_and_si512(a, b) }
    }
    #[inline(always)]
    fn shift_left(self, v: __m512i, bits: i32) -> __m512i {
        unsafe { _mm512_sll_epi32(v, _mm_cvtsi32_si128(bits)) }
    }
    #[inline(always)]
    fn shift_right(self, v: __m512i, bits: i32) -> __m512i {
        unsafe { _mm512_srl_epi32(v, _mm_cvtsi32_si128(bits)) }
    }
    #[inline(always)]
    fn gt_i32(self, a: __m512i, b: __m512i) -> __mmask16 {
        unsafe { _mm512_cmpgt_epi32_mask(a, b) }
    }
    #[inline(always)]
    fn eq_i32(self, a: __m512i, b: __m512i) -> __mmask16 {
        unsafe { _mm512_cmpeq_epi32_mask(a, b) }
    }
    #[inline(always)]
    fn to_f32(self, v: __m512i) -> __m512 {
        unsafe { _mm512_cvtepi32_ps(v) }
    }

    #[inline(always)]
    fn first(self, n: usize) -> __mmask16 {
        ((1u32 << n.min(16)) - 1) as u16
    }
    #[inline(always)]
    fn and(self, a: __mmask16, b: __mmask16) -> __mmask16 {
        a & b
    }
    #[inline(always)]
    fn not(self, mask: __mmask16) -> __mmask16 {
        !mask
    }
    #[inline(always)]
    fn mask_bits(self, mask: __mmask16) -> u32 {
        u32::from(mask)
    }
    #[inline(always)]
    fn bits(self, mask: __mmask16, v: i32) -> __m512i {
        unsafe { _mm512_maskz_set1_epi32(mask, v) }
    }

    #[inline(always)]
    unsafe fn load(self, from: Src<f32>) -> __m512 {
        unsafe { _mm512_loadu_ps(from.access(16)) }
    }
    #[inline(always)]
    unsafe fn store(self, to: Dst<f32>, v: __m512) {
        unsafe { _mm512_storeu_ps(to.access(16), v) }
    }
    #[inline(always)]
    unsafe fn load_masked(self, from: Src<f32>, mask: __mmask16) -> __m512 {
        unsafe { _mm512_maskz_loadu_ps(mask, from.masked(u32::from(mask))) }
    }
    #[inline(always)]
    unsafe fn store_masked(self, to: Dst<f32>, mask: __mmask16, v: __m512) {
        unsafe { _mm512_mask_storeu_ps(to.masked(u32::from(mask)), mask, v) }
    }
    #[inline(always)]
    unsafe fn load_u8(self, from: Src<u8>) -> __m512i {
        unsafe { _mm512_cvtepu8_epi32(_mm_loadu_si128(from.access(16).cast())) }
    }
    #[inline(always)]
    unsafe fn load_u8_masked(self, from: Src<u8>, mask: __mmask16) -> __m512i {
        unsafe { _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, from.masked(u32::from(mask)).cast())) }
    }
    #[inline(always)]
    unsafe fn store_u8(self, to: Dst<u8>, v: __m512i) {
        unsafe { _mm_storeu_si128(to.access(16).cast(), _mm512_cvtepi32_epi8(v)) }
    }
    #[inline(always)]
    unsafe fn store_u8_masked(self, to: Dst<u8>, mask: __mmask16, v: __m512i) {
        unsafe { _mm_mask_storeu_epi8(to.masked(u32::from(mask)).cast(), mask, _mm512_cvtepi32_epi8(v)) }
    }
    #[inline(always)]
    unsafe fn store_i32(self, to: Dst<i32>, v: __m512i) {
        unsafe { _mm512_storeu_si512(to.access(16).cast(), v) }
    }
    #[inline(always)]
    unsafe fn load_u8x4(self, from: Src<u8>, stride: usize) -> __m512i {
        unsafe {
            let quads: [__m128i; 4] = vectors!(|q| {
                let mut v = [0; 4];
                for (i, v) in v.iter_mut().enumerate() {
                    *v = from.add((4 * q + i) * stride).access(4).cast::<i32>().read_unaligned();
                }
                _mm_setr_epi32(v[0], v[1], v[2], v[3])
            });
            let low = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(quads[0]), quads[1]);
            let high = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(quads[2]), quads[3]);
            _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high)
        }
    }
    #[inline(always)]
    unsafe fn load_rgb(self, from: Src<u8>) -> [__m512i; 3] {
        const N: i8 = -1;
        unsafe {
            // The bytes of each colour among each sixteen of the 48.
            let masks = [
                [
                    _mm_setr_epi8(0, 3, 6, 9, 12, 15, N, N, N, N, N, N, N, N, N, N),
                    _mm_setr_epi8(N, N, N, N, N, N, 2, 5, 8, 11, 14, N, N, N, N, N),
                    _mm_setr_epi8(N, N, N, N, N, N, N, N, N, N, N, 1, 4, 7, 10, 13),
                ],
                [
                    _mm_setr_epi8(1, 4, 7, 10, 13, N, N, N, N, N, N, N, N, N, N, N),
                    _mm_setr_epi8(N, N, N, N, N, 0, 3, 6, 9, 12, 15, N, N, N, N, N),
                    _mm_setr_epi8(N, N, N, N, N, N, N, N, N, N, N, 2, 5, 8, 11, 14),
                ],
                [
                    _mm_setr_epi8(2, 5, 8, 11, 14, N, N, N, N, N, N, N, N, N, N, N),
                    _mm_setr_epi8(N, N, N, N, N, 1, 4, 7, 10, 13, N, N, N, N, N, N),
                    _mm_setr_epi8(N, N, N, N, N, N, N, N, N, N, 0, 3, 6, 9, 12, 15),
                ],
            ];
            let from = from.access(48);
            let parts: [__m128i; 3] = vectors!(|i| _mm_loadu_si128(from.wrapping_add(16 * i).cast()));
            vectors!(|colour| {
                let [a, b, c] = masks[colour];
                let ab = _mm_or_si128(_mm_shuffle_epi8(parts[0], a), _mm_shuffle_epi8(parts[1], b));
                _mm512_cvtepu8_epi32(_mm_or_si128(ab, _mm_shuffle_epi8(parts[2], c)))
            })
        }
    }

    #[inline(always)]
    unsafe fn compress(
        self,
        mask: __mmask16,
        (v, to): (__m512, Dst<f32>),
        (w, list): (__m512i, Dst<i32>),
    ) -> usize {
        // To registers first: compressing to memory takes a hundred cycles on Zen 4.
        unsafe {
            _mm512_storeu_ps(to.access(16), _mm512_maskz_compress_ps(mask, v));
            _mm512_storeu_si512(list.access(16).cast(), _mm512_maskz_compress_epi32(mask, w));
        }
        mask.count_ones() as usize
    }

    #[inline(always)]
    fn even_odd(self, a: __m512, b: __m512) -> (__m512, __m512) {
        unsafe {
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
            (_mm512_permutex2var_ps(a, even, b), _mm512_permutex2var_ps(a, odd, b))
        }
    }
    #[inline(always)]
    fn offset(self, argmax: __m512i, right: i32, below: i32) -> __m512i {
        unsafe {
            let table = _mm_setr_epi32(0, right, below, right + below);
            _mm512_permutexvar_epi32(argmax, _mm512_broadcast_i32x4(table))
        }
    }
    #[inline(always)]
    unsafe fn load_columns(self, from: Src<f32>, stride: usize) -> [__m512; 4] {
        unsafe {
            transpose_quarters(vectors!(|i| {
                let quads: [__m128; 4] = vectors!(|q| _mm_loadu_ps(from.add((4 * q + i) * stride).access(4)));
                let v = _mm512_castps128_ps512(quads[0]);
                let v = _mm512_insertf32x4::<1>(v, quads[1]);
                let v = _mm512_insertf32x4::<2>(v, quads[2]);
                _mm512_insertf32x4::<3>(v, quads[3])
            }))
        }
    }
    #[inline(always)]
    unsafe fn store_columns(self, v: [__m512; 4], n: usize, to: Dst<f32>, stride: usize) {
        unsafe {
            for (i, v) in transpose_quarters(v).into_iter().enumerate() {
                let quads = [
                    _mm512_castps512_ps128(v),
                    _mm512_extractf32x4_ps::<1>(v),
                    _mm512_extractf32x4_ps::<2>(v),
                    _mm512_extractf32x4_ps::<3>(v),
                ];
                for (quad, v) in quads.into_iter().enumerate() {
                    let to = to.add((4 * quad + i) * stride).access(n);
                    match n {
                        4 => _mm_storeu_ps(to, v),
                        2 => _mm_storel_pd(to.cast(), _mm_castps_pd(v)),
                        _ => _mm_mask_storeu_ps(to, (1 << n) - 1, v),
                    }
                }
            }
        }
    }
}
