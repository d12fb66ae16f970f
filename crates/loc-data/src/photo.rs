//! A photo of a data set: read and decoded once, to see whether it can be used and what it is.

use std::path::Path;

use image::metadata::Orientation;
use image::{ImageFormat, RgbImage};
use image_hasher::{HashAlg, HasherConfig};
use loc_infer::Limits;
use loc_infer::preprocess::{FileKind, decode, turned_box, turned_size};
use sha2::{Digest, Sha256};

use crate::formats::read_limited;
use crate::{BBox, ImageSize};

/// What a photo is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Photo {
    /// Size after the EXIF orientation is applied.
    pub(crate) size: ImageSize,
    /// How EXIF turns the stored pixels.
    pub(crate) orientation: Orientation,
    /// What the first bytes say, whatever the name says.
    pub(crate) format: ImageFormat,
    /// SHA-256 of the file.
    pub(crate) digest: [u8; 32],
    /// What it looks like, if that was asked for and is more than an even area.
    pub(crate) look: Option<Look>,
}

/// Bits that say where a photo becomes brighter from left to right, on a grid of 16×16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look(pub(crate) [u64; 4]);

impl Look {
    /// Of 256 bits, as many as may differ between a photo and a copy that was saved again, resized or slightly retouched.
    pub(crate) const NEAR: u32 = 10;
    /// Bits of either value that a photo must have to be told from others: an even area or one smooth ramp has fewer.
    const LEAST: u32 = 24;

    fn of(photo: &RgbImage) -> Option<Self> {
        let hasher = HasherConfig::new().hash_size(16, 16).hash_alg(HashAlg::Gradient).to_hasher();
        let hash = hasher.hash_image(photo);
        let mut bits = [0; 4];
        for (word, bytes) in bits.iter_mut().zip(hash.as_bytes().chunks_exact(8)) {
            *word = bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        let ones: u32 = bits.iter().map(|word| word.count_ones()).sum();
        (Self::LEAST..=256 - Self::LEAST).contains(&ones).then_some(Self(bits))
    }

    /// The bits in sixteen bands.
    pub(crate) fn bands(&self) -> [u16; 16] {
        std::array::from_fn(|i| (self.0[i / 4] >> (16 * (i % 4)) & 0xffff) as u16)
    }

    /// Whether the photos are nearly identical.
    pub(crate) fn is_near(&self, other: &Self) -> bool {
        let differ: u32 = self.0.iter().zip(other.0).map(|(a, b)| (a ^ b).count_ones()).sum();
        differ <= Self::NEAR
    }
}

impl Photo {
    /// Whether the file's ending stands for another format.
    pub(crate) fn misnamed(&self, path: &Path) -> bool {
        FileKind::of_ending(path).is_some_and(|kind| Some(kind) != FileKind::of_format(self.format))
    }

    /// Whether EXIF turns or mirrors the stored pixels.
    pub(crate) fn is_turned(&self) -> bool {
        self.orientation != Orientation::NoTransforms
    }

    /// Size of the stored pixels.
    pub(crate) fn stored(&self) -> ImageSize {
        turned_size(self.size, self.orientation)
    }

    /// A box on the stored pixels, as a box on the upright photo.
    pub(crate) fn upright(&self, bbox: BBox) -> BBox {
        turned_box(bbox, self.stored(), self.orientation)
    }
}

/// Reads and decodes a photo; with `look` it says what the photo looks like, too.
///
/// # Errors
///
/// Why it is no photo that can be used: what the file begins with, or what its decoder says.
pub(crate) fn examine(path: &Path, look: bool) -> Result<Photo, String> {
    let limits = Limits::default();
    let bytes = read_limited(path, limits.max_alloc)?;
    let photo = decode(&bytes, &limits).map_err(|e| e.reason().to_string())?;
    let look = look.then(|| Look::of(&photo.rgb)).flatten();
    let digest = Sha256::digest(&bytes).into();
    Ok(Photo { size: photo.size(), orientation: photo.orientation, format: photo.format, digest, look })
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
            let message = examine(&path, true).unwrap_err();
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn near_copies_look_alike_and_others_do_not() {
        let photo = |seed: u32| {
            RgbImage::from_fn(200, 150, |x, y| {
                let wave = ((x + 3 * seed) / 17 * 40 + (y + seed) / 13 * (30 + 7 * seed)) % 200;
                image::Rgb([u8::try_from(wave).unwrap(), u8::try_from((x + y) % 90).unwrap(), 80])
            })
        };
        let look = |photo: &RgbImage| Look::of(photo).unwrap();
        let one = photo(1);
        let smaller = image::imageops::resize(&one, 120, 90, image::imageops::FilterType::Triangle);
        let mut jpeg = std::io::Cursor::new(Vec::new());
        one.write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
        let again = image::load_from_memory(jpeg.get_ref()).unwrap().into_rgb8();
        assert!(look(&one).is_near(&look(&smaller)) && look(&one).is_near(&look(&again)));
        for seed in 2..9 {
            assert!(!look(&one).is_near(&look(&photo(seed))), "{seed}");
        }
        assert_eq!(Look::of(&RgbImage::new(64, 64)), None, "an even area says nothing");
    }

    #[test]
    fn says_the_format_by_content() {
        let mut png = Vec::new();
        let image = image::RgbImage::new(5, 3);
        image.write_to(&mut std::io::Cursor::new(&mut png), ImageFormat::Png).unwrap();
        let (_dir, path) = written("a.jpg", &png);
        let photo = examine(&path, true).unwrap();
        assert_eq!(photo.size, ImageSize { width: 5, height: 3 });
        assert_eq!(photo.format, ImageFormat::Png);
        assert!(photo.misnamed(&path) && !photo.misnamed(Path::new("a.png")));
    }
}
