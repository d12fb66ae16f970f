//! A data set written in another format. Each writer makes the annotation files in memory; `place` and `write` do the rest
//! once for all formats.

mod coco;
mod createml;
mod csv;
mod place;
mod voc;
mod write;
mod yolo;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Serialize, Serializer};

use self::place::Placed;
pub use self::voc::document as voc_document;
pub use self::write::{PhotoFiles, WriteOptions, Written};
use crate::build_samples::LoadedSet;
use crate::split::Subset;
use crate::{
    DataError, Diagnostic, DiagnosticKind, Format, ImageSize, LabelledObject, MultiObjectPolicy, ReadOptions,
    SkippedPhotos, build_samples,
};

/// A photo with everything that its annotation says.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledPhoto {
    /// Path of the photo.
    pub image: PathBuf,
    /// The photo's name within the set: its file's name, or where two photos share one, the path below the set's root
    /// with `/` between the folders.
    pub file: String,
    /// The ending of its format, if its file has another one or none.
    pub ending: Option<&'static str>,
    /// Size of the upright photo, in pixels.
    pub size: ImageSize,
    /// The objects, in the annotation's order.
    pub objects: Vec<LabelledObject>,
    /// The split that the photo belongs to, if the set has one.
    pub subset: Option<Subset>,
}

/// A file with a class name a line, in the classes' order, beside formats that have no place for it.
pub(crate) const CLASS_FILE: &str = "classes.txt";

/// A format that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Pascal VOC: an XML file a photo.
    Voc,
    /// COCO JSON: a file for each split.
    Coco,
    /// YOLO: a text file a photo and `data.yaml`.
    Yolo,
    /// CSV: a row an object.
    Csv,
    /// Create ML JSON: one file.
    CreateMl,
}

impl Target {
    /// Every format that can be written, with its name.
    pub const ALL: [(&'static str, Self); 5] = [
        ("voc", Self::Voc),
        ("coco", Self::Coco),
        ("yolo", Self::Yolo),
        ("csv", Self::Csv),
        ("createml", Self::CreateMl),
    ];
}

impl Target {
    /// The same format, if it can be written.
    #[must_use]
    pub fn of(format: Format) -> Option<Self> {
        format.name().parse().ok()
    }

    /// The folder of the photos. Pascal VOC has names of its own, which its readers expect.
    pub(crate) fn photo_folder(self) -> &'static str {
        if self == Self::Voc { "JPEGImages" } else { "images" }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, target)| *target == self).map_or("", |(name, _)| name)
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl FromStr for Target {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        Self::ALL.into_iter().find(|(name, _)| *name == text).map(|(_, target)| target).ok_or_else(|| {
            let names = Self::ALL.map(|(name, _)| name).join(", ");
            DataError::Argument {
                what: "format",
                value: text.to_owned(),
                range: format!("{names} can be written"),
            }
        })
    }
}

/// A data set with all objects of its photos.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledSet {
    /// The folder it was read from.
    pub root: PathBuf,
    /// Whether that folder was given, and not a file in it.
    pub is_folder: bool,
    /// The format it was read from.
    pub format: Format,
    /// Names of the classes, in the set's order.
    pub classes: Vec<String>,
    /// The valid photos, sorted by name; negatives have no objects.
    pub photos: Vec<LabelledPhoto>,
    /// Warnings; errors, which keep a photo out, are in [`SkippedPhotos`].
    pub diagnostics: Vec<Diagnostic>,
}

impl LabelledSet {
    /// Opens a data set as [`Dataset::open_with_report`](crate::Dataset::open_with_report) does, and returns what was skipped.
    /// Of photos with several objects all are read, whatever the options say of them.
    ///
    /// # Errors
    ///
    /// As [`Dataset::open`](crate::Dataset::open).
    pub fn open(path: &Path, options: &ReadOptions) -> Result<(Self, SkippedPhotos), DataError> {
        let options = ReadOptions { objects: MultiObjectPolicy::Largest, ..options.clone() };
        let mut loaded = build_samples::read(path, &options, false)?;
        let has_any = !loaded.labelled.is_empty();
        let (warnings, skipped) = loaded.admit(path, options.invalid_photos, has_any)?;
        let set =
            Self::of(LoadedSet { diagnostics: warnings, ..loaded }, path.is_dir(), options.classes.is_some());
        Ok((set, skipped))
    }

    /// The set with all objects of what was read. Classes without an object are kept if they were `given`.
    pub(crate) fn of(set: LoadedSet, is_folder: bool, given: bool) -> Self {
        // All objects are kept.
        let concerns_samples = |d: &Diagnostic| d.kind == DiagnosticKind::ObjectsSeveral;
        let diagnostics = set.diagnostics.into_iter().filter(|d| !concerns_samples(d)).collect();
        let (mut classes, mut photos) = (set.labelled_classes, set.labelled);
        if !given {
            keep_used(&mut classes, &mut photos);
        }
        Self { root: set.root, is_folder, format: set.format, classes, photos, diagnostics }
    }
}

/// Removes the classes of no object.
fn keep_used(classes: &mut Vec<String>, photos: &mut [LabelledPhoto]) {
    let used: BTreeSet<usize> = photos.iter().flat_map(|photo| &photo.objects).map(|o| o.class).collect();
    let places: BTreeMap<usize, usize> =
        used.iter().enumerate().map(|(place, class)| (*class, place)).collect();
    *classes = used.iter().map(|class| classes[*class].clone()).collect();
    for object in photos.iter_mut().flat_map(|photo| &mut photo.objects) {
        object.class = places[&object.class];
    }
}

/// The annotation files of a set in a format: path below the folder, with `/`, and content.
fn annotation_files(placed: &[Placed<'_>], classes: &[String], target: Target) -> BTreeMap<String, Vec<u8>> {
    let mut files = match target {
        Target::Voc => voc::files(placed, classes),
        Target::Coco => coco::files(placed, classes),
        Target::Yolo => yolo::files(placed, classes),
        Target::Csv => csv::files(placed, classes),
        Target::CreateMl => createml::files(placed, classes),
    };
    if !matches!(target, Target::Coco | Target::Yolo) {
        // These formats have no place for the order of the classes.
        files.insert(CLASS_FILE.to_owned(), (classes.join("\n") + "\n").into_bytes());
    }
    files
}
