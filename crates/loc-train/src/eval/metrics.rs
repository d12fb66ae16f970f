//! Metrics of a model on samples, with those of the constant answer on the same samples.
//!
//! They are not beside the losses, because a predicted box is evaluated as prediction returns it: ordered and clipped
//! by loc-infer.

use std::collections::BTreeMap;

use loc_infer::NormBox;
use serde::Serialize;

use crate::error::TrainError;
use crate::eval::bootstrap::bootstrap;
use crate::eval::judged::Judged;
use crate::eval::presence::Presence;

/// Mean losses over samples; of class and box over those with an object.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Loss {
    /// The weighted sum.
    pub total: f64,
    /// Of the class.
    pub class: f64,
    /// Of the box.
    #[serde(rename = "box")]
    pub bbox: f64,
    /// Of presence; none if the network has no logit of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence: Option<f64>,
}

/// The metrics of a model on samples, all but presence on those with an object; a metric without samples is absent (`null`).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Number of samples with an object.
    pub samples: usize,
    /// Share with the right class.
    pub accuracy: Option<f64>,
    /// Mean IoU of predicted and annotated box.
    pub mean_iou: Option<f64>,
    /// Share with an IoU of 0.5 or more.
    pub iou50: Option<f64>,
    /// Share with an IoU of 0.75 or more.
    pub iou75: Option<f64>,
    /// Share with the right class and an IoU of 0.5 or more.
    pub localization_accuracy: Option<f64>,
    /// Share with the right class and an IoU of 0.75 or more.
    #[serde(skip)]
    pub localization_accuracy75: Option<f64>,
    /// Mean losses.
    pub loss: Option<Loss>,
    /// The metrics of the constant answer.
    pub baseline: Option<Baseline>,
    /// Metrics for each class, by name.
    pub per_class: BTreeMap<String, ClassMetrics>,
    /// Whether the model tells photos with an object from photos without; none if it always answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence: Option<Presence>,
    /// The 95 % intervals of the metrics; only from [`evaluate`](crate::evaluate).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intervals: Option<Intervals>,
    /// The difference from the constant answer for each sample.
    #[serde(skip)]
    pub(crate) gains: Vec<Gain>,
}

/// The metrics of the constant answer: the majority class and the median box of the training samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Baseline {
    /// The answer's class.
    #[serde(skip)]
    pub majority_class: usize,
    /// Share with the right class.
    pub majority_accuracy: f64,
    /// The median box's figures.
    pub median_box: MedianBox,
    /// Whether most of the training samples show an object.
    #[serde(skip)]
    pub present: bool,
}

/// The metrics of the median box.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MedianBox {
    /// The answer's box.
    #[serde(skip)]
    pub bbox: NormBox,
    /// Mean IoU.
    pub mean_iou: f64,
    /// Share with an IoU of 0.5 or more.
    pub iou50: f64,
    /// Share with an IoU of 0.75 or more.
    pub iou75: f64,
}

/// The metrics of a model on the samples of one class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ClassMetrics {
    /// Number of samples.
    pub samples: usize,
    /// Share with the right class.
    pub accuracy: Option<f64>,
    /// Mean IoU.
    pub mean_iou: Option<f64>,
}

impl Baseline {
    /// The constant answer of this class and box (in fractions of the photo) to the photos that were judged; none without
    /// photos.
    #[must_use]
    pub fn of(majority_class: usize, bbox: NormBox, present: bool, judged: &[Judged]) -> Option<Self> {
        let overlap = |one: &Judged| f64::from(bbox.iou(&one.truth.to_norm(one.size)));
        let ious: Vec<f64> = judged.iter().map(overlap).collect();
        let share = |least: f64| mean(ious.iter().map(|iou| f64::from(u8::from(*iou >= least))));
        let right = judged.iter().map(|one| f64::from(u8::from(one.label == majority_class)));
        let mean_iou = mean(ious.iter().copied())?;
        let median_box = MedianBox { bbox, mean_iou, iou50: share(0.5)?, iou75: share(0.75)? };
        Some(Self { majority_class, majority_accuracy: mean(right)?, median_box, present })
    }
}

impl Loss {
    /// Adds the mean losses of a batch of `n` samples, `positives` of them with an object, times these numbers.
    pub(crate) fn add(
        &mut self,
        losses: &loc_model::loss::Losses,
        n: usize,
        positives: usize,
    ) -> Result<(), TrainError> {
        let (n, positives) = (n as f64, positives as f64);
        self.total += f64::from(losses.total.to_scalar::<f32>()?) * n;
        self.class += f64::from(losses.class.to_scalar::<f32>()?) * positives;
        self.bbox += f64::from(losses.boxes.to_scalar::<f32>()?) * positives;
        if let Some(presence) = &losses.presence {
            *self.presence.get_or_insert(0.0) += f64::from(presence.to_scalar::<f32>()?) * n;
        }
        Ok(())
    }

    /// Returns the means of these sums over `n` samples, `positives` of them with an object.
    pub(crate) fn over(self, n: usize, positives: usize) -> Self {
        let (n, positives) = (n as f64, positives.max(1) as f64);
        Self {
            total: self.total / n,
            class: self.class / positives,
            bbox: self.bbox / positives,
            presence: self.presence.map(|sum| sum / n),
        }
    }
}

/// 95 % intervals by the bootstrap (Efron 1979): the 2.5th and 97.5th percentile of a metric over 2,000 resamples with
/// replacement. They cover the choice of photos, not the randomness of training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Intervals {
    /// Of the accuracy.
    pub accuracy: [f64; 2],
    /// Of the mean IoU.
    pub mean_iou: [f64; 2],
    /// Of the share with an IoU of 0.5 or more.
    pub iou50: [f64; 2],
    /// Of the share with an IoU of 0.75 or more.
    pub iou75: [f64; 2],
    /// Of the localization accuracy.
    pub localization_accuracy: [f64; 2],
}

impl Intervals {
    /// The intervals over these photos; none without any.
    #[must_use]
    pub fn of(judged: &[Judged]) -> Option<Self> {
        let figures: Vec<[f64; 5]> = judged.iter().map(Judged::figures).collect();
        let [accuracy, mean_iou, iou50, iou75, localization_accuracy] = bootstrap(&figures)?;
        Some(Self { accuracy, mean_iou, iou50, iou75, localization_accuracy })
    }
}

/// The gain of a model over the constant answer on one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Gain {
    /// Of the class: 1, 0 or −1.
    class: f64,
    /// Of the IoU.
    iou: f64,
}

impl Gain {
    /// The constant answer's box is in fractions of the photo, as the annotated one here.
    fn of(one: &Judged, constant: &Baseline) -> Self {
        let is = |yes: bool| f64::from(u8::from(yes));
        let truth = one.truth.to_norm(one.size);
        Self {
            class: is(one.is_right()) - is(one.label == constant.majority_class),
            iou: one.iou - f64::from(constant.median_box.bbox.iou(&truth)),
        }
    }
}

/// A model compared with the constant answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// The model is better, beyond chance.
    Beats,
    /// The model is not better, in the class or in the box.
    DoesNotBeat,
    /// The difference may be chance.
    Open,
}

/// With fewer photos nothing is concluded, even if the model is better on all: with five that happens by chance once
/// in 32 times, and a 95 % interval allows once in 40.
const FEWEST: usize = 6;

impl Evaluation {
    /// The metrics of these answers, without loss and intervals.
    #[must_use]
    pub fn of(judged: &[Judged], classes: &[String], baseline: Option<Baseline>) -> Self {
        let share =
            |is: &dyn Fn(&Judged) -> bool| mean(judged.iter().map(|one| f64::from(u8::from(is(one)))));
        Self {
            samples: judged.len(),
            accuracy: share(&Judged::is_right),
            mean_iou: mean(judged.iter().map(|one| one.iou)),
            iou50: share(&|one| one.iou >= 0.5),
            iou75: share(&|one| one.iou >= 0.75),
            localization_accuracy: share(&|one| one.is_localized(0.5)),
            localization_accuracy75: share(&|one| one.is_localized(0.75)),
            loss: None,
            baseline,
            per_class: per_class(classes, judged),
            presence: None,
            intervals: None,
            gains: baseline.iter().flat_map(|b| judged.iter().map(|one| Gain::of(one, b))).collect(),
        }
    }

    /// Returns whether the model beats the constant answer in boxes and, with two classes or more, in classes: by the
    /// 95 % interval of the difference on the same photos; none without photos.
    #[must_use]
    pub fn against_constant(&self) -> Option<Comparison> {
        let gains: Vec<[f64; 2]> = self.gains.iter().map(|gain| [gain.class, gain.iou]).collect();
        let [class, iou] = bootstrap(&gains)?;
        let asked = if self.per_class.len() < 2 { vec![iou] } else { vec![class, iou] };
        Some(match () {
            () if asked.iter().any(|[_, high]| *high <= 0.0) => Comparison::DoesNotBeat,
            () if asked.iter().all(|[low, _]| *low > 0.0) && gains.len() >= FEWEST => Comparison::Beats,
            () => Comparison::Open,
        })
    }
}

/// The metrics of each class, in one pass over the samples.
fn per_class(classes: &[String], judged: &[Judged]) -> BTreeMap<String, ClassMetrics> {
    let mut sums = vec![(0usize, 0usize, 0.0); classes.len()];
    for one in judged {
        if let Some((samples, rights, ious)) = sums.get_mut(one.label) {
            *samples += 1;
            *rights += usize::from(one.is_right());
            *ious += one.iou;
        }
    }
    let metrics = |(samples, rights, ious): (usize, usize, f64)| ClassMetrics {
        samples,
        accuracy: (samples > 0).then(|| rights as f64 / samples as f64),
        mean_iou: (samples > 0).then(|| ious / samples as f64),
    };
    classes.iter().cloned().zip(sums.into_iter().map(metrics)).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (n, sum) = values.fold((0usize, 0.0), |(n, sum), v| (n + 1, sum + v));
    (n > 0).then(|| sum / n as f64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::eval::judged::judged;

    /// An evaluation of so many classes with these gains.
    fn evaluation(classes: usize, gains: Vec<Gain>) -> Evaluation {
        let class = ClassMetrics { samples: 0, accuracy: None, mean_iou: None };
        let per_class: BTreeMap<String, ClassMetrics> =
            (0..classes).map(|i| (i.to_string(), class)).collect();
        Evaluation {
            samples: gains.len(),
            accuracy: None,
            mean_iou: None,
            iou50: None,
            iou75: None,
            localization_accuracy: None,
            localization_accuracy75: None,
            loss: None,
            baseline: None,
            per_class,
            presence: None,
            intervals: None,
            gains,
        }
    }

    #[test]
    fn an_excess_that_may_be_chance_does_not_beat_the_constant_answer() {
        // Of `n` photos `better` are better by `by` and the others worse by as much.
        let mixed = |n: usize, better: usize, by: f64| {
            (0..n)
                .map(|i| if i < better { by } else { -by })
                .map(|g| Gain { class: g.signum(), iou: g })
                .collect()
        };
        for (what, classes, gains, expected) in [
            ("nearly all are better", 2, mixed(40, 36, 0.3), Comparison::Beats),
            ("half and one more", 2, mixed(40, 21, 0.3), Comparison::Open),
            ("the same excess of many photos", 2, mixed(4000, 2200, 0.3), Comparison::Beats),
            ("nearly all are worse", 2, mixed(40, 4, 0.3), Comparison::DoesNotBeat),
            ("five better of five", 2, mixed(5, 5, 0.3), Comparison::Open),
            ("six better of six", 2, mixed(6, 6, 0.3), Comparison::Beats),
            ("all the same", 2, vec![Gain { class: 0.0, iou: 0.0 }; 40], Comparison::DoesNotBeat),
            ("the box alone is better", 2, vec![Gain { class: 0.0, iou: 0.2 }; 40], Comparison::DoesNotBeat),
            ("and there is one class", 1, vec![Gain { class: 0.0, iou: 0.2 }; 40], Comparison::Beats),
        ] {
            assert_eq!(evaluation(classes, gains).against_constant(), Some(expected), "{what}");
        }
        assert_eq!(evaluation(2, Vec::new()).against_constant(), None);
    }

    #[test]
    fn a_gain_is_taken_on_the_same_photo() {
        let bbox = NormBox::new(0.0, 0.0, 0.5, 1.0);
        let median_box = MedianBox { bbox, mean_iou: 0.0, iou50: 0.0, iou75: 0.0 };
        let constant = Baseline { majority_class: 1, majority_accuracy: 0.5, median_box, present: true };
        for (label, right, expected) in [(0, true, 1.0), (0, false, 0.0), (1, true, 0.0), (1, false, -1.0)] {
            let logits = if (label == 0) == right { [1.0, 0.0] } else { [0.0, 1.0] };
            // The annotated box is the whole photo.
            let gain = Gain::of(&judged(0, label, &logits, 0.75), &constant);
            assert_eq!(gain, Gain { class: expected, iou: 0.25 }, "label {label}, right: {right}");
        }
    }

    #[test]
    fn the_metrics_by_hand() {
        let all = [
            judged(0, 0, &[1.0, 0.0], 0.9),
            judged(1, 0, &[0.0, 1.0], 0.6),
            judged(2, 1, &[0.0, 1.0], 0.4),
            judged(3, 1, &[0.0, 1.0], 0.5),
        ];
        let e = Evaluation::of(&all, &["a".into(), "b".into(), "c".into()], None);
        assert_eq!((e.samples, e.accuracy, e.mean_iou), (4, Some(0.75), Some(0.6)));
        assert_eq!((e.iou50, e.iou75), (Some(0.75), Some(0.25)));
        assert_eq!((e.localization_accuracy, e.localization_accuracy75), (Some(0.5), Some(0.25)));
        assert_eq!(e.per_class["a"], ClassMetrics { samples: 2, accuracy: Some(0.5), mean_iou: Some(0.75) });
        assert_eq!(e.per_class["c"], ClassMetrics { samples: 0, accuracy: None, mean_iou: None });
        let none = Evaluation::of(&[], &[], None);
        assert_eq!((none.samples, none.accuracy, none.mean_iou, none.iou50), (0, None, None, None));
    }

    /// A size at which a step for each class and sample would take minutes.
    #[test]
    fn many_classes_are_judged_in_one_go() {
        const CLASSES: usize = 100_000;
        let classes: Vec<String> = (0..=CLASSES).map(|i| i.to_string()).collect();
        let seen = |i: usize| {
            let label = i % CLASSES;
            Judged { class: if i < CLASSES { label } else { CLASSES }, ..judged(i, label, &[], 0.5) }
        };
        let all: Vec<Judged> = (0..4 * CLASSES).map(seen).collect();
        let all = per_class(&classes, &all);
        let expected = ClassMetrics { samples: 4, accuracy: Some(0.25), mean_iou: Some(0.5) };
        assert_eq!(all["777"], expected);
        let none = ClassMetrics { samples: 0, accuracy: None, mean_iou: None };
        assert_eq!(all[&CLASSES.to_string()], none, "a class without photos");
    }
}
