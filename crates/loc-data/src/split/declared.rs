//! The split that a data set declares in its files: folders of photos, or lists of them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::Subset;

/// Folders and photos with the subset they belong to.
#[derive(Debug, Default)]
pub(crate) struct DeclaredSplit {
    folders: Vec<(Subset, PathBuf)>,
    photos: HashMap<PathBuf, Subset>,
    /// Number of photos that are listed in two subsets.
    doubled: usize,
}

impl DeclaredSplit {
    /// Adds a folder. One that stands for two subsets (`train: images`, `val: images`) says nothing.
    pub(crate) fn folder(&mut self, subset: Subset, folder: PathBuf) {
        self.folders.push((subset, folder));
    }

    /// Adds a photo of a list.
    pub(crate) fn photo(&mut self, subset: Subset, photo: PathBuf) {
        let known = *self.photos.entry(photo).or_insert(subset);
        self.doubled += usize::from(known != subset);
    }

    /// Number of photos that are listed in two subsets; with any, the lists are no split.
    pub(crate) fn doubled(&self) -> usize {
        self.doubled
    }

    /// Whether anything is declared.
    pub(crate) fn says_something(&self) -> bool {
        !self.folders.is_empty() || !self.photos.is_empty()
    }

    /// Whether a folder is declared.
    pub(crate) fn has_folders(&self) -> bool {
        !self.folders.is_empty()
    }

    /// The subset of a photo: that of its list, or of the nearest folder above it.
    pub(crate) fn of(&self, photo: &Path) -> Option<Subset> {
        if self.doubled == 0
            && let Some(subset) = self.photos.get(photo)
        {
            return Some(*subset);
        }
        let above = self.folders.iter().filter(|(_, folder)| photo.starts_with(folder));
        let (subset, nearest) = above.max_by_key(|(_, folder)| folder.components().count())?;
        let again = self.folders.iter().any(|(other, folder)| folder == nearest && other != subset);
        (!again).then_some(*subset)
    }
}
