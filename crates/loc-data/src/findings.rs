//! The photos that a check finds something about, with their boxes as written.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crate::build_samples::read;
use crate::formats::Annotation;
use crate::{BBox, DataError, Dataset, DiagnosticKind, ReadOptions, duplicates};

/// A photo with what was found about it or its annotation.
#[derive(Debug, Clone, PartialEq)]
pub struct PhotoFindings {
    /// Path of the photo.
    pub image: PathBuf,
    /// The kinds of the diagnostics.
    pub kinds: BTreeSet<DiagnosticKind>,
    /// Class and box of each object as written: in pixels, also outside of the photo, corners in order.
    pub boxes: Vec<(String, BBox)>,
}

impl PhotoFindings {
    /// The findings of a photo, unless there are none.
    pub(crate) fn of(
        image: &Path,
        annotation: &Annotation,
        mut kinds: BTreeSet<DiagnosticKind>,
    ) -> Option<Self> {
        // What is wrong was reported by the reader, with the line.
        kinds.extend(annotation.defective.then_some(DiagnosticKind::Syntax));
        let boxes = annotation.objects.iter().map(|o| (o.label.to_string(), o.bbox.ordered())).collect();
        (!kinds.is_empty()).then(|| Self { image: image.to_owned(), kinds, boxes })
    }
}

/// Reads a data set as [`check`](crate::check::check) does and returns the photos with findings, sorted by path. Findings
/// about a photo that does not exist have no photo to show.
///
/// # Errors
///
/// As [`check`](crate::check::check).
pub fn findings(path: &Path, options: &ReadOptions) -> Result<Vec<PhotoFindings>, DataError> {
    let loaded = read(path, options, true)?;
    let mut found: BTreeMap<PathBuf, PhotoFindings> =
        loaded.findings.into_iter().map(|photo| (photo.image.clone(), photo)).collect();
    let objects: HashMap<&Path, _> =
        loaded.labelled.iter().map(|p| (p.image.as_path(), &p.objects)).collect();
    let dataset = Dataset { root: loaded.root, classes: loaded.classes, samples: loaded.samples };
    let images: HashMap<_, &PathBuf> =
        loaded.files.iter().map(|file| (file.to_string_lossy(), file)).collect();
    for copy in duplicates::within(&dataset, &loaded.photos) {
        let Some(image) = images.get(copy.file.as_str()).copied() else { continue };
        let photo = found.entry(image.clone()).or_insert_with(|| {
            let objects = objects.get(image.as_path()).into_iter().flat_map(|objects| objects.iter());
            let class = |class: usize| loaded.labelled_classes.get(class).cloned().unwrap_or_default();
            let boxes = objects.map(|object| (class(object.class), object.bbox)).collect();
            PhotoFindings { image: image.clone(), kinds: BTreeSet::new(), boxes }
        });
        photo.kinds.insert(copy.kind);
    }
    Ok(found.into_values().collect())
}
