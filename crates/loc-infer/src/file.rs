//! Reads regular files within a size limit. All files of this crate and of loc-data are read here. Errors name the path
//! without fs-err, which saves applications a dependency.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::Error;

/// Reads a regular file of at most `limit` bytes. Pipes, devices and sockets are refused without opening them, which
/// might block forever.
///
/// # Errors
///
/// [`Error::At`] with the path if it is not a regular file, cannot be read, or is larger than the limit.
pub fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let read = || {
        let (file, length) = open_unnamed(path, limit)?;
        read_rest(Vec::new(), file, length, limit)
    };
    read().map_err(|error: Error| error.at(path))
}

/// Opens a regular file of at most `limit` bytes; also returns its current length.
pub(crate) fn open(path: &Path, limit: u64) -> Result<(File, u64), Error> {
    open_unnamed(path, limit).map_err(|error| error.at(path))
}

#[expect(clippy::disallowed_methods, reason = "the caller adds the path, as fs-err would")]
fn open_unnamed(path: &Path, limit: u64) -> Result<(File, u64), Error> {
    let metadata = std::fs::metadata(path).map_err(Error::Read)?;
    if metadata.is_dir() {
        return Err(Error::NotAFile { what: "a folder" });
    }
    if !metadata.is_file() {
        return Err(Error::NotAFile { what: "not a regular file" });
    }
    if metadata.len() > limit {
        return Err(Error::FileTooLarge { bytes: metadata.len(), limit });
    }
    Ok((File::open(path).map_err(Error::Read)?, metadata.len()))
}

/// Reads the rest of a file of `length` bytes, of which `bytes` were read already.
pub(crate) fn read_rest(mut bytes: Vec<u8>, file: File, length: u64, limit: u64) -> Result<Vec<u8>, Error> {
    let remaining = usize::try_from(length).unwrap_or(usize::MAX).saturating_sub(bytes.len());
    bytes.try_reserve_exact(remaining).map_err(|error| Error::Read(error.into()))?;
    // One byte more than allowed, in case the file has grown.
    let at_most = limit.saturating_add(1).saturating_sub(bytes.len() as u64);
    file.take(at_most).read_to_end(&mut bytes).map_err(Error::Read)?;
    let read = bytes.len() as u64;
    if read > limit { Err(Error::FileTooLarge { bytes: read, limit }) } else { Ok(bytes) }
}
