//! How good a model is on photos it did not learn from, and what the constant answer gets on the same photos.
//!
//! They live here and not beside the losses, because a predicted box is judged as prediction would give it: ordered
//! and clipped by loc-infer.

use std::collections::BTreeMap;

use loc_data::Loader;
use loc_infer::NormBox;
use loc_model::Model;
use loc_model::loss::LossConfig;
use serde::Serialize;

use crate::TrainError;
use crate::feed::Tensors;

/// Losses, each a mean over samples.
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

/// How a model does on some samples; a share without samples is absent (`null`).
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
    /// What the constant answer gets.
    pub baseline: Option<Baseline>,
    /// By class name.
    pub per_class: BTreeMap<String, ClassMetrics>,
}

/// How the constant answer does: always the training samples' majority class and median box.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Baseline {
    /// Share with the right class.
    pub majority_accuracy: f64,
    /// The median box's figures.
    pub median_box: MedianBox,
}

/// How the median box does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MedianBox {
    /// Mean IoU.
    pub mean_iou: f64,
    /// Share with an IoU of 0.5 or more.
    pub iou50: f64,
    /// Share with an IoU of 0.75 or more.
    pub iou75: f64,
}

/// How a model does on the samples of one class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ClassMetrics {
    /// Number of samples.
    pub samples: usize,
    /// Share with the right class.
    pub accuracy: Option<f64>,
    /// Mean IoU.
    pub mean_iou: Option<f64>,
}

impl Evaluation {
    /// Whether the model beats the constant answer: better boxes, and (where there is a choice) better classes.
    #[must_use]
    pub fn beats_constant(&self) -> Option<bool> {
        let (baseline, accuracy, iou) = (self.baseline?, self.accuracy?, self.mean_iou?);
        let classes = self.per_class.len() < 2 || accuracy > baseline.majority_accuracy;
        Some(classes && iou > baseline.median_box.mean_iou)
    }
}

/// The constant answer of the samples `from`, judged on the samples `on`.
#[must_use]
pub fn baseline_only(dataset: &loc_data::Dataset, from: &[usize], on: &[usize]) -> Option<Baseline> {
    let b = loc_data::stats::baseline(dataset, from, on)?;
    let loc_data::stats::MedianBox { mean_iou, iou50, iou75, .. } = b.median_box;
    let median_box = MedianBox { mean_iou, iou50, iou75 };
    Some(Baseline { majority_accuracy: b.majority_accuracy, median_box })
}

/// What was seen of one sample.
struct Seen {
    label: usize,
    right: bool,
    iou: f64,
}

/// Runs the model over all samples of a loader.
///
/// # Errors
///
/// [`TrainError`] of the loader or the model.
pub fn evaluate(
    model: &Model,
    loader: &Loader,
    loss: &LossConfig,
    classes: &[String],
    batch: usize,
    baseline: Option<Baseline>,
) -> Result<Evaluation, TrainError> {
    let batches = loader.in_order(batch).map(|batch| Tensors::of(batch?, model.device()));
    judge(model, batches, loss, classes, baseline)
}

/// As [`evaluate`], over batches.
pub(crate) fn judge(
    model: &Model,
    batches: impl Iterator<Item = Result<Tensors, TrainError>>,
    loss: &LossConfig,
    classes: &[String],
    baseline: Option<Baseline>,
) -> Result<Evaluation, TrainError> {
    let mut seen = Vec::new();
    let mut sum = Loss::default();
    for tensors in batches {
        let tensors = tensors?;
        let output = model.judge(&tensors.input)?;
        let losses = loss.compute(&output, &tensors.labels, &tensors.boxes)?;
        sum.add(&losses, tensors.n)?;
        let logits: Vec<Vec<f32>> = output.logits.to_vec2()?;
        let boxes: Vec<Vec<f32>> = output.boxes.to_vec2()?;
        let (labels, truth) = (tensors.labels.to_vec1::<u32>()?, tensors.boxes.to_vec2::<f32>()?);
        for (((logits, bbox), label), truth) in logits.iter().zip(&boxes).zip(labels).zip(&truth) {
            let label = label as usize;
            let iou = f64::from(norm_box(bbox).ordered().clip().iou(&norm_box(truth)));
            seen.push(Seen { label, right: arg_max(logits) == label, iou });
        }
    }
    let all = || seen.iter();
    let per_class = classes.iter().enumerate().map(|(class, name)| {
        let of = || seen.iter().filter(move |s| s.label == class);
        let metrics = ClassMetrics {
            samples: of().count(),
            accuracy: share(of(), |s| s.right),
            mean_iou: mean(of().map(|s| s.iou)),
        };
        (name.clone(), metrics)
    });
    Ok(Evaluation {
        samples: seen.len(),
        accuracy: share(all(), |s| s.right),
        mean_iou: mean(all().map(|s| s.iou)),
        iou50: share(all(), |s| s.iou >= 0.5),
        iou75: share(all(), |s| s.iou >= 0.75),
        localization_accuracy: share(all(), |s| s.right && s.iou >= 0.5),
        localization_accuracy75: share(all(), |s| s.right && s.iou >= 0.75),
        loss: (!seen.is_empty()).then(|| sum.over(seen.len())),
        baseline,
        per_class: per_class.collect(),
    })
}

impl Loss {
    /// Adds the mean losses of a batch of `n`, times `n`.
    pub(crate) fn add(&mut self, losses: &loc_model::loss::Losses, n: usize) -> Result<(), TrainError> {
        let n = n as f64;
        self.total += f64::from(losses.total.to_scalar::<f32>()?) * n;
        self.class += f64::from(losses.class.to_scalar::<f32>()?) * n;
        self.bbox += f64::from(losses.boxes.to_scalar::<f32>()?) * n;
        Ok(())
    }

    /// The means of these sums over `n` samples.
    pub(crate) fn over(self, n: usize) -> Self {
        let n = n as f64;
        Self { total: self.total / n, class: self.class / n, bbox: self.bbox / n }
    }
}

fn norm_box(edges: &[f32]) -> NormBox {
    NormBox::new(edges[0], edges[1], edges[2], edges[3])
}

/// Index of the largest; the first on a tie.
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
