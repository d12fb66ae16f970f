//! Reads a file into memory: regular files only, within a limit. The one place of this crate that opens files, so
//! that every error names the path without fs-err, one crate less in every application.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::Error;

/// The content of a regular file of at most `limit` bytes. Pipes, devices and sockets are refused before they
/// are opened: opening one may block for ever.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let read = || {
        let (file, length) = open_unnamed(path, limit)?;
        rest(Vec::new(), file, length, limit)
    };
    read().map_err(|error: Error| error.at(path))
}

/// A regular file of at most `limit` bytes and its length, as it is now.
pub(crate) fn open(path: &Path, limit: u64) -> Result<(File, u64), Error> {
    open_unnamed(path, limit).map_err(|error| error.at(path))
}

#[expect(clippy::disallowed_methods, reason = "the caller adds the path, which is why fs-err is asked for")]
fn open_unnamed(path: &Path, limit: u64) -> Result<(File, u64), Error> {
    let metadata = std::fs::metadata(path).map_err(Error::Read)?;
    if metadata.is_dir() {
        return Err(Error::NotAFile { what: "a folder" });
    }
    if !metadata.is_file() {
        return Err(Error::NotAFile { what: "no regular file" });
    }
    if metadata.len() > limit {
        return Err(Error::FileTooLarge { bytes: metadata.len(), limit });
    }
    Ok((File::open(path).map_err(Error::Read)?, metadata.len()))
}

/// What was read of a file of `length` bytes and what follows.
pub(crate) fn rest(mut bytes: Vec<u8>, file: File, length: u64, limit: u64) -> Result<Vec<u8>, Error> {
    let room = usize::try_from(length).unwrap_or(usize::MAX).saturating_sub(bytes.len());
    bytes.try_reserve_exact(room).map_err(|error| Error::Read(error.into()))?;
    // One byte more than allowed, in case the file grows meanwhile.
    let left = limit.saturating_add(1).saturating_sub(bytes.len() as u64);
    file.take(left).read_to_end(&mut bytes).map_err(Error::Read)?;
    let read = bytes.len() as u64;
    if read > limit { Err(Error::FileTooLarge { bytes: read, limit }) } else { Ok(bytes) }
}
