//! Entry points for fuzzing this crate's readers. Each returns whether the bytes were accepted; none may panic.

use std::path::Path;

use crate::formats::{Request, csv, json, voc, yolo};
use crate::{BBox, Dataset, ImageSize, LabelledObject, Sample, split};

/// A Pascal VOC file.
#[must_use]
pub fn voc(bytes: &[u8]) -> bool {
    let (parsed, diagnostics) = voc::parse(Path::new("a.xml"), bytes, None);
    matches!(parsed, voc::Parsed::Annotation(annotation) if !annotation.defective) && diagnostics.is_empty()
}

/// A CSV of annotations.
#[must_use]
pub fn csv(bytes: &[u8]) -> bool {
    let read = csv::parse(Path::new("a.csv"), bytes, &Request::default());
    read.diagnostics.is_empty() && !read.photos.is_empty()
}

/// A YOLO label file.
#[must_use]
pub fn yolo(bytes: &[u8]) -> bool {
    let read = yolo::parse(Path::new("a.txt"), bytes.to_vec(), None);
    read.diagnostics.is_empty() && !read.photos.is_empty()
}

/// Ultralytics' `data.yaml`.
#[must_use]
pub fn yaml(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(yolo::yaml::is_valid)
}

/// JSON of any annotation format.
#[must_use]
pub fn json(bytes: &[u8]) -> bool {
    json::parse(Path::new("a.json"), bytes.to_vec())
        .is_some_and(|read| read.diagnostics.is_empty() && !read.photos.is_empty())
}

/// A split file of the photos `a.jpg`, `b.jpg` and `-c.jpg`.
#[must_use]
pub fn split(bytes: &[u8]) -> bool {
    let sample = |file: &str| Sample {
        image: file.into(),
        file: file.into(),
        size: ImageSize { width: 8, height: 8 },
        object: Some(LabelledObject { class: 0, bbox: BBox { x1: 1.0, y1: 1.0, x2: 7.0, y2: 7.0 } }),
        subset: None,
        digest: [0; 32],
        group: None,
    };
    let samples = ["-c.jpg", "a.jpg", "b.jpg"].map(sample).into();
    let dataset = Dataset { root: ".".into(), classes: vec!["cat".into()], samples };
    split::parse_csv(Path::new("split.csv"), bytes, &dataset).is_ok()
}
