//! A model's answer to one annotated photo, and what many of them show: confusion and overlap.

use loc_infer::confidence::EdgeSpread;
use loc_infer::{BBox, ImageSize};

/// A model's answer to one annotated photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Index of the sample in its data set.
    pub sample: usize,
    /// Index of the annotated class.
    pub label: usize,
    /// Index of the predicted class; the first on a tie.
    pub class: usize,
    /// Probability of the predicted class, 0..1.
    pub confidence: f64,
    /// The annotated box, in pixels of the upright photo.
    pub truth: BBox,
    /// The predicted box, as prediction returns it: in pixels of the upright photo, ordered, inside it.
    pub bbox: BBox,
    /// Size of the upright photo.
    pub size: ImageSize,
    /// IoU of the two boxes in fractions of the network's input, 0..1.
    pub iou: f64,
    /// The class logits; empty where they are not kept.
    pub logits: Vec<f32>,
    /// How far the distributions of the edges are spread out; none if the head has none, or where they are not kept.
    pub spread: Option<EdgeSpread>,
}

impl Judged {
    /// Whether the predicted class is the annotated one.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.class == self.label
    }

    /// The five metrics of this photo alone: accuracy, IoU, IoU ≥ 0.5, IoU ≥ 0.75, localization accuracy.
    pub(super) fn figures(&self) -> [f64; 5] {
        let is = |yes: bool| f64::from(u8::from(yes));
        let overlaps = |least: f64| is(self.iou >= least);
        [is(self.is_right()), self.iou, overlaps(0.5), overlaps(0.75), is(self.is_localized(0.5))]
    }

    /// Whether the class is right and the IoU is `least` or more.
    #[must_use]
    pub fn is_localized(&self, least: f64) -> bool {
        self.is_right() && self.iou >= least
    }
}

/// Numbers of photos by annotated class (rows) and predicted class (columns).
#[must_use]
pub fn confusion(judged: &[Judged], classes: usize) -> Confusion {
    let mut rows = vec![std::collections::BTreeMap::new(); classes];
    for one in judged {
        if let Some(row) = rows.get_mut(one.label) {
            *row.entry(one.class).or_insert(0) += 1;
        }
    }
    Confusion(rows)
}

/// Numbers of photos by annotated and predicted class. Sparse: a thousand classes have a million pairs, most of them empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion(Vec<std::collections::BTreeMap<usize, usize>>);

impl Confusion {
    /// Number of photos of the class `label` that are taken for `class`.
    #[must_use]
    pub fn count(&self, label: usize, class: usize) -> usize {
        self.0.get(label).and_then(|row| row.get(&class)).copied().unwrap_or(0)
    }

    /// The counts above 0 of an annotated class, by predicted class.
    pub fn row(&self, label: usize) -> impl Iterator<Item = (usize, usize)> {
        self.0.get(label).into_iter().flatten().map(|(class, count)| (*class, *count))
    }

    /// The pairs of different classes, annotated and predicted, the most frequent first.
    #[must_use]
    pub fn mistakes(&self) -> Vec<(usize, usize, usize)> {
        let mut all: Vec<(usize, usize, usize)> = (0..self.0.len())
            .flat_map(|label| self.row(label).map(move |(class, count)| (label, class, count)))
            .filter(|(label, class, _)| label != class)
            .collect();
        all.sort_by_key(|(label, class, count)| (std::cmp::Reverse(*count), *label, *class));
        all
    }
}

/// Numbers of photos by IoU, in `bins` equal parts of 0..1; an IoU of 1 is in the last.
#[must_use]
pub fn iou_histogram(judged: &[Judged], bins: usize) -> Vec<usize> {
    let mut counts = vec![0; bins];
    for one in judged {
        let bin = (one.iou * bins as f64) as usize;
        if let Some(count) = counts.get_mut(bin.min(bins.saturating_sub(1))) {
            *count += 1;
        }
    }
    counts
}

/// Fraction of photos with an IoU of at least each threshold 0, 1/n, …, 1; empty without photos.
#[must_use]
pub fn success_curve(judged: &[Judged], n: usize) -> Vec<f64> {
    if judged.is_empty() {
        return Vec::new();
    }
    let at_least = |least: f64| judged.iter().filter(|one| one.iou >= least).count();
    (0..=n).map(|i| at_least(i as f64 / n as f64) as f64 / judged.len() as f64).collect()
}

/// The photos from the worst answer to the best, as indices: wrong classes first, then by IoU, then by confidence (a confident
/// mistake is worse), then by place.
#[must_use]
pub fn worst_first(judged: &[Judged]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..judged.len()).collect();
    order.sort_by(|a, b| {
        let (one, two) = (&judged[*a], &judged[*b]);
        let confidence = match one.is_right() {
            true => one.confidence.total_cmp(&two.confidence),
            false => two.confidence.total_cmp(&one.confidence),
        };
        (one.is_right().cmp(&two.is_right()))
            .then(one.iou.total_cmp(&two.iou))
            .then(confidence)
            .then(a.cmp(b))
    });
    order
}

#[cfg(test)]
pub(crate) fn judged(sample: usize, label: usize, logits: &[f32], iou: f64) -> Judged {
    let bbox = BBox::new(0.0, 0.0, 10.0, 10.0);
    let probs = loc_infer::postprocess::softmax(logits);
    let class = loc_infer::postprocess::argmax(&probs);
    Judged {
        sample,
        label,
        class,
        confidence: f64::from(probs.get(class).copied().unwrap_or_default()),
        truth: bbox,
        bbox,
        size: ImageSize { width: 10, height: 10 },
        iou,
        logits: logits.to_vec(),
        spread: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confusion_and_overlap_by_hand() {
        let all = [
            judged(0, 0, &[1.0, 0.0], 0.5),
            judged(1, 0, &[0.0, 1.0], 0.5),
            judged(2, 1, &[0.0, 1.0], 1.0),
            judged(3, 0, &[0.0, 9.0], 0.1),
        ];
        let confusion = confusion(&all, 3);
        let table = [0, 1, 2].map(|label| [0, 1, 2].map(|class| confusion.count(label, class)));
        assert_eq!(table, [[1, 2, 0], [0, 1, 0], [0, 0, 0]], "a row for each annotated class");
        assert_eq!(confusion.mistakes(), [(0, 1, 2)]);
        assert_eq!(iou_histogram(&all, 4), [1, 0, 2, 1], "1 is in the last part");
        assert_eq!(success_curve(&all, 2), [1.0, 0.75, 0.25]);
        assert_eq!((iou_histogram(&[], 2), success_curve(&[], 2)), (vec![0, 0], vec![]));
        // 3 and 1 have wrong classes, and 3 the smaller IoU.
        assert_eq!(worst_first(&all), [3, 1, 0, 2]);
    }

    #[test]
    fn of_equal_mistakes_the_confident_one_is_the_worst() {
        let all = [
            judged(0, 0, &[0.0, 1.0], 0.5),
            judged(1, 0, &[0.0, 5.0], 0.5),
            judged(2, 0, &[5.0, 0.0], 0.5),
            judged(3, 0, &[1.0, 0.0], 0.5),
        ];
        assert_eq!(worst_first(&all), [1, 0, 3, 2]);
    }
}
