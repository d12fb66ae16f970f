//! The transforms on vectors: each lane holds its own tile (or its own channel of a tile).

use super::{INPUTS, OUTPUTS, f65};
use crate::kernels::simd::Isa;

#[inline(always)]
fn add<I: Isa>(isa: I, a: I::F32, b: I::F32) -> I::F32 {
    isa.add(a, b)
}

#[inline(always)]
fn sub<I: Isa>(isa: I, a: I::F32, b: I::F32) -> I::F32 {
    isa.sub(a, b)
}

#[inline(always)]
fn mul<I: Isa>(isa: I, k: f32, a: I::F32) -> I::F32 {
    isa.mul(isa.splat(k), a)
}

/// `k · a + b`.
#[inline(always)]
fn fma<I: Isa>(isa: I, k: f32, a: I::F32, b: I::F32) -> I::F32 {
    isa.mul_add(isa.splat(k), a, b)
}

/// `Bᵀ · d`. The rows of opposite points share their even and odd halves.
#[inline(always)]
pub(crate) fn input<I: Isa>(isa: I, d: [I::F32; INPUTS]) -> [I::F32; INPUTS] {
    let zero = fma(isa, 5.25, sub(isa, d[4], d[2]), sub(isa, d[0], d[6]));
    let infinity = fma(isa, 5.25, sub(isa, d[3], d[5]), sub(isa, d[7], d[1]));
    let (even1, odd1) =
        (fma(isa, -4.25, d[4], add(isa, d[2], d[6])), fma(isa, -4.25, d[3], add(isa, d[1], d[5])));
    let even2 = fma(isa, -1.25, d[4], fma(isa, 0.25, d[2], d[6]));
    let odd2 = fma(isa, 2.0, d[5], fma(isa, -2.5, d[3], mul(isa, 0.5, d[1])));
    let even_half = fma(isa, -5.0, d[4], fma(isa, 4.0, d[2], d[6]));
    let odd_half = fma(isa, 0.5, d[5], fma(isa, -2.5, d[3], mul(isa, 2.0, d[1])));
    [
        zero,
        add(isa, even1, odd1),
        sub(isa, even1, odd1),
        add(isa, even2, odd2),
        sub(isa, even2, odd2),
        add(isa, even_half, odd_half),
        sub(isa, even_half, odd_half),
        infinity,
    ]
}

/// `B · t`: the adjoint of [`input`], for its gradient.
#[inline(always)]
pub(crate) fn input_adjoint<I: Isa>(isa: I, t: [I::F32; INPUTS]) -> [I::F32; INPUTS] {
    let (even1, odd1) = (add(isa, t[1], t[2]), sub(isa, t[1], t[2]));
    let (even2, odd2) = (add(isa, t[3], t[4]), sub(isa, t[3], t[4]));
    let (even_half, odd_half) = (add(isa, t[5], t[6]), sub(isa, t[5], t[6]));
    [
        t[0],
        fma(isa, 2.0, odd_half, fma(isa, 0.5, odd2, sub(isa, odd1, t[7]))),
        fma(isa, 4.0, even_half, fma(isa, 0.25, even2, fma(isa, -5.25, t[0], even1))),
        fma(isa, -2.5, add(isa, odd2, odd_half), fma(isa, -4.25, odd1, mul(isa, 5.25, t[7]))),
        fma(isa, -5.0, even_half, fma(isa, -1.25, even2, fma(isa, -4.25, even1, mul(isa, 5.25, t[0])))),
        fma(isa, 0.5, odd_half, fma(isa, 2.0, odd2, fma(isa, -5.25, t[7], odd1))),
        sub(isa, add(isa, even1, add(isa, even2, even_half)), t[0]),
        t[7],
    ]
}

/// `Aᵀ · m`.
#[inline(always)]
pub(crate) fn output<I: Isa>(isa: I, m: [I::F32; INPUTS]) -> [I::F32; OUTPUTS] {
    let (even1, odd1) = (add(isa, m[1], m[2]), sub(isa, m[1], m[2]));
    let (even2, odd2) = (add(isa, m[3], m[4]), sub(isa, m[3], m[4]));
    let (even_half, odd_half) = (add(isa, m[5], m[6]), sub(isa, m[5], m[6]));
    [
        add(isa, add(isa, m[0], even1), add(isa, even2, even_half)),
        fma(isa, 0.5, odd_half, fma(isa, 2.0, odd2, odd1)),
        fma(isa, 0.25, even_half, fma(isa, 4.0, even2, even1)),
        fma(isa, 0.125, odd_half, fma(isa, 8.0, odd2, add(isa, odd1, m[7]))),
    ]
}

/// `A · y`: the adjoint of [`output`], for its gradient.
#[inline(always)]
pub(crate) fn output_adjoint<I: Isa>(isa: I, y: [I::F32; OUTPUTS]) -> [I::F32; INPUTS] {
    let (even1, odd1) = (add(isa, y[0], y[2]), add(isa, y[1], y[3]));
    let (even2, odd2) = (fma(isa, 4.0, y[2], y[0]), fma(isa, 8.0, y[3], mul(isa, 2.0, y[1])));
    let (even_half, odd_half) = (fma(isa, 0.25, y[2], y[0]), fma(isa, 0.125, y[3], mul(isa, 0.5, y[1])));
    [
        y[0],
        add(isa, even1, odd1),
        sub(isa, even1, odd1),
        add(isa, even2, odd2),
        sub(isa, even2, odd2),
        add(isa, even_half, odd_half),
        sub(isa, even_half, odd_half),
        y[3],
    ]
}

/// `Bᵀ · d` of [`f65`].
#[inline(always)]
pub(crate) fn f65_input<I: Isa>(isa: I, d: [I::F32; f65::INPUTS]) -> [I::F32; f65::INPUTS] {
    // The even and the odd coefficients have the same factors.
    let (even1, odd1) = (f65_half(isa, 0, 2, &d), f65_half(isa, 0, 1, &d));
    let (even2, odd2) = (f65_half(isa, 1, 2, &d), f65_half(isa, 1, 1, &d));
    let (even3, odd3) = (f65_half(isa, 2, 2, &d), f65_half(isa, 2, 1, &d));
    let (even4, odd4) = (f65_half(isa, 3, 2, &d), f65_half(isa, 3, 1, &d));
    [
        f65_ends(isa, 0, &d),
        add(isa, even1, odd1),
        sub(isa, even1, odd1),
        fma(isa, 2.0, odd2, even2),
        fma(isa, -2.0, odd2, even2),
        fma(isa, 0.5, odd3, even3),
        fma(isa, -0.5, odd3, even3),
        fma(isa, 0.75, odd4, even4),
        fma(isa, -0.75, odd4, even4),
        f65_ends(isa, 1, &d),
    ]
}

/// `Aᵀ · m` of [`f65`].
#[inline(always)]
pub(crate) fn f65_output<I: Isa>(isa: I, m: [I::F32; f65::INPUTS]) -> [I::F32; f65::OUTPUTS] {
    let (even1, odd1) = (add(isa, m[1], m[2]), sub(isa, m[1], m[2]));
    let (even2, odd2) = (add(isa, m[3], m[4]), sub(isa, m[3], m[4]));
    let (even3, odd3) = (add(isa, m[5], m[6]), sub(isa, m[5], m[6]));
    let (even4, odd4) = (add(isa, m[7], m[8]), sub(isa, m[7], m[8]));
    [
        add(isa, add(isa, add(isa, m[0], even1), even2), add(isa, even3, even4)),
        power(isa, [2.0, 0.5, 0.75], [odd1, odd2, odd3, odd4]),
        power(isa, [4.0, 0.25, 0.5625], [even1, even2, even3, even4]),
        power(isa, [8.0, 0.125, 0.421875], [odd1, odd2, odd3, odd4]),
        power(isa, [16.0, 0.0625, 0.31640625], [even1, even2, even3, even4]),
        power(isa, [32.0, 0.03125, 243.0 / 1024.0], [add(isa, m[9], odd1), odd2, odd3, odd4]),
    ]
}

/// The first (`at` = 0) or the last row (1) of `Bᵀ · d` of [`f65`].
#[inline(always)]
fn f65_ends<I: Isa>(isa: I, at: usize, d: &[I::F32; f65::INPUTS]) -> I::F32 {
    let [a, b, c, e, _] = f65::FULL_PRODUCT;
    fma(isa, a, d[at], fma(isa, b, d[at + 2], fma(isa, c, d[at + 4], fma(isa, e, d[at + 6], d[at + 8]))))
}

/// The even (`at` = 2) or the odd half (1) of the rows of a point and its opposite.
#[inline(always)]
fn f65_half<I: Isa>(isa: I, point: usize, at: usize, d: &[I::F32; f65::INPUTS]) -> I::F32 {
    let [a, b, c, _] = f65::PARTIAL_PRODUCTS[point];
    fma(isa, a, d[at], fma(isa, b, d[at + 2], fma(isa, c, d[at + 4], d[at + 6])))
}

/// `v[0] + k[0] · v[1] + k[1] · v[2] + k[2] · v[3]`: the points 1, 2, ½ and ¾ to some power.
#[inline(always)]
fn power<I: Isa>(isa: I, k: [f32; 3], v: [I::F32; 4]) -> I::F32 {
    fma(isa, k[2], v[3], fma(isa, k[1], v[2], fma(isa, k[0], v[1], v[0])))
}
