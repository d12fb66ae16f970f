//! The regression of the expected IoU on the spread of the edges' distributions, and how well it does.

use loc_infer::confidence::{EdgeSpread, ExpectedIou};
use serde::Serialize;

use super::calibration::calibration_error;
use crate::eval::judged::Judged;

/// How well expected IoUs fit the IoUs of some photos.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ExpectedIouFigures {
    /// Mean expected IoU.
    pub mean: f64,
    /// Expected calibration error: the mean over photos of |mean IoU − mean expected IoU| of their bin.
    pub ece: f64,
    /// The same error of the confidence in the class at temperature 1, taken for the expected IoU: all that a model without a
    /// calibration says about its answer.
    pub ece_of_confidence: f64,
    /// Mean of |IoU − expected IoU|.
    pub error: f64,
    /// Mean of |IoU − mean IoU|: the same for a constant answer.
    pub error_of_constant: f64,
}

/// The fewest photos that decide the regression.
const LEAST: usize = 20;
/// IoUs are moved away from 0 and 1 by this, where the logarithm of their odds is infinite.
const MARGIN: f64 = 1e-3;
/// Weight of the squared slope, in photos, with the statistic standardised.
const RIDGE: f64 = 0.1;
/// Newton steps; a few converge.
const STEPS: usize = 25;

/// The logistic regression of the IoU (as a fraction) on the statistic of [`ExpectedIou`], with a small ridge, by Newton's
/// method. None with fewer than 20 photos, or if an answer has no distributions of edges.
#[must_use]
pub(crate) fn fit_expected_iou(judged: &[Judged]) -> Option<ExpectedIou> {
    let points = judged.iter().map(|one| {
        let x = ExpectedIou::statistic(one.spread.as_ref()?);
        Some((x, one.iou.clamp(MARGIN, 1.0 - MARGIN)))
    });
    let points: Vec<(f64, f64)> = points.collect::<Option<_>>()?;
    if points.len() < LEAST {
        return None;
    }
    let n = points.len() as f64;
    let mean = points.iter().map(|(x, _)| x).sum::<f64>() / n;
    let deviation = (points.iter().map(|(x, _)| (x - mean).powi(2)).sum::<f64>() / n).sqrt().max(1e-9);
    let y = points.iter().map(|(_, y)| y).sum::<f64>() / n;
    let (mut a, mut b) = ((y / (1.0 - y)).ln(), 0.0);
    for _ in 0..STEPS {
        // Gradient (g, h) and Hessian ((p, q), (q, r)) of the negative log-likelihood.
        let (mut g, mut h, mut p, mut q, mut r) = (0.0, RIDGE * b, 0.0, 0.0, RIDGE);
        for (x, y) in &points {
            let z = (x - mean) / deviation;
            let fitted = 1.0 / (1.0 + (-(a + b * z)).exp());
            let weight = fitted * (1.0 - fitted);
            g += fitted - y;
            h += (fitted - y) * z;
            p += weight;
            q += weight * z;
            r += weight * z * z;
        }
        let determinant = p * r - q * q;
        a -= (r * g - q * h) / determinant;
        b -= (p * h - q * g) / determinant;
    }
    let slope = b / deviation;
    let model = ExpectedIou { intercept: a - slope * mean, slope };
    model.is_valid().then_some(model)
}

/// Figures of the expected IoUs of answers; none without photos, or if an answer has no distributions of edges.
#[must_use]
pub fn expected_iou_figures(model: &ExpectedIou, judged: &[Judged]) -> Option<ExpectedIouFigures> {
    let of = |spread: &EdgeSpread| f64::from(model.of(spread));
    let expected: Option<Vec<f64>> = judged.iter().map(|one| one.spread.as_ref().map(of)).collect();
    figures_of(&expected?, judged)
}

/// As [`expected_iou_figures`], for given expected IoUs.
pub(crate) fn figures_of(expected: &[f64], judged: &[Judged]) -> Option<ExpectedIouFigures> {
    if judged.is_empty() {
        return None;
    }
    let n = judged.len() as f64;
    let mean_iou = judged.iter().map(|one| one.iou).sum::<f64>() / n;
    let ious = || judged.iter().map(|one| one.iou);
    let confidence = super::at_temperature(judged, 1.0).into_iter().map(|one| one.confidence);
    Some(ExpectedIouFigures {
        mean: expected.iter().sum::<f64>() / n,
        ece: calibration_error(expected.iter().copied().zip(ious())),
        ece_of_confidence: calibration_error(confidence.zip(ious())),
        error: expected.iter().zip(ious()).map(|(e, iou)| (e - iou).abs()).sum::<f64>() / n,
        error_of_constant: ious().map(|iou| (iou - mean_iou).abs()).sum::<f64>() / n,
    })
}

#[cfg(test)]
mod tests {
    use loc_data::random::Random;

    use super::*;
    use crate::eval::judged::judged;

    /// Photos whose IoU falls with the spread: logit(IoU) = −1 − 1.5 u, plus noise.
    fn answers(n: u64) -> Vec<Judged> {
        let one = |i: u64| {
            let mut random = Random::keyed(&[0x696F_7521, i]);
            let spread = EdgeSpread([f64::from(random.range(0.1, 0.5)); 4]);
            let odds = (-1.0 - 1.5 * ExpectedIou::statistic(&spread)).exp();
            let noise = f64::from(random.range(-0.05, 0.05));
            let iou = (odds / (1.0 + odds) + noise).clamp(0.0, 1.0);
            Judged { spread: Some(spread), ..judged(0, 0, &[3.0, 0.0], iou) }
        };
        (0..n).map(one).collect()
    }

    #[test]
    fn the_regression_finds_the_coefficients_and_predicts() {
        let model = fit_expected_iou(&answers(500)).unwrap();
        assert!((model.slope + 1.5).abs() < 0.1 && (model.intercept + 1.0).abs() < 0.1, "{model:?}");
        let others = &answers(1000)[500..];
        let figures = expected_iou_figures(&model, others).unwrap();
        assert!(figures.ece < 0.01 && figures.ece_of_confidence > 0.1, "{figures:?}");
        assert!(figures.error < 0.03 && figures.error_of_constant > 0.1, "{figures:?}");
    }

    #[test]
    fn photos_that_do_not_decide_give_none_or_a_constant() {
        let all = answers(50);
        assert_eq!(fit_expected_iou(&all[..LEAST - 1]), None);
        let without = Judged { spread: None, ..all[0].clone() };
        assert_eq!(fit_expected_iou(&[&all[..], &[without]].concat()), None);
        let perfect: Vec<Judged> = all.iter().map(|one| Judged { iou: 1.0, ..one.clone() }).collect();
        let model = fit_expected_iou(&perfect).unwrap();
        let figures = expected_iou_figures(&model, &perfect).unwrap();
        assert!(figures.ece < 2.0 * MARGIN, "{model:?} {figures:?}");
        let same: Vec<Judged> =
            all.iter().map(|one| Judged { spread: Some(EdgeSpread([0.1; 4])), ..one.clone() }).collect();
        let figures = expected_iou_figures(&fit_expected_iou(&same).unwrap(), &same).unwrap();
        assert!(
            figures.ece < 0.01 && (figures.error - figures.error_of_constant).abs() < 1e-3,
            "{figures:?}"
        );
    }
}
