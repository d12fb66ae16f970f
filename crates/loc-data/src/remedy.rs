//! Hints: advice about a file as text, and options of the reader as data, which an application shows in its own terms.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::Exif;

/// An option of [`ReadOptions`](crate::ReadOptions) that removes the cause of a problem, or accepts it. `Display` names the
/// field; the command line names its flag instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Remedy {
    /// List the classes: [`ReadOptions::classes`](crate::ReadOptions::classes).
    ListClasses,
    /// Skip invalid photos: [`ReadOptions::invalid_photos`](crate::ReadOptions::invalid_photos).
    SkipInvalidPhotos,
    /// Give the encoding, for example this one: [`ReadOptions::encoding`](crate::ReadOptions::encoding).
    Encoding(&'static str),
    /// Say which pixels the annotations refer to: [`ReadOptions::exif`](crate::ReadOptions::exif). With
    /// [`Exif::Undecided`], one of the other two values.
    Exif(Exif),
    /// Give the columns of a CSV file without a header, for example these: [`ReadOptions::columns`](crate::ReadOptions::columns).
    Columns(&'static str),
    /// Give the class of all objects: [`ReadOptions::class`](crate::ReadOptions::class).
    Class,
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ListClasses => f.write_str("`ReadOptions::classes`"),
            Self::SkipInvalidPhotos => f.write_str("`ReadOptions::invalid_photos`"),
            Self::Encoding(example) => write!(f, "`ReadOptions::encoding`, for example `{example}`"),
            Self::Exif(Exif::Undecided) => f.write_str("`ReadOptions::exif`"),
            Self::Columns(example) => write!(f, "`ReadOptions::columns`, for example `{example}`"),
            Self::Class => f.write_str("`ReadOptions::class`"),
            Self::Exif(exif) => write!(f, "`ReadOptions::exif`: `{exif:?}`"),
        }
    }
}

/// What to try: advice, and the option that it is about, if any. `Display` and JSON are one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The advice.
    pub text: String,
    /// The option.
    pub remedy: Option<Remedy>,
}

impl Hint {
    /// Advice about an option.
    pub(crate) fn option(text: impl Into<String>, remedy: Remedy) -> Self {
        Self { text: text.into(), remedy: Some(remedy) }
    }

    /// The hint as text, with the option as `name` calls it.
    pub fn render(&self, name: impl FnOnce(Remedy) -> String) -> String {
        match self.remedy {
            Some(remedy) => format!("{} ({})", self.text, name(remedy)),
            None => self.text.clone(),
        }
    }
}

impl<T: Into<String>> From<T> for Hint {
    fn from(text: T) -> Self {
        Self { text: text.into(), remedy: None }
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(|remedy| remedy.to_string()))
    }
}

impl Serialize for Hint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
