//! Two models on the same photos: differences photo by photo, in which what makes a photo easy or hard for both cancels out.

use serde::Serialize;

use crate::eval::bootstrap::bootstrap;
use crate::eval::judged::Judged;

/// A gain up to this is hardly any.
const HARDLY: f64 = 0.01;

/// What the 95 % intervals of some differences say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gain {
    /// At least one of them is above 0.
    Certain,
    /// All end below 0.01.
    Hardly,
    /// The photos do not decide it.
    Open,
}

impl Gain {
    pub(crate) fn of(intervals: &[[f64; 2]]) -> Self {
        match () {
            () if intervals.iter().any(|[low, _]| *low > 0.0) => Self::Certain,
            () if intervals.iter().all(|[_, high]| *high <= HARDLY) => Self::Hardly,
            () => Self::Open,
        }
    }
}

/// A difference of two models on the same photos.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// Mean over the photos of second minus first.
    pub mean: f64,
    /// Its 95 % interval by the bootstrap over photos, with a fixed seed.
    pub interval: [f64; 2],
}

/// Second minus first model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Differences {
    /// Number of photos.
    pub samples: usize,
    /// Of the accuracy.
    pub accuracy: Difference,
    /// Of the mean IoU.
    pub mean_iou: Difference,
    /// Of the fraction with an IoU of 0.5 or more.
    pub iou50: Difference,
    /// Of the fraction with an IoU of 0.75 or more.
    pub iou75: Difference,
    /// Of the localization accuracy.
    pub localization_accuracy: Difference,
}

impl Difference {
    /// Whether the interval excludes 0.
    #[must_use]
    pub fn is_beyond_chance(&self) -> bool {
        self.interval[0] > 0.0 || self.interval[1] < 0.0
    }
}

/// The differences of two models; `first[i]` and `second[i]` must be answers to the same photo. None without photos, or if the
/// two are not of equal length.
#[must_use]
pub fn differences(first: &[Judged], second: &[Judged]) -> Option<Differences> {
    if first.len() != second.len() {
        return None;
    }
    let pairs: Vec<[f64; 5]> = first
        .iter()
        .zip(second)
        .map(|(a, b)| {
            let (a, b) = (a.figures(), b.figures());
            std::array::from_fn(|i| b[i] - a[i])
        })
        .collect();
    let intervals = bootstrap(&pairs)?;
    let of = |i: usize| {
        let mean = pairs.iter().map(|p| p[i]).sum::<f64>() / pairs.len() as f64;
        Difference { mean, interval: intervals[i] }
    };
    Some(Differences {
        samples: pairs.len(),
        accuracy: of(0),
        mean_iou: of(1),
        iou50: of(2),
        iou75: of(3),
        localization_accuracy: of(4),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::judged::judged;

    #[test]
    fn what_is_common_to_a_photo_cancels_out() {
        let first: Vec<Judged> = (0..50).map(|i| judged(i, 0, &[1.0, 0.0], 0.5 + 0.008 * i as f64)).collect();
        let second: Vec<Judged> = first.iter().map(|j| Judged { iou: j.iou + 0.05, ..j.clone() }).collect();
        let d = differences(&first, &second).unwrap();
        assert_eq!((d.samples, d.accuracy.mean, d.accuracy.interval), (50, 0.0, [0.0, 0.0]));
        assert!(!d.accuracy.is_beyond_chance());
        // The photos differ by up to 0.4, the two answers to each by exactly 0.05.
        let iou = d.mean_iou;
        assert!((iou.mean - 0.05).abs() < 1e-9 && iou.interval[0] > 0.0499 && iou.interval[1] < 0.0501);
        assert!(iou.is_beyond_chance());
        let back = differences(&second, &first).unwrap();
        assert!((back.mean_iou.mean + 0.05).abs() < 1e-9 && back.mean_iou.is_beyond_chance());
        assert_eq!(differences(&first, &second), Some(d), "the seed is fixed");
        assert_eq!(differences(&[], &[]), None);
        assert_eq!(differences(&first, &second[1..]), None);
    }

    /// Of 100 photos the second model has 10 right that the first has wrong, and 2 the other way round: the mean is 0.08, and
    /// its standard error √((0.12 − 0.08²)/100) = 0.0337; the interval of the bootstrap is near mean ± 1.96 of it.
    #[test]
    fn the_interval_is_that_of_theory() {
        let with = |wrong: std::ops::Range<usize>| -> Vec<Judged> {
            (0..100).map(|i| judged(i, usize::from(wrong.contains(&i)), &[1.0, 0.0], 1.0)).collect()
        };
        let d = differences(&with(0..10), &with(10..12)).unwrap().accuracy;
        assert!((d.mean - 0.08).abs() < 1e-12);
        let [low, high] = d.interval;
        assert!((low - (0.08 - 0.066)).abs() < 0.015 && (high - (0.08 + 0.066)).abs() < 0.015, "{d:?}");
    }
}
