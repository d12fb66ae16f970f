//! Where plan and parts are: a folder, or a part of a bucket. A file there is complete or absent.

mod bucket;
mod folder;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use tempfile::NamedTempFile;

use self::bucket::Bucket;
use self::folder::Folder;
use crate::Error;
use crate::remote::{Client, Url};

/// The place of a plan.
#[derive(Debug)]
pub struct Place {
    kind: Kind,
    /// For the place itself, and for photos.
    client: Client,
}

#[derive(Debug)]
enum Kind {
    Folder(Folder),
    Bucket(Bucket),
}

impl Place {
    /// A folder, which need not exist before a plan is made; or `s3://BUCKET/PREFIX`.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] for an address without a bucket.
    pub fn new(place: &Path) -> Result<Self, Error> {
        let client = Client::new();
        let kind = match place.to_str().and_then(Url::parse) {
            Some(Ok(base)) => Kind::Bucket(Bucket { client: client.clone(), base }),
            Some(Err(reason)) => return Err(Error::Argument(format!("{}: {reason}", place.display()))),
            None => Kind::Folder(Folder { path: place.to_owned() }),
        };
        Ok(Self { kind, client })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Creates the folder, if it does not exist.
    pub(crate) fn create(&self) -> Result<(), Error> {
        match &self.kind {
            Kind::Folder(folder) => folder.create(),
            Kind::Bucket(_) => Ok(()),
        }
    }

    /// The place, or a file in it, as it is shown to people.
    #[must_use]
    pub fn show(&self, name: &str) -> String {
        match &self.kind {
            Kind::Folder(folder) => folder.path.join(name).display().to_string(),
            Kind::Bucket(bucket) => bucket.base.join(name).to_string(),
        }
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
        match &self.kind {
            Kind::Folder(folder) => folder.fetch(name),
            Kind::Bucket(bucket) => bucket.fetch(name),
        }
    }

    /// `bytes` bytes of a file from `start`; fewer if the file is shorter.
    pub(crate) fn fetch_range(
        &self,
        name: &str,
        start: u64,
        bytes: u64,
    ) -> Result<Option<Box<dyn Read + Send>>, Error> {
        match &self.kind {
            Kind::Folder(folder) => folder.fetch_range(name, start, bytes),
            Kind::Bucket(bucket) => bucket.fetch_range(name, start, bytes),
        }
    }

    /// A temporary file, which [`Place::publish`] turns into the file `name`. It is removed when it is dropped.
    pub(crate) fn scratch(&self, name: &str) -> Result<NamedTempFile, Error> {
        match &self.kind {
            Kind::Folder(folder) => folder::scratch(&folder.path, name),
            Kind::Bucket(_) => folder::scratch(&std::env::temp_dir(), name),
        }
    }

    /// Makes a temporary file durable and gives it its name; replaces an existing file.
    pub(crate) fn publish(&self, scratch: NamedTempFile, name: &str) -> Result<(), Error> {
        match &self.kind {
            Kind::Folder(folder) => folder.publish(scratch, name),
            Kind::Bucket(bucket) => bucket.publish(&scratch, name, false).map(drop),
        }
    }

    /// As [`Place::publish`], unless there is such a file: that stays as it is, and `false` is returned.
    pub(crate) fn publish_new(&self, scratch: NamedTempFile, name: &str) -> Result<bool, Error> {
        match &self.kind {
            Kind::Folder(folder) => folder.publish_new(scratch, name),
            Kind::Bucket(bucket) => bucket.publish(&scratch, name, true),
        }
    }

    /// Removes the temporary files that killed processes left of the file `name`.
    pub(crate) fn sweep(&self, name: &str) -> Result<(), Error> {
        match &self.kind {
            Kind::Folder(folder) => folder.sweep(name),
            // They are in the temporary folder of the machine, which others use too.
            Kind::Bucket(_) => Ok(()),
        }
    }

    /// The names of the files in a folder; a bucket is not listed.
    pub(crate) fn list(&self) -> Result<Vec<String>, Error> {
        match &self.kind {
            Kind::Folder(folder) => folder.list(),
            Kind::Bucket(_) => Ok(Vec::new()),
        }
    }
}
