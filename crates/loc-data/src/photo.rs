//! A photo's header: format and upright size, without decoding its pixels.

use std::io::Read;
use std::path::Path;

use image::ImageFormat;
use loc_infer::Limits;
use loc_infer::preprocess::upright_size;

use crate::ImageSize;

/// A photo's header nearly always ends within as many bytes; a longer one costs a second look at the file.
const HEADER: u64 = 128 << 10;

/// What a photo's header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// Size after the EXIF orientation is applied.
    pub(crate) size: ImageSize,
    /// What the first bytes say, whatever the name says.
    pub(crate) format: ImageFormat,
}

impl Header {
    /// Whether the file's ending stands for another format.
    pub(crate) fn misnamed(&self, path: &Path) -> bool {
        ImageFormat::from_path(path).is_ok_and(|format| format != self.format)
    }
}

/// Reads the header of a photo.
///
/// # Errors
///
/// Why it is no photo that can be used: what the file begins with, or what its decoder says.
pub(crate) fn header(path: &Path) -> Result<Header, String> {
    let limits = Limits::default();
    let mut file = fs_err::File::open(path).map_err(|e| e.to_string())?;
    // It was a file when it was listed; a FIFO that took its place is not waited for beyond opening it.
    let metadata = file.metadata().map_err(|e| e.to_string())?;
    if !metadata.is_file() {
        return Err("is not a regular file".into());
    }
    let mut bytes = Vec::new();
    file.by_ref().take(HEADER).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    let mut size = upright_size(&bytes, &limits);
    if size.is_err() && metadata.len() > HEADER && image::guess_format(&bytes).is_ok() {
        file.take(limits.max_alloc).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        size = upright_size(&bytes, &limits);
    }
    let size = size.map_err(|e| e.reason().to_string())?;
    let format = image::guess_format(&bytes).map_err(|e| e.to_string())?;
    Ok(Header { size, format })
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
            let message = header(&path).unwrap_err();
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn says_the_format_by_content() {
        let mut png = Vec::new();
        let image = image::RgbImage::new(5, 3);
        image.write_to(&mut std::io::Cursor::new(&mut png), ImageFormat::Png).unwrap();
        let (_dir, path) = written("a.jpg", &png);
        let header = header(&path).unwrap();
        assert_eq!(header.size, ImageSize { width: 5, height: 3 });
        assert_eq!(header.format, ImageFormat::Png);
        assert!(header.misnamed(&path) && !header.misnamed(Path::new("a.png")));
    }
}
