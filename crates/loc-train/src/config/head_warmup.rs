//! The recipe that `begin` names: read, checked, and fitted to the run it comes before.

use crate::config::sources::ConfigSource;
use crate::config::{Begin, Config, RECIPES};
use crate::error::TrainError;

/// The recipe that `begin` names, as it stands: its own ranges are checked, and that it begins with no other.
fn named(config: &Config) -> Result<Option<Config>, TrainError> {
    let layer = match &config.begin {
        None => return Ok(None),
        Some(Begin::Recipe(name)) => ConfigSource::recipe(name)?,
        Some(Begin::Values(values)) => ConfigSource { origin: "begin".into(), text: values.to_string() },
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

impl Config {
    /// The training that `begin` names: the recipe's numbers on this configuration's network, input and seed.
    pub(crate) fn head_warmup(&self) -> Result<Option<Self>, TrainError> {
        let Some(recipe) = named(self)? else { return Ok(None) };
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
