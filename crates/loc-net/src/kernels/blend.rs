//! Sums of rows of bytes, each row with its weight: half of resizing a photo. The bytes of the result are the same on every
//! instruction set: products and sums are rounded one by one, in the order of the rows.

use super::simd::{Dst, Isa, Kernel, Level, Src};

/// Computes `sums[i] = Σ weights[r] · samples[r · stride + i]`, in the order of the rows.
///
/// # Panics
///
/// If there are fewer samples than that.
pub fn blend_rows(sums: &mut [f32], samples: &[u8], stride: usize, weights: &[f32]) {
    let before_last = weights.len().saturating_sub(1).checked_mul(stride);
    let needed = before_last.and_then(|before| before.checked_add(sums.len()));
    assert!(
        weights.is_empty() || needed.is_some_and(|needed| needed <= samples.len()),
        "rows of {} samples, {stride} apart: {} rows do not fit into {}",
        sums.len(),
        weights.len(),
        samples.len()
    );
    Level::current().run(Blend { sums, samples, stride, weights });
}

struct Blend<'a> {
    sums: &'a mut [f32],
    samples: &'a [u8],
    stride: usize,
    weights: &'a [f32],
}

/// Sums that stay in the first cache while the rows are added.
const COLUMNS: usize = 1024;
/// Rows that are added together: the sums are read and written once for all of them.
const ROWS: usize = 4;

impl Kernel for Blend<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { sums, samples, stride, weights } = self;
        for (block, sums) in sums.chunks_mut(COLUMNS).enumerate() {
            sums.fill(0.0);
            for (group, weights) in weights.chunks(ROWS).enumerate() {
                let first = group * ROWS * stride + block * COLUMNS;
                match *weights {
                    [a, b, c, d] => add(isa, sums, samples, first, stride, [a, b, c, d]),
                    _ => {
                        for (row, weight) in weights.iter().enumerate() {
                            add(isa, sums, samples, first + row * stride, stride, [*weight]);
                        }
                    }
                }
            }
        }
    }
}

/// Adds R rows, the first one from `samples[first]` on.
#[inline(always)]
#[expect(unsafe_code, reason = "vector loads and stores through pointers whose ranges were checked")]
fn add<I: Isa, const R: usize>(
    isa: I,
    sums: &mut [f32],
    samples: &[u8],
    first: usize,
    stride: usize,
    weights: [f32; R],
) {
    let whole = sums.len() / I::LANES * I::LANES;
    let (from, to) = (Src::of(samples).add(first), Dst::of(&mut *sums));
    for column in (0..whole).step_by(I::LANES) {
        // SAFETY: `blend_rows` has checked that each row holds as many samples as there are sums, and a vector of them begins at
        // `column`.
        unsafe {
            let mut sum = isa.load(to.add(column).src());
            for (row, weight) in weights.iter().enumerate() {
                let sample = isa.to_f32(isa.load_u8(from.add(row * stride + column)));
                sum = isa.add(sum, isa.mul(isa.splat(*weight), sample));
            }
            isa.store(to.add(column), sum);
        }
    }
    for (column, sum) in sums.iter_mut().enumerate().skip(whole) {
        for (row, weight) in weights.iter().enumerate() {
            *sum += weight * f32::from(samples[first + row * stride + column]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_have_the_same_bytes_on_every_set() {
        let samples: Vec<u8> =
            (0..40_000_u32).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        let weights: Vec<f32> = (1..=11_u8).map(|i| 1.0 / f32::from(i) - 0.15).collect();
        for (width, stride) in [(1, 1), (7, 9), (16, 16), (33, 40), (100, 100), (1030, 1100), (2100, 2100)] {
            for rows in [0, 1, 3, 4, 6, 8, 11] {
                let weights = &weights[..rows];
                let expected: Vec<u32> = (0..width)
                    .map(|column| {
                        let add = |sum: f32, (row, weight): (usize, &f32)| {
                            sum + weight * f32::from(samples[row * stride + column])
                        };
                        weights.iter().enumerate().fold(0.0, add).to_bits()
                    })
                    .collect();
                for level in Level::available() {
                    let mut sums = vec![9.0; width];
                    level.run(Blend { sums: &mut sums, samples: &samples, stride, weights });
                    let got: Vec<u32> = sums.into_iter().map(f32::to_bits).collect();
                    assert!(got == expected, "{level:?}: {rows} rows of {width}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "do not fit")]
    fn samples_that_are_not_there_are_refused() {
        blend_rows(&mut [0.0; 8], &[0; 23], 8, &[1.0; 3]);
    }

    #[test]
    #[should_panic(expected = "do not fit")]
    fn a_huge_stride_is_refused() {
        blend_rows(&mut [0.0; 8], &[0; 24], usize::MAX / 2, &[1.0; 4]);
    }
}
