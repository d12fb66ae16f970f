//! The error for a run that is to go on with another data set.

use std::collections::BTreeSet;

use loc_data::Dataset;

use crate::error::{ResumeError, TrainError};
use crate::run::Run;

/// Returns the error for a data set that differs from the run's: what was added, removed or changed.
pub(crate) fn error(run: &Run, dataset: &Dataset, digest: &str, before: &str) -> TrainError {
    let now: BTreeSet<&str> = dataset.samples.iter().map(|sample| sample.file.as_str()).collect();
    let mut reader = csv::Reader::from_path(run.split());
    let rows = reader.iter_mut().flat_map(csv::Reader::records).flatten();
    let names: BTreeSet<String> = rows.filter_map(|row| row.get(0).map(str::to_owned)).collect();
    let added = now.iter().filter(|name| !names.contains(**name)).count();
    let removed = names.iter().filter(|name| !now.contains(name.as_str())).count();
    let how = match (added, removed) {
        (0, 0) => "the photos have the same names, but other pixels, boxes or classes".to_owned(),
        _ => format!("{added} photos were added, {removed} removed"),
    };
    let (digest, before) = (digest.to_owned(), before.to_owned());
    let kind = ResumeError::DataChanged { how, digest, before, model: run.last() };
    TrainError::resume(run.path(), kind)
}
