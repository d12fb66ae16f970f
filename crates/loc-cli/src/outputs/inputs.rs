//! The inputs of a command by file identity, independent of their paths. Examined only if an output exists already, because a
//! file that does not exist is not an input.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::fs::Metadata;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use loc_data::{Dataset, ReadOptions};
use loc_train::{Config, Run, weights_cache};

use crate::output::Usage;

/// Most files of the given folders that are examined; data sets have no more.
const MOST: usize = 1_000_000;
/// Extensions of a data set's files other than photos.
const OF_A_SET: [&str; 6] = ["xml", "json", "csv", "txt", "yaml", "yml"];
/// Extensions of photos, including unsupported formats.
const PHOTOS: [&str; 11] =
    ["jpg", "jpeg", "jfif", "png", "bmp", "gif", "webp", "tif", "tiff", "avif", "heic"];

/// Paths with the same identity are the same file: links, spelling and case make no difference.
#[cfg(unix)]
pub(super) type Identity = (u64, u64);
/// As on Unix, except for hard links. Files are replaced by renaming, which does not change the file of the other name.
#[cfg(not(unix))]
pub(super) type Identity = PathBuf;

#[cfg(unix)]
pub(super) fn identity(_: &Path, metadata: &Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
pub(super) fn identity(path: &Path, _: &Metadata) -> Option<Identity> {
    fs_err::canonicalize(path).ok()
}

fn identity_of(path: &Path) -> Option<Identity> {
    identity(path, &fs_err::metadata(path).ok()?)
}

/// The inputs of a command.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    files: Vec<PathBuf>,
    sets: Vec<(PathBuf, ReadOptions)>,
    named: OnceCell<HashMap<Identity, PathBuf>>,
    in_sets: OnceCell<HashMap<Identity, PathBuf>>,
}

impl Inputs {
    /// Adds files.
    pub(crate) fn files<'a>(mut self, paths: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        self.files.extend(paths.into_iter().cloned());
        self
    }

    /// Adds a model, and its run if it is in one.
    pub(crate) fn model(mut self, path: &Path) -> Self {
        self.files.push(path.to_owned());
        self.files.extend(Run::containing(path).map(|run| run.files()).unwrap_or_default());
        self
    }

    /// Adds a data set: its file or folder, its photos and its annotations.
    pub(crate) fn data(mut self, path: &Path, options: ReadOptions) -> Self {
        self.sets.push((path.to_owned(), options));
        self
    }

    /// All files that a configuration names, and the file that it was read from.
    pub(crate) fn of(config: &Config, file: Option<&Path>) -> Result<Self> {
        let recipe = PathBuf::from(&config.recipe);
        let mut files: Vec<PathBuf> = recipe.extension().map(|_| recipe.clone()).into_iter().collect();
        files.extend(file.map(Path::to_owned));
        files.extend(config.split_file.clone());
        files.extend(config.backbone_weights.clone());
        for known in weights_cache::CATALOGUE {
            files.extend(weights_cache::cached(known.name));
            let folder = config.backbone_weights.as_ref();
            files.extend(folder.map(|folder| folder.join(format!("{}.safetensors", known.name))));
        }
        let mut inputs = Self { files, ..Self::default() };
        if let Some(init) = &config.init {
            inputs = inputs.model(init);
        }
        if let Some(data) = &config.data {
            inputs = inputs.data(data, loc_train::read_options(config)?);
        }
        Ok(inputs)
    }

    /// Refuses to remove a file that is one of the inputs; `flag` is what would remove it.
    pub(crate) fn keep(&self, path: &Path, flag: &str) -> Result<()> {
        let found = identity_of(path).and_then(|identity| self.find(&identity, || false));
        if let Some(input) = found {
            bail!(Usage(format!(
                "{flag}: would remove {}, which is an input of this command ({}) (hint: leave {flag} out)",
                path.display(),
                input.display()
            )));
        }
        Ok(())
    }

    /// The input with this identity. A file that is only found with a data set does not count if loc `wrote` it.
    pub(super) fn find(&self, identity: &Identity, wrote: impl FnOnce() -> bool) -> Option<&Path> {
        let named = self.named.get_or_init(|| by_identity(self.named()));
        if let Some(path) = named.get(identity) {
            return Some(path);
        }
        if self.sets.is_empty() || wrote() {
            return None;
        }
        self.in_sets.get_or_init(|| by_identity(self.in_sets())).get(identity).map(PathBuf::as_path)
    }

    fn named(&self) -> Vec<PathBuf> {
        self.files.iter().chain(self.sets.iter().map(|(path, _)| path)).cloned().collect()
    }

    /// The photos and annotations of the data sets, in any folder.
    fn in_sets(&self) -> Vec<PathBuf> {
        let mut walk = Walk::default();
        let mut photos = Vec::new();
        for (path, options) in &self.sets {
            let is_folder = path.is_dir();
            match Dataset::photos(path, options) {
                Ok(named) => photos.extend(named),
                // The photos that the file names are unknown: all files beside it may be inputs.
                Err(_) if !is_folder => walk.folder(path.parent().unwrap_or(Path::new(""))),
                Err(_) => {}
            }
            if is_folder {
                walk.folder(path);
            }
        }
        walk.files.retain(|path| belongs(path));
        walk.files.extend(photos);
        walk.files
    }
}

fn by_identity(paths: Vec<PathBuf>) -> HashMap<Identity, PathBuf> {
    paths.into_iter().filter_map(|path| Some((identity_of(&path)?, path))).collect()
}

/// Whether a file in a data set's folder is a photo or an annotation, by name or content; a split file is not.
fn belongs(path: &Path) -> bool {
    let ending = path.extension().and_then(|e| e.to_str()).map(str::to_lowercase).unwrap_or_default();
    let annotation = OF_A_SET.contains(&&*ending);
    if PHOTOS.contains(&&*ending) || (annotation && ending != "csv") {
        return true;
    }
    let mut start = Vec::new();
    if path.is_file()
        && let Ok(file) = fs_err::File::open(path)
    {
        // What cannot be read is known by its name alone.
        let _ = file.take(64).read_to_end(&mut start);
    }
    let split = start.trim_ascii_start().strip_prefix(b"filename,split");
    match annotation {
        true => !split.is_some_and(|rest| rest.starts_with(b"\n") || rest.starts_with(b"\r")),
        false => image::guess_format(&start).is_ok(),
    }
}

/// The files below folders, links followed, each folder once.
#[derive(Default)]
struct Walk {
    files: Vec<PathBuf>,
    entered: HashSet<Identity>,
}

impl Walk {
    fn folder(&mut self, folder: &Path) {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        if !identity_of(folder).is_some_and(|identity| self.entered.insert(identity)) {
            return;
        }
        // A folder that cannot be listed cannot be read either.
        for entry in fs_err::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                self.folder(&path);
            } else if self.files.len() < MOST {
                self.files.push(path);
            }
        }
    }
}
