//! The class names and the split of a YOLO set: `data.yaml` (Ultralytics), `obj.names` and `obj.data` (darknet),
//! `classes.txt` (LabelImg), `_darknet.labels` (Roboflow).

use std::path::{Path, PathBuf};

use saphyr::{LoadableYamlNode, MarkedYaml, YamlData};

use super::super::read_limited;
use crate::file_index::normalize;
use crate::split::Subset;
use crate::{Diagnostic, DiagnosticKind};

/// Longest file of names that is read, in bytes.
const SIZE_LIMIT: u64 = 4 << 20;

/// What such files say.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// The file that was read.
    pub(crate) source: Option<PathBuf>,
    /// Class names by their numbers.
    pub(crate) names: Vec<String>,
    /// Folders of photos, each with the subset it stands for.
    pub(crate) subsets: Vec<(Subset, PathBuf)>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// Whether a file lists class names, or a split, by its name or its content.
pub(crate) fn is_listing(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let is_yaml = name.ends_with(".yaml") || name.ends_with(".yml");
    let is_names = name.ends_with(".names") || name == "_darknet.labels";
    let is_classes = ["classes.txt", "predefined_classes.txt", "class.txt", "names.txt"].contains(&&*name);
    is_names || is_classes || (is_yaml && text_of(path).is_ok_and(|text| has_names(&text)))
}

/// Whether a YAML file has the key that lists classes.
fn has_names(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("names:") || line.starts_with("nc:"))
}

fn text_of(path: &Path) -> Result<String, String> {
    let bytes = read_limited(path, SIZE_LIMIT)?;
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

impl Listing {
    /// Reads the best of the files that list names: a `data.yaml` before lists of names, one nearer to the root first.
    pub(crate) fn of(paths: &[PathBuf], root: &Path) -> Self {
        let is_yaml = |path: &Path| {
            path.extension().is_some_and(|e| e.eq_ignore_ascii_case("yaml") || e.eq_ignore_ascii_case("yml"))
        };
        let rank = |path: &&PathBuf| (!is_yaml(path), path.components().count());
        let Some(path) = paths.iter().min_by_key(rank) else { return Self::default() };
        let mut listing = Self { source: Some(path.clone()), ..Self::default() };
        match text_of(path) {
            Ok(text) if is_yaml(path) => listing.yaml(path, &text, root),
            Ok(text) => listing.names = lines(&text),
            Err(why) => listing.diagnostics.push(Diagnostic::error(DiagnosticKind::Unreadable, path, None, why)),
        }
        listing
    }

    fn yaml(&mut self, path: &Path, text: &str, root: &Path) {
        let document = match MarkedYaml::load_from_str(text) {
            Ok(documents) => documents.into_iter().next(),
            Err(e) => {
                let line = u32::try_from(e.marker().line()).ok();
                let message = format!("is not well-formed YAML: {}", e.info());
                self.diagnostics.push(Diagnostic::error(DiagnosticKind::Syntax, path, line, message));
                return;
            }
        };
        let Some(document) = document else { return };
        let YamlData::Mapping(fields) = &document.data else {
            let message = "is no mapping of `names`, `train` and `val`";
            self.diagnostics.push(Diagnostic::error(DiagnosticKind::Syntax, path, Some(1), message));
            return;
        };
        let base = fields
            .iter()
            .find(|(key, _)| text_in(key) == Some("path".into()))
            .and_then(|(_, value)| text_in(value))
            .map(PathBuf::from);
        let folders = Folders { yaml: path.parent().unwrap_or(Path::new("")), root, base: base.as_deref() };
        for (key, value) in fields {
            let Some(key) = text_in(key) else { continue };
            match key.as_str() {
                "names" => self.names_of(path, value),
                "train" => self.subset(Subset::Train, &folders, value),
                "val" | "valid" => self.subset(Subset::Val, &folders, value),
                "test" => self.subset(Subset::Test, &folders, value),
                _ => {}
            }
        }
    }

    /// A list of names, or a map from numbers to names.
    fn names_of(&mut self, path: &Path, value: &MarkedYaml<'_>) {
        let mut wrong = |at: &MarkedYaml<'_>, why: String| {
            let line = u32::try_from(at.span.start.line()).ok();
            self.diagnostics.push(
                Diagnostic::error(DiagnosticKind::ClassUnknown, path, line, why)
                    .hint("`names` is a list of class names, or a map from 0, 1, … to names"),
            );
        };
        match &value.data {
            YamlData::Sequence(names) => {
                let named = names.iter().map(|name| text_in(name).unwrap_or_default()).collect();
                self.names = named;
            }
            YamlData::Mapping(names) => {
                let mut by_number: Vec<(usize, String)> = Vec::new();
                for (number, name) in names {
                    match (text_in(number).and_then(|n| n.parse().ok()), text_in(name)) {
                        (Some(number), Some(name)) => by_number.push((number, name)),
                        _ => wrong(number, "a class has no number or no name".into()),
                    }
                }
                by_number.sort();
                for (i, (number, name)) in by_number.into_iter().enumerate() {
                    if number == i {
                        self.names.push(name);
                    } else {
                        wrong(value, format!("names have the number {number} and no number {i}"));
                        break;
                    }
                }
            }
            _ => wrong(value, "`names` is neither a list nor a map".into()),
        }
    }

    /// A folder, or several. A list of photos in a text file says nothing that their folders do not, as a rule.
    fn subset(&mut self, subset: Subset, folders: &Folders<'_>, value: &MarkedYaml<'_>) {
        let written: Vec<String> = match &value.data {
            YamlData::Sequence(paths) => paths.iter().filter_map(text_in).collect(),
            _ => text_in(value).into_iter().collect(),
        };
        self.subsets.extend(written.iter().filter_map(|path| Some((subset, folders.find(path)?))));
    }
}

/// Where a folder that a YAML file names may be: such files are moved, and their paths are of another machine.
struct Folders<'a> {
    yaml: &'a Path,
    root: &'a Path,
    base: Option<&'a Path>,
}

impl Folders<'_> {
    /// The folder, if there is one.
    fn find(&self, written: &str) -> Option<PathBuf> {
        let below = written.trim_start_matches("../").trim_start_matches("./");
        let base = self.base.map(|base| base.join(written));
        let candidates = [
            base.as_ref().map(|path| self.yaml.join(path)),
            Some(self.yaml.join(written)),
            Some(self.yaml.join(below)),
            Some(self.root.join(below)),
        ];
        candidates.into_iter().flatten().map(|path| normalize(&path)).find(|path| path.is_dir())
    }
}

/// A scalar as text.
fn text_in(value: &MarkedYaml<'_>) -> Option<String> {
    match &value.data {
        YamlData::Value(saphyr::Scalar::String(text)) => Some(text.to_string()),
        YamlData::Value(saphyr::Scalar::Integer(n)) => Some(n.to_string()),
        YamlData::Value(saphyr::Scalar::Boolean(b)) => Some(b.to_string()),
        YamlData::Value(saphyr::Scalar::FloatingPoint(x)) => Some(x.to_string()),
        YamlData::Representation(text, ..) => Some(text.to_string()),
        _ => None,
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
