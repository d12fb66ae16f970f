//! Where the photos of a set lie in the new folder: below the format's folder of photos, in a folder for each part of a
//! split.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use super::{LabelledPhoto, Target};
use crate::split::Subset;

/// A photo with its place in the new folder.
pub(super) struct Placed<'a> {
    pub(super) photo: &'a LabelledPhoto,
    /// Path below the folder, with `/`: `images/train/a.jpg`.
    pub(super) path: String,
    /// The same without the folder of photos.
    pub(super) below: String,
}

impl Placed<'_> {
    /// The annotation file of this photo alone, below `folder`: `labels/train/a.txt`.
    pub(super) fn annotation(&self, folder: &str, ending: &str) -> String {
        let path = Path::new(&self.below).with_extension(ending);
        format!("{folder}/{}", path.to_string_lossy())
    }

    /// Whether the photo has another name than in its own set.
    pub(super) fn is_renamed(&self) -> bool {
        self.below.rsplit('/').next() != self.photo.file.rsplit('/').next()
    }
}

/// The place of each photo. No two photos differ only in case or in their endings: formats with a file a photo name it like
/// the photo.
pub(super) fn places(photos: &[LabelledPhoto], target: Target, mend_endings: bool) -> Vec<Placed<'_>> {
    let mut taken: HashSet<String> = HashSet::new();
    photos
        .iter()
        .map(|photo| {
            let wanted = below(photo, mend_endings);
            let path = PathBuf::from(&wanted);
            let ending = path.extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
            let bare = path.with_extension("").to_string_lossy().into_owned();
            let stem = std::iter::once(bare.clone())
                .chain(std::iter::once(format!("{bare}_{ending}")))
                .chain((2..).map(|n| format!("{bare}_{n}")))
                .find(|stem| taken.insert(stem.to_lowercase()))
                .unwrap_or_default();
            let below = if stem == bare { wanted } else { format!("{stem}.{ending}") };
            Placed { photo, path: format!("{}/{below}", target.photo_folder()), below }
        })
        .collect()
}

fn below(photo: &LabelledPhoto, mend_endings: bool) -> String {
    // A photo outside the set has its whole path as its name.
    let parts = photo.file.split('/').filter(|part| !matches!(*part, "" | "." | ".."));
    let mut parts: Vec<String> = parts.map(str::to_owned).collect();
    if let (true, Some(ending), Some(last)) = (mend_endings, photo.ending, parts.last_mut()) {
        *last = Path::new(&*last).with_extension(ending).to_string_lossy().into_owned();
    }
    if let Some(subset) = photo.subset {
        // A name with folders may begin with the split's own.
        parts.retain(|part| Subset::of_folder(part) != Some(subset));
        parts.insert(0, subset.folder().to_owned());
    }
    parts.join("/")
}

/// The photos by the part of the split that they belong to.
pub(super) fn by_subset<'a, 'b>(
    placed: &'a [Placed<'b>],
) -> BTreeMap<Option<&'static str>, Vec<&'a Placed<'b>>> {
    let mut parts: BTreeMap<Option<&'static str>, Vec<&Placed<'_>>> = BTreeMap::new();
    for photo in placed {
        parts.entry(photo.photo.subset.map(Subset::folder)).or_default().push(photo);
    }
    parts
}
