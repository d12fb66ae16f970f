//! What a command was given, by identity: the same file whatever it is called. Looked at only once an output turns out
//! to be there already, for what is not there is no input.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::fs::Metadata;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use loc_data::{Dataset, ReadOptions};
use loc_train::{Config, pretrained};

use crate::output::Usage;

/// Most files of the folders that were given that are looked at; data sets have no more.
const MOST: usize = 1_000_000;
/// Endings of what a data set is made of, beside photos.
const OF_A_SET: [&str; 6] = ["xml", "json", "csv", "txt", "yaml", "yml"];
/// Endings of photos, also of those that loc does not read.
const PHOTOS: [&str; 11] =
    ["jpg", "jpeg", "jfif", "png", "bmp", "gif", "webp", "tif", "tiff", "avif", "heic"];

/// Two paths with the same identity are one file: links, spellings and letters' case make no difference.
#[cfg(unix)]
pub(super) type Identity = (u64, u64);
/// Likewise, except for hard links. Files are replaced by renaming, which leaves the other name's file as it is.
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

/// What a command reads.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    sets: Vec<(PathBuf, ReadOptions)>,
    known: OnceCell<HashMap<Identity, (How, PathBuf)>>,
}

/// How a file came to be an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// It lies in a folder that was given.
    InFolder,
    /// It was named, or an annotation names it.
    Named,
}

impl Inputs {
    /// A file.
    pub(crate) fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(path.into());
        self
    }

    /// Several files; of folders among them all that lies in them.
    pub(crate) fn all<'a>(mut self, paths: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        for path in paths {
            if path.is_dir() { &mut self.folders } else { &mut self.files }.push(path.clone());
        }
        self
    }

    /// A data set: its file or folder, its photos and its annotations.
    pub(crate) fn data(mut self, path: &Path, options: ReadOptions) -> Self {
        self.sets.push((path.to_owned(), options));
        self
    }

    /// All that a configuration names, and the file that it was read from.
    pub(crate) fn of(config: &Config, file: Option<&Path>) -> Result<Self> {
        let named = [&config.split_file, &config.init, &config.backbone_weights].into_iter().flatten();
        let mut all: Vec<PathBuf> = named.filter(|path| path.is_file()).cloned().collect();
        all.extend(file.map(Path::to_owned));
        all.push(PathBuf::from(&config.recipe));
        for known in pretrained::CATALOGUE {
            all.extend(pretrained::cached(known.name));
            let folder = config.backbone_weights.as_ref();
            all.extend(folder.map(|folder| folder.join(format!("{}.safetensors", known.name))));
        }
        let mut inputs = Self { files: all, ..Self::default() };
        inputs.folders.extend(config.init.clone().filter(|path| path.is_dir()));
        Ok(match &config.data {
            Some(data) => inputs.data(data, loc_train::read_options(config)?),
            None => inputs,
        })
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

    /// The input that a file is. One that merely lies in a folder that was given is none if loc `wrote` it there.
    pub(super) fn find(&self, identity: &Identity, wrote: impl FnOnce() -> bool) -> Option<&Path> {
        let (how, input) = self.known.get_or_init(|| self.look()).get(identity)?;
        (*how == How::Named || !wrote()).then_some(input)
    }

    fn look(&self) -> HashMap<Identity, (How, PathBuf)> {
        let mut known = HashMap::new();
        let mut add = |how: How, paths: Vec<PathBuf>| {
            for path in paths {
                if let Some(identity) = identity_of(&path) {
                    known.insert(identity, (how, path));
                }
            }
        };
        let (mut of_sets, mut named) = (Vec::new(), self.files.clone());
        for (path, options) in &self.sets {
            let is_folder = path.is_dir();
            match Dataset::open(path, options) {
                Ok(set) => named.extend(set.samples.into_iter().map(|sample| sample.image)),
                // Which photos a file names cannot be told: all beside it may be.
                Err(_) if !is_folder => of_sets.extend(path.parent().map(Path::to_owned)),
                Err(_) => {}
            }
            if is_folder { &mut of_sets } else { &mut named }.push(path.clone());
        }
        let mut of_sets = Walk::below(&of_sets);
        of_sets.retain(|path| belongs(path));
        add(How::InFolder, of_sets);
        add(How::InFolder, Walk::below(&self.folders));
        add(How::Named, named);
        known
    }
}

/// Whether a file in a data set's folder is part of the set: photos and annotations, by name or content, but not a split
/// of the set.
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
    if annotation { !start.starts_with(b"filename,split\n") } else { image::guess_format(&start).is_ok() }
}

/// The files below folders, links followed, each folder once.
#[derive(Default)]
struct Walk {
    files: Vec<PathBuf>,
    entered: HashSet<Identity>,
}

impl Walk {
    fn below(folders: &[PathBuf]) -> Vec<PathBuf> {
        let mut walk = Self::default();
        for folder in folders {
            walk.folder(folder);
        }
        walk.files
    }

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
