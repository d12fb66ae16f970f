//! F(5, 3): 5 outputs of a kernel with three taps from 7 inputs with 7 products; used in one dimension only.
//!
//! The points are ±1, ±2, ±½ and ∞, those of F(4, 5) without 0: opposite points share their even and odd halves.

use crate::kernels::simd::{Isa, vectors};

/// Inputs of a tile, which is also the number of products.
pub const INPUTS: usize = 7;
/// Outputs of a tile.
pub const OUTPUTS: usize = 5;
/// Taps of the kernel.
pub const TAPS: usize = 3;

/// The points besides ∞; the opposite of each is a point, too.
const POINTS: [f64; 3] = [1.0, 2.0, 0.5];
/// For each of [`POINTS`] and its opposite, the factor of its row of `G`.
const SCALES: [f64; 3] = [-2.0 / 9.0, 1.0 / 90.0, 32.0 / 45.0];

/// `G`: the kernel as a polynomial, evaluated at the points and scaled.
pub const KERNEL: [[f64; TAPS]; INPUTS] = {
    let mut matrix = [[0.0; TAPS]; INPUTS];
    let mut i = 0usize;
    while i < 6 {
        let (mut power, mut k) = (SCALES[i / 2], 0);
        while k < TAPS {
            matrix[i][k] = power;
            power *= if i.is_multiple_of(2) { POINTS[i / 2] } else { -POINTS[i / 2] };
            k += 1;
        }
        i += 1;
    }
    matrix[6][TAPS - 1] = 1.0;
    matrix
};

/// `Bᵀ`: transforms 7 inputs to the factors of the products.
pub const INPUT: [[f64; INPUTS]; INPUTS] = [
    [1.0, 1.0, -4.25, -4.25, 1.0, 1.0, 0.0],
    [1.0, -1.0, -4.25, 4.25, 1.0, -1.0, 0.0],
    [1.0, 0.5, -5.0, -2.5, 4.0, 2.0, 0.0],
    [1.0, -0.5, -5.0, 2.5, 4.0, -2.0, 0.0],
    [1.0, 2.0, -1.25, -2.5, 0.25, 0.5, 0.0],
    [1.0, -2.0, -1.25, 2.5, 0.25, -0.5, 0.0],
    [-1.0, 0.0, 5.25, 0.0, -5.25, 0.0, 1.0],
];

/// `Aᵀ`: transforms the 7 products to 5 outputs.
pub const OUTPUT: [[f64; INPUTS]; OUTPUTS] = [
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0],
    [1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 0.0],
    [1.0, 1.0, 4.0, 4.0, 0.25, 0.25, 0.0],
    [1.0, -1.0, 8.0, -8.0, 0.125, -0.125, 0.0],
    [1.0, 1.0, 16.0, 16.0, 0.0625, 0.0625, 1.0],
];

/// `k · a + b`.
#[inline(always)]
fn fma<I: Isa>(isa: I, k: f32, a: I::F32, b: I::F32) -> I::F32 {
    isa.mul_add(isa.splat(k), a, b)
}

/// `Bᵀ · d`.
#[inline(always)]
pub(crate) fn input<I: Isa>(isa: I, d: [I::F32; INPUTS]) -> [I::F32; INPUTS] {
    let even1 = fma(isa, -4.25, d[2], isa.add(d[0], d[4]));
    let odd1 = fma(isa, -4.25, d[3], isa.add(d[1], d[5]));
    let even2 = fma(isa, 4.0, d[4], fma(isa, -5.0, d[2], d[0]));
    let odd2 = fma(isa, 4.0, d[5], fma(isa, -5.0, d[3], d[1]));
    let even_half = fma(isa, 0.25, d[4], fma(isa, -1.25, d[2], d[0]));
    let odd_half = fma(isa, 0.25, d[5], fma(isa, -1.25, d[3], d[1]));
    [
        isa.add(even1, odd1),
        isa.sub(even1, odd1),
        fma(isa, 0.5, odd2, even2),
        fma(isa, -0.5, odd2, even2),
        fma(isa, 2.0, odd_half, even_half),
        fma(isa, -2.0, odd_half, even_half),
        fma(isa, 5.25, isa.sub(d[2], d[4]), isa.sub(d[6], d[0])),
    ]
}

/// `Aᵀ · m`.
#[inline(always)]
pub(crate) fn output<I: Isa>(isa: I, m: [I::F32; INPUTS]) -> [I::F32; OUTPUTS] {
    let (even1, odd1) = (isa.add(m[0], m[1]), isa.sub(m[0], m[1]));
    let (even2, odd2) = (isa.add(m[2], m[3]), isa.sub(m[2], m[3]));
    let (even_half, odd_half) = (isa.add(m[4], m[5]), isa.sub(m[4], m[5]));
    [
        isa.add(isa.add(even1, even2), even_half),
        fma(isa, 0.5, odd_half, fma(isa, 2.0, odd2, odd1)),
        fma(isa, 0.25, even_half, fma(isa, 4.0, even2, even1)),
        fma(isa, 0.125, odd_half, fma(isa, 8.0, odd2, odd1)),
        fma(isa, 0.0625, even_half, fma(isa, 16.0, even2, isa.add(even1, m[6]))),
    ]
}

/// `A · y`: the adjoint of [`output`], for its gradient.
#[inline(always)]
pub(crate) fn output_adjoint<I: Isa>(isa: I, y: [I::F32; OUTPUTS]) -> [I::F32; INPUTS] {
    let (even1, odd1) = (isa.add(isa.add(y[0], y[2]), y[4]), isa.add(y[1], y[3]));
    let even2 = fma(isa, 16.0, y[4], fma(isa, 4.0, y[2], y[0]));
    let odd2 = fma(isa, 4.0, y[3], y[1]);
    let even_half = fma(isa, 0.0625, y[4], fma(isa, 0.25, y[2], y[0]));
    let odd_half = fma(isa, 0.25, y[3], y[1]);
    [
        isa.add(even1, odd1),
        isa.sub(even1, odd1),
        fma(isa, 2.0, odd2, even2),
        fma(isa, -2.0, odd2, even2),
        fma(isa, 0.5, odd_half, even_half),
        fma(isa, -0.5, odd_half, even_half),
        y[4],
    ]
}

/// `G · g`.
#[inline(always)]
pub(crate) fn kernel<I: Isa>(isa: I, g: [I::F32; TAPS]) -> [I::F32; INPUTS] {
    vectors!(|i| {
        let row = KERNEL[i];
        let end = isa.mul(isa.splat(row[2] as f32), g[2]);
        fma(isa, row[0] as f32, g[0], fma(isa, row[1] as f32, g[1], end))
    })
}

/// `Gᵀ · u`: the adjoint of [`kernel`], for its gradient.
#[inline(always)]
pub(crate) fn kernel_adjoint<I: Isa>(isa: I, u: [I::F32; INPUTS]) -> [I::F32; TAPS] {
    vectors!(|tap| {
        let mut sum = isa.mul(isa.splat(KERNEL[0][tap] as f32), u[0]);
        for i in 1..INPUTS {
            sum = fma(isa, KERNEL[i][tap] as f32, u[i], sum);
        }
        sum
    })
}
