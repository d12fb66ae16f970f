//! Checks a data set: all errors and warnings in one pass, each with its file and line.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::build_samples::{LoadedSet, read};
use crate::{
    DataError, Dataset, Diagnostic, DiagnosticKind, Format, ReadOptions, Severity, duplicates, split,
};

/// The result of [`check`].
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The folder (bytes that are not UTF-8 replaced).
    pub root: String,
    /// The annotations' format.
    pub format: Format,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Number of valid samples.
    pub samples: usize,
    /// Number of photos decoded.
    pub photos: usize,
    /// All diagnostics, sorted by file and line.
    #[serde(rename = "findings")]
    pub diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// Number of errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.diagnostics.iter().filter(|f| f.severity == Severity::Error).count()
    }

    /// Number of diagnostics of each kind.
    #[must_use]
    pub fn kinds(&self) -> BTreeMap<DiagnosticKind, usize> {
        let mut kinds = BTreeMap::new();
        for diagnostic in &self.diagnostics {
            *kinds.entry(diagnostic.kind).or_default() += 1;
        }
        kinds
    }

    /// Number of warnings.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.diagnostics.len() - self.errors()
    }
}

/// Reads a data set, decodes every annotated photo (in parallel), and reports all diagnostics.
///
/// # Errors
///
/// [`DataError`] only if there is nothing to check: the path does not exist or holds no annotations, or the options are
/// invalid.
pub fn check(path: &Path, options: &ReadOptions, split_file: Option<&Path>) -> Result<Report, DataError> {
    let LoadedSet { root, format, classes, samples, mut diagnostics, photos, .. } =
        read(path, options, true)?;
    let dataset = Dataset { root, classes, samples };
    let split = match split_file {
        Some(file) => Some(split::read_csv(file, &dataset)?),
        None => split::by_folder(&dataset),
    };
    diagnostics.extend(match &split {
        Some(split) => duplicates::across_split(&dataset, split, &photos),
        None => duplicates::within(&dataset, &photos),
    });
    diagnostics.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    Ok(Report {
        root: dataset.root.to_string_lossy().into_owned(),
        format,
        samples: dataset.samples.len(),
        classes: dataset.classes,
        photos: photos.len(),
        diagnostics,
    })
}
