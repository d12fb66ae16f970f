//! `cargo xtask dataset`: lists the data sets of `data/datasets.toml`, and downloads them into `data/NAME`.
//!
//! The order: download into a `.part` file → compute the digest without unpacking → unpack into a temporary folder →
//! rename. `download.rs` handles HTTP, `archive.rs` handles tar.

mod archive;
#[cfg(test)]
mod archive_tests;
mod digest;
mod download;
#[cfg(test)]
mod fetch_tests;
mod progress;
#[cfg(test)]
mod test_server;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use fs_err as fs;
use serde::Deserialize;

use self::archive::Archive;
use self::digest::Contents;
use self::download::Download;
use crate::workspace::Workspace;

/// One table of `data/datasets.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DataSet {
    /// A description in one sentence.
    pub(crate) what: String,
    /// Its public source and version.
    pub(crate) origin: String,
    /// Its licence.
    pub(crate) licence: String,
    /// The URL of a `.tar.gz` file.
    pub(crate) url: String,
    /// The folders of the data set. A prefix of the archive's paths is removed; all other files are ignored.
    pub(crate) folders: Vec<String>,
    /// The number of files in these folders.
    pub(crate) files: usize,
    /// SHA-256 (hex) as defined in `digest.rs`.
    pub(crate) sha256: String,
    /// The maximum size in MiB, packed and unpacked; larger archives are refused.
    pub(crate) max_mib: u64,
}

impl DataSet {
    /// The limit in bytes. (`max_entries` is the limit on entries: a valid archive has few files besides the data set.)
    fn max_bytes(&self) -> u64 {
        self.max_mib << 20
    }

    fn max_entries(&self) -> usize {
        2 * self.files + 1000
    }
}

/// The source of a data set.
#[derive(Default)]
pub(crate) enum Source {
    /// The URL of `data/datasets.toml`.
    #[default]
    Public,
    /// Another URL with the same contents; plain HTTP is allowed.
    Mirror(String),
    /// A local file.
    Archive(PathBuf),
}

impl Source {
    /// Creates it from the two flags, of which at most one is given.
    pub(crate) fn new(archive: Option<PathBuf>, url: Option<String>) -> Self {
        match (archive, url) {
            (Some(path), _) => Self::Archive(path),
            (None, Some(url)) => Self::Mirror(url),
            (None, None) => Self::Public,
        }
    }
}

/// Reads `data/datasets.toml`.
pub(crate) fn registry(workspace: &Workspace) -> Result<BTreeMap<String, DataSet>> {
    let path = workspace.data().join("datasets.toml");
    toml::from_str(&fs::read_to_string(&path)?).with_context(|| format!("reading {}", path.display()))
}

/// Prints the data sets and whether they are downloaded.
pub(crate) fn list(workspace: &Workspace) -> Result<()> {
    for (name, set) in registry(workspace)? {
        let folder = workspace.data().join(&name);
        let here = if folder.exists() { format!(", in data/{name}") } else { String::new() };
        println!("{name}: {} ({} files{here})", set.what, set.files);
        println!("  from     {}", set.origin);
        println!("  licence  {}", set.licence);
    }
    Ok(())
}

/// Makes sure that `data/NAME` contains the complete data set with the right digest; returns that folder.
pub(crate) fn fetch(workspace: &Workspace, name: &str, source: &Source) -> Result<PathBuf> {
    let sets = registry(workspace)?;
    let set = sets.get(name).ok_or_else(|| {
        let known: Vec<&str> = sets.keys().map(String::as_str).collect();
        anyhow!("no data set is named `{name}` (hint: data/datasets.toml has {})", known.join(", "))
    })?;
    Fetch { name, set, data: &workspace.data(), pause: Duration::from_secs(1) }.run(source)
}

/// One download into a data folder.
struct Fetch<'a> {
    name: &'a str,
    set: &'a DataSet,
    data: &'a Path,
    /// The pause before the second attempt; it doubles with each further one.
    pause: Duration,
}

impl Fetch<'_> {
    fn run(&self, source: &Source) -> Result<PathBuf> {
        let folder = self.data.join(self.name);
        // Held until the end: two downloads of the same data set would write to the same `.part`.
        let lock = fs::File::create(self.data.join(format!(".{}.lock", self.name)))?;
        if let Err(error) = lock.file().try_lock() {
            bail!("another fetch of {} is running ({}: {error})", self.name, lock.path().display());
        }
        if folder.exists() {
            return self.already_there(&folder).map(|()| folder);
        }
        match source {
            Source::Archive(path) => self.unpack(path, &self.check(path)?)?,
            Source::Mirror(url) => self.download(url)?,
            Source::Public => {
                eprintln!("{}: {}", self.name, self.set.origin);
                eprintln!("licence: {}", self.set.licence);
                self.download(&self.set.url)?;
            }
        }
        eprintln!(
            "{}: {} files in {}, digest {}",
            self.name,
            self.set.files,
            folder.display(),
            self.set.sha256
        );
        Ok(folder)
    }

    fn already_there(&self, folder: &Path) -> Result<()> {
        let contents = Contents::of_folder(folder, &self.set.folders)?;
        if contents.digest() == self.set.sha256 {
            eprintln!("{}: already in {}, digest {}", self.name, folder.display(), self.set.sha256);
            return Ok(());
        }
        bail!(
            "{} exists, but differs from the published data set:\n{}\n(hint: move or remove the folder and run this again)",
            folder.display(),
            self.difference(&contents)
        );
    }

    /// Downloads, or resumes an earlier download, and unpacks.
    fn download(&self, url: &str) -> Result<()> {
        let part = self.data.join(format!("{}.tar.gz.part", self.name));
        let download = Download { url, part: &part, max_bytes: self.set.max_bytes(), pause: self.pause };
        let finished = download.run(self.name)?;
        let mut checked = self.check(&part);
        if let Err(error) = &checked
            && finished.resumed
        {
            // The first bytes may be of another version than the rest: HTTP cannot exclude this, but the digest detects
            // it.
            eprintln!("{}: the resumed download is invalid ({error:#}); starting again", self.name);
            download.discard()?;
            download.run(self.name)?;
            checked = self.check(&part);
        }
        if checked.is_err() {
            download.discard()?;
        }
        self.unpack(&part, &checked?)?;
        download.discard()
    }

    /// The first pass over an archive: checks the digest and writes nothing.
    fn check(&self, path: &Path) -> Result<Contents> {
        let contents = Archive { path, set: self.set }.contents()?;
        if contents.digest() != self.set.sha256 {
            bail!(
                "{}: its contents differ from those of {}; nothing was unpacked\n{}",
                path.display(),
                self.name,
                self.difference(&contents)
            );
        }
        Ok(contents)
    }

    /// The second pass: unpacks into a temporary folder next to the target, and renames it.
    fn unpack(&self, path: &Path, contents: &Contents) -> Result<()> {
        let unpacking = self.data.join(format!(".{}.unpacking", self.name));
        remove_folder(&unpacking)?;
        let written = Archive { path, set: self.set }.unpack(contents, &unpacking);
        let done = written.and_then(|()| Ok(fs::rename(&unpacking, self.data.join(self.name))?));
        if done.is_err() {
            remove_folder(&unpacking)?;
        }
        done
    }

    fn difference(&self, contents: &Contents) -> String {
        format!(
            "  expected {} ({} files)\n  found    {} ({} files under {})",
            self.set.sha256,
            self.set.files,
            contents.digest(),
            contents.len(),
            self.set.folders.join(", ")
        )
    }
}

fn remove_folder(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_dir_all(path)?;
    }
    Ok(())
}
