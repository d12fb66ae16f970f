//! F(6, 5): 6 outputs of a 5-tap kernel from 10 inputs with 10 products; used in one dimension only.
//!
//! The points are those of F(4, 5) and ±¾, the pair with the smallest loss of accuracy: its powers are exact and close
//! to one.

use super::TAPS;

/// Inputs of a tile, which is also the number of products.
pub const INPUTS: usize = 10;
/// Outputs of a tile.
pub const OUTPUTS: usize = 6;

/// The points besides 0 and ∞; the opposite of each is a point, too.
const POINTS: [f64; 4] = [1.0, 2.0, 0.5, 0.75];

/// For each of [`POINTS`], `Π (x² − q²)` over the other three: coefficients of 1, x², x⁴ and x⁶, exact in f32.
pub(super) const PARTIAL_PRODUCTS: [[f32; 4]; 4] = [
    [-0.5625, 3.390_625, -4.8125, 1.0],
    [-0.140_625, 0.953_125, -1.8125, 1.0],
    [-2.25, 6.8125, -5.5625, 1.0],
    [-1.0, 5.25, -5.25, 1.0],
];

/// `Π (x² − q²)` over all four.
pub(super) const FULL_PRODUCT: [f32; 5] = [0.5625, -3.953_125, 8.203_125, -5.8125, 1.0];

/// `G`: the kernel as a polynomial, evaluated at the points 0, ±1, ±2, ±½, ±¾ and ∞, divided by the value of `Bᵀ`'s
/// polynomial at that point.
pub const KERNEL: [[f64; TAPS]; INPUTS] = {
    let mut matrix = [[0.0; TAPS]; INPUTS];
    matrix[0][0] = 1.0 / FULL_PRODUCT[0] as f64;
    let mut i = 0usize;
    while i < 8 {
        let (p, [a, b, c, d]) = (POINTS[i / 2], PARTIAL_PRODUCTS[i / 2]);
        let square = p * p;
        let at = a as f64 + square * (b as f64 + square * (c as f64 + square * d as f64));
        let (mut power, mut k) = (1.0 / (2.0 * square * at), 0);
        while k < TAPS {
            matrix[1 + i][k] = power;
            power *= if i.is_multiple_of(2) { p } else { -p };
            k += 1;
        }
        i += 1;
    }
    matrix[9][TAPS - 1] = 1.0;
    matrix
};

/// `Bᵀ`: the row of point p holds the coefficients of x (x + p) · Π (x² − q²) over the other points; the first row
/// those of Π (x² − q²) over all points, the last row those of x times that.
pub const INPUT: [[f64; INPUTS]; INPUTS] = {
    let mut matrix = [[0.0; INPUTS]; INPUTS];
    let mut k = 0;
    while k < 5 {
        matrix[0][2 * k] = FULL_PRODUCT[k] as f64;
        matrix[9][2 * k + 1] = FULL_PRODUCT[k] as f64;
        k += 1;
    }
    let mut i = 0usize;
    while i < 8 {
        let p = if i.is_multiple_of(2) { POINTS[i / 2] } else { -POINTS[i / 2] };
        let mut k = 0;
        while k < 4 {
            matrix[1 + i][2 * k + 1] = p * PARTIAL_PRODUCTS[i / 2][k] as f64;
            matrix[1 + i][2 * k + 2] = PARTIAL_PRODUCTS[i / 2][k] as f64;
            k += 1;
        }
        i += 1;
    }
    matrix
};

/// `Aᵀ`: the column of point p is (1, p, … p⁵).
pub const OUTPUT: [[f64; INPUTS]; OUTPUTS] = {
    let mut matrix = [[0.0; INPUTS]; OUTPUTS];
    matrix[0][0] = 1.0;
    let mut i = 0usize;
    while i < 8 {
        let (mut power, mut k) = (1.0, 0);
        while k < OUTPUTS {
            matrix[k][1 + i] = power;
            power *= if i.is_multiple_of(2) { POINTS[i / 2] } else { -POINTS[i / 2] };
            k += 1;
        }
        i += 1;
    }
    matrix[OUTPUTS - 1][9] = 1.0;
    matrix
};
