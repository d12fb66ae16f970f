//! The recipe `auto`: which built-in recipe it takes, and why.

use std::fmt;
use std::path::{Path, PathBuf};

use loc_net::{Backbone, Head};

use crate::config::choices::AUTO;
use crate::config::sources::ConfigSource;
use crate::weights_cache;

/// The recipe that `auto` takes, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AutoChoice {
    /// The recipe's name.
    pub recipe: &'static str,
    /// Why.
    pub reason: AutoReason,
}

/// Why `auto` takes a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AutoReason {
    /// A setting names the backbone of this recipe.
    Backbone,
    /// The initial weights in this file are of this recipe's network.
    Init(PathBuf),
    /// The pretrained weights are in this file.
    WeightsFound(PathBuf),
    /// The pretrained weights that a better recipe needs are not in the cache.
    WeightsMissing,
}

impl fmt::Display for AutoChoice {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "recipe {}, chosen by `{AUTO}`: ", self.recipe)?;
        match &self.reason {
            AutoReason::Backbone => f.write_str("it has the backbone that is set"),
            AutoReason::Init(path) => {
                write!(f, "it has the network of the initial weights, {}", path.display())
            }
            AutoReason::WeightsFound(path) => {
                write!(f, "its pretrained weights are there, {}", path.display())
            }
            AutoReason::WeightsMissing => f.write_str("there are no pretrained weights in the cache"),
        }
    }
}

/// What the sources set that the choice depends on.
pub(crate) struct Given {
    backbone: Option<Backbone>,
    init: Option<PathBuf>,
    weights: Option<PathBuf>,
}

impl Given {
    /// Reads the sources' tables, the later over the earlier.
    pub(crate) fn of(tables: &[toml::Table]) -> Self {
        let last = |key: &str| tables.iter().rev().find_map(|table| table.get(key)).cloned();
        let path = |key: &str| last(key).and_then(|value| Some(PathBuf::from(value.as_str()?)));
        Self {
            backbone: last("backbone").and_then(|value| value.try_into().ok()),
            init: path("init"),
            weights: path("backbone_weights"),
        }
    }

    /// Chooses the recipe: that of the network that is set or that the run starts from; else `transfer` if its weights are
    /// there, and `compact` if not. A file that cannot be used is left to the checks of the training.
    pub(crate) fn choose(&self) -> AutoChoice {
        let choice = |recipe, reason| AutoChoice { recipe, reason };
        if let Some(backbone) = self.backbone {
            return choice(of_network(backbone, Head::Mlp), AutoReason::Backbone);
        }
        if let Some(path) = &self.init {
            return choice(of_model(path).unwrap_or("scratch"), AutoReason::Init(path.clone()));
        }
        match (weights_cache::find(self.weights.as_deref()), &self.weights) {
            (Ok(path), _) => choice("transfer", AutoReason::WeightsFound(path)),
            // Its own check then says what is wrong with the file that was given.
            (Err(_), Some(path)) => choice("transfer", AutoReason::WeightsFound(path.clone())),
            (Err(_), None) => choice("compact", AutoReason::WeightsMissing),
        }
    }
}

/// The recipe that trains a network.
fn of_network(backbone: Backbone, head: Head) -> &'static str {
    match (backbone, head) {
        (Backbone::Lite0, Head::Edges4) => "finetune",
        (Backbone::Lite0, _) => "transfer",
        (Backbone::Compact, _) => "compact",
        _ => "scratch",
    }
}

/// The recipe that trains the network of a model file or a run; none for weights without metadata, which are PyTorch's of
/// the tutorial's network.
fn of_model(path: &Path) -> Option<&'static str> {
    #[derive(serde::Deserialize)]
    struct File {
        network: Kinds,
    }
    #[derive(serde::Deserialize)]
    struct Kinds {
        backbone: Backbone,
        head: Head,
    }
    let kinds: Kinds = if path.is_dir() {
        toml::from_str(&ConfigSource::file(&path.join("config.toml")).ok()?.text).ok()?
    } else {
        let json = loc_model::weights::load_floats(path).ok()?.metadata?;
        serde_json::from_str::<File>(&json).ok()?.network
    };
    Some(of_network(kinds.backbone, kinds.head))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(settings: &str) -> AutoChoice {
        Given::of(&[settings.parse().unwrap()]).choose()
    }

    #[test]
    fn the_network_that_is_set_and_the_weights_that_are_there_decide() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("efficientnet-lite0.safetensors");
        let weights = format!("backbone_weights = '{}'", folder.path().display());
        for (settings, recipe) in [
            ("backbone = 'five_conv'", "scratch"),
            ("backbone = 'compact'", "compact"),
            ("backbone = 'lite0'", "transfer"),
            (&weights, "transfer"),
        ] {
            assert_eq!(chosen(settings).recipe, recipe, "{settings}");
        }
        fs_err::write(&file, b"weights").unwrap();
        assert_eq!(chosen(&weights).reason, AutoReason::WeightsFound(file));
    }

    #[test]
    fn a_run_that_starts_from_a_run_has_its_recipe() {
        let folder = tempfile::tempdir().unwrap();
        let init = format!("init = '{}'", folder.path().display());
        for (config, recipe) in [
            ("backbone = 'lite0'\nhead = 'edges4'", "finetune"),
            ("backbone = 'lite0'\nhead = 'edges'", "transfer"),
            ("backbone = 'compact'\nhead = 'edges'", "compact"),
            ("backbone = 'five_conv'\nhead = 'mlp'", "scratch"),
        ] {
            fs_err::write(folder.path().join("config.toml"), config).unwrap();
            assert_eq!(chosen(&init).recipe, recipe, "{config}");
        }
    }
}
