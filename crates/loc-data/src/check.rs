//! Everything that is wrong with a data set, or worth knowing: found in one go, each with its file and line.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::assemble::{Reading, read};
use crate::{DataError, Dataset, Finding, Format, Kind, ReadOptions, Severity, copies, split};

/// What [`check`] found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The folder (bytes that are not UTF-8 replaced).
    pub root: String,
    /// The annotations' format.
    pub format: Format,
    /// Names of the classes that could be told.
    pub classes: Vec<String>,
    /// Number of usable samples: those that training would see.
    pub samples: usize,
    /// Number of photos decoded.
    pub photos: usize,
    /// All findings, sorted by file and line.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Number of findings that make the data set unusable.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.findings.iter().filter(|f| f.severity == Severity::Error).count()
    }

    /// How many findings there are of each kind.
    #[must_use]
    pub fn kinds(&self) -> BTreeMap<Kind, usize> {
        let mut kinds = BTreeMap::new();
        for finding in &self.findings {
            *kinds.entry(finding.kind).or_default() += 1;
        }
        kinds
    }

    /// Number of the other findings.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.findings.len() - self.errors()
    }
}

/// Reads a data set, decodes every annotated photo (in parallel), and reports what it found.
///
/// # Errors
///
/// [`DataError`] only where there is nothing to report on: the path does not exist, holds no annotations, or the
/// options are unusable.
pub fn check(path: &Path, options: &ReadOptions, split_file: Option<&Path>) -> Result<Report, DataError> {
    let Reading { root, format, classes, samples, mut findings, photos, .. } = read(path, options, true)?;
    let dataset = Dataset { root, classes, samples };
    let split = match split_file {
        Some(file) => Some(split::read_csv(file, &dataset)?),
        None => split::by_folder(&dataset),
    };
    findings.extend(match &split {
        Some(split) => copies::torn(&dataset, split, &photos),
        None => copies::all(&dataset, &photos),
    });
    findings.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    Ok(Report {
        root: dataset.root.to_string_lossy().into_owned(),
        format,
        samples: dataset.samples.len(),
        classes: dataset.classes,
        photos: photos.len(),
        findings,
    })
}
