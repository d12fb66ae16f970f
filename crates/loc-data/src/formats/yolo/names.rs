//! The class names and the split of a YOLO set: `data.yaml` (Ultralytics), `obj.names` (darknet), `classes.txt` (LabelImg),
//! `_darknet.labels` (Roboflow), and lists of photos (`train.txt`).

use std::path::{Path, PathBuf};

use encoding_rs::Encoding;
use loc_infer::preprocess::FileKind;

use super::super::{read_limited, text};
use super::yaml;
use crate::file_index::{FileIndex, name_of, normalize, stem_of};
use crate::split::{DeclaredSplit, Subset};
use crate::{Diagnostic, DiagnosticKind};

/// Longest file of names that is read, in bytes.
const SIZE_LIMIT: u64 = 4 << 20;
/// Longest list of photos that is read, in bytes.
const LIST_LIMIT: u64 = 256 << 20;

/// What such files say.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// The file that was read.
    pub(crate) source: Option<PathBuf>,
    /// Class names by their numbers.
    pub(crate) names: Vec<String>,
    pub(crate) split: DeclaredSplit,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Whether a list of names is missing or contradicts another one, so that no number has a certain meaning.
    pub(crate) doubtful: bool,
}

/// The kinds of files that list names, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Yaml,
    Names,
    Classes,
    Predefined,
}

impl Kind {
    /// The kind of a file by its name, and for YAML by its keys.
    pub(super) fn of(path: &Path, given: Option<&'static Encoding>) -> Option<Self> {
        let name = name_of(path).to_lowercase();
        match name.as_str() {
            "classes.txt" | "class.txt" | "names.txt" => Some(Self::Classes),
            "predefined_classes.txt" => Some(Self::Predefined),
            "_darknet.labels" => Some(Self::Names),
            name if name.ends_with(".names") => Some(Self::Names),
            name if is_yaml(name) => {
                text_of(path, given).is_ok_and(|text| yaml::has_names(&text)).then_some(Self::Yaml)
            }
            _ => None,
        }
    }
}

/// Whether a file has the ending of YAML.
fn is_yaml(name: &str) -> bool {
    name.ends_with(".yaml") || name.ends_with(".yml")
}

fn text_of(path: &Path, given: Option<&'static Encoding>) -> Result<String, Diagnostic> {
    let bytes = read_limited(path, SIZE_LIMIT)
        .map_err(|why| Diagnostic::error(DiagnosticKind::Unreadable, path, None, why))?;
    text::of_plain(path, bytes, given)
}

impl Listing {
    /// Reads the best of the files that list names: YAML before lists, one nearer to the root first. Others of its kind
    /// must say the same.
    pub(crate) fn of(files: &FileIndex, given: Option<&'static Encoding>) -> Self {
        let kind = |path: &PathBuf| Some((Kind::of(path, given)?, path.components().count(), path.clone()));
        let mut found: Vec<_> = files.listings.iter().filter_map(kind).collect();
        found
            .extend(Self::above(files, given).map(|path| (Kind::Yaml, 0, path)).filter(|_| found.is_empty()));
        found.sort();
        let mut listing = Self::default();
        if let Some((kind, _, path)) = found.first() {
            listing = Self::read(path, files, given);
            for (_, _, other) in found[1..].iter().filter(|(other, ..)| other == kind) {
                let read = Self::read(other, files, given);
                if read.names != listing.names && !read.names.is_empty() {
                    let message = format!("lists other class names than {}", path.display());
                    let hint = "remove the one that is wrong: the numbers in the labels mean their lines";
                    listing.diagnostics.push(
                        Diagnostic::error(DiagnosticKind::ClassUnknown, other, Some(1), message).hint(hint),
                    );
                    listing.doubtful = true;
                }
            }
        }
        if listing.source.as_ref().is_none_or(|path| !is_yaml(&name_of(path).to_lowercase())) {
            for list in &files.listings {
                if let Some(subset) = Subset::of_folder(stem_of(list)) {
                    listing.list(subset, list, files, given);
                }
            }
        }
        let doubled = listing.split.doubled();
        if doubled > 0 {
            let source = listing.source.as_deref().unwrap_or(&files.root);
            let photos = crate::error::count(doubled, "photo");
            let message = format!("{photos} in the lists of two parts of the split: the lists are not used");
            listing.diagnostics.push(Diagnostic::warning(DiagnosticKind::CopiesTorn, source, None, message));
        }
        listing
    }

    /// A YAML file beside the root that describes a folder in the root.
    fn above(files: &FileIndex, given: Option<&'static Encoding>) -> Option<PathBuf> {
        let above = normalize(&files.base.join(".."));
        let folder = if above.as_os_str().is_empty() { Path::new(".") } else { &above };
        let entries = fs_err::read_dir(folder).ok()?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut yamls: Vec<PathBuf> =
            names.filter(|name| is_yaml(name)).map(|name| above.join(name)).collect();
        yamls.sort();
        yamls.into_iter().find(|path| {
            Kind::of(path, given).is_some() && {
                let read = Self::read(path, files, given);
                !read.names.is_empty() && read.split.has_folders()
            }
        })
    }

    fn read(path: &Path, files: &FileIndex, given: Option<&'static Encoding>) -> Self {
        let mut listing = Self { source: Some(path.to_owned()), ..Self::default() };
        let text = match text_of(path, given) {
            Ok(text) => text,
            Err(why) => {
                listing.diagnostics.push(why);
                listing.doubtful = true;
                return listing;
            }
        };
        if !is_yaml(&name_of(path).to_lowercase()) {
            listing.names = lines(&text);
            return listing;
        }
        let description = yaml::parse(path, &text);
        listing.doubtful = !description.diagnostics.is_empty();
        listing.diagnostics.extend(description.diagnostics);
        listing.names = description.names;
        for (subset, written) in description.parts {
            let place = yaml::Place {
                yaml: path.parent().unwrap_or(Path::new("")),
                base: description.base.as_deref(),
            };
            match place.find(&written, files) {
                Some(found) if found.is_dir() => listing.split.folder(subset, found),
                Some(found) => listing.list(subset, &found, files, given),
                None => {}
            }
        }
        listing
    }

    /// Adds the photos of a list, one a line; a file of something else adds none.
    fn list(&mut self, subset: Subset, path: &Path, files: &FileIndex, given: Option<&'static Encoding>) {
        let Ok(text) = read_limited(path, LIST_LIMIT)
            .map_err(drop)
            .and_then(|bytes| text::of_plain(path, bytes, given).map_err(drop))
        else {
            return;
        };
        let is_photo = |line: &&str| FileKind::of_ending(Path::new(line)).is_some_and(FileKind::is_photo);
        for line in text.lines().map(str::trim).filter(is_photo) {
            if let Ok(found) = files.find(path, line) {
                self.split.photo(subset, found.path);
            }
        }
    }
}

/// A name a line.
fn lines(text: &str) -> Vec<String> {
    let mut names: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
    while names.last().is_some_and(String::is_empty) {
        names.pop();
    }
    names
}
