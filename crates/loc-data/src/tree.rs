//! The files under a folder. Opens none of them: a FIFO or a device is seen by its type and left alone. Which of them a
//! name in an annotation means: `finder`.

mod walk;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use loc_infer::preprocess::FileKind;

use self::walk::Walk;
use crate::error::count;
use crate::tally::Tally;
use crate::{DataError, Finding};

/// Folders of annotations whose sibling holds the photos; here and below compared without regard to case.
const ANNOTATION_FOLDERS: [&str; 14] = [
    "annot",
    "annots",
    "annotations",
    "annotation",
    "ann",
    "anns",
    "label",
    "labels",
    "xml",
    "xmls",
    "voc",
    "box",
    "boxes",
    "bboxes",
];
/// Folders of photos; where several hold a name, the first of this list wins.
const PHOTO_FOLDERS: [&str; 11] = [
    "images",
    "jpegimages",
    "image",
    "img",
    "imgs",
    "photos",
    "photo",
    "pictures",
    "pics",
    "frames",
    "jpegs",
];
/// Parts of the names of folders whose pictures are made of photos.
const DERIVED: [&str; 4] = ["mask", "segmentation", "thumb", "preview"];
/// Most files and folders that are looked at.
const MOST: usize = 1_000_000;

/// What lies under a folder, each list sorted.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The folder, as given.
    pub(crate) root: PathBuf,
    /// The same, tidied: what all paths here begin with.
    pub(super) base: PathBuf,
    /// Files with the ending of a photo, of a format that is read or not.
    pub(crate) photos: BTreeSet<Arc<Path>>,
    pub(crate) xmls: Vec<PathBuf>,
    pub(crate) csvs: Vec<PathBuf>,
    /// A JSON file, if there is one: for a hint.
    pub(crate) json: Option<PathBuf>,
    /// What was left out, and why.
    pub(crate) findings: Vec<Finding>,
    /// Files that are neither photos nor annotations, by their endings.
    pub(crate) passed_over: Tally,
    /// A folder with the name of one of annotations, and nothing in it.
    pub(crate) empty_annotations: Option<PathBuf>,
    /// Those files: an annotation may name a photo that has another ending, or none.
    pub(super) others: HashSet<Arc<Path>>,
    /// Photos and other files by name.
    pub(super) by_name: HashMap<String, Vec<Arc<Path>>>,
    /// Photos by the loosest form of the name without its ending.
    pub(super) alike: HashMap<String, Vec<Arc<Path>>>,
    /// The same within each folder.
    pub(super) alike_in: HashMap<Arc<Path>, HashMap<String, Vec<Arc<Path>>>>,
    /// The folders of photos directly in a folder, in the order of the list.
    pub(super) photo_folders: HashMap<PathBuf, Vec<Arc<Path>>>,
    /// Folders by what their paths say beside that they hold photos or annotations.
    pub(super) by_place: HashMap<Vec<String>, Vec<Arc<Path>>>,
    /// Photos that were left out, by name, and why.
    pub(super) skipped: HashMap<String, (PathBuf, String)>,
    pub(super) hidden: Vec<PathBuf>,
}

impl Tree {
    /// Lists a folder and all below it. Links are followed, each folder once; hidden files are passed over.
    ///
    /// # Errors
    ///
    /// [`DataError::Io`] if the folder itself cannot be listed, [`DataError::NoDataSet`] if it is too large.
    pub(crate) fn of_folder(root: &Path) -> Result<Self, DataError> {
        let mut walk = Walk::new(root);
        walk.folder(&tidy(root), 0)?;
        Ok(walk.finish())
    }

    /// Lists the folder of a CSV file and the photo folders beside it; the file itself is the one CSV.
    ///
    /// # Errors
    ///
    /// As [`Tree::of_folder`].
    pub(crate) fn of_csv(path: &Path) -> Result<Self, DataError> {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut walk = Walk::new(folder);
        walk.folder(&tidy(folder), 0)?;
        for beside in photo_folders_beside(folder) {
            walk.folder(&beside, 0)?;
        }
        walk.tree.csvs = vec![path.to_owned()];
        walk.tree.xmls.clear();
        Ok(walk.finish())
    }

    /// Photos that this build reads, by their endings.
    pub(crate) fn readable(&self) -> usize {
        self.photos.iter().filter(|path| is_read(path)).count()
    }

    /// Files that are neither annotations nor photos of a format that is read.
    pub(crate) fn other_files(&self) -> Tally {
        let mut others = self.passed_over.clone();
        self.photos.iter().filter(|path| !is_read(path)).for_each(|path| others.count(path));
        others
    }

    /// What lies there instead of annotations: "20 photos", "0 photos and 3 other files (2 .txt, 1 .heic (HEIC photo))".
    pub(crate) fn describe(&self) -> String {
        let (photos, others) = (count(self.readable(), "photo"), self.other_files());
        match others.total() {
            0 => photos,
            n => format!("{photos} and {} ({others})", count(n, "other file")),
        }
    }

    /// A path without the root that it lies below; none for one outside.
    pub(crate) fn below<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        let below = path.strip_prefix(&self.base).ok()?;
        // Everything begins with an empty root.
        (below.is_relative() && !below.starts_with("..")).then_some(below)
    }

    /// What a folder's path below the root says beside that it holds photos or annotations: equal for `labels/left` and
    /// `images/left`.
    pub(super) fn place(&self, folder: &Path) -> Option<Vec<String>> {
        let parts = self.below(folder)?.iter().map(|part| part.to_string_lossy().to_lowercase());
        Some(
            parts
                .filter(|part| !is_one_of(&ANNOTATION_FOLDERS, part) && !is_one_of(&PHOTO_FOLDERS, part))
                .collect(),
        )
    }

    /// Whether a folder below the root, or one it lies in, is called like one of photos.
    pub(crate) fn is_of_photos(&self, folder: &Path) -> bool {
        let below = self.below(folder).unwrap_or(Path::new(""));
        below.iter().any(|part| is_one_of(&PHOTO_FOLDERS, &part.to_string_lossy().to_lowercase()))
    }
}

fn is_one_of(names: &[&str], lower_case: &str) -> bool {
    names.contains(&lower_case)
}

/// Whether a folder has the name of one of annotations.
pub(super) fn is_of_annotations(folder: &Path) -> bool {
    is_one_of(&ANNOTATION_FOLDERS, &name_of(folder).to_lowercase())
}

/// Whether a photo lies among pictures that are made of photos: masks, thumbnails.
pub(crate) fn is_derived(path: &Path) -> bool {
    let folder = path.parent().map(|folder| name_of(folder).to_lowercase()).unwrap_or_default();
    DERIVED.iter().any(|part| folder.contains(part))
}

/// Whether a file has an ending of the photos that this build reads.
pub(crate) fn is_read(path: &Path) -> bool {
    FileKind::of_ending(path).is_some_and(FileKind::is_read)
}

/// The folders of photos beside a folder. One that cannot be listed has none.
pub(crate) fn photo_folders_beside(folder: &Path) -> Vec<PathBuf> {
    let above = tidy(&folder.join(".."));
    let openable = if above.as_os_str().is_empty() { Path::new(".") } else { &above };
    let Ok(entries) = fs_err::read_dir(openable) else { return Vec::new() };
    let paths = entries.take(MOST).filter_map(|entry| Some(above.join(entry.ok()?.file_name())));
    let mut ranked: Vec<(usize, PathBuf)> = paths.filter_map(|path| Some((rank(&path)?, path))).collect();
    ranked.retain(|(_, path)| fs_err::metadata(path).is_ok_and(|m| m.is_dir()));
    ranked.sort();
    ranked.into_iter().map(|(_, path)| path).collect()
}

/// Where a folder of photos stands in the list, by its name.
fn rank(folder: &Path) -> Option<usize> {
    let name = name_of(folder).to_lowercase();
    PHOTO_FOLDERS.iter().position(|known| *known == name)
}

/// The path without `.` and, where it can be told without looking, without `..`: equal paths compare equal.
pub(crate) fn tidy(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(tidied.components().next_back(), Some(Component::Normal(_))) => {
                tidied.pop();
            }
            other => tidied.push(other),
        }
    }
    tidied
}

/// The file's name; empty where it is not UTF-8 (such files are reported and never listed).
pub(crate) fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|n| n.to_str()).unwrap_or_default()
}

/// The file's name without its ending.
pub(crate) fn stem_of(path: &Path) -> &str {
    path.file_stem().and_then(|n| n.to_str()).unwrap_or_default()
}

/// Why a path cannot be looked at.
pub(super) fn why_not(path: &Path, error: &std::io::Error) -> String {
    let link = fs_err::symlink_metadata(path).is_ok_and(|m| m.is_symlink());
    match error.kind() {
        std::io::ErrorKind::NotFound if link => "it is a link to nothing".to_owned(),
        // Among others "filesystem loop": its kind has no stable name yet.
        kind if link => format!("it is a link that cannot be followed: {kind}"),
        _ => error.to_string(),
    }
}

/// What a path that is no regular file leads to.
pub(super) fn what_it_is(kind: std::fs::FileType) -> &'static str {
    if kind.is_dir() {
        return "a folder";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "a FIFO";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_block_device() || kind.is_char_device() {
            return "a device";
        }
    }
    "not a regular file"
}
