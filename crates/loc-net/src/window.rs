//! How many windows fit a map: the arithmetic that layers and kernels share. Pairs are (vertical, horizontal).

type Pair = (usize, usize);

/// Number of windows down and across, or `None` where not even one fits. Cells that the last window does not reach are
/// ignored, as PyTorch does without `ceil_mode`.
pub(crate) fn output(size: Pair, kernel: Pair, stride: Pair) -> Option<Pair> {
    let count = |size: usize, kernel: usize, stride: usize| {
        (kernel > 0 && stride > 0 && size >= kernel).then(|| (size - kernel) / stride + 1)
    };
    Some((count(size.0, kernel.0, stride.0)?, count(size.1, kernel.1, stride.1)?))
}

/// As [`output`] for a padded map: `padding` on both sides, `extra` below and right beyond that.
pub(crate) fn conv_output(
    size: Pair,
    kernel: Pair,
    stride: Pair,
    (padding, extra): (Pair, Pair),
) -> Option<Pair> {
    output((size.0 + 2 * padding.0 + extra.0, size.1 + 2 * padding.1 + extra.1), kernel, stride)
}

/// TensorFlow's SAME padding, `(padding, extra)`: `⌈size / stride⌉` windows a side, an odd zero below and right.
pub(crate) fn same_padding(size: Pair, kernel: Pair, stride: Pair) -> (Pair, Pair) {
    let all = |size: usize, kernel: usize, stride: usize| {
        ((size.div_ceil(stride) - 1) * stride + kernel).saturating_sub(size)
    };
    let (v, u) = (all(size.0, kernel.0, stride.0), all(size.1, kernel.1, stride.1));
    ((v / 2, u / 2), (v % 2, u % 2))
}
