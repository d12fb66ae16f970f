//! Evaluation of a model on samples.

use std::collections::BTreeMap;

use candle_core::Tensor;
use loc_data::Loader;
use loc_infer::NormBox;
use loc_model::loss::LossConfig;
use loc_model::{Input, Model, ModelOutput};

use crate::error::TrainError;
use crate::eval::metrics::{Baseline, ClassMetrics, Evaluation, Gain, Intervals, Loss, MedianBox, Seen};
use crate::input::TensorBatch;

/// Returns the baseline: the constant answer of the samples `from`, evaluated on the samples `on`.
#[must_use]
pub fn baseline_only(dataset: &loc_data::Dataset, from: &[usize], on: &[usize]) -> Option<Baseline> {
    let b = loc_data::stats::baseline(dataset, from, on)?;
    let loc_data::stats::MedianBox { bbox, mean_iou, iou50, iou75 } = b.median_box;
    let median_box = MedianBox { bbox, mean_iou, iou50, iou75 };
    let (majority_class, majority_accuracy) = (b.majority_class, b.majority_accuracy);
    Some(Baseline { majority_class, majority_accuracy, median_box })
}

/// How a model is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvaluateOptions {
    /// Photos in a batch.
    pub batch: usize,
    /// Whether each photo is also predicted mirrored.
    pub flip: bool,
}

/// Evaluates a model on all samples of a loader. With `flip` each photo is also predicted mirrored, and the two
/// predictions are averaged.
///
/// # Errors
///
/// [`TrainError`] of the loader or the model.
pub fn evaluate(
    model: &Model,
    loader: &Loader,
    loss: &LossConfig,
    classes: &[String],
    options: EvaluateOptions,
    baseline: Option<Baseline>,
) -> Result<Evaluation, TrainError> {
    let batches = loader.in_order(options.batch).map(|batch| TensorBatch::of(batch?, model.device()));
    let answer =
        |input: &Input| if options.flip { both_ways(model, input) } else { Ok(model.evaluate(input)?) };
    let (evaluation, seen) = predict_batches(answer, batches, loss, classes, baseline)?;
    Ok(Evaluation { intervals: Intervals::of(&seen), ..evaluation })
}

/// Returns the mean of the predictions for photos and their mirror images.
fn both_ways(model: &Model, input: &Input) -> Result<ModelOutput, TrainError> {
    let plain = model.evaluate(input)?;
    let Input::Images(images) = input else { return Ok(plain) };
    let mirrored = model.evaluate(&Input::Images(images.flip(&[2])?))?;
    let b = &mirrored.boxes;
    // x1 becomes 1 − x2, and x2 1 − x1.
    let (left, right) = ((1.0 - b.narrow(1, 2, 1)?)?, (1.0 - b.narrow(1, 0, 1)?)?);
    let back = Tensor::cat(&[left, b.narrow(1, 1, 1)?, right, b.narrow(1, 3, 1)?], 1)?;
    Ok(ModelOutput {
        logits: ((plain.logits + mirrored.logits)? * 0.5)?,
        boxes: ((plain.boxes + back)? * 0.5)?,
        edges: None,
    })
}

/// As [`evaluate`], on batches, without intervals.
pub(crate) fn evaluate_batches(
    model: &Model,
    batches: impl Iterator<Item = Result<TensorBatch, TrainError>>,
    loss: &LossConfig,
    classes: &[String],
    baseline: Option<Baseline>,
) -> Result<Evaluation, TrainError> {
    Ok(predict_batches(|input| Ok(model.evaluate(input)?), batches, loss, classes, baseline)?.0)
}

/// Collects the predictions of each batch and computes the metrics.
fn predict_batches(
    answer: impl Fn(&Input) -> Result<ModelOutput, TrainError>,
    batches: impl Iterator<Item = Result<TensorBatch, TrainError>>,
    loss: &LossConfig,
    classes: &[String],
    baseline: Option<Baseline>,
) -> Result<(Evaluation, Vec<Seen>), TrainError> {
    let (mut seen, mut gains) = (Vec::new(), Vec::new());
    let mut sum = Loss::default();
    for tensors in batches {
        let tensors = tensors?;
        let output = answer(&tensors.input)?;
        let losses = loss.compute(&output, &tensors.labels, &tensors.boxes)?;
        sum.add(&losses, tensors.n)?;
        let logits: Vec<Vec<f32>> = output.logits.to_vec2()?;
        let boxes: Vec<Vec<f32>> = output.boxes.to_vec2()?;
        let (labels, truth) = (tensors.labels.to_vec1::<u32>()?, tensors.boxes.to_vec2::<f32>()?);
        for (((logits, bbox), label), truth) in logits.iter().zip(&boxes).zip(labels).zip(&truth) {
            let (label, truth) = (label as usize, norm_box(truth));
            let iou = f64::from(norm_box(bbox).ordered().clip().iou(&truth));
            let own = Seen { label, right: arg_max(logits) == label, iou };
            gains.extend(baseline.map(|constant| Gain::of(&own, &constant, &truth)));
            seen.push(own);
        }
    }
    let all = || seen.iter();
    let evaluation = Evaluation {
        samples: seen.len(),
        accuracy: share(all(), |s| s.right),
        mean_iou: mean(all().map(|s| s.iou)),
        iou50: share(all(), |s| s.iou >= 0.5),
        iou75: share(all(), |s| s.iou >= 0.75),
        localization_accuracy: share(all(), |s| s.right && s.iou >= 0.5),
        localization_accuracy75: share(all(), |s| s.right && s.iou >= 0.75),
        loss: (!seen.is_empty()).then(|| sum.over(seen.len())),
        baseline,
        per_class: per_class(classes, &seen),
        intervals: None,
        gains,
    };
    Ok((evaluation, seen))
}

/// Returns the metrics of each class, in one pass over the samples.
fn per_class(classes: &[String], seen: &[Seen]) -> BTreeMap<String, ClassMetrics> {
    let mut sums = vec![(0usize, 0usize, 0.0); classes.len()];
    for Seen { label, right, iou } in seen {
        if let Some((samples, rights, ious)) = sums.get_mut(*label) {
            *samples += 1;
            *rights += usize::from(*right);
            *ious += iou;
        }
    }
    let metrics = |(samples, rights, ious): (usize, usize, f64)| ClassMetrics {
        samples,
        accuracy: (samples > 0).then(|| rights as f64 / samples as f64),
        mean_iou: (samples > 0).then(|| ious / samples as f64),
    };
    classes.iter().cloned().zip(sums.into_iter().map(metrics)).collect()
}

fn norm_box(edges: &[f32]) -> NormBox {
    NormBox::new(edges[0], edges[1], edges[2], edges[3])
}

/// Returns the index of the largest value; the first on a tie.
fn arg_max(values: &[f32]) -> usize {
    (0..values.len()).reduce(|best, i| if values[i] > values[best] { i } else { best }).unwrap_or(0)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (n, sum) = values.fold((0usize, 0.0), |(n, sum), v| (n + 1, sum + v));
    (n > 0).then(|| sum / n as f64)
}

fn share<'a>(samples: impl Iterator<Item = &'a Seen>, is: impl Fn(&Seen) -> bool) -> Option<f64> {
    mean(samples.map(|s| f64::from(u8::from(is(s)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A size at which a step for each class and sample would take minutes.
    #[test]
    fn many_classes_are_judged_in_one_go() {
        const CLASSES: usize = 100_000;
        let classes: Vec<String> = (0..=CLASSES).map(|i| i.to_string()).collect();
        let seen = |i: usize| Seen { label: i % CLASSES, right: i < CLASSES, iou: 0.5 };
        let seen: Vec<Seen> = (0..4 * CLASSES).map(seen).collect();
        let all = per_class(&classes, &seen);
        let expected = ClassMetrics { samples: 4, accuracy: Some(0.25), mean_iou: Some(0.5) };
        assert_eq!(all["777"], expected);
        let none = ClassMetrics { samples: 0, accuracy: None, mean_iou: None };
        assert_eq!(all[&CLASSES.to_string()], none, "a class without photos");
    }
}
