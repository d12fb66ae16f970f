//! Every value that decides what a training run does, its default, and its range. Where values come from: `layers`.

use std::path::PathBuf;

use loc_data::{Format, Objects};
use loc_infer::{Filter, Fit};
use loc_model::init::Scheme;
use loc_model::loss::{BoxLoss, ClassLoss, LossConfig};
use loc_net::{Backbone, Head};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::TrainError;

/// The whole configuration of a run; its TOML form is `config.toml`, its keys are the names of the flags.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Name of the recipe it began with.
    pub recipe: String,
    /// The data set: a folder or a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// Its format, `voc` or `csv`; recognised by content if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_format: Option<String>,
    /// The classes in their order; by default those of the data set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// Which object of a photo with several: `largest`, `skip` or `error`.
    pub objects: String,
    /// A `filename,split` file; without one the split is drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_file: Option<PathBuf>,
    /// Fraction of each class that validates, above 0 and below 1.
    pub val: f64,
    /// Seed of split, initial weights and order.
    pub seed: u64,
    /// The layers that turn a photo into features.
    pub backbone: Backbone,
    /// The layers that turn features into an answer.
    pub head: Head,
    /// Side of the network's square input, in pixels.
    pub imgsz: u32,
    /// How a photo of another shape is made to fit.
    pub fit: Fit,
    /// How pixels are interpolated.
    pub filter: Filter,
    /// Which mean and deviation the network's first layer takes from the photo.
    pub normalize: Normalize,
    /// Scheme of the initial weights.
    pub initialisation: Initialisation,
    /// A model or safetensors file with the initial weights instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
    /// The loss of the class.
    #[serde(with = "class_loss")]
    pub class_loss: ClassLoss,
    /// Factor of the class loss, 0 or more.
    pub class_weight: f64,
    /// Factor of the box loss (mean squared error), 0 or more.
    pub box_weight: f64,
    /// Learning rate of SGD, above 0.
    pub lr: f64,
    /// Momentum of SGD, 0 or more and below 1.
    pub momentum: f64,
    /// Passes over the training photos, at least 1.
    pub epochs: usize,
    /// Photos a step, at least 1.
    pub batch: usize,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// Threads that decode photos; 0: one a core. No effect on the result.
    pub workers: usize,
    /// Threads that compute; 0: one a core. No effect on the result.
    pub threads: usize,
    /// Which epochs' checkpoints stay: `all`, `last:N` or `best`.
    pub keep: Keep,
    /// What `cargo xtask pipeline` expects of the recipe; no effect on training.
    #[serde(skip_serializing)]
    pub expect: toml::Table,
}

/// Which mean and deviation the network subtracts and divides by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// None: photos stay in 0..1.
    None,
    /// Those of the training photos, a channel each.
    Dataset,
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
pub enum Keep {
    /// Every epoch's.
    All,
    /// The newest N.
    Last(usize),
    /// None: only `best` and `last`.
    Best,
}

impl TryFrom<String> for Keep {
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

impl From<Keep> for String {
    fn from(keep: Keep) -> Self {
        match keep {
            Keep::All => "all".into(),
            Keep::Last(n) => format!("last:{n}"),
            Keep::Best => "best".into(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            recipe: "scratch".into(),
            data: None,
            data_format: None,
            classes: None,
            objects: "largest".into(),
            split_file: None,
            val: 0.2,
            seed: 0,
            backbone: Backbone::FiveConv,
            head: Head::Mlp,
            imgsz: 256,
            fit: Fit::Stretch,
            filter: Filter::Bilinear,
            normalize: Normalize::None,
            initialisation: Initialisation::PyTorch,
            init: None,
            class_loss: ClassLoss::CrossEntropy,
            class_weight: 1.0,
            box_weight: 1.0,
            lr: 0.01,
            momentum: 0.0,
            epochs: 30,
            batch: 32,
            device: "cpu".into(),
            workers: 0,
            threads: 0,
            keep: Keep::All,
            expect: toml::Table::new(),
        }
    }
}

impl Config {
    /// Checks every range.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`] with the key, its value and what is allowed.
    pub fn check(&self) -> Result<(), TrainError> {
        let positive = |v: f64| v.is_finite() && v > 0.0;
        let weight = |v: f64| v.is_finite() && v >= 0.0;
        let fail = |key: &str, value: &dyn std::fmt::Display, allowed: &str| {
            Err(TrainError::Config {
                origin: "configuration".into(),
                reason: format!("{key} is {value}: {allowed}"),
            })
        };
        match self {
            c if !positive(c.lr) => fail("lr", &c.lr, "it must be above 0"),
            c if !(0.0..1.0).contains(&c.momentum) => {
                fail("momentum", &c.momentum, "it must be 0 or more, below 1")
            }
            c if !weight(c.class_weight) => fail("class_weight", &c.class_weight, "it must be 0 or more"),
            c if !weight(c.box_weight) => fail("box_weight", &c.box_weight, "it must be 0 or more"),
            c if !(c.val > 0.0 && c.val < 1.0) => fail("val", &c.val, "it must be above 0 and below 1"),
            c if c.epochs == 0 => fail("epochs", &c.epochs, "it must be at least 1"),
            c if c.batch == 0 => fail("batch", &c.batch, "it must be at least 1"),
            c if c.objects.parse::<Objects>().is_err() => {
                fail("objects", &c.objects, "`largest`, `skip` and `error` are known")
            }
            c if c.data_format.as_ref().is_some_and(|f| f.parse::<Format>().is_err()) => {
                fail("data_format", &c.data_format.clone().unwrap_or_default(), "`voc` and `csv` are known")
            }
            _ => Ok(()),
        }
    }

    /// The losses as loc-model takes them.
    #[must_use]
    pub fn loss(&self) -> LossConfig {
        LossConfig {
            class: self.class_loss,
            boxes: BoxLoss::Mse,
            class_weight: self.class_weight,
            box_weight: self.box_weight,
        }
    }

    /// The scheme as loc-model takes it.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        match self.initialisation {
            Initialisation::PyTorch => Scheme::PyTorch,
            Initialisation::He => Scheme::He,
        }
    }

    /// The values that decide the numbers, as TOML: without paths, threads, and how much is kept.
    #[must_use]
    pub fn mathematics(&self) -> toml::Table {
        let mut table = toml::Table::try_from(self).unwrap_or_default();
        for key in ["data", "data_format", "split_file", "init", "device", "workers", "threads", "keep"] {
            table.remove(key);
        }
        table
    }

    /// SHA-256 of [`Config::mathematics`], 64 hex digits: which recipe made a model.
    #[must_use]
    pub fn digest(&self) -> String {
        crate::record::hex(&Sha256::digest(self.mathematics().to_string()))
    }
}

/// The names of the class losses in TOML.
mod class_loss {
    use loc_model::loss::ClassLoss;
    use serde::{Deserialize, Deserializer, Serializer, de};

    const PLAIN: &str = "cross_entropy";
    const TUTORIAL: &str = "cross_entropy_on_probabilities";

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
    pub(super) fn serialize<S: Serializer>(loss: &ClassLoss, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match loss {
            ClassLoss::CrossEntropyOnProbabilities => TUTORIAL,
            _ => PLAIN,
        })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ClassLoss, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            PLAIN => Ok(ClassLoss::CrossEntropy),
            TUTORIAL => Ok(ClassLoss::CrossEntropyOnProbabilities),
            other => Err(de::Error::unknown_variant(other, &[PLAIN, TUTORIAL])),
        }
    }
}
