//! Reads a file into memory: regular files only, within a limit. The one place of this crate that opens files, so
//! that every error names the path without fs-err, one crate less in every application.

use std::io::Read;
use std::path::Path;

use crate::Error;

/// The content of a regular file of at most `limit` bytes. Pipes, devices and sockets are refused before they
/// are opened: opening one may block for ever.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    read_unnamed(path, limit).map_err(|error| error.at(path))
}

#[expect(clippy::disallowed_methods, reason = "the caller adds the path, which is why fs-err is asked for")]
fn read_unnamed(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let metadata = std::fs::metadata(path).map_err(Error::Read)?;
    if metadata.is_dir() {
        return Err(Error::NotAFile { what: "a folder" });
    }
    if !metadata.is_file() {
        return Err(Error::NotAFile { what: "no regular file" });
    }
    let mut bytes = Vec::new();
    // One byte more than allowed, in case the file grows meanwhile.
    let mut file = std::fs::File::open(path).map_err(Error::Read)?.take(limit.saturating_add(1));
    if metadata.len() <= limit {
        bytes.reserve(usize::try_from(metadata.len()).unwrap_or(0));
        file.read_to_end(&mut bytes).map_err(Error::Read)?;
    }
    let len = metadata.len().max(bytes.len() as u64);
    if len > limit { Err(Error::FileTooLarge { bytes: len, limit }) } else { Ok(bytes) }
}
