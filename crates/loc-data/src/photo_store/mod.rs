//! The photos of a data set at the size of a network's input, each prepared once: in memory, in a file, or not kept and prepared
//! whenever they are needed.

mod disk;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use image::RgbImage;
use loc_infer::InputSpec;

pub(crate) use self::disk::DiskPhotos;
use crate::{DataError, memory};

/// SHA-256 of a photo's file.
pub(crate) type Digest = [u8; 32];

/// Where prepared photos are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PhotoCache {
    /// By the size of the data set: in memory if they take at most half of what is available, else in a file if they take at
    /// most half of the free disk space, else nowhere.
    #[default]
    Auto,
    /// In memory.
    Ram,
    /// In one file of the cache folder.
    Disk,
    /// Nowhere: each photo is decoded whenever it is needed.
    None,
}

impl FromStr for PhotoCache {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "auto" => Ok(Self::Auto),
            "ram" => Ok(Self::Ram),
            "disk" => Ok(Self::Disk),
            "none" => Ok(Self::None),
            _ => Err(DataError::Argument {
                what: "cache of photos",
                value: text.to_owned(),
                range: "`auto`, `ram`, `disk` and `none` are known".into(),
            }),
        }
    }
}

/// The prepared photos of one data set. Clones share them.
#[derive(Debug, Clone)]
pub struct PhotoStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    wanted: PhotoCache,
    input: InputSpec,
    folder: Option<PathBuf>,
    /// Decided once it is known how many photos there are.
    kept: OnceLock<Kept>,
}

/// Where photos are kept.
enum Kept {
    Ram(Mutex<HashMap<Digest, Arc<RgbImage>>>),
    Disk(Arc<DiskPhotos>),
    Nowhere,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Ram(_) => "Ram",
            Self::Disk(_) => "Disk",
            Self::Nowhere => "Nowhere",
        })
    }
}

impl PhotoStore {
    /// Photos at the size of this input; a file of them is made in `folder`, which need not exist.
    #[must_use]
    pub fn new(wanted: PhotoCache, input: InputSpec, folder: Option<PathBuf>) -> Self {
        Self(Arc::new(Inner { wanted, input, folder, kept: OnceLock::new() }))
    }

    /// Photos in memory.
    #[must_use]
    pub fn in_memory(input: InputSpec) -> Self {
        Self::new(PhotoCache::Ram, input, None)
    }

    /// Photos that are not kept: they are prepared whenever they are needed.
    #[must_use]
    pub fn on_demand(input: InputSpec) -> Self {
        Self::new(PhotoCache::None, input, None)
    }

    /// The store of windows of these photos, for another input: in memory if the photos are, else nowhere.
    #[must_use]
    pub fn of_windows(&self, input: InputSpec) -> Self {
        if self.is_in_ram() { Self::in_memory(input) } else { Self::on_demand(input) }
    }

    pub(crate) fn input(&self) -> &InputSpec {
        &self.0.input
    }

    /// Decides where so many photos of the data set at this path are kept, unless that is decided.
    ///
    /// # Errors
    ///
    /// [`DataError::Memory`] if they are wanted in memory and do not fit, [`DataError::Write`] if they are wanted in a file and it
    /// cannot be used.
    pub(crate) fn begin(&self, data: &Path, photos: usize) -> Result<(), DataError> {
        if self.0.kept.get().is_none() {
            let kept = self.decide(data, photos)?;
            let _ = self.0.kept.set(kept);
        }
        Ok(())
    }

    fn decide(&self, data: &Path, photos: usize) -> Result<Kept, DataError> {
        let Inner { wanted, input, folder, .. } = &*self.0;
        let needed = 3 * u64::from(input.size.width) * u64::from(input.size.height) * photos as u64;
        let in_memory = || Kept::Ram(Mutex::new(HashMap::with_capacity(photos)));
        let file = || {
            let folder = folder.as_ref()?;
            Some((folder, DiskPhotos::open(folder, data, input, photos)))
        };
        match wanted {
            PhotoCache::None => Ok(Kept::Nowhere),
            PhotoCache::Ram => memory::refuse_above(needed, photos, input.size).map(|()| in_memory()),
            PhotoCache::Disk => match file() {
                Some((_, Ok(disk))) => Ok(Kept::Disk(Arc::new(disk))),
                Some((folder, Err(error))) => Err(DataError::Write { path: folder.clone(), error }),
                None => Err(DataError::Argument {
                    what: "cache of photos",
                    value: "disk".into(),
                    range: "the environment names no folder for caches".into(),
                }),
            },
            PhotoCache::Auto => {
                if memory::available().is_none_or(|available| needed <= available / 2) {
                    return Ok(in_memory());
                }
                let fits = folder
                    .as_ref()
                    .is_some_and(|folder| free_space(folder).is_some_and(|free| needed <= free / 2));
                match fits.then(file).flatten() {
                    Some((_, Ok(disk))) => Ok(Kept::Disk(Arc::new(disk))),
                    _ => Ok(Kept::Nowhere),
                }
            }
        }
    }

    /// One line: where photos are kept, if not in memory.
    #[must_use]
    pub fn describe(&self) -> Option<String> {
        match self.0.kept.get()? {
            Kept::Ram(_) => None,
            Kept::Disk(disk) => Some(format!("decoded photos are kept in {}", disk.path().display())),
            Kept::Nowhere => Some("photos are decoded whenever they are needed".into()),
        }
    }

    /// Whether this photo is to be prepared while it is decoded for another reason.
    pub(crate) fn lacks(&self, digest: &Digest) -> bool {
        match self.0.kept.get() {
            Some(Kept::Ram(photos)) => !lock(photos).contains_key(digest),
            Some(Kept::Disk(disk)) => disk.lacks(digest),
            Some(Kept::Nowhere) | None => false,
        }
    }

    /// Keeps a photo that was prepared for the input, if photos are kept.
    pub(crate) fn put(&self, digest: &Digest, image: RgbImage) {
        match self.0.kept.get() {
            Some(Kept::Ram(photos)) => {
                lock(photos).insert(*digest, Arc::new(image));
            }
            Some(Kept::Disk(disk)) => disk.put(digest, &image),
            Some(Kept::Nowhere) | None => {}
        }
    }

    /// The photo, if it is kept in memory.
    pub(crate) fn in_ram(&self, digest: &Digest) -> Option<Arc<RgbImage>> {
        match self.0.kept.get() {
            Some(Kept::Ram(photos)) => lock(photos).get(digest).cloned(),
            _ => None,
        }
    }

    /// The file of photos, if they are kept in one.
    pub(crate) fn on_disk(&self) -> Option<Arc<DiskPhotos>> {
        match self.0.kept.get() {
            Some(Kept::Disk(disk)) => Some(Arc::clone(disk)),
            _ => None,
        }
    }

    /// Whether photos are kept in memory.
    #[must_use]
    pub fn is_in_ram(&self) -> bool {
        matches!(self.0.kept.get(), Some(Kept::Ram(_)))
    }
}

/// Bytes free for files in a folder that need not exist.
fn free_space(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|folder| folder.exists())?;
    fs4::available_space(there).ok()
}

/// A panic while the lock was held has left the map as it was before or after one insertion.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
