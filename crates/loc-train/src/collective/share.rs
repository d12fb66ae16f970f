//! Which photos of a batch a process computes.

use std::ops::Range;

use loc_net::{Parts, SUM_PARTS};

/// The photos of a batch that one process computes, and the order in which their gradients are summed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share {
    /// Their positions in the batch; there may be none.
    pub(crate) rows: Range<usize>,
    /// The same photos, numbered from 0, in parts.
    pub(crate) parts: Parts,
}

/// Returns whether so many processes add gradients in the same tree as a single one: each computes whole, adjacent parts.
pub(crate) fn is_exact(size: usize) -> bool {
    size.is_power_of_two() && size <= SUM_PARTS
}

impl Share {
    /// Returns the share of process `rank` of `size` of a batch of `n` photos.
    pub(crate) fn of(n: usize, rank: usize, size: usize) -> Self {
        if is_exact(size) {
            let (all, count) = (Parts::of(n), SUM_PARTS / size);
            let (parts, start) = (all.subtree(rank * count, count), all.part(rank * count).start);
            return Self { rows: start..start + parts.photos(), parts };
        }
        let rows = rank * n / size..(rank + 1) * n / size;
        Self { parts: Parts::of(rows.len()), rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_adjacent_and_cover_a_batch() {
        for size in 1..12 {
            for n in 1..40 {
                let shares: Vec<Share> = (0..size).map(|rank| Share::of(n, rank, size)).collect();
                let rows: Vec<usize> = shares.iter().flat_map(|share| share.rows.clone()).collect();
                assert!(rows.into_iter().eq(0..n), "{n} photos on {size} processes: {shares:?}");
                for share in &shares {
                    assert_eq!(share.parts.photos(), share.rows.len());
                    assert!(share.rows.len() <= n.div_ceil(size) + 1, "{n} on {size}: {shares:?}");
                }
            }
        }
        assert_eq!((1..12).filter(|size| is_exact(*size)).collect::<Vec<_>>(), [1, 2, 4, 8]);
    }
}
