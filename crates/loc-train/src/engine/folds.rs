//! What heads with a quarter of the epochs answer to training photos that they have not seen: by it `auto` chooses.

use loc_data::Dataset;
use loc_model::Model;

use crate::config::Config;
use crate::engine::heads;
use crate::error::TrainError;
use crate::eval::{Judged, Reference, evaluate_batches};
use crate::event::Stop;
use crate::input::BatchSource;

/// Photos that are judged at least, if there are as many in all folds.
const PHOTOS: usize = 100;
/// Folds of the training photos; of each the heads see all others.
const FOLDS: usize = 5;
/// Part of the epochs that the heads of a fold are trained for.
const EPOCHS: usize = 4;

/// The folds that are judged, of so many training photos.
fn count(train: usize) -> usize {
    (PHOTOS * FOLDS).div_ceil(train.max(1)).clamp(1, FOLDS)
}

/// How long judging so many photos takes, in trainings of heads.
pub(crate) fn trainings(train: usize) -> f64 {
    count(train) as f64 / EPOCHS as f64
}

/// The features that heads learn from, and those of the same photos as prediction sees them.
#[derive(Clone, Copy)]
pub(crate) struct Feeds<'a> {
    pub(crate) train: &'a BatchSource,
    pub(crate) unseen: &'a BatchSource,
}

/// The answers to the judged photos, in the data set's order; none of too few photos for folds, or where no features are
/// cached. `model` has untrained heads.
pub(crate) fn judged(
    config: &Config,
    (model, feeds, train): (&Model, Feeds, &[usize]),
    reference: &Reference,
    stop: &Stop,
) -> Result<Vec<Judged>, TrainError> {
    if train.len() < 2 * FOLDS {
        return Ok(Vec::new());
    }
    let short = config.shortened_to(config.epochs.div_ceil(EPOCHS));
    let answer = |heads: &Model, unseen: &[usize]| match feeds.unseen.part(unseen) {
        Some(unseen) => Ok(evaluate_batches(heads, unseen.in_order(config.batch), reference, false)?.1),
        None => Ok(Vec::new()),
    };
    let tell = &mut |_, _| if stop.is_requested() { Err(TrainError::Stopped) } else { Ok(()) };
    let dataset: &Dataset = reference.dataset;
    let folds = (count(train.len()), FOLDS);
    let mut all = heads::cross_validated(&short, dataset, (model, feeds.train, train), folds, answer, tell)?;
    all.sort_by_key(|one| one.sample);
    Ok(all)
}
