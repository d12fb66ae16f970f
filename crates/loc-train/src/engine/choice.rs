//! What `auto` chooses on a frozen backbone, by folds of the training photos: the first look's input size, and whether a
//! second look pays.

use std::fmt;

use crate::collective::Processes;
use crate::config::Config;
use crate::engine::budget::{Budget, with_copies};
use crate::engine::folds::{self, Feeds};
use crate::engine::looks_verdict::LooksVerdict;
use crate::engine::setup::{Beginning, Prepared};
use crate::engine::verdict::FeatureVerdict;
use crate::error::TrainError;
use crate::eval::{Difference, Gain, Judged, Reference, differences};
use crate::event::{Event, Progress, Stop};

/// The first look's larger input: twice the multiply-adds of 224.
const LARGER: u32 = 320;
/// Part of the copies that are computed for a trial.
const COPIES: usize = 4;
/// Part of the time that is left which a trial may take.
const TIME: f64 = 0.1;

/// Which keys are to be chosen: those that no source sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Choices {
    /// Whether folds of the training photos judge the features of a frozen backbone ([`crate::Outcome::features`]).
    pub features: bool,
    /// Whether they choose the input size of the first of two looks.
    pub imgsz: bool,
    /// Whether they choose between one look and two.
    pub looks: bool,
}

/// What was found before the run's own preparation.
pub(crate) struct Trials {
    /// The configuration with the chosen input size.
    pub(crate) config: Config,
    /// The first look's answers to training photos that its heads had not seen.
    pub(crate) unseen: Vec<Judged>,
}

/// A gain of the larger input.
struct LargerInput {
    sizes: [u32; 2],
    mean_iou: [f64; 2],
    gain: Difference,
    photos: usize,
    is_taken: bool,
}

impl fmt::Display for LargerInput {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { sizes: [small, large], mean_iou: [before, after], gain, photos, is_taken } = self;
        let [low, high] = gain.interval;
        let verdict = if *is_taken { "is better for the first look" } else { "is not taken" };
        write!(
            f,
            "an input of {large} instead of {small} {verdict}: on {photos} training photos that the heads had not seen, mean \
             IoU {before:.3} → {after:.3} ({low:+.3} to {high:+.3})"
        )
    }
}

/// Tries the first of two looks on folds of the training photos, on a frozen backbone only. The larger input is tried for
/// small sets, for which more copies of each photo are made than for others; there it takes seconds.
pub(crate) fn try_first_looks(
    config: &Config,
    choices: Choices,
    limits: (&Budget, &Processes),
    progress: &mut Progress,
) -> Result<Option<Trials>, TrainError> {
    let wanted = choices.looks || choices.imgsz || choices.features;
    if !wanted || config.looks != 2 || config.backbone_lr > 0.0 || config.init.is_some() {
        return Ok(None);
    }
    progress.report(Event::Note("trying on folds of the training photos what pays".into()))?;
    let Some((unseen, train)) = trial(config, limits, progress)? else { return Ok(None) };
    let is_small = train * config.copies < config.views;
    if !(choices.imgsz && is_small && config.imgsz < LARGER) {
        return Ok(Some(Trials { config: config.clone(), unseen }));
    }
    let larger = Config { imgsz: LARGER, ..config.clone() };
    let Some((of_larger, _)) = trial(&larger, limits, progress)? else {
        return Ok(Some(Trials { config: config.clone(), unseen }));
    };
    let Some(found) = differences(&unseen, &of_larger) else { return Ok(None) };
    let is_taken = Gain::of(&[found.mean_iou.interval]) == Gain::Certain;
    let mean = |all: &[Judged]| all.iter().map(|one| one.iou).sum::<f64>() / all.len().max(1) as f64;
    let found = LargerInput {
        sizes: [config.imgsz, LARGER],
        mean_iou: [mean(&unseen), mean(&of_larger)],
        gain: found.mean_iou,
        photos: found.samples,
        is_taken,
    };
    progress.report(Event::Note(found.to_string()))?;
    let (config, unseen) = if is_taken { (larger, of_larger) } else { (config.clone(), unseen) };
    Ok(Some(Trials { config, unseen }))
}

/// The answers of a first look with a part of the copies and epochs to training photos that it has not seen, and the number
/// of training photos; none if it does not fit into the time.
fn trial(
    config: &Config,
    (budget, processes): (&Budget, &Processes),
    progress: &mut Progress,
) -> Result<Option<(Vec<Judged>, usize)>, TrainError> {
    let part = |number: usize| number.div_ceil(COPIES);
    let config =
        &Config { looks: 1, copies: part(config.copies), views: part(config.views), ..config.clone() };
    // What there is to say about the data is said when the run itself is prepared.
    let mut quiet = |_: Event| {};
    let mut silent = Progress { on: &mut quiet, stop: progress.stop, reading: progress.reading.clone() };
    let part = &budget.part(TIME);
    let prepared =
        Prepared::new(config, Beginning::New { unseen: Vec::new() }, part, processes, &mut silent)?;
    let Prepared { dataset, model, train, split, .. } = &prepared;
    let config = &with_copies(config, train);
    let step = part.step(config, dataset, model, train, progress.stop)?;
    let steps = train.epoch(config, 1).len() * config.epochs;
    if !part.fits(step * steps as f64 * folds::trainings(split.train.len())) {
        return Ok(None);
    }
    let reference =
        Reference { dataset, meta: &prepared.file.meta, loss: &config.loss(), baseline: None, first: None };
    let feeds = Feeds { train, unseen: train };
    let judged = folds::judged(config, (model, feeds, &split.train), &reference, progress.stop)?;
    Ok((!judged.is_empty()).then_some((judged, split.train.len())))
}

/// What folds of the training photos say about a run that is prepared.
#[derive(Default)]
pub(crate) struct Verdicts {
    /// Of several classes.
    pub(crate) features: Option<FeatureVerdict>,
    /// Of two looks.
    pub(crate) looks: Option<LooksVerdict>,
}

/// Judges a prepared run by folds of its training photos, and tells the result.
pub(crate) fn judge(
    config: &Config,
    prepared: &Prepared,
    stop: &Stop,
    on: &mut dyn FnMut(Event),
) -> Result<Verdicts, TrainError> {
    let Prepared { dataset, split, model, train, file, first, .. } = prepared;
    let config = &with_copies(config, train);
    let unseen = first.as_ref().and_then(|first| first.unseen.as_ref());
    let reference = Reference {
        dataset,
        meta: &file.meta,
        loss: &config.loss(),
        baseline: None,
        first: unseen.map(|unseen| &unseen.answers),
    };
    let feeds = Feeds { train, unseen: unseen.map_or(train, |unseen| &unseen.feed) };
    let judged = folds::judged(config, (model, feeds, &split.train), &reference, stop)?;
    let looks = unseen.and_then(|unseen| LooksVerdict::of(&unseen.judged, &judged));
    let pays = looks.is_none_or(|looks| looks.pays());
    let of_run = unseen.filter(|_| !pays).map_or(&judged, |unseen| &unseen.judged);
    let verdicts = Verdicts { features: FeatureVerdict::of(of_run, dataset.classes.len()), looks };
    let lines = [verdicts.looks.map(|v| v.to_string()), verdicts.features.map(|v| v.to_string())];
    lines.into_iter().flatten().for_each(|line| on(Event::Note(line)));
    Ok(verdicts)
}
