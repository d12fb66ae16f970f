//! The fixed order of sums over a batch: within eight parts, then over the parts in a fixed tree.
//!
//! Photo i of n belongs to part ⌊8·i/n⌋. Within a part photos are added in their order; over the parts the sum is
//! `((0+1)+(2+3))+((4+5)+(6+7))`. So the bytes of a sum depend neither on the number of threads nor on the number of
//! processes: one process computes all parts, or several compute 4, 2 or 1 adjacent parts each, and their results are
//! added in the same tree.

use std::ops::Range;

/// Number of parts of a batch.
pub const SUM_PARTS: usize = 8;

/// Returns the part of photo `i` of `n`.
///
/// # Panics
///
/// If `n` is 0.
#[must_use]
pub fn part_of(i: usize, n: usize) -> usize {
    SUM_PARTS * i / n
}

/// The parts of a batch, or some adjacent parts of it, with their photos.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// First photo of each part, and the end of the last.
    bounds: [usize; SUM_PARTS + 1],
    count: usize,
}

impl Parts {
    /// Returns all parts of a batch of `n` photos. Some are empty if there are fewer photos than parts.
    #[must_use]
    pub fn of(n: usize) -> Self {
        Self { bounds: std::array::from_fn(|part| (part * n).div_ceil(SUM_PARTS)), count: SUM_PARTS }
    }

    /// Returns only the parts `first..first + count`, as one process computes them: their photos are numbered from 0.
    ///
    /// # Panics
    ///
    /// If they are not a subtree: `count` must be 1, 2, 4 or 8, and `first` a multiple of it.
    #[must_use]
    pub fn subtree(&self, first: usize, count: usize) -> Self {
        let is_subtree =
            count.is_power_of_two() && first.is_multiple_of(count) && first + count <= self.count;
        assert!(is_subtree, "{count} parts from {first} on are not a subtree");
        let bounds = std::array::from_fn(|i| self.bounds[first + i.min(count)] - self.bounds[first]);
        Self { bounds, count }
    }

    /// Returns the number of parts.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns the number of photos.
    #[must_use]
    pub fn photos(&self) -> usize {
        self.bounds[self.count]
    }

    /// Returns the range of photos of one part.
    ///
    /// # Panics
    ///
    /// If there is no such part.
    #[must_use]
    pub fn part(&self, part: usize) -> Range<usize> {
        assert!(part < self.count, "no such part");
        self.bounds[part]..self.bounds[part + 1]
    }

    /// Iterates over the ranges of photos of the parts, in order.
    pub fn iter(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let parts = *self;
        (0..self.count).map(move |part| parts.part(part))
    }
}

/// Sets `out[j]` to the sum over the parts of `values[part · stride + j]`, in the fixed tree.
///
/// # Panics
///
/// If there are not 1, 2, 4 or 8 parts, or `values` is too short.
pub fn tree_sum(values: &[f32], stride: usize, count: usize, out: &mut [f32]) {
    let part = |part: usize| &values[part * stride..][..out.len()];
    match count {
        1 => out.copy_from_slice(&values[..out.len()]),
        2 => {
            let (a, b) = (part(0), part(1));
            out.iter_mut().zip(a.iter().zip(b)).for_each(|(out, (a, b))| *out = a + b);
        }
        4 => {
            let (a, b, c, d) = (part(0), part(1), part(2), part(3));
            for (j, out) in out.iter_mut().enumerate() {
                *out = (a[j] + b[j]) + (c[j] + d[j]);
            }
        }
        SUM_PARTS => {
            let (a, b, c, d) = (part(0), part(1), part(2), part(3));
            let (e, f, g, h) = (part(4), part(5), part(6), part(7));
            for (j, out) in out.iter_mut().enumerate() {
                *out = ((a[j] + b[j]) + (c[j] + d[j])) + ((e[j] + f[j]) + (g[j] + h[j]));
            }
        }
        _ => panic!("{count} parts are not a subtree"),
    }
}

/// Returns the sum of one value per part, in the fixed tree.
///
/// # Panics
///
/// If there are not 1, 2, 4 or 8 values.
pub fn tree_fold<T: Copy>(sums: &[T], add: fn(T, T) -> T) -> T {
    match *sums {
        [a] => a,
        [a, b] => add(a, b),
        [_, _, _, _] | [_, _, _, _, _, _, _, _] => {
            let (first, second) = sums.split_at(sums.len() / 2);
            add(tree_fold(first, add), tree_fold(second, add))
        }
        _ => panic!("{} parts are not a subtree", sums.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{numbers, single};

    #[test]
    fn every_photo_is_in_its_part() {
        for n in 1..40 {
            let parts = Parts::of(n);
            for (part, photos) in parts.iter().enumerate() {
                assert!(photos.clone().all(|i| part_of(i, n) == part), "{photos:?} of {n}");
            }
            assert_eq!(parts.photos(), n);
            assert_eq!(parts.iter().map(|photos| photos.len()).sum::<usize>(), n);
        }
        assert_eq!(Parts::of(0).photos(), 0);
    }

    #[test]
    fn subtrees_have_the_parts_of_the_whole_batch() {
        let (all, some) = (Parts::of(21), Parts::of(21).subtree(4, 2));
        let first = all.part(4).start;
        assert_eq!(some.part(1), all.part(5).start - first..all.part(5).end - first);
        assert_eq!((some.count(), some.photos()), (2, all.part(5).end - first));
    }

    #[test]
    fn subtrees_add_up_to_the_whole_tree() {
        let values = single(&numbers(1, 8 * 13));
        let mut whole = [0.0; 13];
        tree_sum(&values, 13, 8, &mut whole);
        for (j, whole) in whole.iter().enumerate() {
            let sums: Vec<f32> = (0..8).map(|part| values[part * 13 + j]).collect();
            assert_eq!(tree_fold(&sums, |a, b| a + b).to_bits(), whole.to_bits());
        }
        for count in [1, 2, 4] {
            let mut sums = vec![0.0; 13 * 8 / count];
            for (values, sum) in values.chunks(13 * count).zip(sums.chunks_mut(13)) {
                tree_sum(values, 13, count, sum);
            }
            let mut out = [0.0; 13];
            tree_sum(&sums, 13, 8 / count, &mut out);
            assert_eq!(out.map(f32::to_bits), whole.map(f32::to_bits), "{count} parts per process");
        }
    }
}
