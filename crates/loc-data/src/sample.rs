//! One annotated photo.

use std::path::PathBuf;

use crate::split::Subset;
use crate::{BBox, ImageSize};

/// One photo with one object: what training learns from.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Path of the photo.
    pub image: PathBuf,
    /// The photo's name, as in `split.csv`: that of its file, or where two files of the set share one, the path below the
    /// set's root with `/` between the folders. No two samples of a data set share it.
    pub file: String,
    /// Size of the upright photo (EXIF orientation applied), in pixels.
    pub size: ImageSize,
    /// Index of the object's class in [`Dataset::classes`](crate::Dataset::classes).
    pub class: usize,
    /// The object's box in pixels of the upright photo: ordered, inside it, with an area.
    pub bbox: BBox,
    /// The part of a split that the photo's folder stands for (`train/`, `valid/`, `test/`), if it does.
    pub subset: Option<Subset>,
    /// Samples with the same number are copies of one photo and stay on one side of a split that is drawn; none where no
    /// copy is known.
    pub group: Option<usize>,
}
