//! What tells photos of a known kind from others: fitting it, and how it does.

use loc_data::random::Random;
use loc_infer::confidence::Novelty;
use serde::Serialize;

use crate::eval::conformal::quantile;
use crate::eval::presence::{Seen, auroc};

/// Directions that are kept.
const DIRECTIONS: usize = 16;
/// Iterations in which the directions are found. They need not be exact.
const ITERATIONS: usize = 30;

/// How the novelty does on photos.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct NoveltyFigures {
    /// The share of photos with an object that was to be accepted.
    pub asked: f64,
    /// The share that is accepted.
    pub accepted: f64,
    /// The share of photos without an object that is rejected; none without such photos.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negatives_rejected: Option<f64>,
    /// Area under the ROC curve: how often, of a photo with an object and one without, that without is the more novel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auroc: Option<f64>,
}

/// Fits the directions to the features of known photos, `[known, features]`, and the threshold to those of others of the same
/// kind, `[held_back, features]`, so that the share `accepted` of them is below it.
///
/// The directions are the first right singular vectors of the known photos' features, each photo's scaled to length 1, times the
/// root of the singular value over the largest. The threshold is a conformal quantile: of further photos of the kind at least
/// that share is accepted on average.
///
/// None with fewer known photos than twice the directions, or too few others for the share.
#[must_use]
pub(crate) fn fit_novelty(
    known: &[f32],
    held_back: &[f32],
    features: usize,
    accepted: f64,
) -> Option<Novelty> {
    let known = unit_rows(known, features);
    if features == 0 || known.len() < 2 * DIRECTIONS {
        return None;
    }
    let directions = principal(&known, features, DIRECTIONS.min(features));
    let most = directions.iter().flatten().fold(0.0, |most: f64, v| most.max(v.abs()));
    let step = most / 127.0;
    let quantised = directions.iter().flatten().map(|v| (v / step).round() as i8).collect();
    let photos = held_back.len() / features;
    let model =
        Novelty { accepted, threshold: 1.0, photos, features, step: step as f32, directions: quantised };
    let mut scores: Vec<f64> = held_back.chunks_exact(features).map(|x| f64::from(model.of(x))).collect();
    let threshold = quantile(&mut scores, accepted)? as f32;
    let model = Novelty { threshold, ..model };
    model.is_valid().then_some(model)
}

/// Figures of a novelty on photos with an object (`true`) and without; none without photos with an object.
#[must_use]
pub fn novelty_figures(model: &Novelty, photos: &[(bool, f32)]) -> Option<NoveltyFigures> {
    let share = |present: bool| {
        let own: Vec<f32> =
            photos.iter().filter(|(p, _)| *p == present).map(|(_, novelty)| *novelty).collect();
        let accepted = own.iter().filter(|novelty| **novelty <= model.threshold).count();
        (!own.is_empty()).then(|| accepted as f64 / own.len() as f64)
    };
    let seen = photos.iter().enumerate();
    let seen: Vec<Seen> = seen
        .map(|(sample, (present, novelty))| Seen { sample, present: *present, probability: 1.0 - novelty })
        .collect();
    Some(NoveltyFigures {
        asked: model.accepted,
        accepted: share(true)?,
        negatives_rejected: share(false).map(|accepted| 1.0 - accepted),
        auroc: auroc(&seen),
    })
}

/// The rows, each scaled to length 1; without those of length 0.
fn unit_rows(rows: &[f32], width: usize) -> Vec<Vec<f64>> {
    let scaled = rows.chunks_exact(width.max(1)).map(|row| {
        let length = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        row.iter().map(|x| f64::from(*x) / length).collect::<Vec<f64>>()
    });
    scaled.filter(|row| row.iter().all(|x| x.is_finite())).collect()
}

/// The first right singular vectors by orthogonal iteration, times √(their singular value / the largest).
fn principal(rows: &[Vec<f64>], width: usize, count: usize) -> Vec<Vec<f64>> {
    let mut random = Random::keyed(&[0x6E6F_7665, width as u64]);
    let mut vectors: Vec<Vec<f64>> =
        (0..count).map(|_| (0..width).map(|_| f64::from(random.range(-1.0, 1.0))).collect()).collect();
    let mut values = vec![0.0; count];
    for _ in 0..ITERATIONS {
        // XᵀX of each vector, then Gram and Schmidt.
        for vector in &mut vectors {
            let mut next = vec![0.0; width];
            for row in rows {
                let along = dot(row, vector);
                next.iter_mut().zip(row).for_each(|(sum, x)| *sum += along * x);
            }
            *vector = next;
        }
        for (i, value) in values.iter_mut().enumerate() {
            let (before, rest) = vectors.split_at_mut(i);
            let vector = &mut rest[0];
            for other in before {
                let along = dot(vector, other);
                vector.iter_mut().zip(other.iter()).for_each(|(v, o)| *v -= along * o);
            }
            *value = dot(vector, vector).sqrt();
            // A direction that the photos do not have stays 0.
            let scale = if *value > 1e-12 { 1.0 / *value } else { 0.0 };
            vector.iter_mut().for_each(|v| *v *= scale);
        }
    }
    // XᵀX has the squares of the singular values.
    let largest = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    for (vector, value) in vectors.iter_mut().zip(&values) {
        let scale = (value / largest).powf(0.25);
        vector.iter_mut().for_each(|v| *v *= scale);
    }
    vectors
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Photos whose features are mixtures of four patterns, at any brightness, with some noise; `kind` chooses the patterns.
    fn features(kind: u64, from: u64, photos: u64) -> Vec<f32> {
        const WIDTH: u64 = 60;
        let value = |key: &[u64]| Random::keyed(key).range(-1.0, 1.0);
        let photo = |i: u64| {
            let bright = 1.5 + value(&[1, kind, i]);
            (0..WIDTH).map(move |j| {
                let mixed: f32 = (0..4).map(|p| value(&[2, kind, i, p]) * value(&[3, kind, p, j])).sum();
                bright * (mixed + 0.2 * value(&[4, kind, i, j]))
            })
        };
        (from..from + photos).flat_map(photo).collect()
    }

    #[test]
    fn other_patterns_are_novel_and_new_photos_of_the_kind_are_not() {
        let model = fit_novelty(&features(0, 0, 100), &features(0, 100, 99), 60, 0.95).unwrap();
        assert_eq!((model.photos, model.features, model.directions.len()), (99, 60, 16 * 60));
        let of = |features: Vec<f32>| features.chunks_exact(60).map(|x| model.of(x)).collect::<Vec<f32>>();
        let photos: Vec<(bool, f32)> = of(features(0, 500, 400))
            .into_iter()
            .map(|n| (true, n))
            .chain(of(features(1, 0, 400)).into_iter().map(|n| (false, n)))
            .collect();
        let figures = novelty_figures(&model, &photos).unwrap();
        assert!((0.90..=1.0).contains(&figures.accepted), "{figures:?}");
        assert!(figures.auroc.unwrap() > 0.99 && figures.negatives_rejected.unwrap() > 0.9, "{figures:?}");
        let known = novelty_figures(&model, &photos[..400]).unwrap();
        assert_eq!((known.auroc, known.negatives_rejected), (None, None));
        assert_eq!(novelty_figures(&model, &photos[400..]), None);
    }

    #[test]
    fn directions_are_the_singular_vectors() {
        // Rows along (0.6, 0.8, 0) twice and (0, 0, 1) once: singular values √2 and 1, no third.
        let rows = unit_rows(&[3.0, 4.0, 0.0, -6.0, -8.0, 0.0, 0.0, 0.0, 5.0, 0.0, 0.0, 0.0], 3);
        assert_eq!(rows.len(), 3, "a row of zeros has no direction");
        let found = principal(&rows, 3, 3);
        let length = |v: &[f64]| dot(v, v).sqrt();
        assert!((dot(&found[0], &[0.6, 0.8, 0.0]).abs() - 1.0).abs() < 1e-6, "{found:?}");
        assert!((found[1][2].abs() - 0.5_f64.powf(0.25)).abs() < 1e-6, "{found:?}");
        assert!(length(&found[2]) < 1e-3, "{found:?}");
    }

    #[test]
    fn too_few_photos_decide_nothing() {
        let known = features(0, 0, 40);
        assert!(fit_novelty(&known, &features(0, 100, 19), 60, 0.95).is_some());
        assert_eq!(fit_novelty(&known, &features(0, 100, 18), 60, 0.95), None);
        assert_eq!(fit_novelty(&known[..31 * 60], &features(0, 100, 30), 60, 0.95), None);
        assert_eq!(fit_novelty(&[0.0; 40 * 60], &known, 60, 0.95), None);
    }
}
