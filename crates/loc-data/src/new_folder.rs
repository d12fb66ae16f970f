//! A new folder that appears whole or not at all: it is filled under another name, and then renamed.

use std::path::Path;

use crate::DataError;

/// Fills a new folder; `fill` writes into the one that it is given. If the folder exists, it must be empty.
///
/// # Errors
///
/// [`DataError::NotEmpty`] if `out` holds anything or is no folder, [`DataError::Io`] if it cannot be written, and those of
/// `fill`.
pub(crate) fn create(out: &Path, fill: impl FnOnce(&Path) -> Result<(), DataError>) -> Result<(), DataError> {
    let exists = is_free(out)?;
    let partial = if exists { out.join(partial("")) } else { out.with_file_name(partial(&name(out))) };
    let written = fs_err::create_dir_all(&partial)
        .map_err(DataError::from)
        .and_then(|()| fill(&partial))
        .and_then(|()| {
            if !exists {
                return Ok(fs_err::rename(&partial, out)?);
            }
            // The folder itself stays: it may be a current directory or a mount point.
            for entry in fs_err::read_dir(&partial)? {
                let entry = entry?;
                fs_err::rename(entry.path(), out.join(entry.file_name()))?;
            }
            Ok(fs_err::remove_dir(&partial)?)
        });
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs_err::remove_dir_all(&partial);
    }
    written
}

/// Whether the folder exists and is empty; false where nothing exists.
///
/// # Errors
///
/// [`DataError::NotEmpty`] if it holds anything or is no folder.
pub(crate) fn is_free(out: &Path) -> Result<bool, DataError> {
    match fs_err::read_dir(out) {
        Ok(mut entries) => match entries.next() {
            Some(_) => Err(DataError::NotEmpty(out.to_owned())),
            None => Ok(true),
        },
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        // A file where a folder was meant.
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => Err(DataError::NotEmpty(out.to_owned())),
        Err(e) => Err(e.into()),
    }
}

fn name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// The name of a folder that no other process uses, on the same file system as what it becomes.
fn partial(of: &str) -> String {
    format!(".{of}.partial-{}", std::process::id())
}
