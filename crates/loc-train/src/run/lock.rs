//! One training process per run folder: a lock that the system releases when the process ends.

use std::fs::TryLockError;
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use fs_err as fs;

use crate::error::{RunError, TrainError};
use crate::run::clock::{now, utc};

/// The lock file. It is never removed: otherwise two processes could lock two files of one name.
pub(crate) const FILE: &str = ".lock";

/// The text before the number of the process that holds the lock.
const HOLDER: &str = "pid ";

/// Returns whether a folder's lock file is ours, or absent. Another file of that name is left as it is.
pub(crate) fn is_ours(folder: &Path) -> bool {
    let path = folder.join(FILE);
    match fs::symlink_metadata(&path) {
        Ok(metadata) if !metadata.is_file() => false,
        Ok(_) => fs::read(&path).is_ok_and(|bytes| bytes.is_empty() || bytes.starts_with(HOLDER.as_bytes())),
        Err(e) => e.kind() == ErrorKind::NotFound,
    }
}

/// A lock, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    /// Not locked if the file system has no locks.
    _file: fs::File,
    warning: Option<String>,
}

impl Lock {
    /// Takes the lock of a folder.
    pub(crate) fn take(folder: &Path) -> Result<Self, TrainError> {
        Self::take_by(folder, std::fs::File::try_lock)
    }

    /// Returns the warning for a file system without locks.
    pub(crate) fn warning(&self) -> Option<String> {
        self.warning.clone()
    }

    fn take_by(
        folder: &Path,
        try_lock: impl Fn(&std::fs::File) -> Result<(), TryLockError>,
    ) -> Result<Self, TrainError> {
        let path = folder.join(FILE);
        if !is_ours(folder) {
            return Err(TrainError::run(path, RunError::OtherLock));
        }
        let mut file =
            fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        match try_lock(file.file()) {
            Ok(()) => {
                file.set_len(0)?;
                writeln!(file, "{HOLDER}{} since {}", std::process::id(), utc(now()))?;
                Ok(Self { _file: file, warning: None })
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The text only explains; that the folder is locked is certain.
                let _ = file.read_to_string(&mut holder);
                let holder = if holder.trim().is_empty() { "another process" } else { holder.trim() };
                Err(TrainError::run(folder, RunError::Locked { holder: holder.to_owned() }))
            }
            Err(TryLockError::Error(e)) if is_unsupported(&e) => {
                let warning = format!(
                    "{}: the file system has no locks ({e}): nothing keeps a second process from training this run at \
                     the same time: start only one",
                    folder.display()
                );
                Ok(Self { _file: file, warning: Some(warning) })
            }
            Err(TryLockError::Error(error)) => {
                Err(TrainError::run(folder, RunError::Lock { file: FILE, error }))
            }
        }
    }
}

/// Returns whether the file system has no locks, or its lock server does not answer (NFS).
fn is_unsupported(error: &io::Error) -> bool {
    // ENOLCK, which has no kind; ENOTSUP and ENOSYS, which had none in earlier versions of Rust.
    const NUMBERS: &[i32] = match () {
        () if cfg!(target_os = "linux") => &[37, 95, 38],
        () if cfg!(target_vendor = "apple") => &[77, 45, 78],
        () => &[],
    };
    error.kind() == ErrorKind::Unsupported || error.raw_os_error().is_some_and(|n| NUMBERS.contains(&n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_was_first() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path()).unwrap();
        let message = Lock::take(folder.path()).unwrap_err().to_string();
        let holder = format!("locked by pid {} since 2", std::process::id());
        assert!(message.contains(&holder), "{message}");
        drop(first);
        Lock::take(folder.path()).unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_system_without_locks_is_said_and_other_errors_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let take = |number| {
            Lock::take_by(folder.path(), |_| Err(TryLockError::Error(io::Error::from_raw_os_error(number))))
        };
        for (name, number) in [("ENOLCK", 37), ("ENOTSUP", 95), ("ENOSYS", 38)] {
            let warning = take(number).unwrap().warning().unwrap();
            let place = folder.path().display().to_string();
            assert!(warning.starts_with(&place) && warning.contains("has no locks"), "{name}: {warning}");
        }
        let error = take(5).unwrap_err();
        let message = format!("{error}: {}", std::error::Error::source(&error).unwrap());
        assert!(message.contains("cannot be locked") && message.contains("os error 5"), "{message}");
        assert_eq!(Lock::take(folder.path()).unwrap().warning(), None);
    }
}
