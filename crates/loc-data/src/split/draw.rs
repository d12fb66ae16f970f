//! Random splits: stratified by class, negatives like one more class, copies of one photo kept together, and folds for cross-validation.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest, Sha256};

use super::Split;
use crate::{DataError, Dataset, Sample, SplitError};

/// Draws a stratified random split: about the fraction `val` of each class is used for validation. Negatives are a class
/// of their own here.
///
/// The order of the draw is a function of (`seed`, file name): it depends neither on a generator's state nor on the other
/// samples. In all, `val` × (number of samples), rounded and at least one, are drawn; classes share them by the largest
/// remainder. A class with two or more samples keeps at least one for training; a class's only sample is a training
/// sample. Copies of one photo ([`Sample::group`](crate::Sample::group)) are drawn together, at the place of the first of
/// them; a group larger than what is still to be drawn is used for training.
///
/// # Errors
///
/// [`DataError::Argument`] if `val` is not above 0 and below 1, [`DataError::Split`] if no sample can be drawn.
pub fn stratified(dataset: &Dataset, val: f64, seed: u64) -> Result<Split, DataError> {
    draw(dataset, &(0..dataset.samples.len()).collect::<Vec<_>>(), val, seed)
}

/// As [`stratified`], among the samples with these indices.
pub(super) fn draw(dataset: &Dataset, among: &[usize], val: f64, seed: u64) -> Result<Split, DataError> {
    if !(val > 0.0 && val < 1.0) {
        return Err(DataError::Argument {
            what: "validation fraction",
            value: val.to_string(),
            range: "it must be above 0 and below 1".into(),
        });
    }
    let by_class = draw_units(dataset, among, seed);
    let counts: Vec<usize> = by_class.values().map(|units| units.iter().map(Vec::len).sum()).collect();
    let shares = validation_counts(&counts, val);
    let mut split = Split::default();
    for (units, share) in by_class.into_values().zip(shares) {
        let mut left = share;
        for unit in units {
            let part = if unit.len() <= left { &mut split.val } else { &mut split.train };
            left -= if unit.len() <= left { unit.len() } else { 0 };
            part.extend(unit);
        }
    }
    if split.val.is_empty() {
        let (samples, classes) = (among.len(), counts.len());
        return Err(DataError::Split(SplitError::NoValidation { samples, classes }));
    }
    split.train.sort_unstable();
    split.val.sort_unstable();
    Ok(split)
}

/// The units of a draw by class, in drawing order: a unit is a sample, or all copies of one photo. Copies count for the
/// class of the first of them. Negatives come last.
fn draw_units(dataset: &Dataset, among: &[usize], seed: u64) -> BTreeMap<usize, Vec<Vec<usize>>> {
    let mut groups: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut by_class: BTreeMap<usize, Vec<Vec<usize>>> = BTreeMap::new();
    let class = |sample: &Sample| sample.class().unwrap_or(usize::MAX);
    for index in among {
        let sample = &dataset.samples[*index];
        match sample.group {
            Some(group) => groups.entry(group).or_default().push(*index),
            None => by_class.entry(class(sample)).or_default().push(vec![*index]),
        }
    }
    for group in groups.into_values() {
        by_class.entry(class(&dataset.samples[group[0]])).or_default().push(group);
    }
    for units in by_class.values_mut() {
        units.sort_by_cached_key(|unit| (draw_key(seed, &dataset.samples[unit[0]].file), unit[0]));
    }
    by_class
}

/// One fold of a cross-validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fold {
    /// Number of the fold, 1 to `count`.
    pub index: usize,
    /// Number of folds, 2 or more.
    pub count: usize,
}

/// One fold of a cross-validation within the training samples of a split: every `count`-th sample of each class, in an
/// order drawn by (`seed`, file name), is used for validation, the others for training; copies of one photo stay together.
/// The split's own validation samples are in neither list, so that a recipe chosen by cross-validation has not seen them.
///
/// # Errors
///
/// [`DataError::Argument`] if the fold is out of range, [`DataError::Split`] if one of the lists is empty.
pub fn fold(dataset: &Dataset, split: &Split, fold: Fold, seed: u64) -> Result<Split, DataError> {
    let Fold { index, count } = fold;
    if count < 2 || !(1..=count).contains(&index) {
        let range = "I/K with K of 2 or more and I from 1 to K is needed".into();
        return Err(DataError::Argument { what: "fold", value: format!("{index}/{count}"), range });
    }
    let mut parts = Split::default();
    // Counted over all classes, so that the sizes of folds differ by at most one sample (or one group of copies).
    let units = draw_units(dataset, &split.train, seed).into_values().flatten();
    for (place, unit) in units.enumerate() {
        if place % count == index - 1 { parts.val.extend(unit) } else { parts.train.extend(unit) }
    }
    parts.train.sort_unstable();
    parts.val.sort_unstable();
    if parts.train.is_empty() || parts.val.is_empty() {
        return Err(DataError::Split(SplitError::Folds { samples: split.train.len(), folds: count }));
    }
    Ok(parts)
}

/// The number of validation samples of each class.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of photos, far below 2^53, and fractions of them"
)]
fn validation_counts(counts: &[usize], val: f64) -> Vec<usize> {
    let most: Vec<usize> = counts.iter().map(|n| n.saturating_sub(1)).collect();
    let total = ((counts.iter().sum::<usize>() as f64 * val).round() as usize).max(1);
    let ideal: Vec<f64> = counts.iter().map(|n| *n as f64 * val).collect();
    let mut shares: Vec<usize> =
        ideal.iter().zip(&most).map(|(i, most)| (i.floor() as usize).min(*most)).collect();
    // One at a time to the class furthest below its ideal number; the first of them on a tie.
    while shares.iter().sum::<usize>() < total {
        let lack = |c: &usize| ideal[*c] - shares[*c] as f64;
        let open = (0..counts.len()).filter(|c| shares[*c] < most[*c]);
        match open.reduce(|best, c| if lack(&c) > lack(&best) { c } else { best }) {
            Some(class) => shares[class] += 1,
            None => break,
        }
    }
    shares
}

/// The sort key of a sample in the draw.
fn draw_key(seed: u64, file: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(file);
    hash.finalize().into()
}
