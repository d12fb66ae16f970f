//! The files under a folder, and which of them a name in an annotation means. Opens no file: a FIFO or a device is
//! seen by its type and left alone.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use crate::cell::unguarded;
use crate::{DataError, Finding, Kind};

/// Endings of photos that are looked for, in any case.
const PHOTO_ENDINGS: [&str; 6] = ["jpg", "jpeg", "png", "bmp", "gif", "webp"];
/// Folders of annotations whose sibling holds the photos.
const ANNOTATION_FOLDERS: [&str; 4] = ["annot", "annots", "annotations", "Annotations"];
/// Folders of photos.
pub(crate) const PHOTO_FOLDERS: [&str; 2] = ["images", "JPEGImages"];
/// Deepest folder that is entered.
const DEEPEST: usize = 12;
/// Most files and folders that are looked at.
const MOST: usize = 1_000_000;

/// What lies under a folder, each list sorted.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The folder.
    pub(crate) root: PathBuf,
    pub(crate) photos: BTreeSet<PathBuf>,
    pub(crate) xmls: Vec<PathBuf>,
    pub(crate) csvs: Vec<PathBuf>,
    /// A JSON file, if there is one: for a hint.
    pub(crate) json: Option<PathBuf>,
    /// What was left out, and why.
    pub(crate) findings: Vec<Finding>,
    by_name: HashMap<String, Vec<PathBuf>>,
    /// By the name without its ending, in lower case.
    by_stem: HashMap<String, Vec<PathBuf>>,
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
        walk.finish()
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
        for name in PHOTO_FOLDERS {
            let beside = tidy(&folder.join("..").join(name));
            if fs_err::metadata(&beside).is_ok_and(|m| m.is_dir()) {
                walk.folder(&beside, 0)?;
            }
        }
        walk.tree.csvs = vec![path.to_owned()];
        walk.tree.xmls.clear();
        walk.finish()
    }

    /// The photo that an annotation in the file `source` calls `name`.
    ///
    /// Looked for beside the annotation, in the photo folders below and beside its folder, in the place that mirrors
    /// it (`annotations/train/a.xml` and `images/train/a.jpg`), and at last anywhere in the tree.
    ///
    /// # Errors
    ///
    /// Why there is no such photo, with a hint.
    pub(crate) fn find(&self, source: &Path, name: &str) -> Result<PathBuf, (String, Option<String>)> {
        let plain = unguarded(name);
        let spelled =
            [name.to_owned(), plain.to_owned(), plain.trim().to_owned(), plain.trim().replace('\\', "/")];
        let bare = spelled[3].rsplit('/').next().unwrap_or_default().to_owned();
        let folders = folders_of(source.parent().unwrap_or(Path::new("")));
        for name in &spelled {
            for folder in &folders {
                let path = tidy(&folder.join(name));
                if self.photos.contains(&path) {
                    return Ok(path);
                }
            }
        }
        match self.by_name.get(&bare).map(Vec::as_slice) {
            Some([path]) => return Ok(path.clone()),
            Some([first, second, ..]) => {
                let message = format!("may be {} or {}", first.display(), second.display());
                return Err((message, Some("rename one: a name stands for one photo".into())));
            }
            _ => {}
        }
        // Some versions of LabelImg leave the ending out.
        let without_ending = self.by_stem.get(&bare.to_lowercase()).map_or(&[][..], Vec::as_slice);
        if let [path] = without_ending
            && stem_of(path) == bare
        {
            return Ok(path.clone());
        }
        let same_stem = self.by_stem.get(&stem_of(Path::new(&bare)).to_lowercase());
        let close = without_ending.iter().chain(same_stem.into_iter().flatten()).next();
        let hint = close.map(|path| format!("there is {}", path.display()));
        Err(("does not exist".into(), hint))
    }
}

/// Where the photos of an annotation in `folder` may lie.
fn folders_of(folder: &Path) -> Vec<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    folders.extend(PHOTO_FOLDERS.map(|name| folder.join(name)));
    // Each `annotations` above, replaced by `images`, with what lies below it and (for `annotations/xmls`) without.
    for above in folder.ancestors() {
        if above.file_name().and_then(|n| n.to_str()).is_some_and(|n| ANNOTATION_FOLDERS.contains(&n)) {
            let beside = above.parent().unwrap_or(Path::new(""));
            let below = folder.strip_prefix(above).unwrap_or(Path::new(""));
            for name in PHOTO_FOLDERS {
                folders.push(beside.join(name).join(below));
                folders.push(beside.join(name));
            }
            folders.push(beside.to_owned());
        }
    }
    let beside = folder.join("..");
    folders.extend(PHOTO_FOLDERS.map(|name| beside.join(name)));
    folders
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

struct Walk {
    tree: Tree,
    entered: HashSet<PathBuf>,
    looked_at: usize,
}

impl Walk {
    fn new(root: &Path) -> Self {
        let tree = Tree {
            root: root.to_owned(),
            photos: BTreeSet::new(),
            xmls: vec![],
            csvs: vec![],
            json: None,
            findings: vec![],
            by_name: HashMap::new(),
            by_stem: HashMap::new(),
        };
        Self { tree, entered: HashSet::new(), looked_at: 0 }
    }

    fn folder(&mut self, folder: &Path, depth: usize) -> Result<(), DataError> {
        let openable = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        if !self.entered.insert(fs_err::canonicalize(openable)?) {
            if depth > 0 {
                self.skip(folder, "it is a link to a folder that is listed already");
            }
            return Ok(());
        }
        let mut names = Vec::new();
        for entry in fs_err::read_dir(openable)? {
            names.push(entry?.file_name());
            self.looked_at += 1;
            if self.looked_at > MOST {
                return Err(DataError::NoDataSet {
                    path: self.tree.root.clone(),
                    reason: format!("holds more than {MOST} files (hint: name the data set's own folder)"),
                });
            }
        }
        names.sort_unstable();
        for name in names {
            if !name.as_encoded_bytes().starts_with(b".") {
                self.entry(&folder.join(&name), depth)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, depth: usize) -> Result<(), DataError> {
        let kind = match fs_err::metadata(path) {
            Ok(metadata) => metadata.file_type(),
            Err(e) => {
                let link = fs_err::symlink_metadata(path).is_ok_and(|m| m.is_symlink());
                let why = match e.kind() {
                    std::io::ErrorKind::NotFound if link => "it is a link to nothing".to_owned(),
                    // Among others "filesystem loop": its kind has no stable name yet.
                    kind if link => format!("it is a link that cannot be followed: {kind}"),
                    _ => e.to_string(),
                };
                self.skip(path, &why);
                return Ok(());
            }
        };
        if kind.is_dir() {
            if depth >= DEEPEST {
                self.skip(path, "it lies too deep");
                return Ok(());
            }
            // A folder that may not be listed is passed over, not the whole data set refused.
            return match self.folder(path, depth + 1) {
                Err(DataError::Io(e)) => {
                    self.skip(path, &e.to_string());
                    Ok(())
                }
                other => other,
            };
        }
        let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        let photo = PHOTO_ENDINGS.contains(&ending.as_str());
        if !photo && !matches!(ending.as_str(), "xml" | "csv" | "json") {
            return Ok(());
        }
        if !kind.is_file() {
            self.skip(path, what_it_is(kind));
            return Ok(());
        }
        match ending.as_str() {
            "xml" => self.tree.xmls.push(path.to_owned()),
            "csv" => self.tree.csvs.push(path.to_owned()),
            "json" => self.tree.json = self.tree.json.take().or_else(|| Some(path.to_owned())),
            _ if path.file_name().and_then(|n| n.to_str()).is_none() => {
                self.skip(path, "its name is not UTF-8, no annotation can name it");
            }
            _ => {
                let named = self.tree.by_name.entry(name_of(path).to_owned()).or_default();
                named.push(path.to_owned());
                let alike = self.tree.by_stem.entry(stem_of(path).to_lowercase()).or_default();
                alike.push(path.to_owned());
                self.tree.photos.insert(path.to_owned());
            }
        }
        Ok(())
    }

    fn skip(&mut self, path: &Path, why: &str) {
        self.tree.findings.push(Finding::warning(Kind::Skipped, path, None, format!("skipped: {why}")));
    }

    fn finish(mut self) -> Result<Tree, DataError> {
        self.tree.xmls.sort_unstable();
        self.tree.csvs.sort_unstable();
        Ok(self.tree)
    }
}

fn what_it_is(kind: std::fs::FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "it is a FIFO";
        }
        if kind.is_socket() {
            return "it is a socket";
        }
        if kind.is_block_device() || kind.is_char_device() {
            return "it is a device";
        }
    }
    let _ = kind;
    "it is not a regular file"
}
