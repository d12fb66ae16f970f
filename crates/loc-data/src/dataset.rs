//! A data set: classes and valid samples, negatives among them. Problems of other photos are returned beside it, or, if there are too many, as
//! an error that lists all of them.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::build_samples::{LoadedSet, read};
use crate::diagnostic::summary;
use crate::read_options::{InvalidPhotoPolicy, ReadOptions};
use crate::{DataError, Diagnostic, DiagnosticKind, Format, NoDataSetError, Sample, Severity};

/// A data set with the warnings and the skipped photos of its reading.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenedDataset {
    /// The valid photos.
    pub dataset: Dataset,
    /// The format that was given or recognised.
    pub format: Format,
    /// Warnings: photos with several objects, without an annotation, found under another name.
    pub warnings: Vec<Diagnostic>,
    /// The photos that were skipped.
    pub skipped: SkippedPhotos,
}

/// Photos that were skipped because they or their annotations are invalid.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SkippedPhotos {
    /// Number of skipped photos.
    pub photos: usize,
    /// Number of photos that the annotations name.
    pub total: usize,
    /// Every error found.
    pub diagnostics: Vec<Diagnostic>,
    /// The policy that was applied.
    pub policy: InvalidPhotoPolicy,
}

impl SkippedPhotos {
    /// Whether photos were skipped under [`InvalidPhotoPolicy::SkipAny`]; commands then exit with 3.
    #[must_use]
    pub fn by_skip_any(&self) -> bool {
        self.photos > 0 && self.policy == InvalidPhotoPolicy::SkipAny
    }

    /// The skipped photos and their errors by kind, one line each; empty if nothing was skipped.
    #[must_use]
    pub fn summary(&self) -> Vec<String> {
        if self.photos == 0 && self.diagnostics.is_empty() {
            return Vec::new();
        }
        let mut lines = vec![format!(
            "skipped {} of {} photos: the photo or its annotation is invalid",
            self.photos, self.total
        )];
        lines.extend(summary(&self.diagnostics));
        lines
    }
}

impl LoadedSet {
    /// Applies the policy for invalid photos; the diagnostics go to the result: warnings, and skipped photos with errors.
    ///
    /// # Errors
    ///
    /// [`DataError::Defects`] if too many photos are invalid, [`DataError::NoDataSet`] if none is left.
    pub(crate) fn admit(
        &mut self,
        path: &Path,
        policy: InvalidPhotoPolicy,
        has_any: bool,
    ) -> Result<(Vec<Diagnostic>, SkippedPhotos), DataError> {
        let diagnostics = std::mem::take(&mut self.diagnostics);
        let (errors, warnings): (Vec<_>, Vec<_>) =
            diagnostics.into_iter().partition(|f| f.severity == Severity::Error);
        let admitted = policy.admits(self.unusable, self.named)
            && (!self.incomplete || policy == InvalidPhotoPolicy::SkipAny)
            && (errors.is_empty() || policy != InvalidPhotoPolicy::Refuse);
        let refused = !errors.is_empty() && (!has_any || !admitted);
        let skipped = SkippedPhotos { photos: self.unusable, total: self.named, diagnostics: errors, policy };
        if refused {
            return Err(DataError::Defects { path: path.to_owned(), skipped });
        }
        if !has_any {
            let mut warnings = warnings;
            if !self.samples.is_empty() {
                let negatives = DiagnosticKind::ObjectMissing.counted(self.samples.len());
                let message = format!("{negatives}, and none with one: there is no class to learn");
                warnings.push(Diagnostic::warning(DiagnosticKind::ObjectMissing, path, None, message));
            }
            let error = NoDataSetError::NoSample { warnings };
            return Err(DataError::NoDataSet { path: path.to_owned(), error: Box::new(error) });
        }
        Ok((warnings, skipped))
    }
}

/// Photos with one object each, and negatives, sorted by file name.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The folder it was read from.
    pub root: PathBuf,
    /// Names of the classes; a sample's class is an index into them.
    pub classes: Vec<String>,
    /// The samples, sorted bytewise by [`Sample::file`].
    pub samples: Vec<Sample>,
}

impl Dataset {
    /// Reads a folder of photos and annotations, or a CSV file. Every photo is decoded (in parallel).
    ///
    /// # Errors
    ///
    /// [`DataError::NoDataSet`] if there is nothing to read, [`DataError::Defects`] with every error found if more photos
    /// are invalid than the options admit, [`DataError::Argument`] for invalid options.
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Self, DataError> {
        Self::open_with_report(path, options).map(|opened| opened.dataset)
    }

    /// As [`Dataset::open`], with warnings and skipped photos.
    ///
    /// # Errors
    ///
    /// As [`Dataset::open`].
    pub fn open_with_report(path: &Path, options: &ReadOptions) -> Result<OpenedDataset, DataError> {
        let mut loaded = read(path, options, false)?;
        // Negatives alone have no class to learn.
        let has_any = loaded.samples.iter().any(|sample| !sample.is_negative());
        let (warnings, skipped) = loaded.admit(path, options.invalid_photos, has_any)?;
        let LoadedSet { root, format, classes, samples, .. } = loaded;
        Ok(OpenedDataset { dataset: Self { root, classes, samples }, format, warnings, skipped })
    }

    /// The files of all photos that the annotations of a data set name, valid or not.
    ///
    /// # Errors
    ///
    /// [`DataError::NoDataSet`] if there is nothing to read, [`DataError::Argument`] for invalid options.
    pub fn photos(path: &Path, options: &ReadOptions) -> Result<Vec<PathBuf>, DataError> {
        read(path, options, false).map(|reading| reading.files)
    }

    /// The indices among these of samples with an object.
    #[must_use]
    pub fn positives(&self, among: &[usize]) -> Vec<usize> {
        among.iter().copied().filter(|index| !self.samples[*index].is_negative()).collect()
    }

    /// SHA-256 over everything that training sees of the data: the classes in order, and of each sample, sorted by file
    /// name, the photo's bytes, the class and the box (a negative has neither); 64 hex digits. The location of the files and the format of the
    /// annotations make no difference.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut order: Vec<usize> = (0..self.samples.len()).collect();
        order.sort_unstable_by_key(|i| &self.samples[*i].file);
        let mut all = Sha256::new();
        let mut text = |s: &str| {
            // Prefixed with the length, so that ("ab", "c") and ("a", "bc") differ.
            all.update((s.len() as u64).to_le_bytes());
            all.update(s);
        };
        text("loc.dataset/1");
        self.classes.iter().for_each(|class| text(class));
        for i in order {
            let sample = &self.samples[i];
            let mut text = |s: &str| {
                all.update((s.len() as u64).to_le_bytes());
                all.update(s);
            };
            text(&sample.file);
            // No class has an empty name.
            text(sample.class().and_then(|class| self.classes.get(class)).map_or("", String::as_str));
            all.update(sample.digest);
            for edge in sample.object.iter().flat_map(|object| object.bbox.xyxy()) {
                all.update(edge.to_le_bytes());
            }
        }
        hex::encode(all.finalize())
    }
}
