//! Evaluation of a model on samples.

use candle_core::Tensor;
use loc_data::{Dataset, LabelledObject, Loader};
use loc_infer::confidence::{EdgeSpread, LookBox};
use loc_infer::postprocess::{argmax, presence as presence_of, probabilities};
use loc_infer::{Frame, ModelMeta, NormBox};
use loc_model::loss::LossConfig;
use loc_model::{Input, Model, ModelOutput};

use crate::error::TrainError;
use crate::eval::first_look::FirstAnswers;
use crate::eval::judged::Judged;
use crate::eval::metrics::{Baseline, Evaluation, Intervals, Loss, MedianBox};
use crate::eval::presence::{Presence, Seen, equal_error_threshold};
use crate::input::{Place, TensorBatch};

/// Returns the baseline: the constant answer of the samples `from`, evaluated on the samples `on`.
#[must_use]
pub fn baseline_only(dataset: &Dataset, from: &[usize], on: &[usize]) -> Option<Baseline> {
    let b = loc_data::stats::baseline(dataset, from, on)?;
    let loc_data::stats::MedianBox { bbox, mean_iou, iou50, iou75 } = b.median_box;
    let median_box = MedianBox { bbox, mean_iou, iou50, iou75 };
    let (majority_class, majority_accuracy) = (b.majority_class, b.majority_accuracy);
    let present = 2 * dataset.positives(from).len() >= from.len();
    Some(Baseline { majority_class, majority_accuracy, median_box, present })
}

/// How a model is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvaluateOptions {
    /// Photos in a batch.
    pub batch: usize,
    /// Whether each photo is also predicted mirrored.
    pub flip: bool,
}

/// What a model is evaluated against.
#[derive(Debug, Clone, Copy)]
pub struct Reference<'a> {
    /// The data set that the samples are of.
    pub dataset: &'a Dataset,
    /// The model's classes, input and temperature.
    pub meta: &'a ModelMeta,
    /// The losses.
    pub loss: &'a LossConfig,
    /// The constant answer on the samples.
    pub baseline: Option<Baseline>,
    /// The first look's answers, if the model that is evaluated is the second look.
    pub first: Option<&'a FirstAnswers>,
}

/// Evaluates a model on all samples of a loader. With `flip` each photo is also predicted mirrored, and the two
/// predictions are averaged. Also returns the answer to each sample with an object, in order.
///
/// # Errors
///
/// [`TrainError`] of the loader or the model.
pub fn evaluate(
    model: &Model,
    loader: &Loader,
    reference: &Reference,
    options: EvaluateOptions,
) -> Result<(Evaluation, Vec<Judged>), TrainError> {
    let place = Place::alone(model.device());
    let batches = loader.in_order(options.batch).map(|batch| TensorBatch::of(batch?, &place));
    let answer = |batch: &TensorBatch| match options.flip {
        true => both_ways(model, &batch.input),
        false => batch.evaluate(model),
    };
    let (evaluation, judged) = predict_batches(answer, batches, reference, true)?;
    Ok((Evaluation { intervals: Intervals::of(&judged), ..evaluation }, judged))
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
        presence: match plain.presence.zip(mirrored.presence) {
            Some((plain, mirrored)) => Some(((plain + mirrored)? * 0.5)?),
            None => None,
        },
    })
}

/// As [`evaluate`], on batches, without intervals. The answers keep their logits if `keep_logits`.
pub(crate) fn evaluate_batches(
    model: &Model,
    batches: impl Iterator<Item = Result<TensorBatch, TrainError>>,
    reference: &Reference,
    keep_logits: bool,
) -> Result<(Evaluation, Vec<Judged>), TrainError> {
    predict_batches(|batch| batch.evaluate(model), batches, reference, keep_logits)
}

/// Collects the predictions of each batch and computes the metrics.
fn predict_batches(
    answer: impl Fn(&TensorBatch) -> Result<ModelOutput, TrainError>,
    batches: impl Iterator<Item = Result<TensorBatch, TrainError>>,
    reference: &Reference,
    keep_logits: bool,
) -> Result<(Evaluation, Vec<Judged>), TrainError> {
    let (mut judged, mut seen) = (Vec::new(), Vec::new());
    let (mut sum, mut samples) = (Loss::default(), 0);
    for tensors in batches {
        let tensors = tensors?;
        let output = answer(&tensors)?;
        let losses = reference.loss.compute(&output, &tensors.truth())?;
        sum.add(&losses, tensors.n, tensors.positives())?;
        samples += tensors.n;
        if let Some(presence) = &output.presence {
            let answers = presence.to_vec1::<f32>()?.into_iter().zip(&tensors.present).zip(&tensors.indices);
            seen.extend(answers.map(|((logit, present), sample)| Seen {
                sample: *sample,
                present: *present,
                probability: presence_of(logit),
            }));
        }
        let logits: Vec<Vec<f32>> = output.logits.to_vec2()?;
        let boxes: Vec<Vec<f32>> = output.boxes.to_vec2()?;
        let truths = tensors.boxes.to_vec2::<f32>()?;
        let edges = output.edges.map(|edges| edges.flatten_from(1)?.to_vec2::<f32>()).transpose()?;
        let answers = logits.into_iter().zip(&boxes).zip(&truths).zip(tensors.indices);
        for (i, (((logits, bbox), truth), sample)) in answers.enumerate() {
            let Some(object) = reference.dataset.samples[sample].object else { continue };
            let iou = f64::from(norm_box(bbox).ordered().clip().iou(&norm_box(truth)));
            let spread = edges.as_ref().and_then(|edges| EdgeSpread::of(&edges[i]));
            let answer = Answer { logits, bbox: norm_box(bbox), iou, spread };
            judged.push(reference.judge(sample, object, answer, keep_logits));
        }
    }
    // Whether there is an object is the first look's answer.
    seen.extend(reference.first.iter().flat_map(|first| first.seen.iter().cloned()));
    let majority = reference.baseline.map(|baseline| baseline.present);
    let threshold = reference.meta.presence_threshold.unwrap_or_else(|| equal_error_threshold(&seen));
    let evaluation = Evaluation {
        loss: (samples > 0).then(|| sum.over(samples, judged.len())),
        presence: (!seen.is_empty()).then(|| Presence::of(seen, threshold, majority)),
        ..Evaluation::of(&judged, &reference.meta.classes, reference.baseline)
    };
    Ok((evaluation, judged))
}

/// The network's output for a sample: the box in fractions of the input, and its IoU with the annotated one.
struct Answer {
    logits: Vec<f32>,
    bbox: NormBox,
    iou: f64,
    spread: Option<EdgeSpread>,
}

impl Reference<'_> {
    /// The answer to a sample as prediction returns it.
    fn judge(&self, sample: usize, object: LabelledObject, answer: Answer, keep_logits: bool) -> Judged {
        let Answer { logits, bbox, iou, spread } = answer;
        let of = &self.dataset.samples[sample];
        let place = |frame: Frame| frame.to_original(bbox).ordered().clip(of.size);
        let second = self.first.and_then(|first| first.look(self.dataset, self.meta, sample));
        let (bbox, iou) = match second {
            None => (place(Frame::of(of.size, &self.meta.input)), iou),
            Some((first, frame)) => {
                let bbox = LookBox::combine(&first, &LookBox { bbox: place(frame), spread });
                (bbox, f64::from(bbox.iou(&object.bbox)))
            }
        };
        let probs = probabilities(&logits, self.meta.temperature);
        let class = argmax(&logits);
        Judged {
            sample,
            label: object.class,
            class,
            confidence: probs.get(class).copied().map_or(0.0, f64::from),
            truth: object.bbox,
            bbox,
            size: of.size,
            iou,
            logits: if keep_logits { logits } else { Vec::new() },
            spread,
        }
    }
}

fn norm_box(edges: &[f32]) -> NormBox {
    NormBox::new(edges[0], edges[1], edges[2], edges[3])
}
