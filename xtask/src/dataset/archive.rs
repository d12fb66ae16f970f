//! Reads a data set from an untrusted `.tar.gz`: every name and size is checked before it is used.
//!
//! There are two passes over the entries: the first computes the digest, the second writes the files. No network here.

use std::collections::HashSet;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use flate2::read::GzDecoder;
use fs_err as fs;
use tar::EntryType;

use super::DataSet;
use super::digest::{Contents, copy_hashed};

/// Maximum ratio of unpacked to packed size. Photos hardly compress; zeros compress by a factor of a thousand.
const RATIO: u64 = 100;
/// The unpacked size that is allowed for any archive, in bytes, even a very small one.
const ALWAYS_ALLOWED: u64 = 1 << 20;

/// An archive that should contain a data set.
pub(super) struct Archive<'a> {
    pub(super) path: &'a Path,
    pub(super) set: &'a DataSet,
}

impl Archive<'_> {
    /// Returns the files of the data set and their hashes.
    pub(super) fn contents(&self) -> Result<Contents> {
        let mut contents = Contents::default();
        self.for_each_file(|path, data| {
            let sha256 = copy_hashed(data, &mut io::sink()).map_err(|error| self.damaged(path, error))?;
            contents.insert(path.to_owned(), sha256);
            Ok(())
        })?;
        Ok(contents)
    }

    /// Writes the files of the data set into the new folder `into`. Returns an error if they differ from `contents`.
    pub(super) fn unpack(&self, contents: &Contents, into: &Path) -> Result<()> {
        fs::create_dir(into)?;
        self.for_each_file(|path, data| {
            let target = into.join(path);
            if let Some(folder) = target.parent() {
                fs::create_dir_all(folder)?;
            }
            let mut file = fs::File::create_new(&target)?;
            let sha256 = copy_hashed(data, &mut file).with_context(|| format!("unpacking {path}"))?;
            if contents.get(path) != Some(&sha256) {
                bail!("{}: {path} changed while it was unpacked", self.path.display());
            }
            Ok(())
        })
    }

    /// Calls `visit` with the path (within the data set) and the data of each of its files.
    fn for_each_file(&self, mut visit: impl FnMut(&str, &mut dyn Read) -> Result<()>) -> Result<()> {
        let file = self.open()?;
        let packed = file.metadata()?.len();
        let limit = self.set.max_bytes();
        let mut tar = tar::Archive::new(Limited { inner: GzDecoder::new(file), remaining: limit });
        let mut seen = HashSet::new();
        let mut bytes = 0_u64;
        let entries = tar.entries().map_err(|error| self.damaged("its start", error))?;
        for (i, entry) in entries.enumerate() {
            let mut entry = entry.map_err(|error| self.damaged(&format!("entry {}", i + 1), error))?;
            if i >= self.set.max_entries() {
                bail!("{}: more than {} entries", self.path.display(), self.set.max_entries());
            }
            let kind = entry.header().entry_type();
            if kind == EntryType::XGlobalHeader {
                continue; // A comment of the tool that wrote the archive; it has no file name.
            }
            let name = entry.path_bytes().into_owned();
            let name = self.checked_name(&name)?;
            // The limit of the stream does not cover this: a header can claim more bytes than follow.
            bytes = bytes.saturating_add(entry.size());
            if bytes > limit {
                bail!("{}: unpacks to more than {} MiB", self.path.display(), self.set.max_mib);
            }
            if bytes > ALWAYS_ALLOWED.max(packed.saturating_mul(RATIO)) {
                bail!("{}: unpacks to more than {RATIO} times its size", self.path.display());
            }
            match kind {
                EntryType::Directory => continue,
                EntryType::Regular => {}
                EntryType::Link | EntryType::Symlink => {
                    bail!("{}: `{name}` is a link; links are refused", self.path.display())
                }
                _ => bail!("{}: `{name}` is neither a file nor a folder", self.path.display()),
            }
            let Some(path) = self.within_set(&name) else { continue };
            if path.split('/').any(|part| part.is_empty() || part == ".") {
                bail!("{}: the name `{name}` is not a plain path", self.path.display());
            }
            // If names differ only in case, one file would overwrite the other on some file systems.
            if !seen.insert(path.to_lowercase()) {
                bail!(
                    "{}: two entries for `{path}` (names that differ by case count as one)",
                    self.path.display()
                );
            }
            visit(path, &mut entry)?;
        }
        Ok(())
    }

    /// Opens the file and checks its first bytes, for a clearer error than that of the decoder.
    fn open(&self) -> Result<fs::File> {
        let mut start = Vec::new();
        fs::File::open(self.path)?.take(512).read_to_end(&mut start)?;
        if start.is_empty() {
            bail!("{}: the file is empty", self.path.display());
        }
        if looks_like_html(&start) {
            bail!("{}: an HTML page, not an archive", self.path.display());
        }
        if !start.starts_with(&[0x1f, 0x8b]) {
            let start = start[..start.len().min(8)].escape_ascii();
            bail!("{}: not a .tar.gz, it starts with \"{start}\"", self.path.display());
        }
        Ok(fs::File::open(self.path)?)
    }

    /// Returns the name of an entry if it stays inside the target folder on every system, else an error.
    fn checked_name(&self, name: &[u8]) -> Result<String> {
        let shown = name.escape_ascii();
        let Ok(name) = std::str::from_utf8(name) else {
            bail!("{}: the name `{shown}` is not UTF-8", self.path.display());
        };
        let problem = if name.starts_with('/') || name.as_bytes().get(1) == Some(&b':') {
            "is an absolute path"
        } else if name.split('/').any(|part| part == "..") {
            "points outside the folder"
        } else if name.contains('\\') || name.chars().any(char::is_control) {
            "has a backslash or a control character"
        } else {
            return Ok(name.to_owned());
        };
        bail!("{}: the name `{shown}` {problem}", self.path.display());
    }

    /// The part of a name within the data set: `loc-1.0/dataset/images/a.jpg` → `dataset/images/a.jpg`.
    fn within_set<'n>(&self, name: &'n str) -> Option<&'n str> {
        let starts = std::iter::once(0).chain(name.match_indices('/').map(|(at, _)| at + 1));
        starts.map(|at| &name[at..]).find(|rest| {
            let inside =
                |folder: &String| rest.strip_prefix(folder.as_str()).is_some_and(|r| r.starts_with('/'));
            self.set.folders.iter().any(inside)
        })
    }

    fn damaged(&self, place: &str, error: io::Error) -> anyhow::Error {
        let what = match error.kind() {
            io::ErrorKind::UnexpectedEof => "cut short at",
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => "damaged at",
            _ => "cannot be read past",
        };
        anyhow::Error::new(error).context(format!("{}: {what} {place}", self.path.display()))
    }
}

/// Returns whether these are the first bytes of a web page, which servers send instead of a missing file.
pub(super) fn looks_like_html(start: &[u8]) -> bool {
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start().to_ascii_lowercase();
    [&b"<!doctype html"[..], b"<html", b"<head", b"<body"].iter().any(|tag| text.starts_with(tag))
}

/// A stream that fails after a number of bytes, independent of the sizes in the headers.
struct Limited<R> {
    inner: R,
    remaining: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.remaining = self
            .remaining
            .checked_sub(n as u64)
            .ok_or_else(|| io::Error::other("it unpacks to too many bytes"))?;
        Ok(n)
    }
}
