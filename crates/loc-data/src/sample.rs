//! One annotated photo.

use std::path::PathBuf;

use crate::{BBox, ImageSize};

/// One photo with one object: what training learns from.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Path of the photo.
    pub image: PathBuf,
    /// Name of the photo's file, as in `split.csv`; no two samples of a data set share it.
    pub file: String,
    /// Size of the upright photo (EXIF orientation applied), in pixels.
    pub size: ImageSize,
    /// Index of the object's class in [`Dataset::classes`](crate::Dataset::classes).
    pub class: usize,
    /// The object's box in pixels of the upright photo: ordered, inside it, with an area.
    pub bbox: BBox,
}
