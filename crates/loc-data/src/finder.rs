//! Which photo of the listed tree a name in an annotation means: the one it says, or, where that is not there, the one
//! that was renamed on the way: another ending, other case, another spelling of the same letters.

mod names;

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use loc_infer::preprocess::FileKind;

pub(crate) use self::names::loosest;
use self::names::{decoded, parts_of, respelled, without_scheme};
use crate::cell::unguarded;
use crate::photo::examine;
use crate::tree::{
    Tree, is_derived, is_of_annotations, is_read, name_of, stem_of, tidy, what_it_is, why_not,
};

/// Most files of nearly one name that are compared; with more of them the name is ambiguous.
const MOST_ALIKE: usize = 64;
/// Most candidates that an error lists.
const LISTED: usize = 4;

/// How a photo was found, from the plainest to the loosest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum How {
    /// By its name as given.
    AsGiven,
    /// By its name with the ending in other case.
    EndingCase,
    /// By its name with another ending.
    Ending,
    /// By its name after Unicode normalisation, percent-decoding, without `file:`.
    Spelling,
    /// By its name in other case.
    Case,
    /// By the annotation's own name.
    OwnName,
}

/// A photo that was found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) how: How,
    /// Whether it lies where the annotation's photos are looked for first.
    pub(crate) near: bool,
    /// Whether it lies outside the data set's folder.
    pub(crate) outside: bool,
}

/// Why no photo was found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Lost {
    /// The name may stand for any of several photos.
    Ambiguous(String),
    /// There is no such photo: why, and a hint.
    Absent(String, Option<String>),
}

/// A rule by which names are compared: how loosely, and whether the endings must be the same but for case.
const RULES: [(How, bool); 6] = [
    (How::EndingCase, true),
    (How::Ending, false),
    (How::Spelling, true),
    (How::Spelling, false),
    (How::Case, true),
    (How::Case, false),
];

impl Tree {
    /// The photo that an annotation in the file `source` calls `name`; the order of the search is documented in
    /// `docs/formats.md`.
    ///
    /// # Errors
    ///
    /// [`Lost`] with the candidates, or with what is there instead.
    pub(crate) fn find(&self, source: &Path, name: &str) -> Result<Found, Lost> {
        let search = Search { tree: self, folder: source.parent().unwrap_or(Path::new("")) };
        let (name, scheme) = without_scheme(unguarded(name));
        let last = name.trim().replace('\\', "/");
        let mut spelled = vec![name.to_string(), name.trim().to_owned(), last.clone()];
        spelled.dedup();
        let mut found = search.as_given(&spelled)?;
        if found.is_none() {
            found = search.loosened(&last, &RULES[..2])?;
        }
        if found.is_none() {
            let decoded = decoded(&last);
            if decoded != last {
                found = search
                    .as_given(&[decoded.to_string()])?
                    .map(|found| Found { how: How::Spelling, ..found });
            }
            if found.is_none() {
                found = search.loosened(&decoded, &RULES[2..])?;
            }
        }
        match found {
            Some(found) if scheme => Ok(Found { how: found.how.max(How::Spelling), ..found }),
            Some(found) => Ok(found),
            None => Err(search.absent(&last)),
        }
    }

    /// The one photo that has the name of its annotation.
    pub(crate) fn find_by_own_name(&self, source: &Path) -> Option<Found> {
        let search = Search { tree: self, folder: source.parent()? };
        let found = search.loosened(stem_of(source), &RULES[..1]).ok().flatten()?;
        Some(Found { how: How::OwnName, ..found })
    }

    /// Whether the tree holds a photo at this path: by its ending, or a file of another ending by its content.
    fn has(&self, path: &Path) -> bool {
        self.photos.contains(path) || (self.others.contains(path) && is_photo_inside(path))
    }
}

/// A search from the folder of an annotation.
struct Search<'a> {
    tree: &'a Tree,
    folder: &'a Path,
}

impl Search<'_> {
    /// The photo by its name as written, in any of these spellings; the last one has no backslashes.
    fn as_given(&self, spelled: &[String]) -> Result<Option<Found>, Lost> {
        let found = |path: PathBuf, near| Found { path, how: How::AsGiven, near, outside: false };
        let folders = self.folders();
        for name in spelled {
            for folder in &folders {
                let path = tidy(&folder.join(name));
                if self.tree.has(&path) {
                    return Ok(Some(found(path, true)));
                }
            }
            if let Some(found) = self.by_path(Path::new(name)) {
                return Ok(Some(found));
            }
        }
        let Some(name) = spelled.last() else { return Ok(None) };
        let parts = parts_of(name);
        // A path of another machine: the longest part of it that is a path here.
        for first in 0..parts.len().saturating_sub(1) {
            let rest: PathBuf = parts[first..].iter().collect();
            for folder in folders.iter().map(PathBuf::as_path).chain([self.tree.base.as_path()]) {
                let path = tidy(&folder.join(&rest));
                if self.tree.has(&path) {
                    return Ok(Some(found(path, true)));
                }
            }
        }
        let Some(bare) = parts.last() else { return Ok(None) };
        let here = |folder: &Arc<Path>| Some(tidy(&folder.join(bare))).filter(|path| self.tree.has(path));
        let mirrored: Vec<PathBuf> =
            if parts.len() == 1 { self.mirrored().iter().filter_map(here).collect() } else { Vec::new() };
        if let Some(path) = only(mirrored.iter().map(PathBuf::as_path))? {
            return Ok(Some(found(path.to_owned(), true)));
        }
        let named = self.tree.by_name.get(*bare).map_or(&[][..], Vec::as_slice);
        let first = named.iter().take(MOST_ALIKE).map(|path| &**path);
        let photos: Vec<&Path> = first.filter(|path| self.tree.has(path)).collect();
        let meant: Vec<&Path> = photos.iter().copied().filter(|path| !is_derived(path)).collect();
        let meant = if meant.is_empty() || named.len() > MOST_ALIKE { photos } else { meant };
        Ok(only(meant.into_iter())?.map(|path| found(path.to_owned(), false)))
    }

    /// The photo at an absolute path, or at one that leads out of the annotation's folder, wherever it lies.
    fn by_path(&self, name: &Path) -> Option<Found> {
        if !name.is_absolute() && !name.components().any(|part| part == Component::ParentDir) {
            return None;
        }
        let path = tidy(&self.folder.join(name));
        // What is listed was looked for already. The same file by another path than the tree's is that file.
        let real = fs_err::canonicalize(&path).ok().filter(|real| real.is_file())?;
        let root = &self.tree.base;
        let real_root = fs_err::canonicalize(root.join(".")).ok()?;
        let is_real = |listed: &Path| fs_err::canonicalize(listed).is_ok_and(|listed| listed == real);
        let below = real.strip_prefix(&real_root).ok().map(|below| root.join(below));
        let named = self.tree.by_name.get(name_of(&path)).map_or(&[][..], Vec::as_slice);
        let mut listed =
            below.iter().map(PathBuf::as_path).chain(named.iter().take(MOST_ALIKE).map(|p| &**p));
        match listed.find(|listed| self.tree.has(listed) && is_real(listed)) {
            Some(listed) => {
                let path = listed.to_owned();
                Some(Found { path, how: How::AsGiven, near: true, outside: false })
            }
            // Hidden, too deep, or no photo.
            None if real.starts_with(&real_root) => None,
            None if FileKind::of_ending(&path).is_none_or(|kind| !kind.is_photo())
                && !is_photo_inside(&path) =>
            {
                None
            }
            None => Some(Found { path, how: How::AsGiven, near: true, outside: true }),
        }
    }

    /// The one photo whose name is this but for what a rule passes over.
    fn loosened(&self, name: &str, rules: &[(How, bool)]) -> Result<Option<Found>, Lost> {
        let parts = parts_of(name);
        let Some(bare) = parts.last() else { return Ok(None) };
        let bare = Path::new(bare);
        let is_photo = FileKind::of_ending(bare).is_some_and(FileKind::is_photo);
        // Some versions of LabelImg leave the ending out, and then what follows a point is none; Windows hides one, and
        // `a.jpg` is in truth `a.jpg.jpg`.
        let whole = Wanted { stem: name_of(bare), ending: None };
        let split = bare.extension().and_then(|e| e.to_str());
        let split = split.map(|ending| Wanted { stem: stem_of(bare), ending: Some(ending) });
        let wanted: Vec<Wanted<'_>> = [Some(whole), split].into_iter().flatten().collect();
        let folders = self.near(&parts);
        for (rule, wanted) in rules.iter().flat_map(|rule| wanted.iter().map(move |wanted| (rule, wanted))) {
            if rule.0 == How::EndingCase && wanted.ending.is_none() && is_photo {
                continue;
            }
            let key = loosest(wanted.stem);
            let found = |path: &Path, near| {
                let as_given = rule.0 == How::EndingCase && wanted.ending.is_none();
                let how = if as_given { How::AsGiven } else { rule.0 };
                Some(Found { path: path.to_owned(), how, near, outside: false })
            };
            let fits = |path: &&Path| wanted.fits(*rule, path);
            let beside =
                folders.iter().filter_map(|folder| self.tree.alike_in.get(folder.as_path())?.get(&key));
            let near: Vec<&Path> = beside
                .flat_map(|alike| alike.iter().take(MOST_ALIKE))
                .map(|path| &**path)
                .filter(fits)
                .collect();
            if let Some(path) = only(readable(near).into_iter())? {
                return Ok(found(path, true));
            }
            let alike = self.tree.alike.get(&key).map_or(&[][..], Vec::as_slice);
            let first = || alike.iter().take(MOST_ALIKE).map(|path| &**path);
            let mut all: Vec<&Path> = first().filter(fits).filter(|path| !is_derived(path)).collect();
            if alike.len() > MOST_ALIKE && !all.is_empty() {
                all = first().collect();
            }
            if let Some(path) = only(readable(all).into_iter())? {
                return Ok(found(path, false));
            }
        }
        Ok(None)
    }

    /// Where the annotation's photos are looked for first, in this order: beside it, in the photo folders below and
    /// beside its folder, and in those beside each folder of annotations above it.
    fn folders(&self) -> Vec<PathBuf> {
        let photo_folders = |of: &Path| self.tree.photo_folders.get(of).map_or(&[][..], Vec::as_slice).iter();
        let mut folders = vec![self.folder.to_owned()];
        folders.extend(photo_folders(self.folder).map(|folder| folder.to_path_buf()));
        for above in self.folder.ancestors().filter(|above| is_of_annotations(above)) {
            let beside = above.parent().unwrap_or(Path::new(""));
            let below = self.folder.strip_prefix(above).unwrap_or(Path::new(""));
            for folder in photo_folders(beside) {
                folders.push(folder.join(below));
                folders.push(folder.to_path_buf());
            }
            folders.push(beside.to_owned());
        }
        folders.extend(photo_folders(&tidy(&self.folder.join(".."))).map(|folder| folder.to_path_buf()));
        folders
    }

    /// Folders whose paths say the same as that of the annotation's folder.
    fn mirrored(&self) -> &[Arc<Path>] {
        let folders = self.tree.place(self.folder).and_then(|place| self.tree.by_place.get(&place));
        folders.map_or(&[], |folders| &folders[..folders.len().min(MOST_ALIKE)])
    }

    /// The folders where a name of these parts is near.
    fn near(&self, parts: &[&str]) -> Vec<PathBuf> {
        let mut near: Vec<PathBuf> = Vec::new();
        let folders = self.folders();
        for first in 0..parts.len() {
            let within: PathBuf = parts[first..parts.len() - 1].iter().collect();
            let last = first + 1 == parts.len();
            // Without any of its folders a name is near only if it was given without one.
            if !last || parts.len() == 1 {
                near.extend(folders.iter().map(|folder| tidy(&folder.join(&within))));
                near.extend((!last).then(|| tidy(&self.tree.base.join(&within))));
            }
        }
        if parts.len() == 1 {
            near.extend(self.mirrored().iter().map(|folder| folder.to_path_buf()));
        }
        near.sort_unstable();
        near.dedup();
        near
    }

    /// Says what is there instead of a photo.
    fn absent(&self, name: &str) -> Lost {
        let absent = |why: String| Lost::Absent(why, None);
        for folder in self.folders() {
            let path = tidy(&folder.join(name));
            if fs_err::symlink_metadata(&path).is_ok() {
                let below = self.tree.below(&path).unwrap_or(Path::new(name_of(&path)));
                if below.iter().any(|part| part.as_encoded_bytes().starts_with(b".")) {
                    let why = format!("is at {}, hidden by a name that begins with a dot", path.display());
                    return Lost::Absent(
                        why,
                        Some("hidden files and folders are passed over: rename it".into()),
                    );
                }
                return absent(match fs_err::metadata(&path) {
                    Err(e) => format!("cannot be read at {}: {}", path.display(), why_not(&path, &e)),
                    Ok(m) if !m.is_file() => {
                        format!("is no file: {} is {}", path.display(), what_it_is(m.file_type()))
                    }
                    Ok(_) => no_photo(&path),
                });
            }
        }
        let parts = parts_of(name);
        let Some(bare) = parts.last() else { return absent("is no file's name".into()) };
        if let Some((path, why)) = self.tree.skipped.get(*bare) {
            return absent(format!("is at {} and was passed over: {why}", path.display()));
        }
        if let Some(path) = self.tree.by_name.get(*bare).and_then(|paths| paths.first()) {
            return absent(no_photo(path));
        }
        if let Some(path) = self.tree.hidden.iter().map(|folder| folder.join(bare)).find(|path| path.exists())
        {
            let why = format!("is at {}, in a hidden folder", path.display());
            return Lost::Absent(why, Some("hidden folders are passed over: rename it".into()));
        }
        absent("does not exist".into())
    }
}

/// A name to look for, apart from its ending; none where it has none.
struct Wanted<'a> {
    stem: &'a str,
    ending: Option<&'a str>,
}

impl Wanted<'_> {
    fn fits(&self, (how, same_ending): (How, bool), path: &Path) -> bool {
        let stem = stem_of(path);
        let same_stem = match how {
            How::Case => loosest(stem) == loosest(self.stem),
            How::Spelling => respelled(stem) == respelled(self.stem),
            _ => stem == self.stem,
        };
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        same_stem && (!same_ending || self.ending.is_none_or(|wanted| wanted.eq_ignore_ascii_case(ending)))
    }
}

/// The one path of these, or none.
fn only<'a>(mut paths: impl Iterator<Item = &'a Path>) -> Result<Option<&'a Path>, Lost> {
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
    Err(Lost::Ambiguous(format!("may be {}{more}", all.join(" or "))))
}

/// Those of a format that is read, or all if there are none.
fn readable(paths: Vec<&Path>) -> Vec<&Path> {
    if paths.iter().any(|path| is_read(path)) {
        paths.into_iter().filter(|path| is_read(path)).collect()
    } else {
        paths
    }
}

/// Whether a file without the ending of a photo is one by its content.
fn is_photo_inside(path: &Path) -> bool {
    FileKind::of_file(path).is_some_and(FileKind::is_photo)
}

/// What is wrong with a regular file that is no photo.
fn no_photo(path: &Path) -> String {
    let why = examine(path, false).err().unwrap_or_else(|| "it is not listed".into());
    format!("is no photo: {}: {why}", path.display())
}
