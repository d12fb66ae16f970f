//! The recipe that trains the heads on the frozen backbone before a run's own training (`begin`).

use crate::config::choices::HeadWarmup;
use crate::config::keys::Config;
use crate::config::recipes;
use crate::config::sources::ConfigSource;
use crate::error::TrainError;

impl Config {
    /// The head warm-up of this configuration: the recipe's values, on this configuration's network, input and seed.
    /// Opens no file: [`Config::resolve`] has put the values of a recipe in a file in the place of its name.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`] if the recipe is not known, or warms heads up in turn.
    pub(crate) fn head_warmup(&self) -> Result<Option<Self>, TrainError> {
        let Some(name) = &self.begin else { return Ok(None) };
        let source = match name {
            HeadWarmup::Recipe(name) => {
                recipes::built_in(name).ok_or_else(|| recipes::unknown("begin", name))?
            }
            HeadWarmup::Values(values) => ConfigSource { origin: "begin".into(), text: values.to_string() },
        };
        let recipe = single(self, &source)?;
        Ok(Some(Self {
            head: self.head,
            imgsz: self.imgsz,
            fit: self.fit,
            filter: self.filter,
            normalize: self.normalize,
            seed: self.seed,
            ..recipe
        }))
    }
}

impl HeadWarmup {
    /// The recipe's name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Recipe(name) => name,
            Self::Values(values) => values.get("recipe").and_then(toml::Value::as_str).unwrap_or("a table"),
        }
    }
}

/// A configuration's head warm-up as a run keeps it: of a recipe in a file its values, in the place of its name.
pub(crate) fn read(config: &Config) -> Result<Option<HeadWarmup>, TrainError> {
    let Some(HeadWarmup::Recipe(file)) = &config.begin else { return Ok(config.begin.clone()) };
    if recipes::built_in(file).is_some() {
        return Ok(config.begin.clone());
    }
    let recipe = Config { recipe: file.clone(), ..single(config, &ConfigSource::recipe(file)?)? };
    let values = toml::Table::try_from(recipe);
    let values = values.map_err(|e| TrainError::Config { origin: file.clone(), reason: e.to_string() })?;
    Ok(Some(HeadWarmup::Values(values)))
}

/// The configuration that a recipe alone gives; one with a head warm-up of its own is refused.
fn single(config: &Config, recipe: &ConfigSource) -> Result<Config, TrainError> {
    let first = Config::overlay(std::iter::once(recipe))?;
    let (Some(own), Some(next)) = (&config.begin, &first.begin) else { return Ok(first) };
    let own = own.name();
    let chain = [&config.recipe, own, next.name()].join(" → ");
    let reason = format!(
        "{own} begins with another recipe in turn ({chain}); one training of heads comes before a run \
         (hint: a recipe without `begin` is needed)"
    );
    Err(TrainError::Config { origin: "begin".into(), reason })
}
