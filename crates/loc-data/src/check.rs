//! Everything that is wrong with a data set, or worth knowing: found in one go, each with its file and line. Unlike
//! [`Dataset::open`](crate::Dataset::open), which stops short of the pixels, every photo is decoded.

use std::path::{Path, PathBuf};

use loc_infer::Limits;
use loc_infer::preprocess::decode_path;
use rayon::prelude::*;
use serde::Serialize;

use crate::assemble::read;
use crate::{DataError, Finding, Format, ReadOptions, Severity};

/// What [`check`] found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The folder (bytes that are not UTF-8 replaced).
    pub root: String,
    /// The annotations' format.
    pub format: Format,
    /// Names of the classes that could be told.
    pub classes: Vec<String>,
    /// Number of samples without an error.
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
pub fn check(path: &Path, options: &ReadOptions) -> Result<Report, DataError> {
    let reading = read(path, options)?;
    let limits = Limits::default();
    let damaged = |path: &PathBuf| {
        let error = decode_path(path, &limits).err()?;
        Some(Finding::error(path, None, error.reason().to_string()))
    };
    let mut damaged: Vec<Finding> = reading.photos.par_iter().filter_map(damaged).collect();
    let samples = reading
        .samples
        .iter()
        .filter(|s| damaged.iter().all(|f| *f.file != *s.image.to_string_lossy()))
        .count();
    let mut findings = reading.findings;
    findings.append(&mut damaged);
    findings.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    Ok(Report {
        root: reading.root.to_string_lossy().into_owned(),
        format: reading.format,
        classes: reading.classes,
        samples,
        photos: reading.photos.len(),
        findings,
    })
}
