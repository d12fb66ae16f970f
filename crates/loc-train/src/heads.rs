//! What a training end to end can begin with (`begin`): heads that have learned on the frozen backbone.
//!
//! From random heads the first gradients would shake what the backbone knows. On kept features the heads learn in the
//! time of a few epochs end to end.

use candle_core::Device;
use loc_data::{Dataset, Loader};
use loc_model::Model;
use loc_net::{Forward, Network, Weights};

use crate::average::Average;
use crate::event::Watch;
use crate::feed::{Backbone, Features, Feed};
use crate::optimizer::Optimizer;
use crate::step::{At, Learner};
use crate::{Begin, Config, Event, Layer, RECIPES, TrainError};

/// The recipe that `begin` names, as it stands: its own ranges are checked, and that it begins with no other.
fn named(config: &Config) -> Result<Option<Config>, TrainError> {
    let layer = match &config.begin {
        None => return Ok(None),
        Some(Begin::Recipe(name)) => Layer::recipe(name)?,
        Some(Begin::Values(values)) => Layer { origin: "begin".into(), text: values.to_string() },
    };
    let first = Config::lay(std::iter::once(&layer))?;
    if first.begin.is_some() {
        let chain = [&config.recipe, &name(config), &name(&first)].map(String::as_str).join(" → ");
        let reason = format!(
            "{} begins with another recipe in turn ({chain}); one training of heads comes before a run \
             (hint: a recipe without `begin` is needed)",
            name(config)
        );
        return Err(TrainError::Config { origin: "begin".into(), reason });
    }
    first.check()?;
    Ok(Some(first))
}

/// What a configuration's `begin` is called.
fn name(config: &Config) -> String {
    match &config.begin {
        None => "none".into(),
        Some(Begin::Recipe(name)) => name.clone(),
        Some(Begin::Values(values)) => {
            values.get("recipe").and_then(toml::Value::as_str).unwrap_or("a table").to_owned()
        }
    }
}

/// `begin` as a run keeps it: the values of a recipe that is a file stand in the place of its name.
pub(crate) fn kept(config: &Config) -> Result<Option<Begin>, TrainError> {
    let Some(Begin::Recipe(file)) = &config.begin else { return Ok(config.begin.clone()) };
    if RECIPES.iter().any(|(known, _)| known == file) {
        return Ok(config.begin.clone());
    }
    let first = named(config)?.map(|first| Config { recipe: file.clone(), ..first });
    let fail = |e: toml::ser::Error| TrainError::Config { origin: file.clone(), reason: e.to_string() };
    Ok(first.map(toml::Table::try_from).transpose().map_err(fail)?.map(Begin::Values))
}

/// The training that `begin` names: the recipe's numbers on the configuration's network, input and seed.
pub(crate) fn beginning(config: &Config) -> Result<Option<Config>, TrainError> {
    let Some(recipe) = named(config)? else { return Ok(None) };
    Ok(Some(Config {
        head: config.head,
        imgsz: config.imgsz,
        fit: config.fit,
        filter: config.filter,
        normalize: config.normalize,
        seed: config.seed,
        ..recipe
    }))
}

/// The value of `begin` and what is allowed instead, if it cannot be.
pub(crate) fn wrong(config: &Config) -> Option<(String, String)> {
    let allowed = match named(config) {
        Err(error) => error.to_string(),
        Ok(Some(first)) if first.backbone_lr > 0.0 => "it does not freeze the backbone".into(),
        Ok(Some(first)) if first.backbone != config.backbone => "it has another backbone".into(),
        Ok(_) => return None,
    };
    Some((name(config), allowed))
}

/// A model whose backbone is frozen, and what the backbone makes of each loader's photos, seen so many times.
pub(crate) fn frozen<const N: usize>(
    config: &Config,
    (layers, initial): (&Network, &Weights),
    loaders: [(&Loader, usize); N],
    device: &Device,
    watch: &mut Watch,
) -> Result<(Model, [Feed; N]), TrainError> {
    let forward = Forward::new(layers.clone(), initial.clone())?;
    let backbone = Backbone { forward: &forward, augment: &config.augment, seed: config.seed };
    let mut feeds = Vec::with_capacity(N);
    for (loader, copies) in loaders {
        feeds.push(Feed::Features(Features::of(&backbone, loader, copies, device, watch)?));
    }
    let feeds = feeds.try_into().unwrap_or_else(|_| unreachable!("a feed for each loader"));
    Ok((Model::with_frozen_backbone(layers.clone(), initial, device)?, feeds))
}

/// The initial weights after the training that a run begins with, by that one's configuration ([`beginning`]).
pub(crate) fn learned(
    config: &Config,
    (layers, initial): (&Network, &Weights),
    (dataset, loader): (&Dataset, &Loader),
    device: &Device,
    watch: &mut Watch,
) -> Result<Weights, TrainError> {
    let loaders = [(loader, config.copies_of(loader.len()))];
    let (model, [feed]) = frozen(config, (layers, initial), loaders, device, watch)?;
    let average = Average::of(&model, config.average)?;
    let mut optimizer = Optimizer::new(config);
    let mut learner = Learner {
        config,
        dataset,
        model: &model,
        optimizer: &mut optimizer,
        average: average.as_ref(),
        anchor: None,
    };
    let mut taken = 0;
    for epoch in 1..=config.epochs {
        let batches = feed.epoch(config, epoch);
        let steps = batches.len();
        for (step, batch) in batches.enumerate() {
            learner.step(&batch?, At { epoch, step, steps, taken })?;
            taken += 1;
        }
        watch.tell(Event::Heads { epoch, epochs: config.epochs })?;
    }
    Ok(average.as_ref().map_or(&model, |average| &average.model).weights()?)
}
