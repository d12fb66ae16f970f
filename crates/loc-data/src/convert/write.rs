//! A set in another format as a folder: photos and annotation files. The folder appears whole or not at all.

use std::path::Path;
use std::str::FromStr;

use rayon::prelude::*;
use serde::Serialize;

use super::place::{Placed, places};
use super::{LabelledSet, Target, annotation_files};
use crate::{DataError, new_folder};

/// How photos come into the new folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PhotoFiles {
    /// As hard links; on another file system, as symbolic links.
    #[default]
    Link,
    /// As copies.
    Copy,
    /// Not at all: only annotations are written.
    None,
}

impl FromStr for PhotoFiles {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "link" => Ok(Self::Link),
            "copy" => Ok(Self::Copy),
            "none" => Ok(Self::None),
            _ => Err(DataError::Argument {
                what: "choice for photos",
                value: text.to_owned(),
                range: "`link`, `copy` and `none` are known".into(),
            }),
        }
    }
}

/// How a set is written.
#[derive(Debug, Clone, Copy)]
pub struct WriteOptions {
    /// The format.
    pub target: Target,
    /// How photos come into the folder.
    pub photos: PhotoFiles,
    /// Give each photo the ending of its format.
    pub mend_endings: bool,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Number of photos.
    pub photos: usize,
    /// Number of objects.
    pub objects: usize,
    /// Photos with another name than before: the old name, and the path below the folder.
    pub renamed: Vec<(String, String)>,
}

impl LabelledSet {
    /// Writes the set into a new folder, which appears whole or not at all.
    ///
    /// # Errors
    ///
    /// [`DataError::NotEmpty`] if `out` holds anything, [`DataError::Argument`] if it lies in the set's own folder, whose photos
    /// it would double, [`DataError::Io`] if it cannot be written.
    pub fn write(&self, out: &Path, options: WriteOptions) -> Result<Written, DataError> {
        new_folder::is_free(out)?;
        self.is_outside(out)?;
        let placed = places(&self.photos, options.target, options.mend_endings);
        new_folder::create(out, |folder| {
            if options.photos != PhotoFiles::None {
                placed.par_iter().try_for_each(|placed| put(placed, folder, options.photos))?;
            }
            annotation_files(&placed, &self.classes, options.target).par_iter().try_for_each(
                |(name, content)| {
                    let path = folder.join(name);
                    fs_err::create_dir_all(path.parent().unwrap_or(folder))?;
                    Ok(fs_err::write(path, content)?)
                },
            )
        })?;
        let renamed = placed.iter().filter(|placed| placed.is_renamed());
        Ok(Written {
            photos: self.photos.len(),
            objects: self.photos.iter().map(|photo| photo.objects.len()).sum(),
            renamed: renamed.map(|placed| (placed.photo.file.clone(), placed.path.clone())).collect(),
        })
    }

    /// Refuses a folder within the set: the set would hold its photos twice.
    fn is_outside(&self, out: &Path) -> Result<(), DataError> {
        let there = out.ancestors().find(|above| above.exists()).unwrap_or(Path::new("."));
        let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
        let root = if self.root.as_os_str().is_empty() { Path::new(".") } else { &self.root };
        if self.is_folder && fs_err::canonicalize(there)?.starts_with(fs_err::canonicalize(root)?) {
            return Err(DataError::Argument {
                what: "new folder",
                value: out.display().to_string(),
                range: format!("it lies in the data set {} (hint: name one outside)", root.display()),
            });
        }
        Ok(())
    }
}

/// Brings a photo to its place.
fn put(placed: &Placed<'_>, folder: &Path, how: PhotoFiles) -> Result<(), DataError> {
    let (from, to) = (&placed.photo.image, folder.join(&placed.path));
    fs_err::create_dir_all(to.parent().unwrap_or(folder))?;
    if how == PhotoFiles::Copy {
        fs_err::copy(from, to)?;
        return Ok(());
    }
    // A link to a symbolic link would end where that one is removed.
    let real = fs_err::canonicalize(from)?;
    match fs_err::hard_link(&real, &to) {
        Ok(()) => Ok(()),
        Err(error) => symbolic(&real, &to).map_err(|_| DataError::from(error)),
    }
}

#[cfg(unix)]
fn symbolic(real: &Path, to: &Path) -> std::io::Result<()> {
    fs_err::os::unix::fs::symlink(real, to)
}

#[cfg(not(unix))]
fn symbolic(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
