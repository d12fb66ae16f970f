//! The recipe that first trains a run's head on the frozen backbone (`head_warmup`).

use crate::config::choices::HeadWarmup;
use crate::config::keys::Config;
use crate::config::overlay::{RenamedKeys, Resolved};
use crate::config::recipes;
use crate::config::sources::ConfigSource;
use crate::error::{ConfigError, TrainError};

impl Config {
    /// The head warm-up of this configuration: the recipe's values, on this configuration's network, input and seed.
    /// Opens no file: [`Config::resolve`] has put the values of a recipe in a file in the place of its name.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`] if the recipe is not known, or warms heads up in turn.
    pub(crate) fn head_warmup(&self) -> Result<Option<Self>, TrainError> {
        let Some(name) = &self.head_warmup else { return Ok(None) };
        let source = match name {
            HeadWarmup::Recipe(name) => {
                recipes::built_in(name).ok_or_else(|| recipes::unknown("head_warmup", name))?
            }
            HeadWarmup::Values(values) => ConfigSource::toml("head_warmup", values.to_string()),
        };
        let recipe = single(self, &source)?.config;
        Ok(Some(Self {
            head: self.head,
            class_features: self.class_features,
            looks: 1,
            imgsz: self.imgsz,
            fit: self.fit,
            filter: self.filter,
            normalize: self.normalize,
            seed: self.seed,
            cache: self.cache.clone(),
            ..recipe
        }))
    }
}

impl HeadWarmup {
    /// The head warm-up with every value of a configuration.
    pub(crate) fn of(config: &Config) -> Result<Self, TrainError> {
        let values = toml::Table::try_from(config);
        let fail = |e| TrainError::config(&*config.recipe, ConfigError::Unwritable(e));
        Ok(Self::Values(values.map_err(fail)?))
    }

    /// The recipe's name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Recipe(name) => name,
            Self::Values(values) => values.get("recipe").and_then(toml::Value::as_str).unwrap_or("a table"),
        }
    }
}

/// Puts the values of a head warm-up that is a recipe in a file in the place of its name; the old names in that file.
pub(crate) fn read(config: &mut Config) -> Result<Vec<RenamedKeys>, TrainError> {
    let Some(HeadWarmup::Recipe(file)) = config.head_warmup.clone() else { return Ok(Vec::new()) };
    if recipes::built_in(&file).is_some() {
        return Ok(Vec::new());
    }
    let Resolved { config: first, renamed, .. } = single(config, &ConfigSource::recipe(&file)?)?;
    config.head_warmup = Some(HeadWarmup::of(&Config { recipe: file, ..first })?);
    Ok(renamed)
}

/// The configuration that a recipe alone gives; one with a head warm-up of its own is refused.
fn single(config: &Config, recipe: &ConfigSource) -> Result<Resolved, TrainError> {
    let first = Config::overlay(std::iter::once(recipe))?;
    let (Some(own), Some(next)) = (&config.head_warmup, &first.config.head_warmup) else { return Ok(first) };
    let own = own.name();
    let chain = [&config.recipe, own, next.name()].join(" → ");
    let kind = ConfigError::NestedHeadWarmup { name: own.to_owned(), chain };
    Err(TrainError::config("head_warmup", kind))
}
