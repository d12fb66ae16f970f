//! From one layout of maps to the other.
#![expect(unsafe_code, reason = "vector loads and stores inside of matrices whose lengths are checked")]

use crate::kernels::simd::{Dst, Isa, Kernel, Level, Src};
use crate::parallel;

/// Converts maps of `channels`×`cells` values from channels last to planar.
///
/// # Panics
///
/// If the slices are not the same whole number of maps.
pub fn to_planar((channels, cells): (usize, usize), x: &[f32], y: &mut [f32]) {
    each(cells, channels, x, y);
}

/// Converts maps of `channels`×`cells` values from planar to channels last.
///
/// # Panics
///
/// If the slices are not the same whole number of maps.
pub fn from_planar((channels, cells): (usize, usize), x: &[f32], y: &mut [f32]) {
    each(channels, cells, x, y);
}

fn each(rows: usize, columns: usize, x: &[f32], y: &mut [f32]) {
    let len = rows * columns;
    assert!(x.len() == y.len() && x.len().is_multiple_of(len), "whole maps");
    parallel::chunks(y, len, |map, y| transpose(rows, columns, &x[map * len..][..len], y));
}

/// `y[columns][rows]` from `x[rows][columns]`.
pub(super) fn transpose(rows: usize, columns: usize, x: &[f32], y: &mut [f32]) {
    assert!(rows.checked_mul(columns).is_some_and(|len| (x.len(), y.len()) == (len, len)), "a matrix");
    Level::current().run(Transpose { rows, columns, x, y });
}

struct Transpose<'a> {
    rows: usize,
    columns: usize,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Transpose<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { rows, columns, x, y } = self;
        let (whole_rows, whole_columns) = (rows / I::LANES * I::LANES, columns / 4 * 4);
        let (from, to) = (Src::of(x), Dst::of(y));
        for row in (0..whole_rows).step_by(I::LANES) {
            for column in (0..whole_columns).step_by(4) {
                // SAFETY: whole blocks of rows and of four columns.
                unsafe {
                    let v = isa.load_columns(from.add(row * columns + column), columns);
                    for i in 0..4 {
                        isa.store(to.add((column + i) * rows + row), v[i]);
                    }
                }
            }
        }
        for row in 0..rows {
            let first = if row < whole_rows { whole_columns } else { 0 };
            for column in first..columns {
                y[column * rows + row] = x[row * columns + column];
            }
        }
    }
}
