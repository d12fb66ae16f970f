//! Heads on cached features: training them, also on a part of the photos, and their answers to others.

use loc_data::{Dataset, Split, split};
use loc_infer::NormBox;
use loc_infer::postprocess::{argmax, softmax};
use loc_model::Model;

use crate::config::Config;
use crate::engine::step::{Learner, StepPosition};
use crate::error::TrainError;
use crate::input::{BatchSource, Batches};
use crate::optim::{Ema, Optimizer};

/// Precision of annotated edges, in sides of the box.
const LEAST: f64 = 0.03;

/// Trains the head of a model with a frozen backbone. Returns the model that is to be evaluated: the averaged one, if the
/// configuration has an average. `tell` is called after each epoch.
pub(crate) fn train(
    config: &Config,
    dataset: &Dataset,
    model: Model,
    feed: &BatchSource,
    tell: &mut dyn FnMut(usize) -> Result<(), TrainError>,
) -> Result<Model, TrainError> {
    let ema = Ema::of(&model, config.ema_decay)?;
    let mut optimizer = Optimizer::new(config);
    let mut learner = Learner {
        config,
        dataset,
        model: &model,
        optimizer: &mut optimizer,
        ema: ema.as_ref(),
        distillation: None,
    };
    let mut taken = 0;
    for epoch in 1..=config.epochs {
        let batches = feed.epoch(config, epoch);
        let steps = batches.len();
        for (step, batch) in batches.enumerate() {
            learner.step(&batch?, StepPosition { epoch, step, steps, taken })?;
            taken += 1;
        }
        tell(epoch)?;
    }
    Ok(ema.map_or(model, |ema| ema.model))
}

/// The answer of a model to one photo, or the mean of its answers to several copies.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    /// Index in the data set.
    pub(crate) sample: usize,
    /// The annotated class.
    pub(crate) label: usize,
    /// The probability of each class.
    pub(crate) probabilities: Vec<f32>,
    /// The predicted box of the unchanged photo, ordered and clipped, in 0..1 of the network's input.
    pub(crate) bbox: NormBox,
    /// IoU of the predicted and the annotated box.
    pub(crate) iou: f64,
    /// Root mean square over the edges of (predicted − annotated) / the predicted standard deviation; none if the head
    /// predicts no distributions.
    pub(crate) deviation: Option<f64>,
}

impl Answer {
    /// The class with the largest probability, the first on a tie.
    pub(crate) fn class(&self) -> usize {
        argmax(&self.probabilities)
    }

    pub(crate) fn is_right(&self) -> bool {
        self.class() == self.label
    }
}

/// The answers of a model to the photos with an object, unchanged, in their order.
pub(crate) fn answers(model: &Model, feed: &BatchSource, batch: usize) -> Result<Vec<Answer>, TrainError> {
    pass(model, feed.in_order(batch))
}

/// As [`answers`]; probabilities, overlaps and squared deviations are means over all copies whose features are cached.
pub(crate) fn mean_answers(
    model: &Model,
    feed: &BatchSource,
    batch: usize,
) -> Result<Vec<Answer>, TrainError> {
    let mut all: Vec<Answer> = Vec::new();
    for (copy, batches) in feed.every_copy(batch).into_iter().enumerate() {
        let own = pass(model, batches)?;
        if copy == 0 {
            all = own;
            continue;
        }
        // The mean of so many before, and of one more.
        let (before, n) = (copy as f64, copy as f64 + 1.0);
        for (mean, own) in all.iter_mut().zip(own) {
            for (p, own) in mean.probabilities.iter_mut().zip(own.probabilities) {
                *p = ((f64::from(*p) * before + f64::from(own)) / n) as f32;
            }
            mean.iou = (mean.iou * before + own.iou) / n;
            let squares = mean.deviation.zip(own.deviation);
            mean.deviation = squares.map(|(a, b)| ((a * a * before + b * b) / n).sqrt());
        }
    }
    Ok(all)
}

fn pass(model: &Model, batches: Batches) -> Result<Vec<Answer>, TrainError> {
    let mut all = Vec::new();
    for batch in batches {
        let batch = batch?;
        let output = batch.evaluate(model)?;
        let (logits, boxes) = (output.logits.to_vec2::<f32>()?, output.boxes.to_vec2::<f32>()?);
        let (labels, truth) = (batch.labels.to_vec1::<u32>()?, batch.boxes.to_vec2::<f32>()?);
        let edges = output.edges.map(|edges| edges.to_vec3::<f32>()).transpose()?;
        let norm = |edges: &[f32]| NormBox::new(edges[0], edges[1], edges[2], edges[3]);
        for (at, sample) in batch.indices.iter().enumerate().filter(|(at, _)| batch.present[*at]) {
            let bbox = norm(&boxes[at]).ordered().clip();
            let truth = norm(&truth[at]);
            all.push(Answer {
                sample: *sample,
                label: labels[at] as usize,
                probabilities: softmax(&logits[at]),
                bbox,
                iou: f64::from(bbox.iou(&truth)),
                deviation: edges.as_ref().map(|edges| deviation(&edges[at], truth)),
            });
        }
    }
    Ok(all)
}

/// The deviation of the edges, from the logits of their distributions over equally spaced positions from 0 to 1.
fn deviation(edges: &[Vec<f32>], truth: NormBox) -> f64 {
    let truth = truth.xyxy().map(f64::from);
    let sides = [truth[2] - truth[0], truth[3] - truth[1]];
    let of = |edge: usize| {
        let probabilities = softmax(&edges[edge]);
        let last = (probabilities.len().max(2) - 1) as f64;
        let moment = |power: i32| -> f64 {
            let weighted = probabilities.iter().enumerate();
            weighted.map(|(bin, p)| f64::from(*p) * (bin as f64 / last).powi(power)).sum()
        };
        let mean = moment(1);
        let variance = (moment(2) - mean * mean).max(0.0);
        // No edge is annotated more precisely than that.
        let least = LEAST * sides[edge % 2];
        (mean - truth[edge % 4]).powi(2) / (variance + least * least)
    };
    (edges.iter().enumerate().map(|(edge, _)| of(edge)).sum::<f64>() / edges.len().max(1) as f64).sqrt()
}

/// The first `count` of so many folds: what `answer` returns for heads and the photos of a fold, which these heads have not
/// seen. All start from the same model. `tell` is called after each epoch with the fold, from 1, and the epoch.
pub(crate) fn cross_validated<T>(
    config: &Config,
    dataset: &Dataset,
    (model, feed, among): (&Model, &BatchSource, &[usize]),
    (count, folds): (usize, usize),
    answer: impl Fn(&Model, &[usize]) -> Result<Vec<T>, TrainError>,
    tell: &mut dyn FnMut(usize, usize) -> Result<(), TrainError>,
) -> Result<Vec<T>, TrainError> {
    let whole = Split { train: among.to_vec(), ..Split::default() };
    let mut all = Vec::with_capacity(among.len());
    for index in 1..=count {
        let fold = split::Fold { index, count: folds };
        let parts = split::fold(dataset, &whole, fold, config.seed)?;
        let Some(seen) = feed.part(&parts.train) else { break };
        let heads = train(config, dataset, model.copy()?, &seen, &mut |epoch| tell(index, epoch))?;
        all.extend(answer(&heads, &parts.val)?);
    }
    Ok(all)
}
