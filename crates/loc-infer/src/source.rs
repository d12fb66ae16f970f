//! The forms in which a photo can be given.

use std::path::{Path, PathBuf};

use image::RgbImage;

/// A photo to predict, in one of three forms.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Source<'a> {
    /// A file.
    Path(&'a Path),
    /// The content of a file.
    Encoded(&'a [u8]),
    /// Upright pixels.
    Photo(&'a RgbImage),
}

impl<'a> From<&'a PathBuf> for Source<'a> {
    fn from(path: &'a PathBuf) -> Self {
        Self::Path(path)
    }
}

impl<'a> From<&'a &Path> for Source<'a> {
    fn from(path: &'a &Path) -> Self {
        Self::Path(path)
    }
}

impl<'a> From<&'a Vec<u8>> for Source<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Encoded(bytes)
    }
}

impl<'a> From<&'a &[u8]> for Source<'a> {
    fn from(bytes: &'a &[u8]) -> Self {
        Self::Encoded(bytes)
    }
}

impl<'a> From<&'a RgbImage> for Source<'a> {
    fn from(photo: &'a RgbImage) -> Self {
        Self::Photo(photo)
    }
}

impl<'a> From<&'a Source<'_>> for Source<'a> {
    fn from(source: &'a Source<'_>) -> Self {
        *source
    }
}
