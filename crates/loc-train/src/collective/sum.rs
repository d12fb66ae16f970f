//! Sums over all processes in the fixed tree: first over pairs of neighbours, then over pairs of pairs.
//!
//! f32 additions commute, so both partners of an exchange get the same bits, whoever of them adds.

use super::Collective;

/// From so many values on, with more than two processes, each adds only a part of them: half in the first exchange, a quarter
/// in the second, and the sums then go the same way back. Twice as many messages, but with N processes 2 (1 − 1/N) times the
/// values instead of log₂ N times.
const HALVES: usize = 1 << 16;

/// Adds the values of all processes; `buffer` has as many.
pub(super) fn sum(with: &dyn Collective, values: &mut [f32], buffer: &mut [f32]) {
    let (rank, size) = (with.rank(), with.size());
    // Processes beyond the largest power of two give their values to another one, and get the sums from it.
    let pairs = 1 << size.ilog2();
    if rank >= pairs {
        with.exchange(rank - pairs, values, &mut []);
        with.exchange(rank - pairs, &[], values);
        return;
    }
    let extra = Some(rank + pairs).filter(|extra| *extra < size);
    if let Some(extra) = extra {
        with.exchange(extra, &[], buffer);
        add(values, buffer);
    }
    if pairs > 2 && values.len() >= HALVES {
        in_halves(with, pairs, values, buffer);
    } else {
        for distance in distances(pairs) {
            with.exchange(rank ^ distance, values, buffer);
            add(values, buffer);
        }
    }
    if let Some(extra) = extra {
        with.exchange(extra, values, &mut []);
    }
}

fn distances(pairs: usize) -> impl Iterator<Item = usize> {
    (0..pairs.ilog2()).map(|level| 1 << level)
}

fn add(values: &mut [f32], theirs: &[f32]) {
    values.iter_mut().zip(theirs).for_each(|(a, b)| *a += b);
}

fn in_halves(with: &dyn Collective, pairs: usize, values: &mut [f32], buffer: &mut [f32]) {
    let rank = with.rank();
    let (mut own, mut given) = (0..values.len(), Vec::new());
    for distance in distances(pairs) {
        let middle = own.start + own.len() / 2;
        let (low, high) = (own.start..middle, middle..own.end);
        let (mine, theirs) = if rank & distance == 0 { (low, high) } else { (high, low) };
        let buffer = &mut buffer[..mine.len()];
        with.exchange(rank ^ distance, &values[theirs.clone()], buffer);
        add(&mut values[mine.clone()], buffer);
        given.push((distance, theirs));
        own = mine;
    }
    // Back: what is summed grows by the part that the partner has summed.
    for (distance, theirs) in given.into_iter().rev() {
        let all = own.start.min(theirs.start)..own.end.max(theirs.end);
        let part = &mut values[all.clone()];
        let (own_part, their_part) = if own.start < theirs.start {
            part.split_at_mut(own.len())
        } else {
            let (theirs, own) = part.split_at_mut(theirs.len());
            (own, theirs)
        };
        with.exchange(rank ^ distance, own_part, their_part);
        own = all;
    }
}
