//! The data of a training: read, compared with that of a resumed run, split.

use loc_data::split::{self, SplitSource};
use loc_data::{Dataset, Format, OpenedDataset, PhotoStore, ReadOptions, SkippedPhotos, Split, summary};
use loc_infer::InputSpec;

use crate::config::Config;
use crate::engine::changed_data;
use crate::error::{ConfigError, TrainError};
use crate::event::{Event, Progress};
use crate::input::{choose_split, read_options};
use crate::run::Run;
use crate::user_cache;

/// The data of a training.
pub(crate) struct TrainingData {
    pub(crate) dataset: Dataset,
    /// The annotations' format.
    pub(crate) format: Format,
    /// The data set's digest.
    pub(crate) digest: String,
    /// Invalid photos that were skipped.
    pub(crate) left_out: SkippedPhotos,
    pub(crate) split: Split,
    pub(crate) split_origin: SplitSource,
    /// The photos at the size of the network's input.
    pub(crate) store: PhotoStore,
    /// Whether the model learns presence.
    pub(crate) presence: bool,
}

impl TrainingData {
    /// Reads and splits the data, and reports what there is to say about it. Photos are prepared for `input`. `before` is the run that is resumed, and the digest
    /// of its data.
    ///
    /// # Errors
    ///
    /// [`TrainError::Data`] of reading and splitting, [`TrainError::Config`] without data or for an input that the network cannot
    /// have, [`TrainError::Resume`] for other data than the run's, [`TrainError::EmptySplit`].
    pub(crate) fn open(
        config: &Config,
        input: &InputSpec,
        before: Option<(&Run, &str)>,
        progress: &mut Progress,
    ) -> Result<Self, TrainError> {
        let Some(data) = &config.data else {
            return Err(TrainError::config("data", ConfigError::NoData));
        };
        // Photos are prepared at this size while they are read.
        let least = config.network(input, 1).build(&loc_net::Normalization::IDENTITY);
        least.map_err(|e| TrainError::config("imgsz", ConfigError::Network(e)))?;
        let store = PhotoStore::new(config.cache.parse()?, *input, user_cache::folder("decoded"));
        let options = ReadOptions {
            store: Some(store.clone()),
            progress: progress.reading.clone(),
            ..read_options(config)?
        };
        let OpenedDataset { dataset, format, warnings, skipped: left_out } =
            Dataset::open_with_report(data, &options)?;
        if !warnings.is_empty() {
            progress.report(Event::DataWarnings(warnings))?;
        }
        let digest = dataset.digest();
        if let Some((run, before)) = before
            && before != digest
        {
            return Err(changed_data::error(run, &dataset, &digest, before));
        }
        if let Some(line) = store.describe() {
            progress.report(Event::Note(line))?;
        }
        if left_out.photos > 0 {
            progress.report(Event::LeftOut(left_out.clone()))?;
        }
        let (split, split_origin) = choose_split(config, &dataset)?;
        for line in split::describe(&dataset, &split, split_origin) {
            progress.report(Event::Note(line))?;
        }
        for line in summary(&split::leaks(&dataset, &split)) {
            progress.report(Event::Warning(line))?;
        }
        let [train, val] = [&split.train, &split.val].map(|part| dataset.positives(part).len());
        if train == 0 || val == 0 {
            return Err(TrainError::EmptySplit { train, val });
        }
        let presence = report_negatives([split.train.len() - train, split.val.len() - val], progress)?;
        Ok(Self { dataset, format, digest, left_out, split, split_origin, store, presence })
    }
}

/// Reports the negatives of the training and validation photos. Returns whether the model learns presence: the training photos
/// must show it what the absence of an object looks like.
fn report_negatives([train, val]: [usize; 2], progress: &mut Progress) -> Result<bool, TrainError> {
    if train > 0 {
        progress.report(Event::Note(format!(
            "{train} training and {val} validation photos have no object: the model also learns whether there is one"
        )))?;
    }
    if train > 0 && val == 0 {
        let message =
            "no validation photo is without an object: presence is not measured, its threshold is 0.5";
        progress.report(Event::Warning(message.into()))?;
    }
    if train == 0 && val > 0 {
        progress.report(Event::Warning(format!(
            "{val} validation photos have no object, and no training photo: the model always answers, these photos are not used"
        )))?;
    }
    Ok(train > 0)
}
