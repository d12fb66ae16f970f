//! The values of keys that are one of a few: their names in TOML and what they mean.

use serde::{Deserialize, Serialize};

/// The name of the recipe that stands for another one.
pub const AUTO: &str = "auto";

/// Where a split comes from, if no file is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitBy {
    /// From the folders `train`, `valid` or `val`, and `test`, if the data set has them; else drawn.
    #[default]
    Folders,
    /// Drawn at random, whatever the folders are called.
    Draw,
}

/// The head warm-up before a run's own training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "the name of a recipe, or a table of all its values, is needed")]
pub enum HeadWarmup {
    /// The name of a recipe.
    Recipe(String),
    /// Every value of a recipe that was read from a file, which may no longer exist.
    Values(toml::Table),
}

/// The mean and standard deviation of the input normalization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// None: photos stay in 0..1.
    None,
    /// Those of the training photos, for each channel.
    Dataset,
    /// 127/255 and 128/255: values of −1 to 1, with which `lite0` was pretrained.
    Signed,
}

/// The distribution of the initial weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Initialisation {
    /// PyTorch's default for convolutions and linear layers.
    PyTorch,
    /// He's, for ReLU networks.
    He,
}

/// Which epochs' model files are kept besides `best` and `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum CheckpointRetention {
    /// All epochs.
    All,
    /// The newest N epochs.
    Last(usize),
    /// No epochs: only `best` and `last`.
    Best,
}

impl TryFrom<String> for CheckpointRetention {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.strip_prefix("last:").map(str::parse) {
            Some(Ok(n)) if n > 0 => Ok(Self::Last(n)),
            None if text == "all" => Ok(Self::All),
            None if text == "best" => Ok(Self::Best),
            _ => Err(format!("keep is {text:?}: `all`, `best` or `last:N` with N of 1 or more is needed")),
        }
    }
}

impl From<CheckpointRetention> for String {
    fn from(keep: CheckpointRetention) -> Self {
        match keep {
            CheckpointRetention::All => "all".into(),
            CheckpointRetention::Last(n) => format!("last:{n}"),
            CheckpointRetention::Best => "best".into(),
        }
    }
}

/// The optimizer. g is the gradient, p the parameter; weight decay applies to weights, not to biases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Stochastic gradient descent, as `torch.optim.SGD` with dampening 0:
    ///
    /// ```text
    /// g ← g + decay · p      v ← momentum · v + g      p ← p − lr · v      (Nesterov: p ← p − lr · (g + momentum · v))
    /// ```
    Sgd,
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019), as `torch.optim.AdamW`; β₁ and β₂ are
    /// `adam_betas`:
    ///
    /// ```text
    /// m ← β₁ · m + (1 − β₁) · g      v ← β₂ · v + (1 − β₂) · g²
    /// p ← (1 − lr · decay) · p − lr · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + 1e-8)
    /// ```
    AdamW,
}

/// The schedule of the learning rate after the warm-up. t is the fraction of the epochs that has passed, 0 to 1; with
/// `restarts`, t and the count of epochs start at 0 in each part, and only the first part has a warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// The rate is constant.
    Constant,
    /// The rate is multiplied by `step_factor` after every `step_every` epochs.
    Step,
    /// Half a cosine (Loshchilov and Hutter 2017): `lr · (final + (1 − final) · (1 + cos πt) / 2)`.
    Cosine,
}
