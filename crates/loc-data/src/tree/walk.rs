//! The walk through a folder that lists it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use loc_infer::preprocess::FileKind;

use super::{MOST, Tree, is_of_annotations, name_of, rank, stem_of, tidy, what_it_is, why_not};
use crate::finder::loosest;
use crate::tally::Tally;
use crate::{DataError, Finding, Kind};

/// Deepest folder that is entered.
const DEEPEST: usize = 12;
/// Most folders of photos beside each other: names are compared without regard to case.
const MOST_SIBLINGS: usize = 64;
/// Most hidden folders that are remembered.
const MOST_HIDDEN: usize = 16;

pub(super) struct Walk {
    pub(super) tree: Tree,
    entered: HashSet<PathBuf>,
    looked_at: usize,
}

impl Walk {
    pub(super) fn new(root: &Path) -> Self {
        let tree = Tree {
            root: root.to_owned(),
            base: tidy(root),
            photos: BTreeSet::new(),
            xmls: vec![],
            csvs: vec![],
            json: None,
            findings: vec![],
            passed_over: Tally::default(),
            empty_annotations: None,
            others: HashSet::new(),
            by_name: HashMap::new(),
            alike: HashMap::new(),
            alike_in: HashMap::new(),
            photo_folders: HashMap::new(),
            by_place: HashMap::new(),
            skipped: HashMap::new(),
            hidden: vec![],
        };
        Self { tree, entered: HashSet::new(), looked_at: 0 }
    }

    /// Lists a folder and all below it.
    pub(super) fn folder(&mut self, folder: &Path, depth: usize) -> Result<(), DataError> {
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
        let shared: Arc<Path> = folder.into();
        self.index_folder(&shared, names.is_empty());
        for name in names {
            let path = folder.join(&name);
            if !name.as_encoded_bytes().starts_with(b".") {
                self.entry(&path, &shared, depth)?;
            } else if self.tree.hidden.len() < MOST_HIDDEN && path.is_dir() {
                self.tree.hidden.push(path);
            }
        }
        Ok(())
    }

    fn index_folder(&mut self, folder: &Arc<Path>, empty: bool) {
        if empty && is_of_annotations(folder) {
            self.tree.empty_annotations.get_or_insert_with(|| folder.to_path_buf());
        }
        if rank(folder).is_some() {
            let above = folder.parent().unwrap_or(Path::new("")).to_owned();
            let siblings = self.tree.photo_folders.entry(above).or_default();
            if siblings.len() < MOST_SIBLINGS {
                siblings.push(folder.clone());
                siblings.sort_by_key(|folder| rank(folder));
            }
        }
        if let Some(place) = self.tree.place(folder) {
            self.tree.by_place.entry(place).or_default().push(folder.clone());
        }
    }

    fn entry(&mut self, path: &Path, folder: &Arc<Path>, depth: usize) -> Result<(), DataError> {
        let kind = match fs_err::metadata(path) {
            Ok(metadata) => metadata.file_type(),
            Err(e) => {
                self.skip(path, &why_not(path, &e));
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
        let photo = FileKind::of_ending(path).is_some_and(FileKind::is_photo);
        let annotation = matches!(ending.as_str(), "xml" | "csv" | "json");
        if !kind.is_file() {
            if photo || annotation {
                self.skip(path, &format!("it is {}", what_it_is(kind)));
            }
            return Ok(());
        }
        match ending.as_str() {
            "xml" => self.tree.xmls.push(path.to_owned()),
            "csv" => self.tree.csvs.push(path.to_owned()),
            "json" => self.tree.json = self.tree.json.take().or_else(|| Some(path.to_owned())),
            _ if name_of(path).is_empty() => {
                if photo {
                    self.skip(path, "its name is not UTF-8, no annotation can name it");
                }
            }
            _ => self.file(path.into(), folder, photo),
        }
        Ok(())
    }

    fn file(&mut self, path: Arc<Path>, folder: &Arc<Path>, photo: bool) {
        let tree = &mut self.tree;
        tree.by_name.entry(name_of(&path).to_owned()).or_default().push(path.clone());
        if photo {
            let stem = loosest(stem_of(&path));
            let beside = tree.alike_in.entry(folder.clone()).or_default();
            beside.entry(stem.clone()).or_default().push(path.clone());
            tree.alike.entry(stem).or_default().push(path.clone());
            tree.photos.insert(path);
        } else {
            tree.passed_over.count(&path);
            tree.others.insert(path);
        }
    }

    fn skip(&mut self, path: &Path, why: &str) {
        self.tree.skipped.insert(name_of(path).to_owned(), (path.to_owned(), why.to_owned()));
        self.tree.findings.push(Finding::warning(Kind::Skipped, path, None, format!("skipped: {why}")));
    }

    pub(super) fn finish(mut self) -> Tree {
        self.tree.xmls.sort_unstable();
        self.tree.csvs.sort_unstable();
        self.tree
    }
}
