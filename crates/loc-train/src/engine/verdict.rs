//! Whether frozen features tell the classes apart, judged by folds of the training photos.

use std::fmt;

use crate::eval::{Judged, bootstrap};

/// Part of the distance between the constant answer and no mistakes that features suffice for.
const CLOSED: f64 = 0.75;

/// What heads on frozen features reach on training photos that they have not seen.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct FeatureVerdict {
    /// Photos that were judged.
    pub photos: usize,
    /// Fraction with the right class, and its 95 % interval.
    pub accuracy: f64,
    /// The interval of the accuracy.
    pub accuracy_interval: [f64; 2],
    /// Fraction of them that are of the most frequent class: the accuracy of the constant answer.
    pub constant: f64,
    /// Fraction with an IoU of 0.5 or more.
    pub iou50: f64,
    /// Whether the features do not tell the classes apart: the heads close less than three quarters of the distance between the
    /// constant answer and no mistakes, and find more boxes than classes, both beyond chance (by 95 % intervals over the
    /// photos).
    pub falls_short: bool,
}

impl fmt::Display for FeatureVerdict {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { photos, accuracy, accuracy_interval: [low, high], constant, iou50, falls_short } = self;
        let verdict =
            if *falls_short { "do not tell the classes apart" } else { "suffice, as far as it shows" };
        write!(
            f,
            "the frozen features {verdict}: on {photos} training photos that the heads had not seen, accuracy {accuracy:.3} \
             ({low:.3} to {high:.3}; always the majority class: {constant:.3}), IoU ≥ 0.5 for {iou50:.3}"
        )
    }
}

impl FeatureVerdict {
    /// From answers to photos that the heads have not seen; none without photos, or of one class.
    pub(crate) fn of(answers: &[Judged], classes: usize) -> Option<Self> {
        if classes < 2 {
            return None;
        }
        let mut counts = vec![0_usize; classes];
        answers.iter().for_each(|answer| counts[answer.label] += 1);
        let majority = (0..counts.len()).reduce(|best, c| if counts[c] > counts[best] { c } else { best })?;
        let is = |yes: bool| f64::from(u8::from(yes));
        // Less than that part of the distance: right − constant < CLOSED · (1 − constant).
        let figures: Vec<[f64; 3]> = answers
            .iter()
            .map(|answer| {
                let (right, constant) = (is(answer.is_right()), is(answer.label == majority));
                [right, right - (1.0 - CLOSED) * constant, is(answer.iou >= 0.5) - right]
            })
            .collect();
        let [accuracy_interval, [_, closed], [ahead, _]] = bootstrap(&figures)?;
        let n = answers.len() as f64;
        let share = |of: &dyn Fn(&Judged) -> bool| answers.iter().filter(|a| of(a)).count() as f64 / n;
        Some(Self {
            photos: answers.len(),
            accuracy: share(&Judged::is_right),
            accuracy_interval,
            constant: share(&|answer| answer.label == majority),
            iou50: share(&|answer| answer.iou >= 0.5),
            falls_short: closed < CLOSED && ahead > 0.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::judged;

    /// Answers to `n` photos of six classes in turn: of these fractions the class and the box are right.
    fn answers(n: usize, classes: f64, boxes: f64) -> Vec<Judged> {
        (0..n)
            .map(|i| {
                let part = |share: f64| (i * 7919 % n) as f64 / (n as f64) < share;
                let label = i % 6;
                let class = if part(classes) { label } else { (label + 1) % 6 };
                let logits: Vec<f32> = (0..6).map(|c| if c == class { 1.0 } else { 0.0 }).collect();
                judged(i, label, &logits, if part(boxes) { 0.9 } else { 0.1 })
            })
            .collect()
    }

    #[test]
    fn features_fall_short_where_boxes_are_found_and_classes_are_not() {
        for (what, n, classes, boxes, falls_short) in [
            ("six playing cards, one look", 290, 0.4, 0.86, true),
            ("six playing cards, two looks", 290, 0.67, 0.9, true),
            ("the same of a handful of photos", 12, 0.67, 0.9, false),
            ("four microcontrollers, two looks", 119, 0.93, 0.95, false),
            ("three quarters of the distance, nearly", 290, 0.77, 0.9, false),
            ("neither classes nor boxes: more photos are needed", 290, 0.2, 0.2, false),
            ("all is right", 290, 1.0, 1.0, false),
        ] {
            let verdict = FeatureVerdict::of(&answers(n, classes, boxes), 6).unwrap();
            assert_eq!(verdict.falls_short, falls_short, "{what}: {verdict:?}");
            assert!((verdict.accuracy - classes).abs() < 0.1 && verdict.photos == n, "{what}: {verdict:?}");
        }
        assert_eq!(FeatureVerdict::of(&[], 6), None);
    }
}
