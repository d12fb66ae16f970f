//! How a configuration reads and splits a data set.

use loc_data::split::{self, SplitSource};
use loc_data::{Dataset, InvalidPhotoPolicy, ReadOptions, ReadProgress, Split};

use crate::config::{Config, SplitBy};
use crate::error::{ConfigError, TrainError};
use crate::user_cache;

/// Returns the options for reading a data set.
///
/// # Errors
///
/// [`TrainError::Data`] if the format, the choice of objects or what annotations are of is not known.
pub fn read_options(config: &Config) -> Result<ReadOptions, TrainError> {
    Ok(ReadOptions {
        format: config.data_format.as_deref().map(str::parse).transpose()?,
        classes: config.classes.clone(),
        objects: config.objects.parse()?,
        unlabelled: config.unlabelled.as_deref().map(str::parse).transpose()?.unwrap_or_default(),
        invalid_photos: match (config.skip_bad, config.strict) {
            (false, false) => InvalidPhotoPolicy::SkipFew,
            (true, false) => InvalidPhotoPolicy::SkipAny,
            (false, true) => InvalidPhotoPolicy::Refuse,
            (true, true) => {
                return Err(TrainError::config("skip_bad", ConfigError::SkipAndStrict));
            }
        },
        group_by: config.group_by.clone(),
        encoding: config.encoding.clone(),
        exif: config.exif.as_deref().map(str::parse).transpose()?.unwrap_or_default(),
        columns: config.columns.clone(),
        class: config.class.clone(),
        repair: false,
        records: user_cache::folder("photos"),
        store: None,
        progress: ReadProgress::default(),
    })
}

/// Returns the split and its origin: from a file, from the data set's folders, or drawn with the seed; and of it the
/// fold, if one is set.
///
/// # Errors
///
/// [`TrainError::Data`] if the file does not fit the data set, or the data set cannot be split.
pub fn choose_split(config: &Config, dataset: &Dataset) -> Result<(Split, SplitSource), TrainError> {
    let folders = config.split_by == SplitBy::Folders;
    let file = config.split_file.as_deref();
    let choice = split::SplitOptions { file, folders, val: config.val, seed: config.seed };
    let (split, origin) = split::choose(dataset, &choice)?;
    Ok(match config.fold_of() {
        Some((index, count)) => {
            (split::fold(dataset, &split, split::Fold { index, count }, config.seed)?, origin)
        }
        None => (split, origin),
    })
}
