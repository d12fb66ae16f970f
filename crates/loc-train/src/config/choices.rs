//! The values of keys that are one of a few: their names in TOML and what they mean.

use serde::{Deserialize, Serialize};

/// Where a split comes from, if no file is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitBy {
    /// From the folders `train`, `valid` or `val`, and `test`, where the data set has them; else drawn.
    #[default]
    Folders,
    /// Drawn, whatever the folders are called.
    Draw,
}

/// The training that comes before a run's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "the name of a recipe, or a table of all its values, is needed")]
pub enum HeadWarmup {
    /// That of a recipe, by its name.
    Recipe(String),
    /// Every value of one that was read from a file, which may have gone since.
    Values(toml::Table),
}

/// Which mean and deviation the network subtracts and divides by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// None: photos stay in 0..1.
    None,
    /// Those of the training photos, a channel each.
    Dataset,
    /// 127 and 128 of 255: bytes as −1 to 1, as `lite0` was trained.
    Signed,
}

/// Scheme of the initial weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Initialisation {
    /// PyTorch's default for convolutions and linear layers.
    PyTorch,
    /// He's, for relu networks.
    He,
}

/// Which epochs' checkpoints stay beside `best` and `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum CheckpointRetention {
    /// Every epoch's.
    All,
    /// The newest N.
    Last(usize),
    /// None: only `best` and `last`.
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

/// Which rule moves the parameters. g is the gradient, p the parameter; decay is of weights, never of biases.
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

/// How the learning rate goes once it is warm. t is the share of the epochs that has passed, 0 to 1; where `restarts` part
/// the epochs, t and the counting begin at 0 in each part, and warm is only the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// It stays.
    Constant,
    /// It is multiplied by `step_factor` after each `step_every` epochs.
    Step,
    /// Half a cosine (Loshchilov and Hutter 2017): `lr · (final + (1 − final) · (1 + cos πt) / 2)`.
    Cosine,
}
