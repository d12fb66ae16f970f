//! Ultralytics' `data.yaml`: class names, and where the photos of each part of the split lie.

use std::path::{Path, PathBuf};

use saphyr::{LoadableYamlNode, MarkedYaml, YamlData};

use crate::file_index::{FileIndex, normalize};
use crate::split::Subset;
use crate::{Diagnostic, DiagnosticKind};

/// What such a file says.
#[derive(Debug, Default)]
pub(super) struct Description {
    /// The folder that the others are relative to, as written.
    pub(super) base: Option<PathBuf>,
    /// Class names by their numbers.
    pub(super) names: Vec<String>,
    /// Folders, or lists of photos, as written.
    pub(super) parts: Vec<(Subset, String)>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// Whether a YAML file has a key of such a description.
pub(super) fn has_names(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("names:") || line.starts_with("nc:"))
}

/// Whether the text describes a set without an error.
pub(crate) fn is_valid(text: &str) -> bool {
    let description = parse(Path::new("data.yaml"), text);
    description.diagnostics.is_empty() && !description.names.is_empty()
}

/// Parses the text of a file; `path` is for messages.
pub(super) fn parse(path: &Path, text: &str) -> Description {
    let mut all = Description::default();
    let mut wrong = |line: usize, message: String, hint: &str| {
        let line = u32::try_from(line).ok();
        all.diagnostics.push(Diagnostic::error(DiagnosticKind::Syntax, path, line, message).hint(hint));
    };
    if !is_plain(text) {
        wrong(
            1,
            "is nested too deeply, or has too many aliases".into(),
            "is it the description of a data set?",
        );
        return all;
    }
    let document = match MarkedYaml::load_from_str(text) {
        Ok(documents) => documents.into_iter().next(),
        Err(e) => {
            wrong(
                e.marker().line(),
                format!("is not well-formed YAML: {}", e.info()),
                "correct it, or export it again",
            );
            return all;
        }
    };
    let Some(YamlData::Mapping(fields)) = document.as_ref().map(|document| &document.data) else {
        wrong(1, "is no mapping of `names`, `train` and `val`".into(), "export it again");
        return all;
    };
    for (key, value) in fields {
        let Some(key) = text_in(key) else { continue };
        let subset = match key.as_str() {
            "path" => {
                all.base = text_in(value).map(PathBuf::from);
                continue;
            }
            "names" => {
                names(&mut all, path, value);
                continue;
            }
            "train" => Subset::Train,
            "val" | "valid" => Subset::Val,
            "test" => Subset::Test,
            _ => continue,
        };
        let written: Vec<String> = match &value.data {
            YamlData::Sequence(paths) => paths.iter().filter_map(text_in).collect(),
            _ => text_in(value).into_iter().collect(),
        };
        all.parts.extend(written.into_iter().filter(|path| !path.is_empty()).map(|path| (subset, path)));
    }
    all
}

/// Whether the text is as flat as a description is. The parser copies what an alias stands for, and what it returns is freed
/// level by level: a small file could ask for any amount of memory or stack.
fn is_plain(text: &str) -> bool {
    const ALIASES: usize = 8;
    const BRACKETS: usize = 1_000;
    const DASHES: usize = 100;
    let followed = |mark: u8| {
        text.as_bytes().windows(2).filter(|pair| pair[0] == mark && pair[1].is_ascii_alphanumeric()).count()
    };
    let brackets = text.bytes().filter(|b| matches!(b, b'[' | b'{')).count();
    let dashes = |line: &str| {
        line.split(' ').take_while(|part| matches!(*part, "" | "-" | "?")).filter(|p| !p.is_empty()).count()
    };
    (followed(b'&') == 0 || followed(b'*') <= ALIASES)
        && brackets <= BRACKETS
        && text.lines().all(|line| dashes(line) <= DASHES)
}

/// A list of names, or a map from numbers to names.
fn names(all: &mut Description, path: &Path, value: &MarkedYaml<'_>) {
    let mut wrong = |at: &MarkedYaml<'_>, why: String| {
        let line = u32::try_from(at.span.start.line()).ok();
        all.diagnostics.push(
            Diagnostic::error(DiagnosticKind::ClassUnknown, path, line, why)
                .hint("`names` is a list of class names, or a map from 0, 1, … to names"),
        );
    };
    match &value.data {
        YamlData::Sequence(list) => {
            for name in list {
                match text_in(name) {
                    Some(name) => all.names.push(name),
                    None => wrong(name, "a class has no name".into()),
                }
            }
        }
        YamlData::Mapping(map) => {
            let mut by_number: Vec<(usize, String)> = Vec::new();
            for (number, name) in map {
                match (text_in(number).and_then(|n| n.parse().ok()), text_in(name)) {
                    (Some(number), Some(name)) => by_number.push((number, name)),
                    _ => wrong(number, "a class has no number or no name".into()),
                }
            }
            by_number.sort();
            for (i, (number, name)) in by_number.into_iter().enumerate() {
                if number != i {
                    wrong(value, format!("names have the number {number} and no number {i}"));
                    break;
                }
                all.names.push(name);
            }
        }
        _ => wrong(value, "`names` is neither a list nor a map".into()),
    }
}

/// A scalar as text. `no` and `12` are names like others.
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

/// Where a file or folder that a YAML file names may be: such files are moved, and their paths are of another machine.
pub(super) struct Place<'a> {
    /// The folder of the YAML file.
    pub(super) yaml: &'a Path,
    pub(super) base: Option<&'a Path>,
}

impl Place<'_> {
    /// The file or folder below the index's root, if there is one.
    pub(super) fn find(&self, written: &str, files: &FileIndex) -> Option<PathBuf> {
        let written = written.replace('\\', "/");
        // Roboflow writes `../train/images` for `train/images`.
        let below = written.trim_start_matches("../").trim_start_matches("./");
        let base = self.base.map(|base| self.yaml.join(base));
        let candidates = [
            base.map(|base| base.join(&written)),
            Some(self.yaml.join(&written)),
            Some(self.yaml.join(below)),
            Some(files.base.join(below)),
        ];
        candidates.into_iter().flatten().filter(|path| path.exists()).find_map(|path| files.path_of(&path))
    }
}

/// The folder of the set that a YAML file describes: its `path`, if there is such a folder, or else the file's own.
pub(crate) fn root(path: &Path) -> PathBuf {
    let own = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let text = super::super::read_limited(path, 4 << 20).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let base = text.and_then(|text| parse(path, &text).base).map(|base| normalize(&own.join(base)));
    let base = base.filter(|base| !base.as_os_str().is_empty() && base.is_dir());
    base.unwrap_or_else(|| own.to_owned())
}
