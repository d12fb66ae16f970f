//! One annotated photo, with its object or without.

use std::path::PathBuf;

use crate::split::Subset;
use crate::{BBox, ImageSize};

/// One photo with one object, or without: a negative.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Path of the photo.
    pub image: PathBuf,
    /// The photo's unique name, as in `split.csv`: the file name, or the path below the root with `/` between folders if several
    /// files of the data set have that name.
    pub file: String,
    /// Size of the upright photo (EXIF orientation applied), in pixels.
    pub size: ImageSize,
    /// SHA-256 of the photo's file.
    pub digest: [u8; 32],
    /// The object; none for a negative, a photo that is known not to show one.
    pub object: Option<LabelledObject>,
    /// The part of a split that the photo's folder stands for (`train/`, `valid/`, `test/`), if it does.
    pub subset: Option<Subset>,
    /// Samples with the same number are copies of one photo, which a drawn split keeps together; `None` without copies.
    pub group: Option<usize>,
}

/// An object of a photo.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelledObject {
    /// Index of its class in the set's list, of a sample in [`Dataset::classes`](crate::Dataset::classes).
    pub class: usize,
    /// Its box in pixels of the upright photo: ordered, inside it, with an area.
    pub bbox: BBox,
}

impl Sample {
    /// Whether the photo is known not to show an object.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.object.is_none()
    }

    /// The class; none for a negative.
    #[must_use]
    pub fn class(&self) -> Option<usize> {
        self.object.map(|object| object.class)
    }
}
