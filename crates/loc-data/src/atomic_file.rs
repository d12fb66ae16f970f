//! Files that are complete or absent: written under a temporary name and renamed.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use atomic_write_file::AtomicWriteFile;

/// Writes a file, or replaces an existing one, atomically: the temporary file beside it is synced and renamed, and the folder
/// is synced. On an error an existing file stays as it is, and the temporary one is removed.
///
/// # Errors
///
/// The first operation that failed.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = AtomicWriteFile::open(path)?;
    file.write_all(bytes)?;
    file.commit()
}

/// A folder in which files cannot be created.
#[derive(Debug)]
pub struct NotWritable {
    /// The folder itself, or the nearest existing one above it.
    pub folder: PathBuf,
    /// Why the file could not be created.
    pub error: io::Error,
}

/// The name in the temporary file that [`probe`] creates and removes.
pub const PROBE: &str = "probe";

/// Checks that files can be created and removed in a folder, or in the nearest existing one above it.
///
/// # Errors
///
/// The folder that was tried, and the reason.
pub fn probe(folder: &Path) -> Result<(), NotWritable> {
    let there = folder.ancestors().find(|f| f.exists() || f.as_os_str().is_empty()).unwrap_or(folder);
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let probe = AtomicWriteFile::open(there.join(PROBE)).and_then(AtomicWriteFile::discard);
    probe.map_err(|error| NotWritable { folder: there.to_owned(), error })
}
