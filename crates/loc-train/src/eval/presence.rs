//! Whether a model tells photos with an object from photos without: the ROC curve, the threshold, precision and recall.

use loc_infer::ModelMeta;
use serde::Serialize;

const NEUTRAL: f32 = ModelMeta::NEUTRAL;

/// A model's presence of one photo.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// Index of the sample in its data set.
    pub sample: usize,
    /// Whether the photo shows an object.
    pub present: bool,
    /// The predicted probability of that, 0..1.
    pub probability: f32,
}

/// Presence on samples; a metric without samples of a kind is absent (`null`).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Presence {
    /// Number of samples, with an object and without.
    pub samples: usize,
    /// Number of those without.
    pub negatives: usize,
    /// Area under the ROC curve: how often a photo with an object has the higher probability of two, one of each kind; a tie
    /// counts half.
    pub auroc: Option<f64>,
    /// An object is taken to be there from this probability on.
    pub threshold: f32,
    /// Share of photos with an object among those taken to have one.
    pub precision: Option<f64>,
    /// Share of those taken to have one among the photos with an object.
    pub recall: Option<f64>,
    /// Share of the right answers.
    pub accuracy: Option<f64>,
    /// Share of the right answers of the constant answer: what most training samples show.
    pub majority_accuracy: Option<f64>,
    /// What the figures are of.
    #[serde(skip)]
    pub seen: Vec<Seen>,
}

impl Presence {
    /// The figures of these answers at a threshold; `majority` is whether most training samples show an object.
    #[must_use]
    pub fn of(seen: Vec<Seen>, threshold: f32, majority: Option<bool>) -> Self {
        let count = |is: &dyn Fn(&Seen) -> bool| seen.iter().filter(|one| is(one)).count();
        let share = |part: usize, of: usize| (of > 0).then(|| part as f64 / of as f64);
        let taken = |one: &Seen| one.probability >= threshold;
        let (positives, claimed) = (count(&|one| one.present), count(&taken));
        let hits = count(&|one| one.present && taken(one));
        Self {
            samples: seen.len(),
            negatives: seen.len() - positives,
            auroc: auroc(&seen),
            threshold,
            precision: share(hits, claimed),
            recall: share(hits, positives),
            accuracy: share(count(&|one| one.present == taken(one)), seen.len()),
            majority_accuracy: majority
                .and_then(|majority| share(count(&|one| one.present == majority), seen.len())),
            seen,
        }
    }
}

/// The area under the ROC curve, from the ranks of the photos with an object (Mann and Whitney 1947), equal probabilities
/// having their mean rank; none without photos of both kinds.
#[must_use]
pub fn auroc(seen: &[Seen]) -> Option<f64> {
    let positives = seen.iter().filter(|one| one.present).count();
    let negatives = seen.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    let mut sorted: Vec<&Seen> = seen.iter().collect();
    sorted.sort_by(|a, b| a.probability.total_cmp(&b.probability));
    let (mut ranks, mut below) = (0.0, 0);
    for equal in sorted.chunk_by(|a, b| a.probability == b.probability) {
        let present = equal.iter().filter(|one| one.present).count();
        ranks += present as f64 * (below as f64 + (equal.len() as f64 + 1.0) / 2.0);
        below += equal.len();
    }
    let (p, n) = (positives as f64, negatives as f64);
    Some((ranks - p * (p + 1.0) / 2.0) / (p * n))
}

/// The points of the ROC curve, from (0, 0) to (1, 1): the share of photos without an object that are taken to have one, and
/// the share of those with one. Empty without photos of both kinds.
#[must_use]
pub fn roc(seen: &[Seen]) -> Vec<[f64; 2]> {
    let positives = seen.iter().filter(|one| one.present).count();
    let negatives = seen.len() - positives;
    if positives == 0 || negatives == 0 {
        return Vec::new();
    }
    let mut sorted: Vec<&Seen> = seen.iter().collect();
    sorted.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    let (mut points, mut taken) = (vec![[0.0, 0.0]], [0_usize; 2]);
    for equal in sorted.chunk_by(|a, b| a.probability == b.probability) {
        equal.iter().for_each(|one| taken[usize::from(one.present)] += 1);
        points.push([taken[0] as f64 / negatives as f64, taken[1] as f64 / positives as f64]);
    }
    points
}

/// The threshold at which as large a share of the photos with an object is missed as of those without is taken to have one:
/// the equal error rate, or what comes closest to it; of several thresholds the one with the fewest errors, then the lowest.
/// It lies in the middle between two probabilities that occur. [`ModelMeta::NEUTRAL`] without photos of both kinds.
#[must_use]
pub fn equal_error_threshold(seen: &[Seen]) -> f32 {
    let positives = seen.iter().filter(|one| one.present).count();
    let negatives = seen.len() - positives;
    if positives == 0 || negatives == 0 {
        return NEUTRAL;
    }
    let mut sorted: Vec<&Seen> = seen.iter().collect();
    sorted.sort_by(|a, b| a.probability.total_cmp(&b.probability));
    // At a threshold below all probabilities nothing is missed, and every negative is taken to have an object.
    let (mut missed, mut claimed) = (0, negatives);
    let mut best: Option<(f64, f64, f32)> = None;
    for pair in sorted.windows(2) {
        let [low, high] = [pair[0].probability, pair[1].probability];
        if pair[0].present {
            missed += 1
        } else {
            claimed -= 1
        }
        if low == high {
            continue;
        }
        let rates = [missed as f64 / positives as f64, claimed as f64 / negatives as f64];
        let middle = f32::midpoint(low, high);
        let threshold = if middle > low { middle } else { high };
        let candidate = ((rates[0] - rates[1]).abs(), rates[0] + rates[1], threshold);
        if best.is_none_or(|best| (candidate.0, candidate.1) < (best.0, best.1)) {
            best = Some(candidate);
        }
    }
    best.map_or(NEUTRAL, |(_, _, threshold)| threshold)
}

#[cfg(test)]
mod tests {
    use loc_data::random::Random;

    use super::*;

    fn seen(all: &[(bool, f32)]) -> Vec<Seen> {
        let one = |(sample, (present, probability)): (usize, &(bool, f32))| Seen {
            sample,
            present: *present,
            probability: *probability,
        };
        all.iter().enumerate().map(one).collect()
    }

    /// The definition: over all pairs of a photo with an object and one without.
    fn by_pairs(seen: &[Seen]) -> Option<f64> {
        let of = |present| seen.iter().filter(move |one| one.present == present).map(|one| one.probability);
        let pairs: Vec<f64> = of(true)
            .flat_map(|p| {
                of(false).map(move |n| {
                    if p > n {
                        1.0
                    } else if p == n {
                        0.5
                    } else {
                        0.0
                    }
                })
            })
            .collect();
        (!pairs.is_empty()).then(|| pairs.iter().sum::<f64>() / pairs.len() as f64)
    }

    /// Photos with few levels of probability, so that many are equal.
    fn drawn(key: u64) -> Vec<Seen> {
        let mut random = Random::keyed(&[key]);
        let (n, levels) = (random.below(40), 2 + random.below(8));
        let mut one = || (random.chance(0.4), random.below(levels) as f32 / levels as f32);
        seen(&(0..n).map(|_| one()).collect::<Vec<_>>())
    }

    #[test]
    fn the_area_is_that_of_the_definition() {
        for key in 0..500 {
            let all = drawn(key);
            match (auroc(&all), by_pairs(&all)) {
                (Some(got), Some(expected)) => {
                    assert!((got - expected).abs() < 1e-12, "{got}, {expected}");
                    // The area under the curve's points is the same.
                    let points = roc(&all);
                    let strips = points.windows(2).map(|w| (w[1][0] - w[0][0]) * (w[0][1] + w[1][1]) / 2.0);
                    let area: f64 = strips.sum();
                    assert!((area - expected).abs() < 1e-12, "{area}, {expected}");
                }
                (got, expected) => assert_eq!(got, expected),
            }
        }
    }

    #[test]
    fn no_threshold_is_nearer_to_equal_errors() {
        for key in 0..500 {
            let all = drawn(key);
            let count = |is: &dyn Fn(&Seen) -> bool| all.iter().filter(|one| is(one)).count() as f64;
            let (p, n) = (count(&|one| one.present), count(&|one| !one.present));
            let distance = |threshold: f32| {
                let missed = count(&|one| one.present && one.probability < threshold);
                let claimed = count(&|one| !one.present && one.probability >= threshold);
                (missed / p - claimed / n).abs()
            };
            let found = equal_error_threshold(&all);
            if p == 0.0 || n == 0.0 {
                assert_eq!(found, NEUTRAL);
                continue;
            }
            // A threshold above the lowest probability and up to the highest one: the others are constant answers.
            let tried = all.iter().map(|one| one.probability);
            let lowest = tried.clone().fold(f32::INFINITY, f32::min);
            let least = tried.filter(|t| *t > lowest).map(distance).fold(f64::INFINITY, f64::min);
            assert!(distance(found) <= least + 1e-12, "{found}: {} instead of {least}", distance(found));
        }
    }

    #[test]
    fn figures_by_hand() {
        let all = seen(&[(true, 0.9), (true, 0.8), (true, 0.3), (false, 0.4), (false, 0.1)]);
        let found = Presence::of(all, 0.35, Some(true));
        assert_eq!((found.samples, found.negatives, found.auroc), (5, 2, Some(5.0 / 6.0)));
        assert_eq!((found.precision, found.recall), (Some(2.0 / 3.0), Some(2.0 / 3.0)));
        assert_eq!((found.accuracy, found.majority_accuracy), (Some(0.6), Some(0.6)));
        let none = Presence::of(Vec::new(), 0.5, None);
        assert_eq!((none.auroc, none.precision, none.recall, none.accuracy), (None, None, None, None));
    }

    #[test]
    fn the_threshold_is_in_the_middle_of_a_gap() {
        let parted = seen(&[(true, 0.9), (false, 0.1), (true, 0.7), (false, 0.3)]);
        assert_eq!(equal_error_threshold(&parted), 0.5);
        // Two neighbours have no number between them.
        let near = f32::from_bits(0.5f32.to_bits() + 1);
        assert_eq!(equal_error_threshold(&seen(&[(true, near), (false, 0.5)])), near);
        for one_kind in [&[(true, 0.1)][..], &[(false, 0.9)], &[], &[(true, 0.2), (false, 0.2)]] {
            assert_eq!(equal_error_threshold(&seen(one_kind)), NEUTRAL, "{one_kind:?}");
        }
    }
}
