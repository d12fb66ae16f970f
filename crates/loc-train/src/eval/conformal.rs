//! Margins around boxes by split conformal prediction, and how they do on other photos.
//!
//! The score of a photo is the largest distance of an edge from its prediction, in a unit of its own for each edge
//! ([`MarginUnit`]). Taking the largest makes the statement one about the whole box. The quantile of the scores of n photos at
//! rank ⌈(n + 1) · coverage⌉ is exceeded by a further photo with a probability of at most 1 − coverage, if the n + 1 photos
//! are exchangeable (Vovk, Gammerman, Shafer 2005): no property of the model or of the photos is assumed.

use loc_data::random::Random;
use loc_infer::BBox;
use loc_infer::confidence::{Bounds, MarginUnit, Margins};
use serde::Serialize;

use crate::eval::judged::Judged;

/// Absorbs rounding where (n + 1) · coverage is a whole number.
const ROUNDING: f64 = 1e-9;

/// How margins do on photos.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MarginFigures {
    /// The coverage that was asked for.
    pub coverage: f64,
    /// Fraction of the photos whose annotated box contains the inner box and lies in the outer one.
    pub covered: f64,
    /// Mean distance of an outer from an inner edge, in sides of the annotated box. An inner box that does not exist counts
    /// as the centre of the predicted one.
    pub width: f64,
    /// Fraction of the photos without an inner box.
    pub without_inner: f64,
}

/// The smallest number of photos from which margins of this coverage can be computed.
#[must_use]
pub fn photos_needed(coverage: f64) -> usize {
    (coverage / (1.0 - coverage) - ROUNDING).ceil().max(1.0) as usize
}

/// The margins that these answers decide; in units of the edges' distributions if all answers have them.
///
/// None with fewer photos than [`photos_needed`], or if the coverage is not between 0 and 1.
#[must_use]
pub(crate) fn fit_margins(judged: &[Judged], coverage: f64) -> Option<Margins> {
    let unit = unit(judged);
    let quantile = quantile(&mut scores(judged, unit)?, coverage)?;
    Some(Margins { coverage, photos: judged.len(), unit, quantile })
}

/// Figures of margins on other photos; none without photos, or if the margins need distributions that an answer lacks.
#[must_use]
pub fn margin_figures(margins: &Margins, judged: &[Judged]) -> Option<MarginFigures> {
    if judged.is_empty() {
        return None;
    }
    let (mut covered, mut width, mut without_inner) = (0.0, 0.0, 0.0);
    for one in judged {
        let Bounds { outer, inner } = margins.bounds(one.bbox, one.size, one.spread.as_ref())?;
        let score = margins.unit.score(one.bbox, one.truth, one.size, one.spread.as_ref())?;
        covered += f64::from(u8::from(score <= margins.quantile));
        without_inner += f64::from(u8::from(inner.is_none()));
        width += band(outer, inner.unwrap_or(centre(one.bbox)), one.truth);
    }
    let mean = |sum: f64| sum / judged.len() as f64;
    Some(MarginFigures {
        coverage: margins.coverage,
        covered: mean(covered),
        width: mean(width),
        without_inner: mean(without_inner),
    })
}

/// The mean coverage on one half of the photos of the margins that the other half decides, over random halves: a check of the
/// method on these very photos. None with fewer than twice the photos that are needed.
#[must_use]
pub(crate) fn coverage_over_halves(judged: &[Judged], coverage: f64, halvings: usize) -> Option<f64> {
    let scores = scores(judged, unit(judged))?;
    let mut order: Vec<usize> = (0..scores.len()).collect();
    let mut sum = 0.0;
    for halving in 0..halvings {
        Random::keyed(&[0x6861_6C66, halving as u64]).shuffle(&mut order);
        let (fitted, others) = order.split_at(scores.len() / 2);
        let mut own: Vec<f64> = fitted.iter().map(|i| scores[*i]).collect();
        let quantile = quantile(&mut own, coverage)?;
        let covered = others.iter().filter(|i| scores[**i] <= quantile).count();
        sum += covered as f64 / others.len() as f64;
    }
    (halvings > 0).then(|| sum / halvings as f64)
}

fn unit(judged: &[Judged]) -> MarginUnit {
    let all = !judged.is_empty() && judged.iter().all(|one| one.spread.is_some());
    if all { MarginUnit::Edges } else { MarginUnit::Box }
}

fn scores(judged: &[Judged], unit: MarginUnit) -> Option<Vec<f64>> {
    judged.iter().map(|one| unit.score(one.bbox, one.truth, one.size, one.spread.as_ref())).collect()
}

/// The score at rank ⌈(n + 1) · coverage⌉ of n; none if n is smaller. Sorts the scores.
pub(super) fn quantile(scores: &mut [f64], coverage: f64) -> Option<f64> {
    if !(coverage > 0.0 && coverage < 1.0) {
        return None;
    }
    let rank = ((scores.len() + 1) as f64 * coverage - ROUNDING).ceil().max(1.0) as usize;
    scores.sort_by(f64::total_cmp);
    scores.get(rank - 1).copied()
}

/// The mean distance of the edges of two boxes, in sides of a third.
fn band(outer: BBox, inner: BBox, truth: BBox) -> f64 {
    let [x1, y1, x2, y2] = truth.xyxy().map(f64::from);
    let sides = [(x2 - x1).max(f64::MIN_POSITIVE), (y2 - y1).max(f64::MIN_POSITIVE)];
    let edges = outer.xyxy().into_iter().zip(inner.xyxy()).enumerate();
    edges.map(|(i, (o, i_edge))| (f64::from(o) - f64::from(i_edge)).abs() / sides[i % 2]).sum::<f64>() / 4.0
}

fn centre(bbox: BBox) -> BBox {
    let (x, y) = (f32::midpoint(bbox.x1, bbox.x2), f32::midpoint(bbox.y1, bbox.y2));
    BBox::new(x, y, x, y)
}

#[cfg(test)]
mod tests {
    use loc_infer::ImageSize;
    use loc_infer::confidence::EdgeSpread;

    use super::*;
    use crate::eval::judged::judged;

    /// An answer whose edges are off by heavy-tailed random distances that differ from edge to edge and photo to photo. The
    /// spread says something about them, but is neither right nor in scale.
    fn answer(key: u64, with_spread: bool) -> Judged {
        let mut random = Random::keyed(&[0x636F_6E66, key]);
        let (x, y) = (random.range(0.0, 300.0), random.range(0.0, 200.0));
        let (w, h) = (random.range(20.0, 300.0), random.range(20.0, 200.0));
        let bbox = BBox::new(x, y, x + w, y + h);
        let hard = random.range(0.5, 3.0);
        let truth = bbox.xyxy().map(|edge| {
            let off = random.range(-1.0, 1.0) * random.range(0.0, 1.0).powi(3);
            (edge + 60.0 * hard * off).max(0.0)
        });
        let spread = with_spread.then(|| EdgeSpread([f64::from(hard * random.range(0.02, 0.05)); 4]));
        let size = ImageSize { width: 640, height: 480 };
        Judged { bbox, truth: BBox::from(truth), size, spread, ..judged(0, 0, &[], 0.5) }
    }

    #[test]
    fn margins_cover_what_was_asked_over_200_random_calibration_splits() {
        // The mean over splits of photos that are drawn anew deviates by 0.3 / √(n · splits) from the truth, which is between
        // the coverage and the coverage + 1/(n + 1).
        const SLACK: f64 = 0.007;
        for (coverage, with_spread) in [(0.9, false), (0.9, true), (0.8, true), (0.5, false)] {
            let (photos, splits) = (100, 200);
            let mut sum = 0.0;
            for split in 0..splits {
                let all: Vec<Judged> =
                    (0..2 * photos).map(|i| answer(split * 2 * photos + i, with_spread)).collect();
                let (fitted, others) = all.split_at(photos as usize);
                let margins = fit_margins(fitted, coverage).unwrap();
                let expected = if with_spread { MarginUnit::Edges } else { MarginUnit::Box };
                assert_eq!((margins.unit, margins.photos), (expected, 100));
                sum += margin_figures(&margins, others).unwrap().covered;
            }
            let mean = sum / splits as f64;
            let range = coverage - SLACK..coverage + 1.0 / 101.0 + SLACK;
            assert!(range.contains(&mean), "{coverage}, {with_spread}: {mean}");
        }
    }

    #[test]
    fn a_box_is_covered_if_it_lies_between_outer_and_inner_box() {
        let all: Vec<Judged> = (0..200).map(|i| answer(i, true)).collect();
        let margins = fit_margins(&all, 0.7).unwrap();
        let within = |a: BBox, b: BBox| a.x1 >= b.x1 && a.y1 >= b.y1 && a.x2 <= b.x2 && a.y2 <= b.y2;
        // Only a box in the photo can lie in the outer box, which is clipped.
        let inside = all.iter().filter(|one| one.truth == one.truth.clip(one.size));
        for one in inside {
            let Bounds { outer, inner } = margins.bounds(one.bbox, one.size, one.spread.as_ref()).unwrap();
            let figures = margin_figures(&margins, std::slice::from_ref(one)).unwrap();
            let lies = within(one.truth, outer) && inner.is_none_or(|inner| within(inner, one.truth));
            assert!(lies || figures.covered == 0.0, "{one:?}");
            assert!(!lies || figures.covered == 1.0 || inner.is_none(), "{one:?}");
        }
        assert!((coverage_over_halves(&all, 0.7, 200).unwrap() - 0.7).abs() < 0.02);
    }

    #[test]
    fn too_few_photos_decide_nothing() {
        for (coverage, needed) in [(0.9, 9), (0.95, 19), (0.99, 99), (0.5, 1), (0.1, 1)] {
            assert_eq!(photos_needed(coverage), needed, "{coverage}");
            let all: Vec<Judged> = (0..needed as u64).map(|i| answer(i, false)).collect();
            assert!(fit_margins(&all, coverage).is_some(), "{coverage}");
            assert_eq!(fit_margins(&all[1..], coverage), None, "{coverage}");
        }
        let all: Vec<Judged> = (0..20).map(|i| answer(i, false)).collect();
        for coverage in [0.0, 1.0, -1.0, f64::NAN] {
            assert_eq!(fit_margins(&all, coverage), None, "{coverage}");
        }
        assert_eq!(coverage_over_halves(&all[..17], 0.9, 10), None);
    }

    #[test]
    fn the_quantile_by_hand() {
        let rank =
            |n: usize, coverage: f64| quantile(&mut (1..=n).map(|i| i as f64).collect::<Vec<_>>(), coverage);
        assert_eq!((rank(9, 0.9), rank(10, 0.9), rank(99, 0.9)), (Some(9.0), Some(10.0), Some(90.0)));
        assert_eq!((rank(100, 0.9), rank(8, 0.9), rank(0, 0.5)), (Some(91.0), None, None));
    }

    #[test]
    fn figures_by_hand() {
        // The photo is 10×10 and both boxes are the whole of it: the unit of an edge is 10 pixels.
        let one = judged(0, 0, &[], 1.0);
        let of = |quantile: f64| {
            let margins = Margins { coverage: 0.9, photos: 9, unit: MarginUnit::Box, quantile };
            margin_figures(&margins, std::slice::from_ref(&one)).unwrap()
        };
        let narrow = of(0.2);
        assert!((narrow.width - 0.2).abs() < 1e-6, "the outer box is clipped: {narrow:?}");
        assert_eq!((narrow.coverage, narrow.covered, narrow.without_inner), (0.9, 1.0, 0.0));
        let wide = of(0.7);
        assert!((wide.width - 0.5).abs() < 1e-6 && wide.without_inner == 1.0, "{wide:?}");
    }
}
