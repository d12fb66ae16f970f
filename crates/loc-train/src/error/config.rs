//! Why a configuration cannot be used.

use std::path::PathBuf;

use loc_data::keys::KeyError;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file has other content than TOML.
    #[error("is {content}, not a configuration in TOML")]
    OtherContent {
        /// What it is.
        content: String,
    },
    /// A file is not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// The TOML has a mistake: where and which, and for an unknown key the nearest known one.
    #[error("{message}")]
    Toml {
        /// TOML's message, with line and column.
        message: String,
        /// The nearest known key.
        nearest: Option<String>,
    },
    /// A single value is of another kind.
    #[error("{value}: {needed}")]
    Value {
        /// The value.
        value: String,
        /// What is needed.
        needed: String,
    },
    /// There is no such key.
    #[error("there is no key `{key}`")]
    UnknownKey {
        /// The key.
        key: String,
        /// The nearest known one, as it would be written here.
        nearest: Option<String>,
    },
    /// A setting is not of the form KEY=VALUE.
    #[error("KEY=VALUE is needed")]
    NotASetting,
    /// A value is out of its range.
    #[error(transparent)]
    Range(#[from] KeyError),
    /// There is no such recipe.
    #[error("there is no recipe {name:?}")]
    UnknownRecipe {
        /// Its name.
        name: String,
    },
    /// A recipe's file cannot be read.
    #[error("the recipe cannot be read")]
    UnreadableRecipe(#[source] std::io::Error),
    /// A head warm-up has one of its own.
    #[error("{name} has a head warm-up of its own ({chain}); only one may come before a run")]
    NestedHeadWarmup {
        /// The recipe.
        name: String,
        /// The recipes, each warmed up by the next.
        chain: String,
    },
    /// A head warm-up cannot be written into the configuration.
    #[error("cannot be written as TOML")]
    Unwritable(#[source] toml::ser::Error),
    /// A learning curve is asked for where the backbone is trained too.
    #[error(
        "a learning curve needs a frozen backbone: this recipe trains it, for each number of photos anew"
    )]
    CurveNeedsFrozen,
    /// There is no data set.
    #[error("no data set is given")]
    NoData,
    /// Invalid photos are to be skipped and refused.
    #[error("skips invalid photos, and `strict` refuses them: only one can be set")]
    SkipAndStrict,
    /// The device is not known or not there.
    #[error(transparent)]
    Device(loc_model::ModelError),
    /// The network cannot be built for this input.
    #[error(transparent)]
    Network(loc_net::NetError),
    /// The classes or the input cannot be those of a model.
    #[error(transparent)]
    Meta(loc_infer::Error),
    /// A batch does not fit in memory.
    #[error("batch is {batch}: a step needs at least {needed} MiB of memory, {available} MiB are available")]
    BatchMemory {
        /// Photos in a batch.
        batch: usize,
        /// Memory that a step needs, in MiB.
        needed: u64,
        /// Memory that is available, in MiB.
        available: u64,
        /// The largest batch that fits.
        most: u64,
    },
    /// The features of a frozen backbone do not fit in memory.
    #[error(
        "the features of {photos} photos and augmented copies need {needed} MiB of memory, the decoded photos {decoded} \
         MiB, {available} MiB are available"
    )]
    FeatureMemory {
        /// Photos and copies.
        photos: usize,
        /// Memory for their features, in MiB.
        needed: u64,
        /// Memory for the decoded photos, in MiB.
        decoded: u64,
        /// Memory that is available, in MiB.
        available: u64,
        /// How many would fit.
        most: u64,
    },
    /// The system has no memory for the features of a frozen backbone.
    #[error("there is no memory for the features of {photos} photos and augmented copies, {needed} MiB")]
    NoFeatureMemory {
        /// Photos and copies.
        photos: usize,
        /// Memory for their features, in MiB.
        needed: u64,
    },
    /// Pretrained weights are not where they are looked for.
    #[error("the pretrained weights {name} are not at {place}")]
    MissingWeights {
        /// The set of weights.
        name: &'static str,
        /// Where they were looked for.
        place: String,
        /// Whether the place was given, or is the cache.
        is_given: bool,
    },
    /// The name of a run has several parts.
    #[error("{name}: the name of a run is the name of one folder")]
    RunName {
        /// The name.
        name: String,
    },
    /// A folder cannot be used again for a run.
    #[error("{} {why}", folder.display())]
    Reuse {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        why: ReuseError,
    },
    /// Several processes train together, but not on this device.
    #[error("several processes train together on the CPU only")]
    ProcessesOnCpu,
    /// Several processes train together, within a given time.
    #[error("several processes cannot train within a given time: each of them would measure another speed")]
    ProcessesInTime,
    /// A range of learning rates is empty, or has no steps.
    #[error("{low} to {high} in {steps} steps is no range: 0 < low < high and 2 steps are needed")]
    LrRange {
        /// The first rate.
        low: f64,
        /// The last rate.
        high: f64,
        /// Steps between them.
        steps: usize,
    },
}

/// Why a folder cannot be used again for a run. Nothing in it was removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReuseError {
    /// It is a link.
    #[error("is a symbolic link, which is not followed")]
    Link,
    /// It is a file.
    #[error("is not a folder")]
    NotAFolder,
    /// It holds other files than a run's.
    #[error("contains files that are not part of a run, so nothing was removed:{list}")]
    OtherFiles {
        /// A line for each of the first.
        list: String,
    },
    /// It has no record of a run.
    #[error(
        "contains files with the names of a run's files, but no run.json of the schema {schema}, so nothing was removed"
    )]
    NoRecord {
        /// The schema of the record.
        schema: &'static str,
    },
}
