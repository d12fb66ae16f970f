//! From sources to a checked configuration: recipe < file < environment < command line.

use crate::config::auto::Given;
use crate::config::choices::AUTO;
use crate::config::head_warmup;
use crate::config::keys::Config;
use crate::config::overlay::{Resolved, rename};
use crate::config::sources::ConfigSource;
use crate::error::TrainError;

impl Config {
    /// Puts a recipe's values and then the sources' over the defaults, the later over the earlier, and checks the result.
    /// Without a `recipe` it is the one that a source names, else the default one; where a source has a value for every
    /// key, as a run's `config.toml` has, that recipe only gives its name: its file may be gone. The recipe [`AUTO`] stands
    /// for another one: which depends on the sources, and on whether pretrained weights are in the cache.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`] with the origin, the line and key, and for an unknown key the nearest name.
    pub fn resolve(recipe: Option<&str>, sources: &[ConfigSource]) -> Result<Resolved, TrainError> {
        let tables: Vec<toml::Table> =
            sources.iter().map(|source| toml::from_str(&source.text).unwrap_or_default()).collect();
        let named = |table: &toml::Table| Some(table.get("recipe")?.as_str()?.to_owned());
        let name = recipe.map(str::to_owned).or_else(|| tables.iter().rev().find_map(named));
        let mut name = name.unwrap_or_else(|| Self::default().recipe);
        let (mut beneath, mut auto) = (None, None);
        if recipe.is_some() || !tables.iter().cloned().any(is_complete) {
            if name == AUTO {
                let choice = Given::of(&tables).choose();
                choice.recipe.clone_into(&mut name);
                auto = Some(choice);
            }
            beneath = Some(ConfigSource::recipe(&name)?);
        }
        let Resolved { config, mut renamed, .. } = Self::overlay(beneath.iter().chain(sources))?;
        let mut config = Self { recipe: name, ..config };
        config.classes = config.classes.as_deref().map(loc_data::class_list).transpose()?;
        renamed.extend(head_warmup::read(&mut config)?);
        config.validate()?;
        Ok(Resolved { config, renamed, auto })
    }
}

/// Whether a table has a value for every key that has a default, as a run's `config.toml` has: also one of the release
/// before, which lacks new keys.
fn is_complete(mut table: toml::Table) -> bool {
    rename(&mut table);
    let defaults = toml::Table::try_from(Config::default()).unwrap_or_default();
    let needed = Config::KEYS.iter().filter(|key| !key.is_new && defaults.contains_key(key.name));
    needed.into_iter().all(|key| table.contains_key(key.name))
}
