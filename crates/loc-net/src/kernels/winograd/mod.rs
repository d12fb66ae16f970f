//! Winograd's (Toom–Cook's) short correlation F(4, 5): 4 outputs of a 5-tap kernel from 8 inputs with 8 products.
//!
//! With the points 0, ±1, ±2, ±½ and ∞, `y = Aᵀ · ((G · g) ∘ (Bᵀ · d))`, where `d` are 8 adjacent inputs, `g` the
//! kernel, and `y[i] = Σ_k g[k] · d[i + k]`. In two dimensions both transforms are applied along the columns and along
//! the rows: F(4×4, 5×5), 64 products instead of the 400 of a direct convolution. `docs/kernels.md` derives the
//! matrices and gives their cost in accuracy.
//!
//! [`f65`] is the longer F(6, 5), and [`f53`] that of a kernel with three taps, both for one dimension.
//!
//! The matrices here are exact in f64 and serve as the reference. `transform` applies them to vectors with hand-written
//! sequences that share terms; the tests compare the two.

pub mod f53;
pub mod f65;
#[cfg(test)]
mod tests;
pub(crate) mod transform;

/// Inputs of a tile along one axis, which is also the number of products.
pub const INPUTS: usize = 8;
/// Outputs of a tile along one axis.
pub const OUTPUTS: usize = 4;
/// Taps of the kernel along one axis.
pub const TAPS: usize = 5;

/// `G`: the kernel as a polynomial, evaluated at the points; scaled so that the entries of `Bᵀ` have few digits.
pub const KERNEL: [[f64; TAPS]; INPUTS] = {
    const POINTS: [f64; 7] = [0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5];
    const SCALES: [f64; 7] = [1.0, -2.0 / 9.0, -2.0 / 9.0, 1.0 / 90.0, 1.0 / 90.0, 32.0 / 45.0, 32.0 / 45.0];
    let mut matrix = [[0.0; TAPS]; INPUTS];
    let mut i = 0;
    while i < 7 {
        let (mut power, mut k) = (SCALES[i], 0);
        while k < TAPS {
            matrix[i][k] = power;
            power *= POINTS[i];
            k += 1;
        }
        i += 1;
    }
    matrix[7][TAPS - 1] = 1.0;
    matrix
};

/// `Bᵀ`: transforms 8 inputs to the factors of the products.
pub const INPUT: [[f64; INPUTS]; INPUTS] = [
    [1.0, 0.0, -5.25, 0.0, 5.25, 0.0, -1.0, 0.0],
    [0.0, 1.0, 1.0, -4.25, -4.25, 1.0, 1.0, 0.0],
    [0.0, -1.0, 1.0, 4.25, -4.25, -1.0, 1.0, 0.0],
    [0.0, 0.5, 0.25, -2.5, -1.25, 2.0, 1.0, 0.0],
    [0.0, -0.5, 0.25, 2.5, -1.25, -2.0, 1.0, 0.0],
    [0.0, 2.0, 4.0, -2.5, -5.0, 0.5, 1.0, 0.0],
    [0.0, -2.0, 4.0, 2.5, -5.0, -0.5, 1.0, 0.0],
    [0.0, -1.0, 0.0, 5.25, 0.0, -5.25, 0.0, 1.0],
];

/// `Aᵀ`: transforms the 8 products to 4 outputs.
pub const OUTPUT: [[f64; INPUTS]; OUTPUTS] = [
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0],
    [0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 0.0],
    [0.0, 1.0, 1.0, 4.0, 4.0, 0.25, 0.25, 0.0],
    [0.0, 1.0, -1.0, 8.0, -8.0, 0.125, -0.125, 1.0],
];

/// Returns a 5×5 kernel, row-major, in the transformed domain: `G · g · Gᵀ`, 8×8.
#[must_use]
pub fn kernel(g: &[f32; TAPS * TAPS]) -> [[f64; INPUTS]; INPUTS] {
    let columns: [[f64; TAPS]; INPUTS] = std::array::from_fn(|i| {
        std::array::from_fn(|x| (0..TAPS).map(|y| KERNEL[i][y] * f64::from(g[y * TAPS + x])).sum())
    });
    columns.map(|row| std::array::from_fn(|j| (0..TAPS).map(|x| row[x] * KERNEL[j][x]).sum()))
}
