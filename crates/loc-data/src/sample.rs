//! One annotated photo.

use std::path::PathBuf;

use crate::split::Subset;
use crate::{BBox, ImageSize};

/// One photo with one object.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Path of the photo.
    pub image: PathBuf,
    /// The photo's unique name, as in `split.csv`: the file name, or the path below the root with `/` between folders if several
    /// files of the data set have that name.
    pub file: String,
    /// Size of the upright photo (EXIF orientation applied), in pixels.
    pub size: ImageSize,
    /// Index of the object's class in [`Dataset::classes`](crate::Dataset::classes).
    pub class: usize,
    /// The object's box in pixels of the upright photo: ordered, inside it, with an area.
    pub bbox: BBox,
    /// The part of a split that the photo's folder stands for (`train/`, `valid/`, `test/`), if it does.
    pub subset: Option<Subset>,
    /// Samples with the same number are copies of one photo, which a drawn split keeps together; `None` without copies.
    pub group: Option<usize>,
}
