//! A data set written in another format. Each writer makes the annotation files in memory; placing photos and writing
//! the folder happen here, once for all formats.

mod coco;
mod createml;
mod csv;
mod voc;
mod yolo;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::split::Subset;
use crate::{
    BBox, DataError, Diagnostic, DiagnosticKind, ImageSize, MultiObjectPolicy, ReadOptions, build_samples,
};

pub use voc::document as voc_document;

/// A photo with everything that its annotation says.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledPhoto {
    /// Path of the photo.
    pub image: PathBuf,
    /// The photo's name within the set: its file's name, or where two photos share one, the path below the set's root
    /// with `/` between the folders.
    pub file: String,
    /// Size of the upright photo, in pixels.
    pub size: ImageSize,
    /// The objects, in the annotation's order.
    pub objects: Vec<LabelledObject>,
    /// The split that the photo belongs to, if the set has one.
    pub subset: Option<Subset>,
}

/// An object of a photo.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelledObject {
    /// Index of its class.
    pub class: usize,
    /// Its box in pixels of the upright photo.
    pub bbox: BBox,
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

impl FromStr for Target {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        Self::ALL.into_iter().find(|(name, _)| *name == text).map(|(_, target)| target).ok_or_else(|| {
            let names = Self::ALL.map(|(name, _)| name).join(", ");
            DataError::Argument { what: "format", value: text.to_owned(), range: format!("{names} can be written") }
        })
    }
}

/// A data set with all objects of its photos.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledSet {
    /// The folder it was read from.
    pub root: PathBuf,
    /// Names of the classes, in the set's order.
    pub classes: Vec<String>,
    /// The valid photos, sorted by name; those without an object too.
    pub photos: Vec<LabelledPhoto>,
    /// Errors and warnings: an error keeps its photo out.
    pub diagnostics: Vec<Diagnostic>,
}

impl LabelledSet {
    /// Reads a data set. Of photos with several objects all are read, whatever the options say of them.
    ///
    /// # Errors
    ///
    /// [`DataError::NoDataSet`] if there is nothing to read, [`DataError::Argument`] for invalid options.
    pub fn read(path: &Path, options: &ReadOptions) -> Result<Self, DataError> {
        let options = ReadOptions { objects: MultiObjectPolicy::Largest, ..options.clone() };
        let set = build_samples::read(path, &options, false)?;
        let several = |d: &Diagnostic| d.kind == DiagnosticKind::ObjectsSeveral;
        let diagnostics = set.diagnostics.into_iter().filter(|d| !several(d)).collect();
        let (mut classes, mut photos) = (set.labelled_classes, set.labelled);
        if options.classes.is_none() {
            keep_used(&mut classes, &mut photos);
        }
        Ok(Self { root: set.root, classes, photos, diagnostics })
    }
}

/// Removes the classes of no object.
fn keep_used(classes: &mut Vec<String>, photos: &mut [LabelledPhoto]) {
    let used: BTreeSet<usize> = photos.iter().flat_map(|photo| &photo.objects).map(|o| o.class).collect();
    let places: BTreeMap<usize, usize> = used.iter().enumerate().map(|(place, class)| (*class, place)).collect();
    *classes = used.iter().map(|class| classes[*class].clone()).collect();
    for object in photos.iter_mut().flat_map(|photo| &mut photo.objects) {
        object.class = places[&object.class];
    }
}

/// A photo with its place in the new folder.
struct Placed<'a> {
    photo: &'a LabelledPhoto,
    /// Path below the folder, with `/`: `images/train/a.jpg`.
    path: String,
    /// The same without `images/`.
    below: String,
}

/// The annotation files of a set in a format: path below the folder, with `/`, and content.
#[must_use]
pub fn files(photos: &[LabelledPhoto], classes: &[String], target: Target) -> BTreeMap<String, Vec<u8>> {
    let placed: Vec<Placed<'_>> = photos
        .iter()
        .map(|photo| {
            let below = below_images(photo);
            Placed { photo, path: format!("images/{below}"), below }
        })
        .collect();
    let mut files = match target {
        Target::Voc => voc::files(&placed, classes),
        Target::Coco => coco::files(&placed, classes),
        Target::Yolo => yolo::files(&placed, classes),
        Target::Csv => csv::files(&placed, classes),
        Target::CreateMl => createml::files(&placed, classes),
    };
    if !matches!(target, Target::Coco | Target::Yolo) {
        // These formats have no place for the order of the classes.
        files.insert(CLASS_FILE.to_owned(), (classes.join("\n") + "\n").into_bytes());
    }
    files
}

/// Where a photo is placed: path below the new folder, with `/`.
#[must_use]
pub fn photo_path(photo: &LabelledPhoto) -> String {
    format!("images/{}", below_images(photo))
}

fn below_images(photo: &LabelledPhoto) -> String {
    match photo.subset {
        Some(subset) => {
            let folder = subset.folder();
            // A name with folders may begin with the split's own.
            let rest = photo.file.split('/').filter(|p| Subset::of_folder(p) != Some(subset)).collect::<Vec<_>>();
            format!("{folder}/{}", rest.join("/"))
        }
        None => photo.file.clone(),
    }
}

/// The path with another ending, and in another folder.
fn beside(below: &str, folder: &str, ending: &str) -> String {
    let path = Path::new(below).with_extension(ending);
    format!("{folder}/{}", path.to_string_lossy())
}

/// The photos by the split they belong to.
fn by_subset<'a, 'b>(placed: &'a [Placed<'b>]) -> BTreeMap<Option<&'static str>, Vec<&'a Placed<'b>>> {
    let mut parts: BTreeMap<Option<&'static str>, Vec<&Placed<'_>>> = BTreeMap::new();
    for photo in placed {
        parts.entry(photo.photo.subset.map(Subset::folder)).or_default().push(photo);
    }
    parts
}
