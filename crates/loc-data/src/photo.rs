//! A photo of a data set: read and decoded once, to see whether it can be used and what it is.

use std::path::Path;

use image::ImageFormat;
use loc_infer::Limits;
use loc_infer::preprocess::{FileKind, decode};
use sha2::{Digest, Sha256};

use crate::ImageSize;
use crate::formats::read_limited;

/// What a photo is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Photo {
    /// Size after the EXIF orientation is applied.
    pub(crate) size: ImageSize,
    /// What the first bytes say, whatever the name says.
    pub(crate) format: ImageFormat,
    /// SHA-256 of the file.
    pub(crate) digest: [u8; 32],
}

impl Photo {
    /// Whether the file's ending stands for another format.
    pub(crate) fn misnamed(&self, path: &Path) -> bool {
        FileKind::of_ending(path).is_some_and(|kind| Some(kind) != FileKind::of_format(self.format))
    }
}

/// Reads and decodes a photo.
///
/// # Errors
///
/// Why it is no photo that can be used: what the file begins with, or what its decoder says.
pub(crate) fn examine(path: &Path) -> Result<Photo, String> {
    let limits = Limits::default();
    let bytes = read_limited(path, limits.max_alloc)?;
    let photo = decode(&bytes, &limits).map_err(|e| e.reason().to_string())?;
    Ok(Photo { size: photo.size(), format: photo.format, digest: Sha256::digest(&bytes).into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs_err::write(&path, bytes).unwrap();
        (dir, path)
    }

    #[test]
    fn refuses_what_is_no_photo() {
        for (bytes, expected) in [
            (&b""[..], "is empty"),
            (b"<html><body>404</body>", "not a "),
            (b"just text", "not a "),
            (b"\xff\xd8\xff", "JPEG cut short"),
            (b"\x89PNG\r\n\x1a\n", "PNG cannot be decoded"),
        ] {
            let (_dir, path) = written("a.jpg", bytes);
            let message = examine(&path).unwrap_err();
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn says_the_format_by_content() {
        let mut png = Vec::new();
        let image = image::RgbImage::new(5, 3);
        image.write_to(&mut std::io::Cursor::new(&mut png), ImageFormat::Png).unwrap();
        let (_dir, path) = written("a.jpg", &png);
        let photo = examine(&path).unwrap();
        assert_eq!(photo.size, ImageSize { width: 5, height: 3 });
        assert_eq!(photo.format, ImageFormat::Png);
        assert!(photo.misnamed(&path) && !photo.misnamed(Path::new("a.png")));
    }
}
