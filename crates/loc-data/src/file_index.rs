//! An index of the files under a folder. No file is opened: FIFOs and devices are recognised by their type and skipped.
//! `photo_lookup` finds the photo of an annotation in it.

mod walk;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use loc_infer::preprocess::FileKind;

use self::walk::Walk;
use crate::content_type::ContentType;
use crate::error::count;
use crate::extension_counts::ExtensionCounts;
use crate::formats::yolo::yaml;
use crate::{DataError, Diagnostic};

/// Names of annotation folders, whose sibling holds the photos. All names here are compared case-insensitively.
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
/// Names of photo folders, by precedence: a photo in the first of them is preferred.
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
/// Parts of the names of folders with images derived from photos.
const DERIVED: [&str; 4] = ["mask", "segmentation", "thumb", "preview"];
/// Most files and folders in an index.
const MAX_ENTRIES: usize = 1_000_000;

/// The files under a folder; each list is sorted.
#[derive(Debug)]
pub(crate) struct FileIndex {
    /// The folder as given.
    pub(crate) root: PathBuf,
    /// The same, normalised: the prefix of all paths here.
    pub(crate) base: PathBuf,
    /// Files with a photo's extension, of supported formats or not.
    pub(crate) photos: BTreeSet<Arc<Path>>,
    pub(crate) xmls: Vec<PathBuf>,
    pub(crate) csvs: Vec<PathBuf>,
    pub(crate) jsons: Vec<PathBuf>,
    /// Text files, which may be labels.
    pub(crate) texts: Vec<PathBuf>,
    /// Files that may list class names or a split: `.yaml`, `.yml`, `.names`, `.labels`, and text files.
    pub(crate) listings: Vec<PathBuf>,
    /// Warnings about skipped files.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Files that are neither photos nor annotations, by extension.
    pub(crate) ignored: ExtensionCounts,
    /// An empty annotation folder, if there is one.
    pub(crate) empty_annotations: Option<PathBuf>,
    /// These files: an annotation may name a photo with another extension, or none.
    pub(super) others: HashSet<Arc<Path>>,
    /// Photos and other files by name.
    pub(super) by_name: HashMap<String, Vec<Arc<Path>>>,
    /// Photos by the match key of their stem.
    pub(super) by_match_key: HashMap<String, Vec<Arc<Path>>>,
    /// The same within each folder.
    pub(super) by_folder_and_key: HashMap<Arc<Path>, HashMap<String, Vec<Arc<Path>>>>,
    /// The photo folders directly in a folder, in order of precedence.
    pub(super) photo_folders: HashMap<PathBuf, Vec<Arc<Path>>>,
    /// Folders by path key ([`FileIndex::path_key`]).
    pub(super) by_path_key: HashMap<Vec<String>, Vec<Arc<Path>>>,
    /// Skipped photos by name: path and reason.
    pub(super) skipped: HashMap<String, (PathBuf, String)>,
    pub(super) hidden: Vec<PathBuf>,
}

/// Describes files: "20 photos", "0 photos and 3 other files (2 .txt, 1 .heic (HEIC photo))".
pub(crate) fn describe_files(photos: usize, others: &ExtensionCounts) -> String {
    let photos = count(photos, "photo");
    match others.total() {
        0 => photos,
        n => format!("{photos} and {} ({others})", count(n, "other file")),
    }
}

impl FileIndex {
    /// Indexes a folder recursively. Links are followed, each folder is listed once; hidden files are ignored.
    ///
    /// # Errors
    ///
    /// [`DataError::Io`] if the folder itself cannot be listed, [`DataError::NoDataSet`] if it is too large.
    pub(crate) fn of_folder(root: &Path) -> Result<Self, DataError> {
        let mut walk = Walk::new(root);
        walk.folder(&normalize(root), 0)?;
        Ok(walk.finish())
    }

    /// Indexes the folder of an annotation file and the photo folders beside it, or the folder that it lies in, if it is one
    /// of annotations without any; the file itself is the only one.
    ///
    /// # Errors
    ///
    /// As [`FileIndex::of_folder`].
    pub(crate) fn of_file(path: &Path) -> Result<Self, DataError> {
        let own = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let beside = photo_folders_beside(own);
        let above = own.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = if beside.is_empty() && is_annotation_folder(own) { above } else { own };
        let mut walk = Walk::new(folder);
        walk.folder(&normalize(folder), 0)?;
        for beside in beside {
            walk.folder(&beside, 0)?;
        }
        let mut index = walk.finish();
        let all = [&mut index.xmls, &mut index.csvs, &mut index.jsons, &mut index.texts, &mut index.listings];
        all.into_iter().for_each(Vec::clear);
        let is_json = ContentType::of_file(path) == Some(ContentType::Json);
        if is_json { &mut index.jsons } else { &mut index.csvs }.push(path.to_owned());
        Ok(index)
    }

    /// Indexes the folder of a set that a file describes; the file is the only description.
    ///
    /// # Errors
    ///
    /// As [`FileIndex::of_folder`].
    pub(crate) fn of_description(path: &Path) -> Result<Self, DataError> {
        let mut index = Self::of_folder(&yaml::root(path))?;
        index.listings = vec![path.to_owned()];
        Ok(index)
    }

    /// The number of photos with supported formats, by extension.
    pub(crate) fn readable(&self) -> usize {
        self.photos.iter().filter(|path| is_read(path)).count()
    }

    /// Files that are neither annotations nor photos of supported formats.
    pub(crate) fn other_files(&self) -> ExtensionCounts {
        let mut others = self.ignored.clone();
        self.photos.iter().filter(|path| !is_read(path)).for_each(|path| others.count(path));
        others
    }

    /// Describes the files, as [`describe_files`].
    pub(crate) fn describe(&self) -> String {
        describe_files(self.readable(), &self.other_files())
    }

    /// The path relative to the root; `None` for a path outside the root.
    pub(crate) fn below<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        let below = path.strip_prefix(&self.base).ok()?;
        // Every path begins with an empty root.
        (below.is_relative() && !below.starts_with("..")).then_some(below)
    }

    /// An existing path, however it is written, as this index has it; `None` outside the root.
    pub(crate) fn path_of(&self, path: &Path) -> Option<PathBuf> {
        let real = fs_err::canonicalize(path).ok()?;
        let root = fs_err::canonicalize(self.base.join(".")).ok()?;
        real.strip_prefix(root).ok().map(|below| normalize(&self.base.join(below)))
    }

    /// The components of a folder's relative path without the names of photo and annotation folders, in lower case: equal for
    /// `labels/left` and `images/left`.
    pub(super) fn path_key(&self, folder: &Path) -> Option<Vec<String>> {
        let parts = self.below(folder)?.iter().map(|part| part.to_string_lossy().to_lowercase());
        Some(
            parts
                .filter(|part| !is_one_of(&ANNOTATION_FOLDERS, part) && !is_one_of(&PHOTO_FOLDERS, part))
                .collect(),
        )
    }

    /// Whether a folder below the root, or one of its ancestors there, has the name of a photo folder.
    pub(crate) fn is_photo_folder(&self, folder: &Path) -> bool {
        let below = self.below(folder).unwrap_or(Path::new(""));
        below.iter().any(|part| is_one_of(&PHOTO_FOLDERS, &part.to_string_lossy().to_lowercase()))
    }
}

fn is_one_of(names: &[&str], lower_case: &str) -> bool {
    names.contains(&lower_case)
}

/// Whether a folder has the name of an annotation folder.
pub(super) fn is_annotation_folder(folder: &Path) -> bool {
    is_one_of(&ANNOTATION_FOLDERS, &name_of(folder).to_lowercase())
}

/// Whether a photo's folder holds images derived from photos: masks, thumbnails.
pub(crate) fn is_derived(path: &Path) -> bool {
    let folder = path.parent().map(|folder| name_of(folder).to_lowercase()).unwrap_or_default();
    DERIVED.iter().any(|part| folder.contains(part))
}

/// Whether a file has the extension of a supported photo format.
pub(crate) fn is_read(path: &Path) -> bool {
    FileKind::of_ending(path).is_some_and(FileKind::is_read)
}

/// The photo folders beside a folder; none if its parent cannot be listed.
pub(crate) fn photo_folders_beside(folder: &Path) -> Vec<PathBuf> {
    let above = normalize(&folder.join(".."));
    let openable = if above.as_os_str().is_empty() { Path::new(".") } else { &above };
    let Ok(entries) = fs_err::read_dir(openable) else { return Vec::new() };
    let paths = entries.take(MAX_ENTRIES).filter_map(|entry| Some(above.join(entry.ok()?.file_name())));
    let mut ranked: Vec<(usize, PathBuf)> = paths.filter_map(|path| Some((rank(&path)?, path))).collect();
    ranked.retain(|(_, path)| fs_err::metadata(path).is_ok_and(|m| m.is_dir()));
    ranked.sort();
    ranked.into_iter().map(|(_, path)| path).collect()
}

/// The precedence of a photo folder, by its name.
fn rank(folder: &Path) -> Option<usize> {
    let name = name_of(folder).to_lowercase();
    PHOTO_FOLDERS.iter().position(|known| *known == name)
}

/// The path without `.` and, as far as possible lexically, without `..`, so that equal paths compare equal.
pub(crate) fn normalize(path: &Path) -> PathBuf {
    let mut normalized = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(normalized.components().next_back(), Some(Component::Normal(_))) =>
            {
                normalized.pop();
            }
            other => normalized.push(other),
        }
    }
    normalized
}

/// The file name; empty if it is not UTF-8 (such files are reported and never listed).
pub(crate) fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|n| n.to_str()).unwrap_or_default()
}

/// The file name without its extension.
pub(crate) fn stem_of(path: &Path) -> &str {
    path.file_stem().and_then(|n| n.to_str()).unwrap_or_default()
}

/// Describes the error of reading a path's metadata.
pub(super) fn describe_error(path: &Path, error: &std::io::Error) -> String {
    let link = fs_err::symlink_metadata(path).is_ok_and(|m| m.is_symlink());
    match error.kind() {
        std::io::ErrorKind::NotFound if link => "it is a broken symbolic link".to_owned(),
        // Among others "filesystem loop": its kind has no stable name yet.
        kind if link => format!("it is a link that cannot be followed: {kind}"),
        _ => error.to_string(),
    }
}

/// Describes the type of a path that is not a regular file.
pub(super) fn describe_type(kind: std::fs::FileType) -> &'static str {
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
