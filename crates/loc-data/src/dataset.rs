//! A data set: classes and samples, all of them usable. What was wrong with other photos is said beside it, or, if it is
//! too much, an error that lists everything.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::assemble::{Reading, read};
use crate::finding::summary;
use crate::{DataError, Finding, Format, Sample, Severity};

/// Which object a photo with several contributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Objects {
    /// The one with the largest box (the first of them, where two are equal).
    #[default]
    Largest,
    /// None: the photo is left out.
    Skip,
    /// None: it is an error.
    Error,
}

impl FromStr for Objects {
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

/// What annotations are of where EXIF turns the photo: the upright photo, or the pixels as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Exif {
    /// Nobody said. They are taken to be of the upright photo: an error where their size says otherwise, a warning where
    /// it does not tell.
    #[default]
    Undecided,
    /// Of the pixels as stored: sizes are compared with those, boxes are turned as the pixels are.
    AsStored,
    /// Of the upright photo.
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

/// How much may be wrong with a data set that is used all the same. Photos with errors are never used; this says when
/// the whole set is refused for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Tolerance {
    /// One photo in twenty may be unusable.
    #[default]
    Few,
    /// Any number of photos may be.
    Any,
    /// No photo may be.
    None,
}

impl Tolerance {
    /// Whether `unusable` of `named` photos may be left out.
    fn admits(self, unusable: usize, named: usize) -> bool {
        match self {
            Self::Any => true,
            Self::Few => unusable.saturating_mul(20) <= named,
            Self::None => unusable == 0,
        }
    }
}

/// How a data set is read.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// The format; recognised by content if not given.
    pub format: Option<Format>,
    /// The classes in their order; by default those of the annotations, ordered bytewise (numbers by value).
    pub classes: Option<Vec<String>>,
    /// Which object a photo with several contributes.
    pub objects: Objects,
    /// How many unusable photos are left out; with more of them the set is refused.
    pub tolerance: Tolerance,
    /// A regular expression on the photos' names: those with the same first group, or the same match, are copies of one
    /// source. By default the names that augmentation and export tools give are known.
    pub group_by: Option<String>,
    /// Encoding of CSV files, and of XML files that do not declare one; by default UTF-8.
    pub encoding: Option<String>,
    /// What annotations are of where EXIF turns the photo.
    pub exif: Exif,
}

/// A data set, and what its reader has to say about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// The usable photos.
    pub dataset: Dataset,
    /// What is no error: photos with several objects, without an annotation, found under another name.
    pub warnings: Vec<Finding>,
    /// The photos that are not in it.
    pub left_out: LeftOut,
}

/// Photos that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LeftOut {
    /// Number of photos left out.
    pub photos: usize,
    /// Number of photos that the annotations name.
    pub of: usize,
    /// Every error found.
    pub findings: Vec<Finding>,
    /// What was to be admitted.
    pub tolerance: Tolerance,
}

impl LeftOut {
    /// Whether photos were left out because any number may be: whoever asked for that wants to be told.
    #[must_use]
    pub fn on_request(&self) -> bool {
        self.photos > 0 && self.tolerance == Tolerance::Any
    }

    /// What was left out, by kind: some lines, or none where nothing was.
    #[must_use]
    pub fn summary(&self) -> Vec<String> {
        if self.photos == 0 && self.findings.is_empty() {
            return Vec::new();
        }
        let mut lines =
            vec![format!("{} of {} photos cannot be used and are left out", self.photos, self.of)];
        lines.extend(summary(&self.findings));
        lines
    }
}

/// Photos with one object each, sorted by file name.
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
    /// are unusable than the options admit, [`DataError::Argument`] for unusable options.
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Self, DataError> {
        Self::open_with_findings(path, options).map(|opened| opened.dataset)
    }

    /// As [`Dataset::open`], and what was found on the way.
    ///
    /// # Errors
    ///
    /// As [`Dataset::open`].
    pub fn open_with_findings(path: &Path, options: &ReadOptions) -> Result<Opened, DataError> {
        let Reading { root, classes, samples, findings, named, unusable, incomplete, .. } =
            read(path, options, false)?;
        let (errors, warnings): (Vec<_>, Vec<_>) =
            findings.into_iter().partition(|f| f.severity == Severity::Error);
        let admitted = options.tolerance.admits(unusable, named)
            && (!incomplete || options.tolerance == Tolerance::Any)
            && (errors.is_empty() || options.tolerance != Tolerance::None);
        let refused = !errors.is_empty() && (samples.is_empty() || !admitted);
        let left_out =
            LeftOut { photos: unusable, of: named, findings: errors, tolerance: options.tolerance };
        if refused {
            return Err(DataError::Defects { path: path.to_owned(), left_out });
        }
        if samples.is_empty() {
            let lines = summary(&warnings);
            let reason = match lines.is_empty() {
                false => format!("no photo is left that can be used\n  {}", lines.join("\n  ")),
                true => "holds no annotated photo".into(),
            };
            return Err(DataError::NoDataSet { path: path.to_owned(), reason });
        }
        Ok(Opened { dataset: Self { root, classes, samples }, warnings, left_out })
    }

    /// The files of all photos that the annotations of a data set name, usable or not.
    ///
    /// # Errors
    ///
    /// [`DataError::NoDataSet`] if there is nothing to read, [`DataError::Argument`] for unusable options.
    pub fn photos(path: &Path, options: &ReadOptions) -> Result<Vec<PathBuf>, DataError> {
        read(path, options, false).map(|reading| reading.files)
    }

    /// SHA-256 over what training can see of the data: the classes in order, and of each sample, by file name, the
    /// photo's bytes, the class and the box; 64 hex digits. Where the files lie and which format the annotations
    /// have makes no difference.
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
            // The length in front keeps ("ab", "c") and ("a", "bc") apart.
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
            text(self.classes.get(sample.class).map_or("", String::as_str));
            all.update(photos[i]);
            for edge in sample.bbox.xyxy() {
                all.update(edge.to_le_bytes());
            }
        }
        Ok(all.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}
