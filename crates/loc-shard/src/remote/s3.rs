//! S3 and compatible stores, through `object_store`: it signs requests, and repeats those that fail in passing (503 and other
//! errors of the server, broken connections) with growing, random delays. Address, region and
//! credentials are those of the variables `AWS_…` or of the machine.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use loc_infer::Limits;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{
    BackoffConfig, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig,
    WriteMultipart,
};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::Url;
use crate::Error;

/// A busy store needs more patience than object_store's ten attempts within a few seconds.
const RETRIES: usize = 12;
const FIRST_DELAY: Duration = Duration::from_millis(300);
/// Threads of the runtime: they wait for the network, and sign and decrypt.
const WORKERS: usize = 2;
/// Bytes of an archive that one request reads.
const BLOCK: u64 = 8 << 20;
/// Files up to this size are uploaded with one request.
const SINGLE: u64 = 64 << 20;
/// Parts of larger ones that are uploaded at the same time; each has 5 MiB.
const UPLOADS: usize = 4;

/// Reaches stores; connects with the first request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Client(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    runtime: OnceLock<Runtime>,
    /// A store for each bucket.
    stores: Mutex<HashMap<String, Arc<AmazonS3>>>,
}

/// The bytes of an object that is being fetched.
pub(crate) struct Fetching {
    client: Client,
    url: Url,
    bytes: JoinHandle<Result<Result<Vec<u8>, String>, object_store::Error>>,
}

impl Fetching {
    /// Waits for the photo. The inner error is the photo's own.
    pub(crate) fn wait(self) -> Result<Result<Vec<u8>, String>, Error> {
        let done = self.client.runtime(&self.url)?.block_on(self.bytes);
        match done.map_err(|e| Error::io(&self.url, io::Error::other(e)))? {
            Ok(found) => Ok(found),
            Err(error) => own(&error).map(Err).ok_or_else(|| passing(&self.url, &error)),
        }
    }
}

impl Client {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Begins to fetch a photo.
    pub(crate) fn start(&self, url: &Url) -> Result<Fetching, Error> {
        let (store, key) = (self.store(url)?, url.key.clone());
        let fetch = async move {
            let object = store.get(&Path::parse(key)?).await?;
            let (size, limit) = (object.meta.size, Limits::default().max_alloc);
            if size > limit {
                return Ok(Err(format!("has {size} bytes, more than the limit of {limit}")));
            }
            Ok(Ok(object.bytes().await?.into()))
        };
        let bytes = self.runtime(url)?.spawn(fetch);
        Ok(Fetching { client: self.clone(), url: url.clone(), bytes })
    }

    /// Opens an object, to be read from its beginning to its end; `None` if there is none.
    pub(crate) fn open(&self, url: &Url) -> Result<Option<Blocks>, Error> {
        let (store, runtime) = (self.store(url)?, self.runtime(url)?);
        let head = runtime.block_on(async { store.head(&Path::parse(&url.key)?).await });
        let Some(meta) = found(url, head)? else { return Ok(None) };
        let mut blocks = Blocks {
            client: self.clone(),
            url: url.clone(),
            size: meta.size,
            e_tag: meta.e_tag,
            start: 0,
            block: Vec::new(),
            read: 0,
            next: None,
        };
        blocks.fetch_next().map_err(|e| Error::io(url, e))?;
        Ok(Some(blocks))
    }

    /// A range of bytes of an object; `None` if there is none.
    pub(crate) fn range(&self, url: &Url, start: u64, bytes: u64) -> Result<Option<Vec<u8>>, Error> {
        let (store, runtime) = (self.store(url)?, self.runtime(url)?);
        let range = start..start.saturating_add(bytes);
        let read = runtime.block_on(async { store.get_range(&Path::parse(&url.key)?, range).await });
        Ok(found(url, read)?.map(Into::into))
    }

    /// Uploads a file from its beginning. If `only_new`, an existing object stays as it is, and the result is false; not for files
    /// of more than [`SINGLE`] bytes.
    pub(crate) fn put(&self, url: &Url, mut file: &File, only_new: bool) -> Result<bool, Error> {
        let (store, runtime) = (self.store(url)?, self.runtime(url)?);
        let failed = |e: io::Error| Error::io(url, e);
        let size = file.metadata().map_err(failed)?.len();
        let path = Path::parse(&url.key).map_err(|e| passing(url, &e.into()))?;
        if size <= SINGLE {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(failed)?;
            let mode = if only_new { PutMode::Create } else { PutMode::Overwrite };
            let options = PutOptions { mode, ..PutOptions::default() };
            return match runtime.block_on(store.put_opts(&path, PutPayload::from(bytes), options)) {
                Ok(_) => Ok(true),
                Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
                Err(error) => Err(passing(url, &error)),
            };
        }
        let upload = async {
            let mut upload = WriteMultipart::new(store.put_multipart(&path).await?);
            let mut buffer = vec![0; 1 << 20];
            loop {
                let read = match file.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(read) => read,
                    Err(error) => {
                        upload.abort().await?;
                        return Ok(Err(error));
                    }
                };
                upload.wait_for_capacity(UPLOADS).await?;
                upload.write(&buffer[..read]);
            }
            upload.finish().await.map(|_| Ok(()))
        };
        let done: Result<io::Result<()>, object_store::Error> = runtime.block_on(upload);
        done.map_err(|e| passing(url, &e))?.map_err(failed)?;
        Ok(true)
    }

    fn runtime(&self, url: &Url) -> Result<&Runtime, Error> {
        if self.0.runtime.get().is_none() {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            let runtime = builder.worker_threads(WORKERS).thread_name("loc-network").enable_all().build();
            // Another thread may have been faster.
            let _ = self.0.runtime.set(runtime.map_err(|e| Error::io(url, e))?);
        }
        self.0.runtime.get().ok_or_else(|| Error::io(url, io::Error::other("no runtime")))
    }

    fn store(&self, url: &Url) -> Result<Arc<AmazonS3>, Error> {
        let mut stores = self.0.stores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = stores.get(&url.bucket) {
            return Ok(Arc::clone(store));
        }
        // Fails if it was called before, which is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let backoff = BackoffConfig { init_backoff: FIRST_DELAY, ..BackoffConfig::default() };
        let retry = RetryConfig { backoff, max_retries: RETRIES, ..RetryConfig::default() };
        let store = AmazonS3Builder::from_env().with_bucket_name(&url.bucket).with_retry(retry).build();
        let store = Arc::new(store.map_err(|error| Error::Argument(format!("{url}: {error}")))?);
        stores.insert(url.bucket.clone(), Arc::clone(&store));
        Ok(store)
    }
}

/// Reads an object in blocks; the next one is fetched meanwhile.
pub(crate) struct Blocks {
    client: Client,
    url: Url,
    size: u64,
    /// All blocks must be of the same version.
    e_tag: Option<String>,
    /// The first byte that is not requested yet.
    start: u64,
    block: Vec<u8>,
    /// Bytes of `block` that were read.
    read: usize,
    next: Option<JoinHandle<Result<Vec<u8>, object_store::Error>>>,
}

impl Blocks {
    fn fetch_next(&mut self) -> io::Result<()> {
        if self.start == self.size {
            return Ok(());
        }
        let range = self.start..(self.start + BLOCK).min(self.size);
        self.start = range.end;
        let options =
            GetOptions { range: Some(range.into()), if_match: self.e_tag.clone(), ..GetOptions::default() };
        let (store, key) = (self.client.store(&self.url).map_err(io::Error::other)?, self.url.key.clone());
        let fetch =
            async move { Ok(store.get_opts(&Path::parse(key)?, options).await?.bytes().await?.into()) };
        self.next = Some(self.client.runtime(&self.url).map_err(io::Error::other)?.spawn(fetch));
        Ok(())
    }
}

impl Read for Blocks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.block.len()
            && let Some(next) = self.next.take()
        {
            let done = self.client.runtime(&self.url).map_err(io::Error::other)?.block_on(next);
            self.block = done.map_err(io::Error::other)?.map_err(io::Error::other)?;
            self.read = 0;
            self.fetch_next()?;
        }
        let read = (&self.block[self.read..]).read(buffer)?;
        self.read += read;
        Ok(read)
    }
}

/// The result of a request; `None` if there is no such object.
fn found<T>(url: &Url, result: Result<T, object_store::Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(passing(url, &error)),
    }
}

/// The reason, if the error is the photo's own: trying again does not help.
fn own(error: &object_store::Error) -> Option<String> {
    match error {
        object_store::Error::NotFound { .. } => Some("does not exist (hint: is the path right?)".into()),
        object_store::Error::InvalidPath { source } => Some(format!("is not the key of an object: {source}")),
        _ => None,
    }
}

/// An error that may pass. Expired credentials are among them; and without the right to list a bucket, S3 says of a missing
/// object, too, that access is denied.
fn passing(url: &Url, error: &object_store::Error) -> Error {
    let denied = matches!(
        error,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. }
    );
    let hint =
        " (hint: are the credentials of AWS_… valid, may they list the bucket, and is the object there?)";
    Error::io(url, io::Error::other(format!("{error}{}", if denied { hint } else { "" })))
}
