//! Statistics of a data set, and the score of the constant answer (majority class and median box).

use serde::{Deserialize, Serialize};

use crate::{BBox, Dataset, ImageSize, LabelledObject, NormBox, Sample};

/// Counts, sizes and boxes of a data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stats {
    /// Number of samples.
    pub samples: usize,
    /// Number of negatives among them, photos without an object.
    #[serde(skip_serializing_if = "is_zero")]
    pub negatives: usize,
    /// Samples of each class, in the classes' order.
    pub classes: Vec<ClassCount>,
    /// Widths of the upright photos, in pixels.
    pub width: Summary,
    /// Heights of the upright photos, in pixels.
    pub height: Summary,
    /// The most frequent photo sizes (at most ten), the most frequent first.
    pub sizes: Vec<SizeCount>,
    /// Sizes and positions of the boxes.
    pub boxes: BoxStats,
    /// Score of the constant answer on the samples it was computed from; `None` without samples.
    pub baseline: Option<Baseline>,
}

/// A class and its samples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// Name of the class.
    pub name: String,
    /// Number of its samples.
    pub samples: usize,
}

/// A photo size and the number of photos that have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeCount {
    /// Width and height.
    #[serde(flatten)]
    pub size: ImageSize,
    /// Number of photos.
    pub photos: usize,
}

/// Distribution of the boxes, those of negatives not being there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BoxStats {
    /// Relative side of the box: the square root of (box area / photo area), 0..1.
    pub side: Summary,
    /// Horizontal centre, 0 (left) to 1.
    pub centre_x: Summary,
    /// Vertical centre, 0 (top) to 1.
    pub centre_y: Summary,
    /// Width over height, in pixels.
    pub aspect: Summary,
}

/// Five numbers about a list of values; all null (NaN) for an empty one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// The smallest.
    pub min: f64,
    /// First quartile.
    pub q1: f64,
    /// Median.
    pub median: f64,
    /// Third quartile.
    pub q3: f64,
    /// The largest.
    pub max: f64,
    /// The arithmetic mean.
    pub mean: f64,
}

/// The constant answer: always the majority class and the median box (the median of each edge) of some samples. A model
/// that does not beat it on other samples has learnt nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Baseline {
    /// Index of the majority class; the first of them on a tie.
    pub majority_class: usize,
    /// Its accuracy, 0..1.
    pub majority_accuracy: f64,
    /// The median box and its scores.
    pub median_box: MedianBox,
    /// Fraction of samples with the right class and IoU ≥ 0.5.
    pub localization_accuracy: f64,
}

/// The median box as an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MedianBox {
    /// The box.
    pub bbox: NormBox,
    /// Mean IoU, 0..1.
    pub mean_iou: f64,
    /// Fraction of samples with IoU ≥ 0.5.
    pub iou50: f64,
    /// Fraction of samples with IoU ≥ 0.75.
    pub iou75: f64,
}

impl Stats {
    /// Computes the statistics of a data set.
    #[must_use]
    pub fn of(dataset: &Dataset) -> Self {
        let objects: Vec<(LabelledObject, ImageSize)> =
            dataset.samples.iter().filter_map(|sample| Some((sample.object?, sample.size))).collect();
        let counts = class_counts(dataset, objects.iter().map(|(object, _)| object.class));
        let classes = dataset.classes.iter().zip(counts);
        let classes = classes.map(|(name, samples)| ClassCount { name: name.clone(), samples }).collect();
        let over = |value: &dyn Fn(&Sample) -> f64| Summary::of(dataset.samples.iter().map(value));
        let of_boxes = |value: &dyn Fn(NormBox) -> f64| {
            Summary::of(objects.iter().map(|(object, size)| value(object.bbox.to_norm(*size))))
        };
        let aspect = |b: &BBox| f64::from(b.x2 - b.x1) / f64::from(b.y2 - b.y1);
        let boxes = BoxStats {
            side: of_boxes(&|b| f64::from(b.area()).sqrt()),
            centre_x: of_boxes(&|b| f64::midpoint(f64::from(b.x1), f64::from(b.x2))),
            centre_y: of_boxes(&|b| f64::midpoint(f64::from(b.y1), f64::from(b.y2))),
            aspect: Summary::of(objects.iter().map(|(object, _)| aspect(&object.bbox))),
        };
        let all: Vec<usize> = (0..dataset.samples.len()).collect();
        Self {
            samples: dataset.samples.len(),
            negatives: dataset.samples.len() - objects.len(),
            classes,
            width: over(&|s| f64::from(s.size.width)),
            height: over(&|s| f64::from(s.size.height)),
            sizes: sizes(dataset),
            boxes,
            baseline: baseline(dataset, &all, &all),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

fn sizes(dataset: &Dataset) -> Vec<SizeCount> {
    let mut counts = std::collections::BTreeMap::new();
    for sample in &dataset.samples {
        *counts.entry((sample.size.width, sample.size.height)).or_insert(0) += 1;
    }
    let mut sizes: Vec<SizeCount> = counts
        .into_iter()
        .map(|((width, height), photos)| SizeCount { size: ImageSize { width, height }, photos })
        .collect();
    sizes.sort_by_key(|s| std::cmp::Reverse(s.photos));
    sizes.truncate(10);
    sizes
}

/// Computes the constant answer from the samples `from` and evaluates it on the samples `on`; `None` if there is no object
/// in either list. Both are indices into [`Dataset::samples`]; negatives do not count.
#[must_use]
pub fn baseline(dataset: &Dataset, from: &[usize], on: &[usize]) -> Option<Baseline> {
    let objects = |among: &[usize]| -> Vec<(usize, NormBox)> {
        let object = |i: &usize| {
            let sample = &dataset.samples[*i];
            sample.object.map(|object| (object.class, object.bbox.to_norm(sample.size)))
        };
        among.iter().filter_map(object).collect()
    };
    let (from, on) = (objects(from), objects(on));
    if from.is_empty() || on.is_empty() {
        return None;
    }
    let edges: Vec<[f32; 4]> = from.iter().map(|(_, bbox)| bbox.xyxy()).collect();
    let bbox = NormBox::from([0, 1, 2, 3].map(|edge| median(edges.iter().map(|e| e[edge]))));
    let counts = class_counts(dataset, from.iter().map(|(class, _)| *class));
    let majority_class =
        (0..counts.len()).reduce(|best, c| if counts[c] > counts[best] { c } else { best })?;

    let ious: Vec<f64> = on.iter().map(|(_, truth)| f64::from(bbox.iou(truth))).collect();
    let at_least = |least: f64| mean(ious.iter().map(|iou| f64::from(u8::from(*iou >= least))));
    Some(Baseline {
        majority_class,
        majority_accuracy: mean(on.iter().map(|(class, _)| f64::from(u8::from(*class == majority_class)))),
        localization_accuracy: mean(
            on.iter()
                .zip(&ious)
                .map(|((class, _), iou)| f64::from(u8::from(*class == majority_class && *iou >= 0.5))),
        ),
        median_box: MedianBox {
            bbox,
            mean_iou: mean(ious.iter().copied()),
            iou50: at_least(0.5),
            iou75: at_least(0.75),
        },
    })
}

/// The number of objects of each class; at least one entry.
fn class_counts(dataset: &Dataset, objects: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut counts = vec![0; dataset.classes.len().max(1)];
    for class in objects {
        if let Some(count) = counts.get_mut(class) {
            *count += 1;
        }
    }
    counts
}

/// The median; the mean of the two middle values of an even number.
fn median(values: impl Iterator<Item = f32>) -> f32 {
    let mut sorted: Vec<f32> = values.collect();
    sorted.sort_by(f32::total_cmp);
    match sorted.len() {
        0 => f32::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f32::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count of photos, far below 2^53")]
fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    values.sum::<f64>() / n
}

impl Summary {
    /// Summarises values; quantiles are interpolated linearly (NumPy's default).
    #[must_use]
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_by(f64::total_cmp);
        let q = |fraction| quantile(&sorted, fraction);
        let mean = mean(sorted.iter().copied());
        Self { min: q(0.0), q1: q(0.25), median: q(0.5), q3: q(0.75), max: q(1.0), mean }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a position within a list of photos, far below 2^53"
)]
fn quantile(sorted: &[f64], fraction: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = last as f64 * fraction;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quadratic time would take minutes at this size.
    #[test]
    fn many_classes_are_counted_in_one_go() {
        const CLASSES: usize = 100_000;
        let sample = |i: usize| Sample {
            image: "a.jpg".into(),
            file: "a.jpg".into(),
            size: ImageSize { width: 10, height: 10 },
            // Class 7 once more than each other.
            object: Some(LabelledObject {
                class: if i == 3 * CLASSES { 7 } else { i % CLASSES },
                bbox: BBox { x1: 1.0, y1: 2.0, x2: 8.0, y2: 9.0 },
            }),
            subset: None,
            digest: [0; 32],
            group: None,
        };
        let dataset = Dataset {
            root: ".".into(),
            classes: (0..CLASSES).map(|i| i.to_string()).collect(),
            samples: (0..=3 * CLASSES).map(sample).collect(),
        };
        let stats = Stats::of(&dataset);
        assert_eq!((stats.classes[7].samples, stats.classes[8].samples), (4, 3));
        assert_eq!(stats.baseline.unwrap().majority_class, 7);
        let first: Vec<usize> = (0..CLASSES).collect();
        assert_eq!(baseline(&dataset, &first, &first).unwrap().majority_class, 0, "the first on a tie");
    }
}
