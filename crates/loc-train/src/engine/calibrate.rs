//! Everything that is fitted to held-back photos at once: temperature, expected IoU, margins; and what that gains, on photos
//! that the fit has not seen.

use loc_data::random::Random;
use loc_infer::confidence::{ExpectedIou, Margins, Novelty};

use crate::checkpoint::{BeforeAfter, CalibrationRecord, ModelFile};
use crate::digest::sha256;
use crate::eval::{
    Judged, at_temperature, best_temperature, calibration, coverage_over_halves, figures_of,
    fit_expected_iou, fit_margins, log_loss,
};

/// Folds of the cross-fitting.
const FOLDS: usize = 10;
/// Halves over which the coverage is checked.
const HALVINGS: usize = 200;

/// What photos decide about a model's confidence.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Calibrated {
    /// The temperature; none if the photos do not decide one, or it does not fit photos better that it was not fitted to.
    pub temperature: Option<f32>,
    /// The expected IoU; none if the photos do not decide it, or the head has no distributions of edges.
    pub expected_iou: Option<ExpectedIou>,
    /// The margins.
    pub margins: Margins,
    /// What tells photos of the kind from others ([`novelty`](crate::novelty)); not fitted by [`calibrate`].
    pub novelty: Option<Novelty>,
    /// The mean coverage over random halves of the photos; none if there are too few for halves.
    pub coverage_over_halves: Option<f64>,
    /// What the model file keeps about the calibration.
    pub record: CalibrationRecord,
}

/// Fits all that the answers decide. `names` are the names of all photos of the data set.
///
/// None if there are too few photos for the coverage, or the coverage is not between 0 and 1.
#[must_use]
pub fn calibrate(judged: &[Judged], coverage: f64, names: &[&str]) -> Option<Calibrated> {
    let margins = fit_margins(judged, coverage)?;
    let temperature = best_temperature(judged).filter(|_| temperature_pays(judged));
    let expected_iou = fit_expected_iou(judged);
    let record = CalibrationRecord {
        photos: judged.len(),
        sha256: digest(judged, names),
        confidence_ece: temperature.and_then(|_| confidence_ece(judged)),
        expected_iou_ece: expected_iou.and_then(|_| expected_iou_ece(judged)),
    };
    let coverage_over_halves = coverage_over_halves(judged, coverage, HALVINGS);
    Some(Calibrated { temperature, expected_iou, margins, novelty: None, coverage_over_halves, record })
}

impl Calibrated {
    /// Writes what was fitted into a model's metadata, in place of an earlier calibration. A temperature that the photos do not
    /// decide stays.
    pub fn store(&self, file: &mut ModelFile) {
        file.meta.temperature = self.temperature.unwrap_or(file.meta.temperature);
        file.meta.expected_iou = self.expected_iou;
        file.meta.margins = Some(self.margins);
        file.meta.novelty.clone_from(&self.novelty);
        file.calibrated = Some(self.record.clone());
    }
}

impl CalibrationRecord {
    /// Whether these are answers to the photos of the calibration.
    #[must_use]
    pub fn is_of(&self, judged: &[Judged], names: &[&str]) -> bool {
        self.photos == judged.len() && self.sha256 == digest(judged, names)
    }
}

fn digest(judged: &[Judged], names: &[&str]) -> String {
    let mut own: Vec<&str> = judged.iter().filter_map(|one| names.get(one.sample).copied()).collect();
    own.sort_unstable();
    sha256(own.join("\n").as_bytes())
}

/// Whether a temperature makes the annotated classes of photos more likely that it was not fitted to: with few mistakes it may
/// not.
fn temperature_pays(judged: &[Judged]) -> bool {
    let gains = cross_fitted(judged, |fitted, others| {
        let temperature = f64::from(best_temperature(fitted).unwrap_or(1.0));
        Some(others.iter().map(|one| log_loss(one, 1.0) - log_loss(one, temperature)).collect())
    });
    gains.is_some_and(|gains: Vec<f64>| gains.iter().sum::<f64>() > 0.0)
}

fn confidence_ece(judged: &[Judged]) -> Option<BeforeAfter> {
    let answers = cross_fitted(judged, |fitted, others| {
        Some(at_temperature(others, best_temperature(fitted).unwrap_or(1.0)))
    })?;
    let before = calibration(&at_temperature(judged, 1.0))?.ece;
    Some(BeforeAfter { before, after: calibration(&answers)?.ece })
}

fn expected_iou_ece(judged: &[Judged]) -> Option<BeforeAfter> {
    let expected = cross_fitted(judged, |fitted, others| {
        let model = fit_expected_iou(fitted)?;
        others.iter().map(|one| Some((one.clone(), f64::from(model.of(one.spread.as_ref()?))))).collect()
    })?;
    let (answers, expected): (Vec<Judged>, Vec<f64>) = expected.into_iter().unzip();
    let figures = figures_of(&expected, &answers)?;
    Some(BeforeAfter { before: figures.ece_of_confidence, after: figures.ece })
}

/// The results for the photos of each fold, by a fit on the photos of all others.
fn cross_fitted<T>(
    judged: &[Judged],
    fit: impl Fn(&[Judged], &[Judged]) -> Option<Vec<T>>,
) -> Option<Vec<T>> {
    let mut order: Vec<usize> = (0..judged.len()).collect();
    Random::keyed(&[0x666F_6C64]).shuffle(&mut order);
    let mut all = Vec::with_capacity(judged.len());
    for fold in 0..FOLDS {
        let part = |own: bool| {
            let places = order.iter().enumerate().filter(|(place, _)| (place % FOLDS == fold) == own);
            places.map(|(_, sample)| judged[*sample].clone()).collect::<Vec<Judged>>()
        };
        all.extend(fit(&part(false), &part(true))?);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use loc_infer::confidence::EdgeSpread;
    use loc_infer::{InputSpec, ModelMeta};
    use loc_net::{InputShape, NetworkConfig};

    use super::*;
    use crate::eval::judged;

    /// Photos whose confidence is too high by a factor of four in the logits, and whose IoU falls with the spread.
    fn answers(n: usize) -> Vec<Judged> {
        let one = |i: usize| {
            let mut random = Random::keyed(&[0x6361_6C69, i as u64]);
            let logit = random.range(0.0, 2.0);
            let right = random.chance(1.0 / (1.0 + (-logit).exp()));
            let spread = f64::from(random.range(0.02, 0.2));
            let iou = (1.0 - 3.0 * spread + f64::from(random.range(-0.1, 0.1))).clamp(0.0, 1.0);
            let answer = judged(i, usize::from(!right), &[4.0 * logit, 0.0], iou);
            Judged { spread: Some(EdgeSpread([spread; 4])), ..answer }
        };
        (0..n).map(one).collect()
    }

    #[test]
    fn all_is_fitted_and_its_gain_is_that_on_other_photos() {
        let all = answers(600);
        let names: Vec<String> = (0..600).map(|i| format!("{i}.jpg")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let found = calibrate(&all, 0.9, &names).unwrap();
        assert!((found.temperature.unwrap() / 4.0 - 1.0).abs() < 0.2, "{:?}", found.temperature);
        let record = &found.record;
        for ece in [record.confidence_ece.unwrap(), record.expected_iou_ece.unwrap()] {
            assert!(ece.after < ece.before / 2.0, "{record:?}");
        }
        // The boxes of these photos are all right.
        assert_eq!((found.margins.quantile, found.coverage_over_halves), (0.0, Some(1.0)));
        assert!(record.is_of(&all, &names) && !record.is_of(&all[1..], &names));
        let mut others = names.clone();
        others[7] = "other.jpg";
        assert!(!record.is_of(&all, &others));
        assert_eq!(calibrate(&all[..8], 0.9, &names), None, "too few photos");
    }

    #[test]
    fn a_temperature_that_does_not_help_on_other_photos_is_left_out() {
        // One mistake in 30 at a confidence of 29/30: each fold without it is fitted too warm by the others.
        let all: Vec<Judged> =
            (0..30).map(|i| judged(i, usize::from(i == 7), &[29.0_f32.ln(), 0.0], 1.0)).collect();
        assert!(best_temperature(&all).is_some());
        assert_eq!(calibrate(&all, 0.9, &[]).unwrap().temperature, None);
    }

    #[test]
    fn what_is_not_decided_is_left_out() {
        let right: Vec<Judged> = (0..30).map(|i| judged(i, 0, &[2.0, 0.0], 1.0)).collect();
        let found = calibrate(&right, 0.9, &[]).unwrap();
        assert_eq!((found.temperature, found.expected_iou), (None, None));
        assert_eq!((found.record.confidence_ece, found.record.expected_iou_ece), (None, None));
        let meta = ModelMeta::new(vec!["a".into(), "b".into()], InputSpec::default()).unwrap();
        let input = InputShape { height: 256, width: 256 };
        let mut file = ModelFile::new(meta, NetworkConfig::five_conv(input, 2));
        file.meta.temperature = 1.5;
        found.store(&mut file);
        assert_eq!((file.meta.temperature, file.meta.margins), (1.5, Some(found.margins)));
        assert_eq!(ModelFile::from_json(&file.to_json().unwrap()).unwrap(), file);
    }
}
