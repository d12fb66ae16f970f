//! A data set: classes and samples, all of them usable. What was wrong is an error that lists everything.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use loc_infer::Limits;
use loc_infer::preprocess::decode_path;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::assemble::{Reading, read};
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

/// How a data set is read.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// The format; recognised by content if not given.
    pub format: Option<Format>,
    /// The classes in their order; by default those of the annotations, ordered bytewise (numbers by value).
    pub classes: Option<Vec<String>>,
    /// Which object a photo with several contributes.
    pub objects: Objects,
    /// Leave out what is wrong instead of refusing the whole set. Every photo is then decoded, too.
    pub skip_bad: bool,
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
    /// Reads a folder of photos and annotations, or a CSV file.
    ///
    /// Photos' headers are read (in parallel), their pixels are not: see [`check`](fn@crate::check::check).
    ///
    /// # Errors
    ///
    /// [`DataError::NoDataSet`] if there is nothing to read, [`DataError::Defects`] with every error found,
    /// [`DataError::Argument`] for an unusable list of classes.
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Self, DataError> {
        Self::open_with_warnings(path, options).map(|(dataset, _)| dataset)
    }

    /// As [`Dataset::open`], and what is worth knowing although it is no error: photos with several objects, boxes
    /// clipped by less than a pixel, files passed over. With [`ReadOptions::skip_bad`] also the errors of what is left
    /// out.
    ///
    /// # Errors
    ///
    /// As [`Dataset::open`].
    pub fn open_with_warnings(path: &Path, options: &ReadOptions) -> Result<(Self, Vec<Finding>), DataError> {
        let Reading { root, classes, mut samples, mut findings, .. } = read(path, options)?;
        if options.skip_bad {
            findings.extend(leave_out(&mut samples));
        }
        let (errors, warnings): (Vec<_>, Vec<_>) =
            findings.into_iter().partition(|f| f.severity == Severity::Error && !options.skip_bad);
        if !errors.is_empty() {
            return Err(DataError::Defects { path: path.to_owned(), findings: errors });
        }
        if samples.is_empty() {
            let reason = match warnings.first() {
                Some(warning) => format!("no sample is left; {warning}"),
                None => "holds no annotated photo".into(),
            };
            return Err(DataError::NoDataSet { path: path.to_owned(), reason });
        }
        Ok((Self { root, classes, samples }, warnings))
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

/// Takes out samples whose photo cannot be decoded, and those whose file name stood before.
fn leave_out(samples: &mut Vec<Sample>) -> Vec<Finding> {
    let limits = Limits::default();
    let damage = |sample: &Sample| {
        let error = decode_path(&sample.image, &limits).err()?;
        Some(Finding::error(&sample.image, None, error.reason().to_string()))
    };
    let damaged: Vec<Option<Finding>> = samples.par_iter().map(damage).collect();
    let (mut good, mut names) = (damaged.iter().map(Option::is_none), HashSet::new());
    samples.retain(|sample| good.next() == Some(true) && names.insert(sample.file.clone()));
    damaged.into_iter().flatten().collect()
}
