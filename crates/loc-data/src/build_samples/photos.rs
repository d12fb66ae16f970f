//! Reads the photos that annotations name, in parallel: those that are recorded and unchanged need not be decoded.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::formats::Annotation;
use crate::photo::{self, Photo};
use crate::photo_records::PhotoRecords;
use crate::{DataError, ReadOptions};

/// Each photo, or why it is not valid, of the data set at this path.
///
/// # Errors
///
/// Those of the store that keeps the photos, if there is one.
pub(super) fn read_all(
    path: &Path,
    found: &[(PathBuf, &Annotation)],
    options: &ReadOptions,
    with_hash: bool,
) -> Result<Vec<Result<Photo, String>>, DataError> {
    let store = options.store.as_ref();
    if let Some(store) = store {
        store.begin(path, found.len())?;
    }
    // Hashes are not recorded.
    let folder = options.records.as_ref().filter(|_| !with_hash);
    let place = folder.and_then(|folder| PhotoRecords::place(folder, path));
    let records = place.as_ref().map(|place| PhotoRecords::read(place)).unwrap_or_default();
    let done = AtomicUsize::new(0);
    let read = |(path, _): &(PathBuf, &Annotation)| {
        let photo = records.find(path).map_or_else(|| photo::read(path, with_hash, store), Ok);
        options.progress.tell(1 + done.fetch_add(1, Ordering::Relaxed), found.len());
        photo
    };
    let photos: Vec<Result<Photo, String>> = found.par_iter().map(read).collect();
    if let Some(place) = &place {
        let valid =
            found.iter().zip(&photos).filter_map(|((path, _), photo)| Some((&**path, photo.as_ref().ok()?)));
        // A cache that cannot be written costs time only.
        let _ = records.write(place, &valid.collect::<Vec<_>>());
    }
    Ok(photos)
}
