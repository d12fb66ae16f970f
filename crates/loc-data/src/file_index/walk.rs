//! The recursive listing of a folder.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use loc_infer::preprocess::FileKind;

use super::{
    FileIndex, MAX_ENTRIES, describe_error, describe_type, is_annotation_folder, name_of, normalize, rank,
    stem_of,
};
use crate::extension_counts::ExtensionCounts;
use crate::photo_lookup::match_key;
use crate::{DataError, Diagnostic, DiagnosticKind, NoDataSetError};

/// Deepest level of folders that is listed.
const MAX_DEPTH: usize = 12;
/// Most photo folders in one folder (there may be many: names are compared case-insensitively).
const MAX_SIBLINGS: usize = 64;
/// Most hidden folders that are remembered for hints.
const MAX_HIDDEN: usize = 16;

pub(super) struct Walk {
    pub(super) index: FileIndex,
    visited: HashSet<PathBuf>,
    entries: usize,
}

impl Walk {
    pub(super) fn new(root: &Path) -> Self {
        let index = FileIndex {
            root: root.to_owned(),
            base: normalize(root),
            photos: BTreeSet::new(),
            xmls: vec![],
            csvs: vec![],
            jsons: vec![],
            texts: vec![],
            listings: vec![],
            diagnostics: vec![],
            ignored: ExtensionCounts::default(),
            empty_annotations: None,
            others: HashSet::new(),
            by_name: HashMap::new(),
            by_match_key: HashMap::new(),
            by_folder_and_key: HashMap::new(),
            photo_folders: HashMap::new(),
            by_path_key: HashMap::new(),
            skipped: HashMap::new(),
            hidden: vec![],
        };
        Self { index, visited: HashSet::new(), entries: 0 }
    }

    /// Lists a folder recursively.
    pub(super) fn folder(&mut self, folder: &Path, depth: usize) -> Result<(), DataError> {
        let openable = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        if !self.visited.insert(fs_err::canonicalize(openable)?) {
            if depth > 0 {
                self.skip(folder, "it is a link to a folder that is listed already");
            }
            return Ok(());
        }
        let mut names = Vec::new();
        for entry in fs_err::read_dir(openable)? {
            names.push(entry?.file_name());
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                let error = NoDataSetError::TooManyFiles { limit: MAX_ENTRIES };
                return Err(DataError::NoDataSet { path: self.index.root.clone(), error: Box::new(error) });
            }
        }
        names.sort_unstable();
        let shared: Arc<Path> = folder.into();
        self.index_folder(&shared, names.is_empty());
        for name in names {
            let path = folder.join(&name);
            if !name.as_encoded_bytes().starts_with(b".") {
                self.entry(&path, &shared, depth)?;
            } else if self.index.hidden.len() < MAX_HIDDEN && path.is_dir() {
                self.index.hidden.push(path);
            }
        }
        Ok(())
    }

    fn index_folder(&mut self, folder: &Arc<Path>, empty: bool) {
        if empty && is_annotation_folder(folder) {
            self.index.empty_annotations.get_or_insert_with(|| folder.to_path_buf());
        }
        if rank(folder).is_some() {
            let above = folder.parent().unwrap_or(Path::new("")).to_owned();
            let siblings = self.index.photo_folders.entry(above).or_default();
            if siblings.len() < MAX_SIBLINGS {
                siblings.push(folder.clone());
                siblings.sort_by_key(|folder| rank(folder));
            }
        }
        if let Some(key) = self.index.path_key(folder) {
            self.index.by_path_key.entry(key).or_default().push(folder.clone());
        }
    }

    fn entry(&mut self, path: &Path, folder: &Arc<Path>, depth: usize) -> Result<(), DataError> {
        let kind = match fs_err::metadata(path) {
            Ok(metadata) => metadata.file_type(),
            Err(e) => {
                self.skip(path, &describe_error(path, &e));
                return Ok(());
            }
        };
        if kind.is_dir() {
            if depth >= MAX_DEPTH {
                self.skip(path, "it lies too deep");
                return Ok(());
            }
            // A folder without permission to list is skipped; the rest of the data set is read.
            return match self.folder(path, depth + 1) {
                Err(DataError::Io(e)) => {
                    self.skip(path, &e.to_string());
                    Ok(())
                }
                other => other,
            };
        }
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        let photo = FileKind::of_ending(path).is_some_and(FileKind::is_photo);
        let annotation = matches!(extension.as_str(), "xml" | "csv" | "json");
        if !kind.is_file() {
            if photo || annotation {
                self.skip(path, &format!("it is {}", describe_type(kind)));
            }
            return Ok(());
        }
        match extension.as_str() {
            "txt" => {
                self.index.texts.push(path.to_owned());
                self.index.listings.push(path.to_owned());
            }
            "yaml" | "yml" | "names" | "labels" => self.index.listings.push(path.to_owned()),
            _ => {}
        }
        match extension.as_str() {
            "xml" => self.index.xmls.push(path.to_owned()),
            "csv" => self.index.csvs.push(path.to_owned()),
            "json" => self.index.jsons.push(path.to_owned()),
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
        let index = &mut self.index;
        index.by_name.entry(name_of(&path).to_owned()).or_default().push(path.clone());
        if photo {
            let stem = match_key(stem_of(&path));
            let beside = index.by_folder_and_key.entry(folder.clone()).or_default();
            beside.entry(stem.clone()).or_default().push(path.clone());
            index.by_match_key.entry(stem).or_default().push(path.clone());
            index.photos.insert(path);
        } else {
            index.ignored.count(&path);
            index.others.insert(path);
        }
    }

    fn skip(&mut self, path: &Path, why: &str) {
        self.index.skipped.insert(name_of(path).to_owned(), (path.to_owned(), why.to_owned()));
        self.index.diagnostics.push(Diagnostic::warning(
            DiagnosticKind::Skipped,
            path,
            None,
            format!("skipped: {why}"),
        ));
    }

    pub(super) fn finish(mut self) -> FileIndex {
        let index = &mut self.index;
        for files in
            [&mut index.xmls, &mut index.csvs, &mut index.jsons, &mut index.texts, &mut index.listings]
        {
            files.sort_unstable();
        }
        self.index
    }
}
