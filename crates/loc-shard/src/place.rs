//! Where plan and parts are: a folder. A file there is complete or absent, and appears by renaming.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use fs_err as fs;
use tempfile::NamedTempFile;

use crate::Error;

/// The folder of a plan.
#[derive(Debug, Clone)]
pub struct Place {
    folder: PathBuf,
}

impl Place {
    /// A folder, which need not exist before [`Place::create`].
    #[must_use]
    pub fn folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Creates the folder, if it does not exist.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn create(&self) -> Result<(), Error> {
        fs::create_dir_all(&self.folder).map_err(Error::at(&self.folder))
    }

    /// The place, or a file in it, as it is shown to people.
    #[must_use]
    pub fn show(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// The whole content of a small file; `None` if there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some(mut file) = self.fetch(name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|e| Error::io(self.show(name), e))?;
        Ok(Some(bytes))
    }

    /// A file, to be read from its beginning; `None` if there is none.
    pub(crate) fn fetch(&self, name: &str) -> Result<Option<File>, Error> {
        match fs::File::open(self.folder.join(name)) {
            Ok(file) => Ok(Some(file.into_file())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(self.show(name), error)),
        }
    }

    /// `bytes` bytes of a file from `start`; fewer if the file is shorter.
    pub(crate) fn fetch_range(
        &self,
        name: &str,
        start: u64,
        bytes: u64,
    ) -> Result<Option<impl Read + use<>>, Error> {
        let Some(mut file) = self.fetch(name)? else { return Ok(None) };
        file.seek(SeekFrom::Start(start)).map_err(|e| Error::io(self.show(name), e))?;
        Ok(Some(file.take(bytes)))
    }

    /// A temporary file, which [`Place::publish`] turns into the file `name`. It is removed when it is dropped.
    pub(crate) fn scratch(&self, name: &str) -> Result<NamedTempFile, Error> {
        let mut builder = tempfile::Builder::new();
        let prefix = scratch_prefix(name);
        builder.prefix(&prefix);
        // Other users read the results: the umask decides.
        #[cfg(unix)]
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        #[cfg(unix)]
        builder.permissions(permissions);
        builder.tempfile_in(&self.folder).map_err(Error::at(&self.folder))
    }

    /// Makes a temporary file durable and gives it its name; replaces an existing file.
    pub(crate) fn publish(&self, scratch: NamedTempFile, name: &str) -> Result<(), Error> {
        let path = self.folder.join(name);
        let publish = || {
            scratch.as_file().sync_all()?;
            scratch.persist(&path).map_err(|e| e.error)?;
            self.sync()
        };
        publish().map_err(Error::at(&path))
    }

    /// As [`Place::publish`], unless there is such a file: that stays as it is, and `false` is returned.
    pub(crate) fn publish_new(&self, scratch: NamedTempFile, name: &str) -> Result<bool, Error> {
        let path = self.folder.join(name);
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
    pub(crate) fn sweep(&self, name: &str) -> Result<(), Error> {
        let prefix = scratch_prefix(name);
        for entry in fs::read_dir(&self.folder).map_err(Error::at(&self.folder))? {
            let path = entry.map_err(Error::at(&self.folder))?.path();
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

    /// The names of the files in the folder.
    pub(crate) fn list(&self) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(Error::at(&self.folder))? {
            let name = entry.map_err(Error::at(&self.folder))?.file_name();
            names.extend(name.to_str().map(str::to_owned));
        }
        Ok(names)
    }

    /// Syncs the folder, so that a renaming survives a power cut. Where folders cannot be opened, the system does so itself.
    fn sync(&self) -> io::Result<()> {
        fs::File::open(&self.folder).map_or(Ok(()), |folder| folder.sync_all())
    }
}

/// How the names of the temporary files of a file begin.
fn scratch_prefix(name: &str) -> String {
    format!(".{name}.")
}
