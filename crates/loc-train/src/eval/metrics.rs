//! Metrics of a model on samples, with those of the constant answer on the same samples.
//!
//! They are not beside the losses, because a predicted box is evaluated as prediction returns it: ordered and clipped
//! by loc-infer.

use std::collections::BTreeMap;

use loc_infer::NormBox;
use serde::Serialize;

use crate::error::TrainError;
use crate::eval::bootstrap::bootstrap;

/// Mean losses over samples.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Loss {
    /// The weighted sum.
    pub total: f64,
    /// Of the class.
    pub class: f64,
    /// Of the box.
    #[serde(rename = "box")]
    pub bbox: f64,
}

/// The metrics of a model on samples; a metric without samples is absent (`null`).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Number of samples.
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

impl Loss {
    /// From the sums of total, class and box loss in a state.
    pub(crate) fn of_sums([total, class, bbox]: [f64; 3]) -> Self {
        Self { total, class, bbox }
    }

    /// Adds the mean losses of a batch of `n` samples, times `n`.
    pub(crate) fn add(&mut self, losses: &loc_model::loss::Losses, n: usize) -> Result<(), TrainError> {
        let n = n as f64;
        self.total += f64::from(losses.total.to_scalar::<f32>()?) * n;
        self.class += f64::from(losses.class.to_scalar::<f32>()?) * n;
        self.bbox += f64::from(losses.boxes.to_scalar::<f32>()?) * n;
        Ok(())
    }

    /// Returns the means of these sums over `n` samples.
    pub(crate) fn over(self, n: usize) -> Self {
        let n = n as f64;
        Self { total: self.total / n, class: self.class / n, bbox: self.bbox / n }
    }
}

/// The result for one sample.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) label: usize,
    pub(crate) right: bool,
    pub(crate) iou: f64,
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
    pub(crate) fn of(seen: &[Seen]) -> Option<Self> {
        let is = |yes: bool| f64::from(u8::from(yes));
        let figures = seen.iter().map(|Seen { right, iou, .. }| {
            [is(*right), *iou, is(*iou >= 0.5), is(*iou >= 0.75), is(*right && *iou >= 0.5)]
        });
        let [accuracy, mean_iou, iou50, iou75, localization_accuracy] =
            bootstrap(&figures.collect::<Vec<_>>())?;
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
    /// From the model's result and the annotated box.
    pub(crate) fn of(seen: &Seen, constant: &Baseline, truth: &NormBox) -> Self {
        let is = |yes: bool| f64::from(u8::from(yes));
        Self {
            class: is(seen.right) - is(seen.label == constant.majority_class),
            iou: seen.iou - f64::from(constant.median_box.bbox.iou(truth)),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

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
        let constant = Baseline { majority_class: 1, majority_accuracy: 0.5, median_box };
        let truth = NormBox::new(0.0, 0.0, 1.0, 1.0);
        for (label, right, expected) in [(0, true, 1.0), (0, false, 0.0), (1, true, 0.0), (1, false, -1.0)] {
            let gain = Gain::of(&Seen { label, right, iou: 0.75 }, &constant, &truth);
            assert_eq!(gain, Gain { class: expected, iou: 0.25 }, "label {label}, right: {right}");
        }
    }
}
