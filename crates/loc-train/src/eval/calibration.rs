//! Whether confidence is the fraction of right classes, and the temperature that makes it so (Guo et al. 2017, On calibration
//! of modern neural networks).

use loc_data::random::Random;
use loc_infer::ModelMeta;
use loc_infer::postprocess::probabilities;
use serde::Serialize;

use crate::eval::judged::Judged;

/// Bins of the reliability diagram.
const BINS: usize = 10;

/// A bin of the reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// Photos whose confidence is in the bin.
    pub samples: usize,
    /// Their mean confidence; none without photos.
    pub confidence: Option<f64>,
    /// Fraction of them with the right class; none without photos.
    pub accuracy: Option<f64>,
}

/// How far confidence is from the fraction of right classes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// Expected calibration error: the mean over photos of |accuracy − confidence| of their bin (equation 3).
    pub ece: f64,
    /// The error that remains by chance with so few photos, even if the confidences are exactly right: the mean over random
    /// draws.
    pub ece_by_chance: f64,
    /// Mean confidence of all photos.
    pub confidence: f64,
    /// Ten bins of equal width, 0 to 0.1, …, 0.9 to 1; a bound belongs to the bin above it, 1 to the last.
    pub bins: Vec<ReliabilityBin>,
}

/// The calibration of a model's answers; none without photos.
#[must_use]
pub fn calibration(judged: &[Judged]) -> Option<Calibration> {
    if judged.is_empty() {
        return None;
    }
    let n = judged.len() as f64;
    let pairs = || judged.iter().map(|one| (one.confidence, f64::from(u8::from(one.is_right()))));
    let bins = binned(pairs()).map(|Bin { samples, stated, came }| {
        let mean = |sum: f64| (samples > 0).then(|| sum / samples as f64);
        ReliabilityBin { samples, confidence: mean(stated), accuracy: mean(came) }
    });
    let confidence = judged.iter().map(|one| one.confidence).sum::<f64>() / n;
    let ece_by_chance = by_chance(judged);
    Some(Calibration { ece: calibration_error(pairs()), ece_by_chance, confidence, bins: bins.to_vec() })
}

/// The photos of a bin, and the sums of what was stated about them and of what came.
#[derive(Debug, Clone, Copy, Default)]
struct Bin {
    samples: usize,
    stated: f64,
    came: f64,
}

/// Pairs of a stated and an observed value, both in 0..1, by the bin of the stated one.
fn binned(pairs: impl Iterator<Item = (f64, f64)>) -> [Bin; BINS] {
    let mut bins = [Bin::default(); BINS];
    for (stated, came) in pairs {
        // Rounded to f32: 0.3 must not fall below its bound.
        let bin = (stated as f32 * BINS as f32) as usize;
        let bin = &mut bins[bin.min(BINS - 1)];
        *bin = Bin { samples: bin.samples + 1, stated: bin.stated + stated, came: bin.came + came };
    }
    bins
}

/// The expected calibration error of pairs of a stated and an observed value, both in 0..1; 0 without pairs.
pub(super) fn calibration_error(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    let bins = binned(pairs);
    let n = bins.iter().map(|bin| bin.samples).sum::<usize>().max(1);
    bins.iter().map(|bin| (bin.came - bin.stated).abs()).sum::<f64>() / n as f64
}

/// The mean error of answers with these confidences that are right exactly as often as the confidences say.
fn by_chance(judged: &[Judged]) -> f64 {
    const DRAWS: usize = 200;
    let mut random = Random::keyed(&[0x6563_6521, judged.len() as u64]);
    let mut draw = || {
        let right = |one: &Judged, unit: f64| f64::from(u8::from(unit < one.confidence));
        calibration_error(judged.iter().map(|one| (one.confidence, right(one, f64::from(random.unit())))))
    };
    (0..DRAWS).map(|_| draw()).sum::<f64>() / DRAWS as f64
}

/// The answers with the confidence that they have at a temperature. Those without logits stay as they are.
#[must_use]
pub fn at_temperature(judged: &[Judged], temperature: f32) -> Vec<Judged> {
    let confidence = |one: &Judged| match probabilities(&one.logits, temperature).get(one.class) {
        Some(probability) => f64::from(*probability),
        None => one.confidence,
    };
    judged.iter().map(|one| Judged { confidence: confidence(one), ..one.clone() }).collect()
}

/// The negative log-likelihood of a photo's annotated class at a temperature; 0 without its logit.
pub(crate) fn log_loss(one: &Judged, temperature: f64) -> f64 {
    let scaled = one.logits.iter().map(|logit| f64::from(*logit) / temperature);
    let highest = scaled.clone().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = scaled.map(|logit| (logit - highest).exp()).sum();
    one.logits.get(one.label).map_or(0.0, |logit| highest + sum.ln() - f64::from(*logit) / temperature)
}

/// The temperature with the smallest mean negative log-likelihood of the annotated classes, by golden-section search over its
/// logarithm, in which the likelihood has one maximum.
///
/// None if the photos do not decide it: without photos or logits, with one class, if all predicted classes are right (the
/// colder the better), or if the logits say nothing about the classes (the warmer the better).
#[must_use]
pub fn best_temperature(judged: &[Judged]) -> Option<f32> {
    /// Steps of the search: the interval shrinks to less than a millionth of its width.
    const STEPS: usize = 32;
    /// A result this near to an end, as a factor, is at the end.
    const NEAR: f64 = 1.01;
    if judged.is_empty() || judged.iter().any(|one| one.logits.len() < 2 || one.label >= one.logits.len()) {
        return None;
    }
    // The derivative of the loss by 1/temperature at infinite temperature.
    let says = |one: &Judged| {
        let mean = one.logits.iter().map(|l| f64::from(*l)).sum::<f64>() / one.logits.len() as f64;
        f64::from(one.logits[one.label]) - mean
    };
    if judged.iter().all(Judged::is_right) || judged.iter().map(says).sum::<f64>() <= 0.0 {
        return None;
    }
    let loss = |log: f64| judged.iter().map(|one| log_loss(one, log.exp())).sum::<f64>();
    let (least, most) = (*ModelMeta::TEMPERATURES.start(), *ModelMeta::TEMPERATURES.end());
    let (mut low, mut high) = (f64::from(least).ln(), f64::from(most).ln());
    let ratio = (5f64.sqrt() - 1.0) / 2.0;
    for _ in 0..STEPS {
        let (a, b) = (high - ratio * (high - low), low + ratio * (high - low));
        if loss(a) < loss(b) { high = b } else { low = a }
    }
    let best = f64::midpoint(low, high).exp();
    let inside = best > f64::from(least) * NEAR && best < f64::from(most) / NEAR;
    inside.then_some(best as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::judged::judged;

    /// Answers of these confidences, right or not.
    fn answers(of: &[(f64, bool)]) -> Vec<Judged> {
        let one = |(confidence, right): &(f64, bool)| Judged {
            confidence: *confidence,
            ..judged(0, usize::from(!*right), &[1.0, 0.0], 1.0)
        };
        of.iter().map(one).collect()
    }

    #[test]
    fn the_calibration_error_by_hand() {
        // Bin 0.6 to 0.7: mean confidence 0.64, one of two right. Bin 0.9 to 1: mean 0.95, both right; 1 is in it.
        let all = answers(&[(0.6, true), (0.68, false), (0.9, true), (1.0, true)]);
        let c = calibration(&all).unwrap();
        assert!((c.ece - (2.0 * 0.14 + 2.0 * 0.05) / 4.0).abs() < 1e-6, "{}", c.ece);
        assert!((c.confidence - 0.795).abs() < 1e-6);
        let samples: Vec<usize> = c.bins.iter().map(|bin| bin.samples).collect();
        assert_eq!(samples, [0, 0, 0, 0, 0, 0, 2, 0, 0, 2]);
        assert_eq!((c.bins[6].confidence, c.bins[6].accuracy), (Some(0.64), Some(0.5)));
        assert_eq!((c.bins[9].accuracy, c.bins[0].accuracy), (Some(1.0), None));
        let sure = calibration(&answers(&[(1.0, true), (1.0, false)])).unwrap();
        assert!((sure.ece - 0.5).abs() < 1e-12, "half as often right as sure");
        assert_eq!(calibration(&[]), None);
    }

    #[test]
    fn the_error_by_chance_falls_with_the_number_of_photos() {
        // n photos of confidence ½ in one bin: the mean of |binomial/n − ½| is √(1/(2πn)).
        for n in [100, 2500] {
            let c = calibration(&answers(&vec![(0.5, true); n])).unwrap();
            let expected = (1.0 / (2.0 * std::f64::consts::PI * n as f64)).sqrt();
            assert!((c.ece_by_chance / expected - 1.0).abs() < 0.2, "{n}: {} {expected}", c.ece_by_chance);
        }
        let sure = calibration(&answers(&[(1.0, true), (1.0, true)])).unwrap();
        assert_eq!((sure.ece, sure.ece_by_chance), (0.0, 0.0));
    }

    /// Photos whose logits (a, 0) are right exactly as often as their softmax says, times a scale.
    fn scaled(scale: f32) -> Vec<Judged> {
        let odds = [(1.0f32, 731, 1000), (2.0, 881, 1000), (0.2, 550, 1000)];
        odds.iter()
            .flat_map(|(logit, right, n)| (0..*n).map(move |i| (usize::from(i >= *right), *logit)))
            .map(|(label, logit)| judged(0, label, &[logit * scale, 0.0], 1.0))
            .collect()
    }

    #[test]
    fn the_best_temperature_undoes_a_scale() {
        for scale in [1.0f32, 5.0, 0.25] {
            let all = scaled(scale);
            let t = best_temperature(&all).unwrap();
            assert!((t / scale - 1.0).abs() < 0.01, "{scale}: {t}");
            let before = calibration(&all).unwrap().ece;
            let after = calibration(&at_temperature(&all, t)).unwrap().ece;
            assert!(after < 0.005 && (scale == 1.0 || before > 0.09), "{scale}: {before} to {after}");
        }
    }

    #[test]
    fn photos_that_do_not_decide_give_none() {
        let right: Vec<Judged> = (0..20).map(|i| judged(i, 0, &[2.0, 0.0], 1.0)).collect();
        let wrong: Vec<Judged> = (0..20).map(|i| judged(i, 1, &[2.0, 0.0], 1.0)).collect();
        let one_class: Vec<Judged> = (0..20).map(|i| judged(i, 0, &[2.0], 1.0)).collect();
        for none in [&right, &wrong, &one_class, &Vec::new()] {
            assert_eq!(best_temperature(none), None);
        }
    }
}
