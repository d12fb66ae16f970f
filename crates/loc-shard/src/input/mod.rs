//! The photos of a shard: files, objects of a store, and the photos inside tar archives, in the order of the list. They are read
//! ahead of the prediction; what is in flight is bounded in number and in bytes.

mod archive;

use std::collections::VecDeque;
use std::io::BufRead;
use std::path::PathBuf;

use crate::manifest::Lines;
use crate::remote::{Client, Fetching, Url};
use crate::{Error, Plan};

/// Photos that are predicted together: several batches of the engine, so that the next one is decoded while one is computed.
const CHUNK: usize = 256;
/// Encoded photos of a chunk in memory, in bytes; a chunk ends with the photo that exceeds it.
const CHUNK_BYTES: usize = 64 << 20;
/// Objects that are fetched at the same time.
const AHEAD: usize = 32;

/// One photo.
pub(crate) struct Photo {
    /// The path in the results.
    pub(crate) path: String,
    pub(crate) content: Content,
}

/// Where the photo's bytes are.
pub(crate) enum Content {
    File(PathBuf),
    Bytes(Vec<u8>),
    /// They cannot be read, for a reason of the photo's own.
    Failed(String),
}

/// Whether a line of the list is an archive, whose photos are predicted.
pub(crate) fn is_archive(line: &str) -> bool {
    line.len() > 4 && line.as_bytes()[line.len() - 4..].eq_ignore_ascii_case(b".tar")
}

/// Whether a row is of a photo in an archive, or of the archive itself.
pub(crate) fn is_of_archive(path: &str, line: &str) -> bool {
    path.strip_prefix(line).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Reads the photos of all `lines`, and gives them on in chunks, until the function returns false.
///
/// # Errors
///
/// [`Error::Io`] if something cannot be read for a reason that may pass.
pub(crate) fn read<R: BufRead>(
    plan: &Plan,
    client: &Client,
    lines: &mut Lines<R>,
    take: &mut dyn FnMut(Vec<Photo>) -> bool,
) -> Result<(), Error> {
    let mut chunks = Chunks { photos: Vec::new(), bytes: 0, take, go: true };
    let mut ahead = VecDeque::new();
    while chunks.go {
        while ahead.len() < AHEAD
            && let Some(line) = lines.next_line().map_err(|e| Error::io("the manifest", e))?
        {
            ahead.push_back(Next::of(plan, client, line)?);
        }
        match ahead.pop_front() {
            None => break,
            Some(Next::Photo(photo)) => chunks.push(photo),
            Some(Next::Fetching(path, fetching)) => {
                let content = match fetching.wait()? {
                    Ok(bytes) => Content::Bytes(bytes),
                    Err(reason) => Content::Failed(reason),
                };
                chunks.push(Photo { path, content });
            }
            Some(Next::Archive(line)) => archive::read(plan, client, &line, &mut |photo| {
                chunks.push(photo);
                chunks.go
            })?,
        }
    }
    chunks.finish();
    Ok(())
}

/// What a line of the list is.
enum Next {
    Photo(Photo),
    Fetching(String, Fetching),
    Archive(String),
}

impl Next {
    fn of(plan: &Plan, client: &Client, line: &str) -> Result<Self, Error> {
        if is_archive(line) {
            return Ok(Self::Archive(line.into()));
        }
        let location = plan.location(line);
        match Url::parse(&location) {
            Some(Ok(url)) => Ok(Self::Fetching(line.into(), client.start(&url)?)),
            Some(Err(reason)) => {
                Ok(Self::Photo(Photo { path: line.into(), content: Content::Failed(reason) }))
            }
            None => Ok(Self::Photo(Photo { path: line.into(), content: Content::File(location.into()) })),
        }
    }
}

/// Collects photos to chunks.
struct Chunks<'a> {
    photos: Vec<Photo>,
    bytes: usize,
    take: &'a mut dyn FnMut(Vec<Photo>) -> bool,
    go: bool,
}

impl Chunks<'_> {
    fn push(&mut self, photo: Photo) {
        if let Content::Bytes(bytes) = &photo.content {
            self.bytes += bytes.len();
        }
        self.photos.push(photo);
        if self.photos.len() == CHUNK || self.bytes > CHUNK_BYTES {
            self.finish();
        }
    }

    fn finish(&mut self) {
        let photos = std::mem::take(&mut self.photos);
        self.bytes = 0;
        if !photos.is_empty() {
            self.go = self.go && (self.take)(photos);
        }
    }
}
