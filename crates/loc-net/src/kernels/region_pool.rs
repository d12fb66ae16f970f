//! Mean and maximum of a map inside a box.
//!
//! A box covers the fraction `cy[i] · cx[j]` of cell (i, j), a product of the covered parts of its row and its column:
//!
//! ```text
//! cx[j] = max(0, min(w·x2, j + 1) − max(w·x1, j)) + ε      likewise cy[i]
//! mean[c] = Σ_ij cy[i]·cx[j]·x[c, i, j] / (Σ_i cy[i] · Σ_j cx[j])
//! largest[c] = max_ij cy[i]·cx[j]·x[c, i, j]
//! ```
//!
//! The small ε gives a box without an area the mean over the rows or columns that it crosses. Boxes may be given with x1 and
//! x2, or y1 and y2, exchanged. If several cells are the maximum, each of them gets its whole gradient. The box gets none.

use super::Float;
use super::layer::{ForwardPass, Gradients, LayerKernel, SavedPass};
use super::parts::Parts;
use crate::parallel;
use crate::window::REGION_EPSILON;

/// The map that is pooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegionShape {
    /// Channels of the input.
    pub channels: usize,
    /// Height and width of the input.
    pub in_size: (usize, usize),
    /// Whether the maxima follow the means.
    pub max: bool,
}

impl RegionShape {
    /// Returns the number of values of one photo's map.
    #[must_use]
    pub fn in_len(&self) -> usize {
        self.channels * self.in_size.0 * self.in_size.1
    }

    /// Returns the number of output values per photo.
    #[must_use]
    pub fn out_len(&self) -> usize {
        self.channels * if self.max { 2 } else { 1 }
    }

    /// Returns how much of each cell a box covers, and the sum.
    fn coverage<F: Float>(&self, bbox: &[F]) -> (Vec<F>, F) {
        let (h, w) = self.in_size;
        let (columns, rows) = (covered(bbox[0], bbox[2], w), covered(bbox[1], bbox[3], h));
        let cells: Vec<F> = rows.iter().flat_map(|row| columns.iter().map(move |c| *row * *c)).collect();
        (cells, sum(&rows) * sum(&columns))
    }
}

/// Returns how much of each of `n` rows or columns lies between two positions in 0..1.
fn covered<F: Float>(from: F, to: F, n: usize) -> Vec<F> {
    let scale = F::from_f64(n as f64);
    let (from, to) = if to < from { (to, from) } else { (from, to) };
    let (from, to) = (from * scale, to * scale);
    let part = |i: usize| {
        let (start, end) = (F::from_f64(i as f64), F::from_f64(i as f64 + 1.0));
        let (start, end) = (if from > start { from } else { start }, if to < end { to } else { end });
        (if end > start { end - start } else { F::default() }) + F::from_f64(REGION_EPSILON)
    };
    (0..n).map(part).collect()
}

fn sum<F: Float>(values: &[F]) -> F {
    values.iter().fold(F::default(), |sum, v| sum + *v)
}

/// Computes `y[n, channels]`, or `y[n, 2·channels]` with the maxima, from `x[n, channels, h, w]` and `boxes[n, 4]`.
///
/// # Panics
///
/// If a slice does not have the length of its shape.
pub fn forward<F: Float>(shape: &RegionShape, n: usize, x: &[F], boxes: &[F], y: &mut [F]) {
    check(shape, n, x, boxes, y);
    let photos = x.chunks_exact(shape.in_len()).zip(boxes.chunks_exact(4));
    for ((x, bbox), y) in photos.zip(y.chunks_exact_mut(shape.out_len())) {
        forward_photo(shape, x, bbox, y);
    }
}

fn forward_photo<F: Float>(shape: &RegionShape, x: &[F], bbox: &[F], y: &mut [F]) {
    let (coverage, total) = shape.coverage(bbox);
    for (channel, x) in x.chunks_exact(coverage.len()).enumerate() {
        let (mut sum, mut largest) = (F::default(), x[0] * coverage[0]);
        for (x, c) in x.iter().zip(&coverage) {
            let v = *x * *c;
            sum += v;
            if v > largest {
                largest = v;
            }
        }
        y[channel] = sum / total;
        if shape.max {
            y[shape.channels + channel] = largest;
        }
    }
}

/// Computes `gx[n, channels, h, w]` from the inputs, the output and the output gradient.
///
/// # Panics
///
/// If a slice does not have the length of its shape.
pub fn backward<F: Float>(shape: &RegionShape, (x, boxes, y): (&[F], &[F], &[F]), gy: &[F], gx: &mut [F]) {
    let n = boxes.len() / 4;
    check(shape, n, x, boxes, y);
    assert_eq!((gy.len(), gx.len()), (y.len(), x.len()), "gradients");
    let (in_len, out_len) = (shape.in_len(), shape.out_len());
    for (photo, bbox) in boxes.chunks_exact(4).enumerate() {
        let (x, gx) = (&x[photo * in_len..][..in_len], &mut gx[photo * in_len..][..in_len]);
        let (y, gy) = (&y[photo * out_len..][..out_len], &gy[photo * out_len..][..out_len]);
        let (coverage, total) = shape.coverage(bbox);
        let planes = x.chunks_exact(coverage.len()).zip(gx.chunks_exact_mut(coverage.len()));
        for (channel, (x, gx)) in planes.enumerate() {
            let of_mean = gy[channel] / total;
            for (gx, c) in gx.iter_mut().zip(&coverage) {
                *gx = of_mean * *c;
            }
            if shape.max {
                let (largest, of_max) = (y[shape.channels + channel], gy[shape.channels + channel]);
                for ((gx, x), c) in gx.iter_mut().zip(x).zip(&coverage) {
                    if *x * *c == largest {
                        *gx += of_max * *c;
                    }
                }
            }
        }
    }
}

fn check<F>(shape: &RegionShape, n: usize, x: &[F], boxes: &[F], y: &[F]) {
    let expected = (n * shape.in_len(), 4 * n, n * shape.out_len());
    assert_eq!((x.len(), boxes.len(), y.len()), expected, "map, boxes and output");
}

impl LayerKernel for RegionShape {
    fn forward(&self, pass: ForwardPass) {
        let ForwardPass { n, inputs, y, .. } = pass;
        check(self, n, inputs[0], inputs[1], y);
        let (x, boxes) = (inputs[0], inputs[1]);
        parallel::chunks(y, self.out_len().max(1), |i, y| {
            forward_photo(self, &x[i * self.in_len()..][..self.in_len()], &boxes[4 * i..][..4], y);
        });
    }

    fn backward(&self, _parts: &Parts, pass: &SavedPass, gradients: Gradients) {
        let [of_map, of_box] = gradients.inputs else { return };
        if let Some(gx) = of_map {
            backward(self, (pass.inputs[0], pass.inputs[1], pass.y), gradients.output, gx);
        }
        if let Some(gx) = of_box {
            gx.fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{check_gradient, numbers, weighted};

    fn run(shape: &RegionShape, x: &[f64], boxes: &[f64]) -> Vec<f64> {
        let n = boxes.len() / 4;
        let mut y = vec![7.0; n * shape.out_len()];
        forward(shape, n, x, boxes, &mut y);
        y
    }

    #[test]
    fn cells_count_by_how_much_the_box_covers_of_them() {
        let shape = RegionShape { channels: 2, in_size: (2, 2), max: true };
        let x = [1.0, 2.0, 3.0, 4.0, -1.0, -2.0, -3.0, 8.0];
        let close = |bbox: [f64; 4], expected: [f64; 4]| {
            for (got, expected) in run(&shape, &x, &bbox).iter().zip(expected) {
                assert!((got - expected).abs() < 1e-4, "{bbox:?}: {got}, expected {expected}");
            }
        };
        close([0.0, 0.0, 1.0, 1.0], [2.5, 0.5, 4.0, 8.0]);
        close([0.0, 0.0, 0.5, 0.5], [1.0, -1.0, 1.0, 0.0]);
        // Half of the left column and all of the right one, in the lower row.
        close([0.25, 0.5, 1.0, 1.0], [11.0 / 3.0, (-1.5 + 8.0) / 1.5, 4.0, 8.0]);
        close([1.0, 1.0, 0.25, 0.5], [11.0 / 3.0, (-1.5 + 8.0) / 1.5, 4.0, 8.0]);
        // No area, and nowhere.
        close([0.75, 0.75, 0.75, 0.75], [2.5, 0.5, 0.0, 0.0]);
        close([3.0, 3.0, 4.0, 4.0], [2.5, 0.5, 0.0, 0.0]);
    }

    #[test]
    fn gradient_is_the_difference_quotient() {
        for max in [false, true] {
            let shape = RegionShape { channels: 3, in_size: (4, 5), max };
            let boxes = [0.1, 0.2, 0.73, 0.9, 0.0, 0.0, 0.4, 0.3];
            let (x, gy) = (numbers(1, 2 * shape.in_len()), numbers(2, 2 * shape.out_len()));
            let mut gx = vec![7.0; x.len()];
            backward(&shape, (&x, &boxes, &run(&shape, &x, &boxes)), &gy, &mut gx);
            check_gradient("gx", &x, &gx, |x| weighted(&run(&shape, x, &boxes), &gy));
        }
    }
}
