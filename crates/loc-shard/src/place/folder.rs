//! A place in the file system. A file appears by renaming a complete and durable one.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use fs_err as fs;
use tempfile::NamedTempFile;

use crate::Error;

/// The folder of a plan.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
}

impl Folder {
    pub(super) fn create(&self) -> Result<(), Error> {
        fs::create_dir_all(&self.path).map_err(Error::at(&self.path))
    }

    pub(super) fn fetch(&self, name: &str) -> Result<Option<File>, Error> {
        match fs::File::open(self.path.join(name)) {
            Ok(file) => Ok(Some(file.into_file())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(self.path.join(name).display(), error)),
        }
    }

    pub(super) fn fetch_range(
        &self,
        name: &str,
        start: u64,
        bytes: u64,
    ) -> Result<Option<Box<dyn Read + Send>>, Error> {
        let Some(mut file) = self.fetch(name)? else { return Ok(None) };
        file.seek(SeekFrom::Start(start)).map_err(|e| Error::io(self.path.join(name).display(), e))?;
        Ok(Some(Box::new(file.take(bytes))))
    }

    pub(super) fn publish(&self, scratch: NamedTempFile, name: &str) -> Result<(), Error> {
        let path = self.path.join(name);
        let publish = || {
            scratch.as_file().sync_all()?;
            scratch.persist(&path).map_err(|e| e.error)?;
            self.sync()
        };
        publish().map_err(Error::at(&path))
    }

    pub(super) fn publish_new(&self, scratch: NamedTempFile, name: &str) -> Result<bool, Error> {
        let path = self.path.join(name);
        let publish = || {
            scratch.as_file().sync_all()?;
            match scratch.persist_noclobber(&path) {
                Ok(_) => self.sync().map(|()| true),
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(error.error),
            }
        };
        publish().map_err(Error::at(&path))
    }

    /// Removes the temporary files that killed processes left of the file `name`. A process that still writes one fails at its
    /// end, and finds the file of this one when it is run again.
    pub(super) fn sweep(&self, name: &str) -> Result<(), Error> {
        let prefix = scratch_prefix(name);
        for entry in fs::read_dir(&self.path).map_err(Error::at(&self.path))? {
            let path = entry.map_err(Error::at(&self.path))?.path();
            let found = path.file_name().is_some_and(|f| f.as_encoded_bytes().starts_with(prefix.as_bytes()));
            if found && let Err(error) = fs::remove_file(&path) {
                // Another process may have been faster.
                if error.kind() != io::ErrorKind::NotFound {
                    return Err(Error::io(path.display(), error));
                }
            }
        }
        Ok(())
    }

    pub(super) fn list(&self) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(Error::at(&self.path))? {
            let name = entry.map_err(Error::at(&self.path))?.file_name();
            names.extend(name.to_str().map(str::to_owned));
        }
        Ok(names)
    }

    /// Syncs the folder, so that a renaming survives a power cut. Where folders cannot be opened, the system does so itself.
    fn sync(&self) -> io::Result<()> {
        fs::File::open(&self.path).map_or(Ok(()), |folder| folder.sync_all())
    }
}

/// A temporary file for the file `name`.
pub(super) fn scratch(folder: &Path, name: &str) -> Result<NamedTempFile, Error> {
    let mut builder = tempfile::Builder::new();
    let prefix = scratch_prefix(name);
    builder.prefix(&prefix);
    // Other users read the results: the umask decides.
    #[cfg(unix)]
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    #[cfg(unix)]
    builder.permissions(permissions);
    builder.tempfile_in(folder).map_err(Error::at(folder))
}

/// How the names of the temporary files of a file begin.
fn scratch_prefix(name: &str) -> String {
    format!(".{name}.")
}
