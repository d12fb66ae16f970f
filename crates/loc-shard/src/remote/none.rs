//! In place of a client, in a build without the feature `s3`.

use std::fs::File;
use std::io::Read;

use super::Url;
use crate::Error;

/// Reaches no store.
#[derive(Debug, Clone)]
pub(crate) struct Client;

/// The bytes of an object that is being fetched.
pub(crate) enum Fetching {}

impl Fetching {
    pub(crate) fn wait(self) -> Result<Result<Vec<u8>, String>, Error> {
        match self {}
    }
}

fn unsupported<T>(url: &Url) -> Result<T, Error> {
    Err(Error::Argument(format!(
        "{url}: this build reaches no object stores (hint: build it with the feature `s3`)"
    )))
}

impl Client {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn start(&self, url: &Url) -> Result<Fetching, Error> {
        unsupported(url)
    }

    pub(crate) fn open(&self, url: &Url) -> Result<Option<impl Read + Send + use<>>, Error> {
        unsupported::<Option<std::io::Empty>>(url)
    }

    pub(crate) fn range(&self, url: &Url, _start: u64, _bytes: u64) -> Result<Option<Vec<u8>>, Error> {
        unsupported(url)
    }

    pub(crate) fn put(&self, url: &Url, _file: &File, _only_new: bool) -> Result<bool, Error> {
        unsupported(url)
    }
}
