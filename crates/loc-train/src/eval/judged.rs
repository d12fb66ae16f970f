//! One evaluated photo, and what many of them show: confusion, overlap, calibration, differences between two models.

use loc_infer::NormBox;
use loc_infer::postprocess::softmax;
use serde::Serialize;

use crate::eval::bootstrap::bootstrap;

/// What a model answers to one annotated photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Index of the sample in its data set.
    pub sample: usize,
    /// Index of the annotated class.
    pub label: usize,
    /// The class logits.
    pub logits: Vec<f32>,
    /// The annotated box, in 0..1 of the input.
    pub truth: NormBox,
    /// The predicted box, ordered and clipped as prediction returns it, in 0..1 of the input.
    pub bbox: NormBox,
    /// IoU of the two boxes.
    pub iou: f64,
}

impl Judged {
    /// Index of the predicted class; the first on a tie.
    #[must_use]
    pub fn predicted(&self) -> usize {
        (0..self.logits.len())
            .reduce(|best, i| if self.logits[i] > self.logits[best] { i } else { best })
            .unwrap_or(0)
    }

    /// Whether the predicted class is the annotated one.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.predicted() == self.label
    }

    /// Probability of the predicted class.
    #[must_use]
    pub fn confidence(&self, temperature: f64) -> f64 {
        f64::from(probabilities(&self.logits, temperature)[self.predicted()])
    }
}

/// The softmax of the logits divided by a temperature.
fn probabilities(logits: &[f32], temperature: f64) -> Vec<f32> {
    let scaled: Vec<f32> = logits.iter().map(|l| (f64::from(*l) / temperature) as f32).collect();
    softmax(&scaled)
}

/// Photos by annotated class (rows) and predicted class (columns).
#[must_use]
pub fn confusion(judged: &[Judged], classes: usize) -> Vec<Vec<usize>> {
    let mut counts = vec![vec![0; classes]; classes];
    for one in judged {
        if let Some(count) = counts.get_mut(one.label).and_then(|row| row.get_mut(one.predicted())) {
            *count += 1;
        }
    }
    counts
}

/// Photos by IoU, in `bins` equal parts of 0..1; an IoU of 1 is in the last.
#[must_use]
pub fn iou_histogram(judged: &[Judged], bins: usize) -> Vec<usize> {
    let mut counts = vec![0; bins];
    for one in judged {
        let bin = (one.iou * bins as f64) as usize;
        counts[bin.min(bins - 1)] += 1;
    }
    counts
}

/// Fraction of photos with an IoU of at least each threshold: 0, 1/n, …, 1.
#[must_use]
pub fn success_curve(judged: &[Judged], n: usize) -> Vec<f64> {
    let share = |least: f64| {
        judged.iter().filter(|one| one.iou >= least).count() as f64 / judged.len().max(1) as f64
    };
    (0..=n).map(|i| share(i as f64 / n as f64)).collect()
}

/// A bin of a reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// Photos whose confidence is in the bin.
    pub samples: usize,
    /// Their mean confidence.
    pub confidence: f64,
    /// Fraction of them with the right class.
    pub accuracy: f64,
}

/// How well confidence tells the fraction of right classes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// The temperature that the logits were divided by.
    pub temperature: f64,
    /// Expected calibration error: the mean over photos of |accuracy − confidence| of their bin (Guo et al. 2017, On
    /// calibration of modern neural networks, eq. 3).
    pub ece: f64,
    /// Ten bins of equal width; those without a photo have zeros.
    pub bins: Vec<ReliabilityBin>,
}

/// The calibration of some answers; `None` without photos.
#[must_use]
pub fn calibration(judged: &[Judged], temperature: f64) -> Option<Calibration> {
    const BINS: usize = 10;
    if judged.is_empty() {
        return None;
    }
    let mut sums = [(0usize, 0.0, 0usize); BINS];
    for one in judged {
        let confidence = one.confidence(temperature);
        let sum = &mut sums[((confidence * BINS as f64) as usize).min(BINS - 1)];
        sum.0 += 1;
        sum.1 += confidence;
        sum.2 += usize::from(one.is_right());
    }
    let bins: Vec<ReliabilityBin> = sums
        .iter()
        .map(|(samples, confidence, right)| {
            let n = (*samples).max(1) as f64;
            ReliabilityBin { samples: *samples, confidence: confidence / n, accuracy: *right as f64 / n }
        })
        .collect();
    let ece = bins.iter().map(|b| b.samples as f64 * (b.accuracy - b.confidence).abs()).sum::<f64>()
        / judged.len() as f64;
    Some(Calibration { temperature, ece, bins })
}

/// The temperature with the smallest mean negative log-likelihood of the annotated classes, within 0.05 and 20 (Guo et
/// al. 2017); `None` without photos.
#[must_use]
pub fn best_temperature(judged: &[Judged]) -> Option<f64> {
    /// Steps of the golden section: the interval shrinks to a millionth.
    const STEPS: usize = 40;
    if judged.is_empty() {
        return None;
    }
    let loss = |log: f64| -> f64 {
        let t = log.exp();
        judged
            .iter()
            .map(|one| {
                let scaled = one.logits.iter().map(|l| f64::from(*l) / t);
                let max = scaled.clone().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = scaled.map(|l| (l - max).exp()).sum();
                max + sum.ln() - f64::from(one.logits[one.label]) / t
            })
            .sum()
    };
    let ratio = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (0.05f64.ln(), 20f64.ln());
    for _ in 0..STEPS {
        let (a, b) = (high - ratio * (high - low), low + ratio * (high - low));
        if loss(a) < loss(b) { high = b } else { low = a }
    }
    Some(((low + high) / 2.0).exp())
}

/// A difference of two models on the same photos: its mean and its 95 % interval by the bootstrap over photos.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// Mean of second minus first.
    pub mean: f64,
    /// Bounds of the interval.
    pub interval: [f64; 2],
}

/// Second minus first model: accuracy, mean IoU, localization accuracy; `None` without photos.
///
/// # Panics
///
/// If the two are not of the same photos in the same order.
#[must_use]
pub fn differences(first: &[Judged], second: &[Judged]) -> Option<[Difference; 3]> {
    let is = |yes: bool| f64::from(u8::from(yes));
    let figures = |one: &Judged| [is(one.is_right()), one.iou, is(one.is_right() && one.iou >= 0.5)];
    let samples = |all: &[Judged]| all.iter().map(|one| one.sample).collect::<Vec<_>>();
    assert_eq!(samples(first), samples(second), "the same photos");
    let pairs: Vec<[f64; 3]> = first
        .iter()
        .zip(second)
        .map(|(a, b)| {
            let (a, b) = (figures(a), figures(b));
            std::array::from_fn(|i| b[i] - a[i])
        })
        .collect();
    let intervals = bootstrap(&pairs)?;
    let mean = |i: usize| pairs.iter().map(|p| p[i]).sum::<f64>() / pairs.len() as f64;
    Some(std::array::from_fn(|i| Difference { mean: mean(i), interval: intervals[i] }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(sample: usize, label: usize, logits: &[f32], iou: f64) -> Judged {
        let bbox = NormBox::new(0.0, 0.0, 1.0, 1.0);
        Judged { sample, label, logits: logits.to_vec(), truth: bbox, bbox, iou }
    }

    #[test]
    fn confusion_counts_rows_of_truth() {
        let all = [judged(0, 0, &[1.0, 0.0], 0.5), judged(1, 0, &[0.0, 1.0], 0.5), judged(2, 1, &[0.0, 1.0], 1.0)];
        assert_eq!(confusion(&all, 2), [[1, 1], [0, 1]]);
        assert_eq!(iou_histogram(&all, 4), [0, 0, 2, 1]);
        assert_eq!(success_curve(&all, 2), [1.0, 1.0, 1.0 / 3.0]);
    }

    #[test]
    fn the_best_temperature_undoes_a_scale() {
        // Of logits (a, 0) the class is right as often as the softmax says: no temperature but 1 is better.
        let odds = [(1.0f32, 731, 1000), (2.0, 881, 1000), (0.2, 550, 1000)];
        let of = |scale: f32| -> Vec<Judged> {
            odds.iter()
                .flat_map(|(logit, right, n)| (0..*n).map(move |i| (usize::from(i >= *right), *logit)))
                .map(|(label, logit)| judged(0, label, &[logit * scale, 0.0], 1.0))
                .collect()
        };
        for scale in [1.0f32, 5.0, 0.25] {
            let t = best_temperature(&of(scale)).unwrap();
            assert!((t / f64::from(scale) - 1.0).abs() < 0.01, "{scale}: {t}");
            let before = calibration(&of(scale), 1.0).unwrap().ece;
            let after = calibration(&of(scale), t).unwrap().ece;
            assert!(after < 0.005 && (scale == 1.0 || before > 0.1), "{scale}: {before} to {after}");
        }
        assert_eq!(best_temperature(&[]), None);
    }

    #[test]
    fn a_difference_is_taken_photo_by_photo() {
        let first: Vec<Judged> = (0..50).map(|i| judged(i, 0, &[1.0, 0.0], 0.5 + 0.008 * i as f64)).collect();
        let second: Vec<Judged> = first.iter().map(|j| Judged { iou: j.iou + 0.05, ..j.clone() }).collect();
        let [accuracy, iou, _] = differences(&first, &second).unwrap();
        assert_eq!((accuracy.mean, accuracy.interval), (0.0, [0.0, 0.0]));
        // The photos differ widely, the two answers to each by the same: no chance in it.
        assert!((iou.mean - 0.05).abs() < 1e-9 && iou.interval[0] > 0.049 && iou.interval[1] < 0.051, "{iou:?}");
    }
}
