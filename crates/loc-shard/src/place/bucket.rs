//! A place in an object store. An object appears when its upload is complete; what is read is copied to a temporary file.

use std::fs::File;
use std::io::{Cursor, Read, Seek};

use tempfile::NamedTempFile;

use crate::Error;
use crate::remote::{Client, Url};

#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) client: Client,
    pub(super) base: Url,
}

impl Bucket {
    pub(super) fn fetch(&self, name: &str) -> Result<Option<File>, Error> {
        let url = self.base.join(name);
        let Some(mut object) = self.client.open(&url)? else { return Ok(None) };
        let mut copy = || {
            let mut file = tempfile::tempfile()?;
            std::io::copy(&mut object, &mut file)?;
            file.rewind()?;
            Ok(file)
        };
        copy().map(Some).map_err(|error: std::io::Error| Error::io(url, error))
    }

    pub(super) fn fetch_range(
        &self,
        name: &str,
        start: u64,
        bytes: u64,
    ) -> Result<Option<Box<dyn Read + Send>>, Error> {
        let found = self.client.range(&self.base.join(name), start, bytes)?;
        Ok(found.map(|bytes| Box::new(Cursor::new(bytes)) as Box<dyn Read + Send>))
    }

    pub(super) fn publish(&self, scratch: &NamedTempFile, name: &str, only_new: bool) -> Result<bool, Error> {
        let url = self.base.join(name);
        let file = scratch.reopen().map_err(|e| Error::io(&url, e))?;
        self.client.put(&url, &file, only_new)
    }
}
