//! How a data set is read: the format, and what is done with photos that have several objects, none, or errors.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use crate::{DataError, Format, PhotoStore};

/// Which object a photo with several contributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum MultiObjectPolicy {
    /// The one with the largest box (the first of them, where two are equal).
    #[default]
    Largest,
    /// None: the photo is skipped.
    Skip,
    /// None: several objects are an error.
    Error,
}

impl FromStr for MultiObjectPolicy {
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

/// Which pixels the annotations refer to where EXIF rotates a photo: those of the upright photo, or those stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Exif {
    /// Not given. The upright photo is assumed: an error where the annotated size contradicts it, a warning where the
    /// size does not tell.
    #[default]
    Undecided,
    /// The pixels as stored: sizes are compared with theirs, boxes are rotated with the pixels.
    AsStored,
    /// The upright photo.
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

/// What to do with invalid photos or annotations. An invalid photo is never used; the policy says when the whole data set
/// is refused because of such photos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum InvalidPhotoPolicy {
    /// Skip up to 5 % of the photos; refuse the data set if more are invalid.
    #[default]
    SkipFew,
    /// Skip any number of photos.
    SkipAny,
    /// Refuse the data set if any photo is invalid.
    Refuse,
}

impl InvalidPhotoPolicy {
    /// Whether `unusable` of `named` photos may be skipped.
    pub(crate) fn admits(self, unusable: usize, named: usize) -> bool {
        match self {
            Self::SkipAny => true,
            Self::SkipFew => unusable.saturating_mul(20) <= named,
            Self::Refuse => unusable == 0,
        }
    }
}

/// What a photo without an annotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum UnlabelledPolicy {
    /// Nothing: it is skipped, with a warning.
    #[default]
    Skip,
    /// A negative, a photo without an object.
    Negative,
}

impl FromStr for UnlabelledPolicy {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "skip" => Ok(Self::Skip),
            "negative" => Ok(Self::Negative),
            _ => Err(DataError::Argument {
                what: "`unlabelled`",
                value: text.to_owned(),
                range: "`skip` and `negative` are known".into(),
            }),
        }
    }
}

/// How a data set is read.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// The annotation format; detected from the content if not given.
    pub format: Option<Format>,
    /// The classes in their order; by default those of the annotations, sorted bytewise (numbers by value).
    pub classes: Option<Vec<String>>,
    /// Which object a photo with several contributes.
    pub objects: MultiObjectPolicy,
    /// What photos without an annotation are, in the folders that hold annotated ones.
    pub unlabelled: UnlabelledPolicy,
    /// How many invalid photos are skipped before the data set is refused.
    pub invalid_photos: InvalidPhotoPolicy,
    /// A regular expression on the photos' names: photos with the same first group, or the same match, are copies of one
    /// source. By default the naming schemes of augmentation and export tools are recognised.
    pub group_by: Option<String>,
    /// Encoding of CSV files, and of XML files that do not declare one; by default UTF-8.
    pub encoding: Option<String>,
    /// Which pixels the annotations refer to where EXIF rotates a photo.
    pub exif: Exif,
    /// The columns of CSV files without a header: `filename`, `xmin`, `ymin`, `xmax`, `ymax`, and `class`, `class_num`,
    /// `width`, `height`, or `-` for a column to pass over.
    pub columns: Option<Vec<String>>,
    /// The class of all objects of CSV files without a column for it; by default the file's name without its extension.
    pub class: Option<String>,
    /// Correct what has one certain correction, with a warning for each: swap the corners of a box that are in the wrong
    /// order, clip a box to its photo however far it exceeds it.
    pub repair: bool,
    /// A folder of the caller's cache for what is known of photos (of sets of 1,000 and more): those that have not changed since
    /// are not read and decoded again.
    pub records: Option<PathBuf>,
    /// Keeps the photos at the size of a network's input while they are decoded to be checked.
    pub store: Option<PhotoStore>,
    /// Is told how many photos are read.
    pub progress: ReadProgress,
}

/// A function that is told how many photos are read, of how many; on any thread, in any order.
#[derive(Clone, Default)]
pub struct ReadProgress(Option<Arc<Tell>>);

type Tell = dyn Fn(usize, usize) + Send + Sync;

impl ReadProgress {
    /// One that calls this function.
    #[must_use]
    pub fn new(tell: impl Fn(usize, usize) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    pub(crate) fn tell(&self, done: usize, of: usize) {
        if let Some(tell) = &self.0 {
            tell(done, of);
        }
    }
}

impl fmt::Debug for ReadProgress {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("ReadProgress")
    }
}
