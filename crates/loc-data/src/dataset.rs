//! A data set: classes and valid samples, negatives among them. Problems of other photos are returned beside it, or, if there are too many, as
//! an error that lists all of them.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::build_samples::{LoadedSet, read};
use crate::diagnostic::summary;
use crate::{DataError, Diagnostic, DiagnosticKind, Format, NoDataSetError, Sample, Severity};

/// Which object a photo with several contributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum MultiObjectPolicy {
    /// The one with the largest box (the first of them, where two are equal).
    #[default]
    Largest,
    /// None: the photo is skipped.
    Skip,
    /// None: several objects are an error.
    Error,
}

impl FromStr for MultiObjectPolicy {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "largest" => Ok(Self::Largest),
            "skip" => Ok(Self::Skip),
            "error" => Ok(Self::Error),
            _ => Err(DataError::Argument {
                what: "choice of objects",
                value: text.to_owned(),
                range: "`largest`, `skip` and `error` are known".into(),
            }),
        }
    }
}

/// Which pixels the annotations refer to where EXIF rotates a photo: those of the upright photo, or those stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Exif {
    /// Not given. The upright photo is assumed: an error where the annotated size contradicts it, a warning where the
    /// size does not tell.
    #[default]
    Undecided,
    /// The pixels as stored: sizes are compared with theirs, boxes are rotated with the pixels.
    AsStored,
    /// The upright photo.
    Upright,
}

impl FromStr for Exif {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "as-stored" => Ok(Self::AsStored),
            "upright" => Ok(Self::Upright),
            _ => Err(DataError::Argument {
                what: "`exif`",
                value: text.to_owned(),
                range: "`as-stored` and `upright` are known".into(),
            }),
        }
    }
}

/// What to do with invalid photos or annotations. An invalid photo is never used; the policy says when the whole data set
/// is refused because of such photos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum InvalidPhotoPolicy {
    /// Skip up to 5 % of the photos; refuse the data set if more are invalid.
    #[default]
    SkipFew,
    /// Skip any number of photos.
    SkipAny,
    /// Refuse the data set if any photo is invalid.
    Refuse,
}

impl InvalidPhotoPolicy {
    /// Whether `unusable` of `named` photos may be skipped.
    fn admits(self, unusable: usize, named: usize) -> bool {
        match self {
            Self::SkipAny => true,
            Self::SkipFew => unusable.saturating_mul(20) <= named,
            Self::Refuse => unusable == 0,
        }
    }
}

/// What a photo without an annotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum UnlabelledPolicy {
    /// Nothing: it is skipped, with a warning.
    #[default]
    Skip,
    /// A negative, a photo without an object.
    Negative,
}

impl FromStr for UnlabelledPolicy {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "skip" => Ok(Self::Skip),
            "negative" => Ok(Self::Negative),
            _ => Err(DataError::Argument {
                what: "`unlabelled`",
                value: text.to_owned(),
                range: "`skip` and `negative` are known".into(),
            }),
        }
    }
}

/// How a data set is read.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// The annotation format; detected from the content if not given.
    pub format: Option<Format>,
    /// The classes in their order; by default those of the annotations, sorted bytewise (numbers by value).
    pub classes: Option<Vec<String>>,
    /// Which object a photo with several contributes.
    pub objects: MultiObjectPolicy,
    /// What photos without an annotation are, in the folders that hold annotated ones.
    pub unlabelled: UnlabelledPolicy,
    /// How many invalid photos are skipped before the data set is refused.
    pub invalid_photos: InvalidPhotoPolicy,
    /// A regular expression on the photos' names: photos with the same first group, or the same match, are copies of one
    /// source. By default the naming schemes of augmentation and export tools are recognised.
    pub group_by: Option<String>,
    /// Encoding of CSV files, and of XML files that do not declare one; by default UTF-8.
    pub encoding: Option<String>,
    /// Which pixels the annotations refer to where EXIF rotates a photo.
    pub exif: Exif,
    /// The columns of CSV files without a header: `filename`, `xmin`, `ymin`, `xmax`, `ymax`, and `class`, `class_num`,
    /// `width`, `height`, or `-` for a column to pass over.
    pub columns: Option<Vec<String>>,
    /// The class of all objects of CSV files without a column for it; by default the file's name without its extension.
    pub class: Option<String>,
    /// Correct what has one certain correction, with a warning for each: swap the corners of a box that are in the wrong
    /// order, clip a box to its photo however far it exceeds it.
    pub repair: bool,
}

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
    ///
    /// # Errors
    ///
    /// [`DataError::Io`] if a photo cannot be read.
    pub fn digest(&self) -> Result<String, DataError> {
        let photo = |sample: &Sample| {
            let bytes = fs_err::read(&sample.image)?;
            Ok(<[u8; 32]>::from(Sha256::digest(bytes)))
        };
        let photos: Vec<[u8; 32]> = self.samples.par_iter().map(photo).collect::<Result<_, DataError>>()?;
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
            all.update(photos[i]);
            for edge in sample.object.iter().flat_map(|object| object.bbox.xyxy()) {
                all.update(edge.to_le_bytes());
            }
        }
        Ok(hex::encode(all.finalize()))
    }
}
