//! The built-in recipes, and recipes in files.

use std::path::Path;

use crate::config::sources::ConfigSource;
use crate::error::{ConfigError, TrainError};

/// The built-in recipes: name and TOML.
pub const RECIPES: [(&str, &str); 5] = [
    ("tutorial", include_str!("../../recipes/tutorial.toml")),
    ("scratch", include_str!("../../recipes/scratch.toml")),
    ("compact", include_str!("../../recipes/compact.toml")),
    ("transfer", include_str!("../../recipes/transfer.toml")),
    ("finetune", include_str!("../../recipes/finetune.toml")),
];

impl ConfigSource {
    /// A recipe: built-in by name, else a TOML file by path.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`] if there is neither, or the file cannot be read.
    pub fn recipe(name: &str) -> Result<Self, TrainError> {
        if let Some(source) = built_in(name) {
            return Ok(source);
        }
        if Path::new(name).extension().is_some_and(|e| e == "toml") {
            return Self::file(Path::new(name)).map_err(|error| match error {
                TrainError::Io(e) => TrainError::config(name, ConfigError::UnreadableRecipe(e)),
                error => error,
            });
        }
        Err(unknown("recipe", name))
    }
}

/// A built-in recipe.
pub(crate) fn built_in(name: &str) -> Option<ConfigSource> {
    let (_, text) = RECIPES.iter().find(|(known, _)| *known == name)?;
    Some(ConfigSource::toml(format!("recipe {name}"), *text))
}

/// The error for a name that is no recipe's.
pub(crate) fn unknown(origin: &str, name: &str) -> TrainError {
    TrainError::config(origin, ConfigError::UnknownRecipe { name: name.to_owned() })
}
