//! Small operations on maps and distributions that heads are made of, forward, one photo at a time. Each is a few
//! thousand numbers: plain loops are enough. Training composes them of Candle's operations.

use crate::layer::Axis;

/// Of each channel the mean, then of each the largest, along an axis of `x[channels, h, w]`: `[2·channels, h or w]`.
pub fn profile(x: &[f32], (h, w): (usize, usize), axis: Axis, y: &mut [f32]) {
    let (means, largest) = y.split_at_mut(y.len() / 2);
    let (places, along) = match axis {
        Axis::Rows => (h, w),
        Axis::Columns => (w, h),
    };
    let rows = means.chunks_exact_mut(places).zip(largest.chunks_exact_mut(places));
    for (plane, (means, largest)) in x.chunks_exact(h * w).zip(rows) {
        for place in 0..places {
            let at = |i: usize| match axis {
                Axis::Rows => plane[place * w + i],
                Axis::Columns => plane[i * w + place],
            };
            means[place] = (0..along).map(at).sum::<f32>() / along as f32;
            largest[place] = (0..along).map(at).fold(f32::NEG_INFINITY, f32::max);
        }
    }
}

/// `x · weight + bias` for each channel of one photo, cut at ± `limit`.
pub fn affine(x: &[f32], weight: &[f32], bias: &[f32], limit: f32, y: &mut [f32]) {
    let cells = x.len() / weight.len();
    let planes = y.chunks_exact_mut(cells).zip(x.chunks_exact(cells)).zip(weight.iter().zip(bias));
    for ((y, x), (weight, bias)) in planes {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = (x * weight + bias).clamp(-limit, limit));
    }
}

/// The two cells of one axis that each cell of a larger map lies between, and the weight of the second: places are
/// centres, as in PyTorch's `align_corners=False`.
#[must_use]
pub fn between(from: usize, to: usize) -> Vec<(usize, usize, f64)> {
    let place = |i: usize| {
        let place = ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, (from - 1) as f64);
        let first = place as usize;
        (first, (first + 1).min(from - 1), place - first as f64)
    };
    (0..to).map(place).collect()
}

/// Each channel of `x[channels, h, w]` enlarged to `size`.
pub fn upsample(x: &[f32], (h, w): (usize, usize), size: (usize, usize), y: &mut [f32]) {
    let (rows, columns) = (between(h, size.0), between(w, size.1));
    let planes = x.chunks_exact(h * w).zip(y.chunks_exact_mut(size.0 * size.1));
    for (x, y) in planes {
        for (row, (top, bottom, share)) in y.chunks_exact_mut(size.1).zip(&rows) {
            let row_of = |y: usize| &x[y * w..][..w];
            for (cell, (left, right, across)) in row.iter_mut().zip(&columns) {
                let at = |row: &[f32]| row[*left] + *across as f32 * (row[*right] - row[*left]);
                let (above, below) = (at(row_of(*top)), at(row_of(*bottom)));
                *cell = above + *share as f32 * (below - above);
            }
        }
    }
}

/// The mean place of each distribution of `bins` logits; the first place is 0, the last 1.
pub fn expectation(logits: &[f32], bins: usize, places: &mut [f32]) {
    for (place, logits) in places.iter_mut().zip(logits.chunks_exact(bins)) {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let (mut sum, mut moment) = (0.0, 0.0);
        for (bin, logit) in logits.iter().enumerate() {
            let weight = (logit - largest).exp();
            sum += weight;
            moment += weight * bin as f32 / (bins - 1) as f32;
        }
        *place = moment / sum;
    }
}

/// The mean of the parts of `x` that are as long as `y`.
pub fn mean(x: &[f32], y: &mut [f32]) {
    y.fill(0.0);
    for part in x.chunks_exact(y.len()) {
        y.iter_mut().zip(part).for_each(|(y, x)| *y += x);
    }
    let parts = (x.len() / y.len()) as f32;
    y.iter_mut().for_each(|y| *y /= parts);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_means_and_largest() {
        let x = [1.0, 2.0, 6.0, 4.0, -1.0, 0.0, -2.0, -3.0, -4.0, 0.0, 0.0, 3.0];
        let (mut rows, mut columns) = ([7.0; 8], [7.0; 12]);
        profile(&x, (2, 3), Axis::Rows, &mut rows);
        assert_eq!(rows, [3.0, 1.0, -3.0, 1.0, 6.0, 4.0, -2.0, 3.0]);
        profile(&x, (2, 3), Axis::Columns, &mut columns);
        assert_eq!(columns, [2.5, 0.5, 3.0, -1.0, -1.5, -0.5, 4.0, 2.0, 6.0, 0.0, 0.0, 3.0]);
    }

    #[test]
    fn affine_scales_shifts_and_cuts() {
        let mut y = [7.0; 4];
        affine(&[1.0, 2.0, -1.0, f32::NAN], &[3.0, 0.5], &[1.0, -9.0], 6.0, &mut y);
        assert_eq!(y[..3], [4.0, 6.0, -6.0]);
        assert!(y[3].is_nan());
    }

    #[test]
    fn upsampling_is_pytorchs() {
        // F.interpolate(x, (3, 4), mode="bilinear") of [[0, 1], [2, 3]]
        let mut y = [7.0; 12];
        upsample(&[0.0, 1.0, 2.0, 3.0], (2, 2), (3, 4), &mut y);
        let rows = [[0.0, 0.25, 0.75, 1.0], [1.0, 1.25, 1.75, 2.0], [2.0, 2.25, 2.75, 3.0]];
        assert!(y.iter().zip(rows.as_flattened()).all(|(a, b)| (a - b).abs() < 1e-6), "{y:?}");
        upsample(&[0.0, 1.0, 2.0, 3.0], (2, 2), (2, 2), &mut y[..4]);
        assert_eq!(y[..4], [0.0, 1.0, 2.0, 3.0]);
    }

    #[test]
    fn means_are_of_all_parts() {
        let mut y = [7.0; 2];
        mean(&[1.0, 2.0, 3.0, 6.0, -1.0, 1.0], &mut y);
        assert_eq!(y, [1.0, 3.0]);
    }

    #[test]
    fn expectations_lie_where_the_weight_is() {
        let mut places = [7.0; 4];
        let far = [0.0, 0.0, 0.0, 1000.0, 0.0, 0.0, 0.0, 50.0, 50.0, -9.0, -9.0, -9.0];
        expectation(&far, 3, &mut places);
        for (got, expected) in places.into_iter().zip([0.5, 0.0, 0.75, 0.5]) {
            assert!((got - expected).abs() < 1e-6, "{places:?}");
        }
    }
}
