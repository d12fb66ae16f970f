//! Opens untrusted files. Accepts only regular files: opening a pipe could block, and reading a device might never end.

use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

use fs_err::File;

/// Opens a regular file and returns it with its current length.
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
        Err(e) => return fail(e.kind(), &format!("{e} (hint: do you have permission to read it?)")),
    };
    if metadata.is_dir() {
        return refuse("a folder");
    }
    if !metadata.is_file() {
        return refuse("not a regular file");
    }
    Ok((File::open(path)?, metadata.len()))
}

/// Reads a regular file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let (mut file, length) = open(path)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(length).unwrap_or(usize::MAX))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
