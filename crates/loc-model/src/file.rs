//! Opens files from strangers: regular ones only, so that nothing waits for a pipe or reads a device for ever.

use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

use fs_err::File;

/// A regular file and its length, as it is now.
pub(crate) fn open(path: &Path) -> Result<(File, u64)> {
    let fail = |kind: ErrorKind, why: &str| Err(Error::new(kind, format!("{}: {why}", path.display())));
    let refuse = |what: &str| {
        fail(ErrorKind::InvalidInput, &format!("is {what} where a file is needed (hint: name a file)"))
    };
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == ErrorKind::NotFound => {
            return fail(e.kind(), "does not exist (hint: is the path right?)");
        }
        Err(e) => return fail(e.kind(), &format!("{e} (hint: may you read it?)")),
    };
    if metadata.is_dir() {
        return refuse("a folder");
    }
    if !metadata.is_file() {
        return refuse("no regular file");
    }
    Ok((File::open(path)?, metadata.len()))
}

/// The bytes of a regular file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let (mut file, length) = open(path)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(length).unwrap_or(usize::MAX))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
