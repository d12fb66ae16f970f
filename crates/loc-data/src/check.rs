//! Checks a data set: all errors and warnings in one pass, each with its file and line. Repairs a copy of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::build_samples::{LoadedSet, read};
use crate::convert::{LabelledSet, PhotoFiles, Target, WriteOptions, Written};
use crate::formats::text;
use crate::{
    DataError, Dataset, Diagnostic, DiagnosticKind, Format, NoDataSetError, ReadOptions, Severity,
    duplicates, new_folder, split,
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
    /// Number of those that are negatives, photos without an object.
    #[serde(skip_serializing_if = "is_zero")]
    pub negatives: usize,
    /// Number of photos decoded.
    pub photos: usize,
    /// All diagnostics, sorted by file and line.
    #[serde(rename = "findings")]
    pub diagnostics: Vec<Diagnostic>,
}

/// The result of [`fix`].
#[derive(Debug, Clone, Serialize)]
pub struct Fixed {
    /// The new folder.
    pub path: String,
    /// Its format.
    pub format: Target,
    /// Number of photos that are left out, because an error remains.
    pub left_out: usize,
    /// What was written.
    #[serde(flatten)]
    pub written: Written,
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
    report(read(path, options, true)?, split_file)
}

/// Reads a data set as [`check`] does, with what can be repaired repaired, and writes it into a new folder: in its own format,
/// or in COCO if that cannot be written. Photos with errors that remain are left out; the data set itself stays as it is.
///
/// # Errors
///
/// As [`check`] and [`LabelledSet::write`]; also if no photo is left.
pub fn fix(
    path: &Path,
    options: &ReadOptions,
    split_file: Option<&Path>,
    out: &Path,
) -> Result<(Report, Fixed), DataError> {
    new_folder::is_free(out)?;
    let options = ReadOptions { repair: true, ..options.clone() };
    let loaded = read(path, &options, true)?;
    let sources: BTreeSet<PathBuf> = loaded.sources.iter().cloned().collect();
    let (named, valid) = (loaded.named, loaded.labelled.len());
    let mut report = report(loaded.clone(), split_file)?;
    report.diagnostics.extend(sources.iter().filter_map(|source| text::normalised(source)));
    report.diagnostics.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    let set = LabelledSet::of(loaded, path.is_dir(), options.classes.is_some());
    if set.photos.is_empty() {
        let error = NoDataSetError::NoSample { warnings: report.diagnostics };
        return Err(DataError::NoDataSet { path: path.to_owned(), error: Box::new(error) });
    }
    let target = Target::of(report.format).unwrap_or(Target::Coco);
    let written = set.write(out, WriteOptions { target, photos: PhotoFiles::Copy, mend_endings: true })?;
    let fixed =
        Fixed { path: out.to_string_lossy().into_owned(), format: target, left_out: named - valid, written };
    Ok((report, fixed))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

fn report(loaded: LoadedSet, split_file: Option<&Path>) -> Result<Report, DataError> {
    let LoadedSet { root, format, classes, samples, mut diagnostics, photos, .. } = loaded;
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
        negatives: dataset.samples.iter().filter(|sample| sample.is_negative()).count(),
        classes: dataset.classes,
        photos: photos.len(),
        diagnostics,
    })
}
