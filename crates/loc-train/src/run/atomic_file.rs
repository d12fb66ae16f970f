//! A run's atomic writes: as `loc_data::atomic_file`, with a second name for the old file, and with the points at which the
//! fault tests stop the process; and the removal of temporary files that killed processes left.

use std::io::{self, Write};
use std::path::Path;

use atomic_write_file::AtomicWriteFile;
use fs_err as fs;
use loc_data::atomic_file::{self, NotWritable, PROBE};

use crate::error::{RunError, TrainError};
use crate::run::failpoint;

/// Writes a file atomically: to a temporary file, which is synced and renamed; then the folder is synced. On an error
/// the old file stays, and the temporary one is removed.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    put(path, bytes, None)
}

/// Writes a file atomically, and keeps the old one under another name in the same folder. One of the two exists at any
/// time.
pub(crate) fn replace_keeping(path: &Path, bytes: &[u8], old: &Path) -> Result<(), TrainError> {
    put(path, bytes, Some(old))
}

fn put(path: &Path, bytes: &[u8], old: Option<&Path>) -> Result<(), TrainError> {
    let write = || -> io::Result<()> {
        failpoint::point(path, "open")?;
        let mut file = AtomicWriteFile::open(path)?;
        let (first, second) = bytes.split_at(bytes.len() / 2);
        file.write_all(first)?;
        failpoint::point(path, "write")?;
        file.write_all(second)?;
        failpoint::point(path, "sync")?;
        file.sync_all()?;
        if let Some(old) = old
            && path.exists()
        {
            failpoint::point(path, "keep")?;
            fs::rename(path, old)?;
        }
        failpoint::point(path, "rename")?;
        file.commit()?;
        failpoint::point(path, "done")
    };
    write().map_err(|e| failed(path, e))
}

/// Renames a file within its folder, durably.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), TrainError> {
    let rename = || -> io::Result<()> {
        failpoint::point(to, "rename")?;
        fs::rename(from, to)?;
        sync_folder(to)?;
        failpoint::point(to, "done")
    };
    rename().map_err(|e| failed(to, e))
}

/// Syncs the folder of a file, so that renames survive a power cut. Where folders cannot be opened (Windows), the file
/// system does so itself.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent().map(fs::File::open) {
        Some(Ok(folder)) => folder.sync_all(),
        _ => Ok(()),
    }
}

fn failed(path: &Path, error: io::Error) -> TrainError {
    let folder = path.parent().unwrap_or(path).to_owned();
    TrainError::run(path, RunError::Write { error, folder })
}

/// Checks that files can be created and removed in a folder, or in the nearest existing one above it.
pub(crate) fn probe(folder: &Path) -> Result<(), TrainError> {
    atomic_file::probe(folder).map_err(|NotWritable { folder: there, error }| {
        TrainError::run(folder, RunError::Create { error, folder: there })
    })
}

/// Removes the temporary files that a killed process left in a folder: `.NAME.` and six letters or digits, as
/// atomic-write-file names them, with a NAME that is a run's file. Nothing else.
pub(crate) fn sweep(folder: &Path, ours: impl Fn(&str) -> bool) -> Result<(), TrainError> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| is_temporary(name, &ours)) && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Returns whether a name is that of such a temporary file.
pub(crate) fn is_temporary(name: &str, ours: impl Fn(&str) -> bool) -> bool {
    let Some((name, random)) = name.strip_prefix('.').and_then(|n| n.rsplit_once('.')) else { return false };
    let drawn = random.len() == 6 && random.bytes().all(|b| b.is_ascii_alphanumeric());
    drawn && (ours(name) || name == PROBE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_temporaries_of_ours_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        let stay = [
            "last.safetensors",
            ".last.safetensors",
            ".notes.txt.abc123",
            ".last.safetensors.abc12",
            "x.abc123",
        ];
        let go = [".last.safetensors.aB3xY9", ".probe.000000"];
        for name in stay.iter().chain(&go) {
            fs::write(folder.path().join(name), "").unwrap();
        }
        sweep(folder.path(), |name| name == "last.safetensors").unwrap();
        for name in stay {
            assert!(folder.path().join(name).exists(), "{name} is not ours to remove");
        }
        for name in go {
            assert!(!folder.path().join(name).exists(), "{name} is a dead run's");
        }
    }

    #[test]
    fn the_old_file_goes_on_under_its_other_name() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("a"), folder.path().join("b"));
        let text = |path: &Path| fs::read_to_string(path).ok();
        replace_keeping(&path, b"1", &old).unwrap();
        assert_eq!((text(&path).as_deref(), text(&old)), (Some("1"), None));
        replace_keeping(&path, b"2", &old).unwrap();
        assert_eq!((text(&path).as_deref(), text(&old).as_deref()), (Some("2"), Some("1")));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary is left");
    }

    #[test]
    fn a_folder_that_is_none_is_named_by_the_probe() {
        let folder = tempfile::tempdir().unwrap();
        probe(&folder.path().join("to/be/made")).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "the probe leaves nothing");
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = probe(&file.join("runs")).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(&file.display().to_string()) && error.remedy().is_some(), "{message}");
    }
}
