//! A block's inverse DCT at a reduced size: how much of each sample a coefficient is.

use std::f64::consts::FRAC_1_SQRT_2;

use crate::bbox::narrow;

/// The weight of the coefficient in column `u` for sample `x` of `n`: ½ · c(u) · cos((2x + 1)uπ / 2n) with c(0) = 1/√2, else 1.
/// With n = 8 it is the inverse DCT of ITU-T T.81, A.3.3; with fewer that of the lower frequencies, at the same brightness.
fn weight(x: usize, u: usize, n: usize) -> f64 {
    // cos(kπ/8) for k = 0..16; n is 1, 2 or 4.
    const C1: f64 = 0.923_879_532_511_286_7;
    const C2: f64 = FRAC_1_SQRT_2;
    const C3: f64 = 0.382_683_432_365_089_8;
    const COS: [f64; 16] = [1.0, C1, C2, C3, 0.0, -C3, -C2, -C1, -1.0, -C1, -C2, -C3, 0.0, C3, C2, C1];
    let c = if u == 0 { FRAC_1_SQRT_2 } else { 1.0 };
    0.5 * c * COS[(2 * x + 1) * u * (4 / n) % 16]
}

/// What the coefficient in row `v` and column `u` adds to each sample if it is 1: 0 if the block has fewer rows or columns.
///
/// The block has `N` samples a side and `A` in all, in rows.
pub(super) fn basis<const N: usize, const A: usize>(v: usize, u: usize) -> [f32; A] {
    const { assert!(A == N * N && matches!(N, 1 | 2 | 4), "the sizes of `weight`") };
    let is_needed = v < N && u < N;
    let sample = |y: usize, x: usize| if is_needed { weight(y, v, N) * weight(x, u, N) } else { 0.0 };
    std::array::from_fn(|i| narrow(sample(i / N, i % N)))
}

/// Adds a coefficient to the samples; `basis` is its [`basis`], multiplied with its divisor.
#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "coefficients have at most 16 bits")]
pub(super) fn add<const A: usize>(samples: &mut [f32; A], coefficient: i32, basis: &[f32; A]) {
    for (sample, basis) in samples.iter_mut().zip(basis) {
        *sample += coefficient as f32 * basis;
    }
}

/// Rounds to nearest; what is outside of 0..=255 becomes the end.
#[inline(always)]
pub(super) fn to_byte(value: f32) -> u8 {
    // The lowest bits of a float between 2²³ and 2²⁴ are a whole number.
    const WHOLE: f32 = 8_388_608.0;
    // Not `clamp`, which is slower for the sake of NaN.
    let value = if value > 0.0 { value } else { 0.0 };
    let value = if value < 255.0 { value } else { 255.0 };
    (value + WHOLE).to_bits().to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;

    /// The definition for a block of 4×4.
    fn expected(coefficients: &[[i32; 4]; 4], x: u32, y: u32) -> f64 {
        let term = |u: u32, at: u32| {
            let c = if u == 0 { FRAC_1_SQRT_2 } else { 1.0 };
            0.5 * c * (f64::from((2 * at + 1) * u) * PI / 8.0).cos()
        };
        let row = |v: u32, row: &[i32; 4]| -> f64 {
            (0..).zip(row).map(|(u, coefficient)| f64::from(*coefficient) * term(u, x) * term(v, y)).sum()
        };
        (0..).zip(coefficients).map(|(v, of_row)| row(v, of_row)).sum()
    }

    fn samples<const N: usize, const A: usize>(coefficients: [[i32; N]; N]) -> [f32; A] {
        let mut samples = [0.0; A];
        for (v, row) in coefficients.iter().enumerate() {
            for (u, coefficient) in row.iter().enumerate() {
                add(&mut samples, *coefficient, &basis::<N, A>(v, u));
            }
        }
        samples
    }

    #[test]
    fn samples_are_those_of_the_definition() {
        let coefficients = [[80, -120, 33, 7], [55, 0, -21, 0], [-9, 64, 0, 3], [0, 0, 40, -5]];
        for (i, sample) in (0..).zip(samples::<4, 16>(coefficients)) {
            let expected = expected(&coefficients, i % 4, i / 4);
            assert!((f64::from(sample) - expected).abs() < 1e-4, "{i}: {sample} and {expected}");
        }
        // Two samples a side: sums and differences of the coefficients, by eight; one: the first coefficient by eight.
        let near = |a: f32, b: f32| (a - b).abs() < 1e-5;
        let [a, b, c, d] = samples([[80, 16], [-8, 24]]);
        assert!(near(a, 14.0) && near(b, 4.0) && near(c, 10.0) && near(d, 12.0), "{a} {b} {c} {d}");
        assert!(near(samples::<1, 1>([[80]])[0], 10.0));
        assert_eq!(basis::<2, 4>(2, 0), [0.0; 4]);
    }

    #[test]
    fn bytes_are_rounded_and_limited() {
        let bytes = [-1e9, -0.6, 0.4, 0.6, 127.49, 254.51, 255.4, 1e9].map(to_byte);
        assert_eq!(bytes, [0, 0, 0, 1, 127, 255, 255, 255]);
    }
}
