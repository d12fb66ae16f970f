//! The transforms on vectors: each lane holds its own tile (or its own channel of a tile).

use std::arch::x86_64::{
    __m256, _mm256_add_ps, _mm256_fmadd_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_sub_ps,
};

use super::{INPUTS, OUTPUTS, f65};

type Vector = __m256;

#[inline]
#[target_feature(enable = "avx2,fma")]
fn add(a: Vector, b: Vector) -> Vector {
    _mm256_add_ps(a, b)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn sub(a: Vector, b: Vector) -> Vector {
    _mm256_sub_ps(a, b)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn mul(k: f32, a: Vector) -> Vector {
    _mm256_mul_ps(_mm256_set1_ps(k), a)
}

/// `k · a + b`.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn fma(k: f32, a: Vector, b: Vector) -> Vector {
    _mm256_fmadd_ps(_mm256_set1_ps(k), a, b)
}

/// `Bᵀ · d`. The rows of opposite points share their even and odd halves.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn input(d: [Vector; INPUTS]) -> [Vector; INPUTS] {
    let zero = fma(5.25, sub(d[4], d[2]), sub(d[0], d[6]));
    let infinity = fma(5.25, sub(d[3], d[5]), sub(d[7], d[1]));
    let (even1, odd1) = (fma(-4.25, d[4], add(d[2], d[6])), fma(-4.25, d[3], add(d[1], d[5])));
    let even2 = fma(-1.25, d[4], fma(0.25, d[2], d[6]));
    let odd2 = fma(2.0, d[5], fma(-2.5, d[3], mul(0.5, d[1])));
    let even_half = fma(-5.0, d[4], fma(4.0, d[2], d[6]));
    let odd_half = fma(0.5, d[5], fma(-2.5, d[3], mul(2.0, d[1])));
    [
        zero,
        add(even1, odd1),
        sub(even1, odd1),
        add(even2, odd2),
        sub(even2, odd2),
        add(even_half, odd_half),
        sub(even_half, odd_half),
        infinity,
    ]
}

/// `B · t`: the adjoint of [`input`], for its gradient.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn input_adjoint(t: [Vector; INPUTS]) -> [Vector; INPUTS] {
    let (even1, odd1) = (add(t[1], t[2]), sub(t[1], t[2]));
    let (even2, odd2) = (add(t[3], t[4]), sub(t[3], t[4]));
    let (even_half, odd_half) = (add(t[5], t[6]), sub(t[5], t[6]));
    [
        t[0],
        fma(2.0, odd_half, fma(0.5, odd2, sub(odd1, t[7]))),
        fma(4.0, even_half, fma(0.25, even2, fma(-5.25, t[0], even1))),
        fma(-2.5, add(odd2, odd_half), fma(-4.25, odd1, mul(5.25, t[7]))),
        fma(-5.0, even_half, fma(-1.25, even2, fma(-4.25, even1, mul(5.25, t[0])))),
        fma(0.5, odd_half, fma(2.0, odd2, fma(-5.25, t[7], odd1))),
        sub(add(even1, add(even2, even_half)), t[0]),
        t[7],
    ]
}

/// `Aᵀ · m`.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn output(m: [Vector; INPUTS]) -> [Vector; OUTPUTS] {
    let (even1, odd1) = (add(m[1], m[2]), sub(m[1], m[2]));
    let (even2, odd2) = (add(m[3], m[4]), sub(m[3], m[4]));
    let (even_half, odd_half) = (add(m[5], m[6]), sub(m[5], m[6]));
    [
        add(add(m[0], even1), add(even2, even_half)),
        fma(0.5, odd_half, fma(2.0, odd2, odd1)),
        fma(0.25, even_half, fma(4.0, even2, even1)),
        fma(0.125, odd_half, fma(8.0, odd2, add(odd1, m[7]))),
    ]
}

/// `A · y`: the adjoint of [`output`], for its gradient.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn output_adjoint(y: [Vector; OUTPUTS]) -> [Vector; INPUTS] {
    let (even1, odd1) = (add(y[0], y[2]), add(y[1], y[3]));
    let (even2, odd2) = (fma(4.0, y[2], y[0]), fma(8.0, y[3], mul(2.0, y[1])));
    let (even_half, odd_half) = (fma(0.25, y[2], y[0]), fma(0.125, y[3], mul(0.5, y[1])));
    [
        y[0],
        add(even1, odd1),
        sub(even1, odd1),
        add(even2, odd2),
        sub(even2, odd2),
        add(even_half, odd_half),
        sub(even_half, odd_half),
        y[3],
    ]
}

/// `Bᵀ · d` of [`f65`].
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn f65_input(d: [Vector; f65::INPUTS]) -> [Vector; f65::INPUTS] {
    let ends = |first: usize| {
        let [a, b, c, e, _] = f65::FULL_PRODUCT;
        fma(a, d[first], fma(b, d[first + 2], fma(c, d[first + 4], fma(e, d[first + 6], d[first + 8]))))
    };
    // The even and the odd coefficients have the same factors.
    let half = |point: usize, first: usize| {
        let [a, b, c, _] = f65::PARTIAL_PRODUCTS[point];
        fma(a, d[first], fma(b, d[first + 2], fma(c, d[first + 4], d[first + 6])))
    };
    let (even1, odd1) = (half(0, 2), half(0, 1));
    let (even2, odd2) = (half(1, 2), half(1, 1));
    let (even3, odd3) = (half(2, 2), half(2, 1));
    let (even4, odd4) = (half(3, 2), half(3, 1));
    [
        ends(0),
        add(even1, odd1),
        sub(even1, odd1),
        fma(2.0, odd2, even2),
        fma(-2.0, odd2, even2),
        fma(0.5, odd3, even3),
        fma(-0.5, odd3, even3),
        fma(0.75, odd4, even4),
        fma(-0.75, odd4, even4),
        ends(1),
    ]
}

/// `Aᵀ · m` of [`f65`].
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn f65_output(m: [Vector; f65::INPUTS]) -> [Vector; f65::OUTPUTS] {
    let (even1, odd1) = (add(m[1], m[2]), sub(m[1], m[2]));
    let (even2, odd2) = (add(m[3], m[4]), sub(m[3], m[4]));
    let (even3, odd3) = (add(m[5], m[6]), sub(m[5], m[6]));
    let (even4, odd4) = (add(m[7], m[8]), sub(m[7], m[8]));
    let power = |n: i32, v1, v2, v3, v4| {
        fma(0.75f32.powi(n), v4, fma(0.5f32.powi(n), v3, fma(2.0f32.powi(n), v2, v1)))
    };
    [
        add(add(add(m[0], even1), even2), add(even3, even4)),
        power(1, odd1, odd2, odd3, odd4),
        power(2, even1, even2, even3, even4),
        power(3, odd1, odd2, odd3, odd4),
        power(4, even1, even2, even3, even4),
        power(5, add(m[9], odd1), odd2, odd3, odd4),
    ]
}
