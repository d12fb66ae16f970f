//! The head warm-up: the head is trained on the frozen backbone before a training end to end (`head_warmup`).
//!
//! The first gradients of a random head would disturb the pretrained weights. On cached features the head trains in
//! the time of a few epochs end to end.

use candle_core::Device;
use loc_data::{Dataset, Loader};
use loc_model::Model;
use loc_net::{Forward, Network, Weights};

use crate::config::Config;
use crate::engine::step::{Learner, StepPosition};
use crate::error::TrainError;
use crate::event::{Event, Progress};
use crate::input::{BatchSource, FeatureCache, FrozenBackbone};
use crate::optim::{Ema, Optimizer};

/// Returns a model with a frozen backbone, and for each loader the backbone's features of its photos and of so many
/// copies.
pub(crate) fn with_frozen_backbone<const N: usize>(
    config: &Config,
    layers: &Network,
    initial: &Weights,
    loaders: [(&Loader, usize); N],
    device: &Device,
    progress: &mut Progress,
) -> Result<(Model, [BatchSource; N]), TrainError> {
    let forward = Forward::new(layers.clone(), initial.clone())?;
    let backbone = FrozenBackbone { forward: &forward, augment: &config.augment, seed: config.seed };
    let mut feeds = Vec::with_capacity(N);
    for (loader, copies) in loaders {
        feeds.push(BatchSource::FeatureCache(FeatureCache::of(&backbone, loader, copies, device, progress)?));
    }
    let feeds = feeds.try_into().unwrap_or_else(|_| unreachable!("a feed for each loader"));
    Ok((Model::with_frozen_backbone(layers.clone(), initial, device)?, feeds))
}

/// Returns the initial weights after the head warm-up with this configuration ([`Config::head_warmup`]).
pub(crate) fn run(
    config: &Config,
    layers: &Network,
    initial: &Weights,
    dataset: &Dataset,
    loader: &Loader,
    device: &Device,
    progress: &mut Progress,
) -> Result<Weights, TrainError> {
    let loaders = [(loader, config.copies_of(loader.len()))];
    let (model, [feed]) = with_frozen_backbone(config, layers, initial, loaders, device, progress)?;
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
        progress.report(Event::Heads { epoch, epochs: config.epochs })?;
    }
    Ok(ema.as_ref().map_or(&model, |ema| &ema.model).weights()?)
}
