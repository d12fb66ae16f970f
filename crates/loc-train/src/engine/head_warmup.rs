//! The head warm-up: the head is trained on the frozen backbone before a training end to end (`head_warmup`).
//!
//! The first gradients of a random head would disturb the pretrained weights. On cached features the head trains in
//! the time of a few epochs end to end.

use candle_core::Device;
use loc_data::Dataset;
use loc_model::{Model, init};
use loc_net::{Forward, Network, Weights};

use crate::config::Config;
use crate::engine::budget::Budget;
use crate::engine::heads;
use crate::error::TrainError;
use crate::event::{Event, Progress};
use crate::input::{BatchSource, FeatureCache, FrozenBackbone, Photos, Place};

/// Returns a model with a frozen backbone, and the backbone's features of photos and of so many copies of each.
pub(crate) fn with_frozen_backbone<const N: usize>(
    config: &Config,
    layers: &Network,
    initial: &Weights,
    photos: [(Photos, usize); N],
    (place, budget): (&Place, &Budget),
    progress: &mut Progress,
) -> Result<(Model, [BatchSource; N]), TrainError> {
    let forward = Forward::new(layers.clone(), initial.clone())?;
    let backbone = FrozenBackbone { forward: &forward, config };
    let mut feeds = Vec::with_capacity(N);
    for (photos, copies) in photos {
        let began = budget.clock().now();
        let limit = |wanted| budget.copies(wanted, began);
        let cache = FeatureCache::of(&backbone, photos, copies, &limit, place, progress)?;
        feeds.push(BatchSource::FeatureCache(cache));
    }
    let feeds = feeds.try_into().unwrap_or_else(|_| unreachable!("a feed for each loader"));
    Ok((Model::with_frozen_backbone(layers.clone(), initial, &place.device)?, feeds))
}

/// Reports what is to be done on a frozen backbone with this configuration, for so many training photos: `features` and
/// `end_to_end` are the photos that also go through the backbone, and are trained on with it.
pub(crate) fn report_workload(
    config: &Config,
    layers: &Network,
    dataset: &Dataset,
    [train, features, end_to_end]: [usize; 3],
    device: &Device,
    progress: &mut Progress,
) -> Result<(), TrainError> {
    let weights = init::weights(layers, config.scheme(), config.seed);
    let model = Model::with_frozen_backbone(layers.clone(), &weights, device)?;
    let blank = BatchSource::FeatureCache(FeatureCache::blank(layers, config.batch.min(train), device)?);
    let step_seconds = Budget::unlimited().step(config, dataset, &model, &blank, progress.stop)?;
    let steps = train.div_ceil(config.batch).max(1);
    progress.report(Event::Workload {
        features: train * config.copies_of(train) + features,
        head_steps: config.epochs * steps * config.min_steps.div_ceil(steps),
        step_seconds,
        end_to_end,
    })
}

/// Returns the initial weights after the head warm-up with this configuration ([`Config::head_warmup`]), and the
/// configuration with the copies and epochs that fitted into the time.
pub(crate) fn run(
    config: &Config,
    layers: &Network,
    initial: &Weights,
    dataset: &Dataset,
    photos: Photos,
    (place, budget): (&Place, &Budget),
    progress: &mut Progress,
) -> Result<(Weights, Config), TrainError> {
    let photos = [(photos, config.copies_of(photos.len()))];
    let (model, [feed]) = with_frozen_backbone(config, layers, initial, photos, (place, budget), progress)?;
    let config = &budget.plan_warmup(config, dataset, &model, &feed, progress.stop)?;
    let mut tell = |epoch| progress.report(Event::Heads { epoch, epochs: config.epochs });
    let model = heads::train(config, dataset, model, &feed, &mut tell)?;
    Ok((model.weights()?, config.clone()))
}
