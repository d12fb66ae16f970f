//! The number of windows that fit a map: arithmetic shared by layers and kernels. Pairs are (vertical, horizontal).

type Pair = (usize, usize);

/// Returns the number of windows down and across, or `None` if no window fits. Cells that the last window does not
/// reach are ignored, as in PyTorch without `ceil_mode`.
pub(crate) fn output(size: Pair, kernel: Pair, stride: Pair) -> Option<Pair> {
    let count = |size: usize, kernel: usize, stride: usize| {
        (kernel > 0 && stride > 0 && size >= kernel).then(|| (size - kernel) / stride + 1)
    };
    Some((count(size.0, kernel.0, stride.0)?, count(size.1, kernel.1, stride.1)?))
}

/// Same as [`output`] for a padded map: `padding` on each side, plus `extra` below and to the right.
pub(crate) fn conv_output(
    size: Pair,
    kernel: Pair,
    stride: Pair,
    (padding, extra): (Pair, Pair),
) -> Option<Pair> {
    let padded = |size: usize, padding: usize, extra: usize| {
        size.checked_add(padding.checked_mul(2)?)?.checked_add(extra)
    };
    output((padded(size.0, padding.0, extra.0)?, padded(size.1, padding.1, extra.1)?), kernel, stride)
}

/// Returns TensorFlow's SAME padding as `(padding, extra)`: `⌈size / stride⌉` windows per axis; if the number of zeros
/// is odd, the additional one is below or to the right.
pub(crate) fn same_padding(size: Pair, kernel: Pair, stride: Pair) -> (Pair, Pair) {
    let zeros = |size: usize, kernel: usize, stride: usize| {
        ((size.div_ceil(stride) - 1) * stride + kernel).saturating_sub(size)
    };
    let (v, u) = (zeros(size.0, kernel.0, stride.0), zeros(size.1, kernel.1, stride.1));
    ((v / 2, u / 2), (v % 2, u % 2))
}

/// The two input cells that give an output cell by linear interpolation along one axis, and the weight of the second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interpolation {
    /// The first cell.
    pub first: usize,
    /// The second cell; equal to the first at the edge.
    pub second: usize,
    /// Weight of the second cell, 0 to 1; the weight of the first is `1 − weight`.
    pub weight: f64,
}

/// Returns, for each cell of an axis resized from `from` to `to` cells, the input cells to interpolate.
#[must_use]
pub fn interpolation(from: usize, to: usize) -> Vec<Interpolation> {
    let position = |i: usize| {
        let position = ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, (from - 1) as f64);
        let first = position as usize;
        Interpolation { first, second: (first + 1).min(from - 1), weight: position - first as f64 }
    };
    (0..to).map(position).collect()
}

/// Added to the covered part of each row and column of a pooled region, so that a box without an area has a mean.
pub(crate) const REGION_EPSILON: f64 = 1e-6;
