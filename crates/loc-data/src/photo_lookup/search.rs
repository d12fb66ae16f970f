//! The search for a photo in the file index, from the folder of an annotation.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use loc_infer::preprocess::FileKind;

use super::names::{match_key, normalized, parts_of};
use super::{Comparison, FoundPhoto, LookupError, MatchRule};
use crate::file_index::{
    FileIndex, describe_error, describe_type, is_annotation_folder, is_derived, is_read, name_of, normalize,
    stem_of,
};
use crate::photo;

/// Most files with similar names that are compared; a name with more of them is ambiguous.
const MAX_SIMILAR: usize = 64;
/// Most candidates that an error lists.
const LISTED: usize = 4;

/// A search from the folder of an annotation.
pub(super) struct Search<'a> {
    pub(super) index: &'a FileIndex,
    pub(super) folder: &'a Path,
}

impl Search<'_> {
    /// Finds the photo by its exact name in any of these spellings; the last spelling has no backslashes.
    pub(super) fn exact(&self, spelled: &[String]) -> Result<Option<FoundPhoto>, LookupError> {
        let found = |path: PathBuf, in_expected_folder| FoundPhoto {
            path,
            rule: MatchRule::Exact,
            in_expected_folder,
            outside: false,
        };
        let folders = self.folders();
        for name in spelled {
            for folder in &folders {
                let path = normalize(&folder.join(name));
                if self.index.has(&path) {
                    return Ok(Some(found(path, true)));
                }
            }
            if let Some(found) = self.by_path(Path::new(name)) {
                return Ok(Some(found));
            }
        }
        let Some(name) = spelled.last() else { return Ok(None) };
        let parts = parts_of(name);
        // A path of another machine: its longest suffix that is a path here.
        for first in 0..parts.len().saturating_sub(1) {
            let rest: PathBuf = parts[first..].iter().collect();
            for folder in folders.iter().map(PathBuf::as_path).chain([self.index.base.as_path()]) {
                let path = normalize(&folder.join(&rest));
                if self.index.has(&path) {
                    return Ok(Some(found(path, true)));
                }
            }
        }
        let Some(bare) = parts.last() else { return Ok(None) };
        let here =
            |folder: &Arc<Path>| Some(normalize(&folder.join(bare))).filter(|path| self.index.has(path));
        let mirrored: Vec<PathBuf> =
            if parts.len() == 1 { self.mirrored().iter().filter_map(here).collect() } else { Vec::new() };
        if let Some(path) = only(mirrored.iter().map(PathBuf::as_path))? {
            return Ok(Some(found(path.to_owned(), true)));
        }
        let named = self.index.by_name.get(*bare).map_or(&[][..], Vec::as_slice);
        let first = named.iter().take(MAX_SIMILAR).map(|path| &**path);
        let photos: Vec<&Path> = first.filter(|path| self.index.has(path)).collect();
        let originals: Vec<&Path> = photos.iter().copied().filter(|path| !is_derived(path)).collect();
        let candidates = if originals.is_empty() || named.len() > MAX_SIMILAR { photos } else { originals };
        Ok(only(candidates.into_iter())?.map(|path| found(path.to_owned(), false)))
    }

    /// Finds the photo at an absolute path, or at one that leads out of the annotation's folder, anywhere on the disk.
    fn by_path(&self, name: &Path) -> Option<FoundPhoto> {
        if !name.is_absolute() && !name.components().any(|part| part == Component::ParentDir) {
            return None;
        }
        let path = normalize(&self.folder.join(name));
        // Listed paths were tried already; here the same file may have another path than in the index.
        let real = fs_err::canonicalize(&path).ok().filter(|real| real.is_file())?;
        let root = &self.index.base;
        let real_root = fs_err::canonicalize(root.join(".")).ok()?;
        let is_real = |listed: &Path| fs_err::canonicalize(listed).is_ok_and(|listed| listed == real);
        let below = real.strip_prefix(&real_root).ok().map(|below| root.join(below));
        let named = self.index.by_name.get(name_of(&path)).map_or(&[][..], Vec::as_slice);
        let mut listed =
            below.iter().map(PathBuf::as_path).chain(named.iter().take(MAX_SIMILAR).map(|p| &**p));
        match listed.find(|listed| self.index.has(listed) && is_real(listed)) {
            Some(listed) => {
                let path = listed.to_owned();
                Some(FoundPhoto { path, rule: MatchRule::Exact, in_expected_folder: true, outside: false })
            }
            // Hidden, too deep, or not a photo.
            None if real.starts_with(&real_root) => None,
            None if FileKind::of_ending(&path).is_none_or(|kind| !kind.is_photo())
                && !is_photo_inside(&path) =>
            {
                None
            }
            None => {
                Some(FoundPhoto { path, rule: MatchRule::Exact, in_expected_folder: true, outside: true })
            }
        }
    }

    /// Finds the only photo whose name is equal to `name` under one of the comparisons.
    pub(super) fn similar(
        &self,
        name: &str,
        comparisons: &[Comparison],
    ) -> Result<Option<FoundPhoto>, LookupError> {
        let parts = parts_of(name);
        let Some(bare) = parts.last() else { return Ok(None) };
        let bare = Path::new(bare);
        let is_photo = FileKind::of_ending(bare).is_some_and(FileKind::is_photo);
        // Some versions of LabelImg omit the extension, so that a dot may be part of the name; Windows hides extensions, so
        // that `a.jpg` may be `a.jpg.jpg`.
        let whole = NamePattern { stem: name_of(bare), extension: None };
        let split = bare.extension().and_then(|e| e.to_str());
        let split = split.map(|extension| NamePattern { stem: stem_of(bare), extension: Some(extension) });
        let patterns: Vec<NamePattern<'_>> = [Some(whole), split].into_iter().flatten().collect();
        let folders = self.expected_folders(&parts);
        let pairs = comparisons.iter().flat_map(|c| patterns.iter().map(move |pattern| (*c, pattern)));
        for (comparison, pattern) in pairs {
            let exact = comparison.rule == MatchRule::ExtensionCase && pattern.extension.is_none();
            if exact && is_photo {
                continue;
            }
            let key = match_key(pattern.stem);
            let found = |path: &Path, in_expected_folder| {
                let rule = if exact { MatchRule::Exact } else { comparison.rule };
                Some(FoundPhoto { path: path.to_owned(), rule, in_expected_folder, outside: false })
            };
            let fits = |path: &&Path| pattern.fits(comparison, path);
            let beside = folders
                .iter()
                .filter_map(|folder| self.index.by_folder_and_key.get(folder.as_path())?.get(&key));
            let near: Vec<&Path> = beside
                .flat_map(|similar| similar.iter().take(MAX_SIMILAR))
                .map(|path| &**path)
                .filter(fits)
                .collect();
            if let Some(path) = only(readable(near).into_iter())? {
                return Ok(found(path, true));
            }
            let similar = self.index.by_match_key.get(&key).map_or(&[][..], Vec::as_slice);
            let first = || similar.iter().take(MAX_SIMILAR).map(|path| &**path);
            let mut all: Vec<&Path> = first().filter(fits).filter(|path| !is_derived(path)).collect();
            if similar.len() > MAX_SIMILAR && !all.is_empty() {
                all = first().collect();
            }
            if let Some(path) = only(readable(all).into_iter())? {
                return Ok(found(path, false));
            }
        }
        Ok(None)
    }

    /// The folders where the annotation's photos are expected, in the order of the search: its own folder, the photo folders
    /// in it and beside it, and those beside each annotation folder above it.
    fn folders(&self) -> Vec<PathBuf> {
        let photo_folders =
            |of: &Path| self.index.photo_folders.get(of).map_or(&[][..], Vec::as_slice).iter();
        let mut folders = vec![self.folder.to_owned()];
        folders.extend(photo_folders(self.folder).map(|folder| folder.to_path_buf()));
        for above in self.folder.ancestors().filter(|above| is_annotation_folder(above)) {
            let beside = above.parent().unwrap_or(Path::new(""));
            let below = self.folder.strip_prefix(above).unwrap_or(Path::new(""));
            for folder in photo_folders(beside) {
                folders.push(folder.join(below));
                folders.push(folder.to_path_buf());
            }
            folders.push(beside.to_owned());
        }
        folders.extend(photo_folders(&normalize(&self.folder.join(".."))).map(|folder| folder.to_path_buf()));
        folders
    }

    /// Folders with the same path as the annotation's folder, apart from the names of photo and annotation folders.
    fn mirrored(&self) -> &[Arc<Path>] {
        let folders = self.index.path_key(self.folder).and_then(|key| self.index.by_path_key.get(&key));
        folders.map_or(&[], |folders| &folders[..folders.len().min(MAX_SIMILAR)])
    }

    /// The folders where a photo with a name of these parts is expected.
    fn expected_folders(&self, parts: &[&str]) -> Vec<PathBuf> {
        let mut expected: Vec<PathBuf> = Vec::new();
        let folders = self.folders();
        for first in 0..parts.len() {
            let within: PathBuf = parts[first..parts.len() - 1].iter().collect();
            let last = first + 1 == parts.len();
            // A bare file name is expected in these folders only if the annotation gives no folder.
            if !last || parts.len() == 1 {
                expected.extend(folders.iter().map(|folder| normalize(&folder.join(&within))));
                expected.extend((!last).then(|| normalize(&self.index.base.join(&within))));
            }
        }
        if parts.len() == 1 {
            expected.extend(self.mirrored().iter().map(|folder| folder.to_path_buf()));
        }
        expected.sort_unstable();
        expected.dedup();
        expected
    }

    /// Explains why there is no photo of this name.
    pub(super) fn explain_missing(&self, name: &str) -> LookupError {
        let missing = |reason: String| LookupError::NotFound { reason, hint: None };
        for folder in self.folders() {
            let path = normalize(&folder.join(name));
            if fs_err::symlink_metadata(&path).is_ok() {
                let below = self.index.below(&path).unwrap_or(Path::new(name_of(&path)));
                if below.iter().any(|part| part.as_encoded_bytes().starts_with(b".")) {
                    let reason = format!("is at {}, hidden by a name that begins with a dot", path.display());
                    let hint = Some("hidden files and folders are ignored: rename it".into());
                    return LookupError::NotFound { reason, hint };
                }
                return missing(match fs_err::metadata(&path) {
                    Err(e) => format!("cannot be read at {}: {}", path.display(), describe_error(&path, &e)),
                    Ok(m) if !m.is_file() => {
                        format!("is not a file: {} is {}", path.display(), describe_type(m.file_type()))
                    }
                    Ok(_) => not_a_photo(&path),
                });
            }
        }
        let parts = parts_of(name);
        let Some(bare) = parts.last() else { return missing("is not a file name".into()) };
        if let Some((path, why)) = self.index.skipped.get(*bare) {
            return missing(format!("is at {} and was skipped: {why}", path.display()));
        }
        if let Some(path) = self.index.by_name.get(*bare).and_then(|paths| paths.first()) {
            return missing(not_a_photo(path));
        }
        if let Some(path) =
            self.index.hidden.iter().map(|folder| folder.join(bare)).find(|path| path.exists())
        {
            let reason = format!("is at {}, in a hidden folder", path.display());
            return LookupError::NotFound {
                reason,
                hint: Some("hidden folders are ignored: rename it".into()),
            };
        }
        missing("does not exist".into())
    }
}

impl FileIndex {
    /// Whether there is a photo at this path: by its extension, or by its content.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.photos.contains(path) || (self.others.contains(path) && is_photo_inside(path))
    }
}

/// A name to look for: stem and extension, if it has one.
struct NamePattern<'a> {
    stem: &'a str,
    extension: Option<&'a str>,
}

impl NamePattern<'_> {
    fn fits(&self, comparison: Comparison, path: &Path) -> bool {
        let stem = stem_of(path);
        let same_stem = match comparison.rule {
            MatchRule::Case => match_key(stem) == match_key(self.stem),
            MatchRule::Spelling => normalized(stem) == normalized(self.stem),
            _ => stem == self.stem,
        };
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let same_extension = self.extension.is_none_or(|wanted| wanted.eq_ignore_ascii_case(extension));
        same_stem && (same_extension || !comparison.same_extension)
    }
}

/// The only path, or `None` if there is none.
fn only<'a>(mut paths: impl Iterator<Item = &'a Path>) -> Result<Option<&'a Path>, LookupError> {
    let Some(first) = paths.next() else { return Ok(None) };
    let rest: Vec<&Path> = paths.filter(|path| *path != first).collect();
    if rest.is_empty() {
        return Ok(Some(first));
    }
    let mut all: Vec<String> =
        std::iter::once(first).chain(rest).map(|path| path.display().to_string()).collect();
    all.sort_unstable();
    let more = if all.len() > LISTED { " or another" } else { "" };
    all.truncate(LISTED);
    Err(LookupError::Ambiguous(format!("may be {}{more}", all.join(" or "))))
}

/// The photos of supported formats, or all if there are none.
fn readable(paths: Vec<&Path>) -> Vec<&Path> {
    if paths.iter().any(|path| is_read(path)) {
        paths.into_iter().filter(|path| is_read(path)).collect()
    } else {
        paths
    }
}

/// Whether a file without a photo's extension is a photo by its content.
fn is_photo_inside(path: &Path) -> bool {
    FileKind::of_file(path).is_some_and(FileKind::is_photo)
}

/// Explains why a regular file is not a photo.
fn not_a_photo(path: &Path) -> String {
    let why = photo::read(path, false, None).err().unwrap_or_else(|| "it is not listed".into());
    format!("is not a photo: {}: {why}", path.display())
}
