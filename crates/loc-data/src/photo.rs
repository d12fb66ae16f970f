//! Properties of a data set's photo: it is read and decoded once, to check that it is valid.

use std::path::Path;

use image::metadata::Orientation;
use image::{ImageFormat, RgbImage};
use image_hasher::{HashAlg, HasherConfig};
use loc_infer::Limits;
use loc_infer::preprocess::{FileKind, decode, orient_box, orient_size, prepare};
use sha2::{Digest, Sha256};

use crate::formats::read_limited;
use crate::photo_records::Stamp;
use crate::photo_store::PhotoStore;
use crate::{BBox, ImageSize};

/// The properties of a photo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Photo {
    /// Size after the EXIF orientation is applied.
    pub(crate) size: ImageSize,
    /// The EXIF orientation of the stored pixels.
    pub(crate) orientation: Orientation,
    /// The format by the file's content.
    pub(crate) format: ImageFormat,
    /// SHA-256 of the file.
    pub(crate) digest: [u8; 32],
    /// The perceptual hash, if requested and if the photo has enough structure.
    pub(crate) hash: Option<PerceptualHash>,
    /// The stamp of the file before it was read.
    pub(crate) stamp: Option<Stamp>,
}

/// A perceptual hash of 256 bits: where the photo becomes brighter from left to right, on a grid of 16×16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PerceptualHash(pub(crate) [u64; 4]);

impl PerceptualHash {
    /// Most bits that differ between a photo and a copy that was saved again, resized or slightly retouched.
    pub(crate) const MAX_DISTANCE: u32 = 10;
    /// Fewest bits of either value in a usable hash: a flat area or a smooth ramp has fewer.
    const MIN_BITS: u32 = 24;

    fn of(photo: &RgbImage) -> Option<Self> {
        let hasher = HasherConfig::new().hash_size(16, 16).hash_alg(HashAlg::Gradient).to_hasher();
        let hash = hasher.hash_image(photo);
        let mut bits = [0; 4];
        for (word, bytes) in bits.iter_mut().zip(hash.as_bytes().chunks_exact(8)) {
            *word = bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        let ones: u32 = bits.iter().map(|word| word.count_ones()).sum();
        (Self::MIN_BITS..=256 - Self::MIN_BITS).contains(&ones).then_some(Self(bits))
    }

    /// The hash in 16 bands of 16 bits.
    pub(crate) fn bands(&self) -> [u16; 16] {
        std::array::from_fn(|i| (self.0[i / 4] >> (16 * (i % 4)) & 0xffff) as u16)
    }

    /// Whether the photos are nearly identical.
    pub(crate) fn is_near(&self, other: &Self) -> bool {
        let differ: u32 = self.0.iter().zip(other.0).map(|(a, b)| (a ^ b).count_ones()).sum();
        differ <= Self::MAX_DISTANCE
    }
}

impl Photo {
    /// Whether the file's extension is that of another format.
    pub(crate) fn misnamed(&self, path: &Path) -> bool {
        FileKind::of_ending(path).is_some_and(|kind| Some(kind) != FileKind::of_format(self.format))
    }

    /// The usual ending of the format, if the file has one of another format, or none of a photo.
    pub(crate) fn other_ending(&self, path: &Path) -> Option<&'static str> {
        let is_photo = FileKind::of_ending(path).is_some_and(FileKind::is_photo);
        (!is_photo || self.misnamed(path)).then(|| self.format.extensions_str().first().copied()).flatten()
    }

    /// Whether EXIF rotates or flips the stored pixels.
    pub(crate) fn is_rotated(&self) -> bool {
        self.orientation != Orientation::NoTransforms
    }

    /// Size of the stored pixels.
    pub(crate) fn stored(&self) -> ImageSize {
        orient_size(self.size, self.orientation)
    }

    /// Maps a box from the stored pixels to the upright photo.
    pub(crate) fn upright(&self, bbox: BBox) -> BBox {
        orient_box(bbox, self.stored(), self.orientation)
    }
}

/// Reads and decodes a photo; with `with_hash` also computes its perceptual hash. `store` keeps its pixels.
///
/// # Errors
///
/// The reason why the file is not a valid photo.
pub(crate) fn read(path: &Path, with_hash: bool, store: Option<&PhotoStore>) -> Result<Photo, String> {
    let limits = Limits::default();
    let stamp = Stamp::of(path);
    let bytes = read_limited(path, limits.max_alloc)?;
    let digest = Sha256::digest(&bytes).into();
    let reason = |error: loc_infer::Error| error.reason().to_string();
    let mut prepared = None;
    if let Some(store) = store.filter(|store| store.lacks(&digest)) {
        let photo = prepare(&bytes, &limits, store.input()).map_err(reason)?;
        store.put(&digest, photo.input);
        prepared = Some((photo.frame.original, photo.orientation, photo.format, None));
    }
    let (size, orientation, format, hash) = match prepared.filter(|_| !with_hash) {
        Some(photo) => photo,
        None => {
            let photo = decode(&bytes, &limits).map_err(reason)?;
            let hash = with_hash.then(|| PerceptualHash::of(&photo.rgb)).flatten();
            (photo.size(), photo.orientation, photo.format, hash)
        }
    };
    Ok(Photo { size, orientation, format, digest, hash, stamp })
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
            let message = read(&path, true, None).unwrap_err();
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
        let hash = |photo: &RgbImage| PerceptualHash::of(photo).unwrap();
        let one = photo(1);
        let smaller = image::imageops::resize(&one, 120, 90, image::imageops::FilterType::Triangle);
        let mut jpeg = std::io::Cursor::new(Vec::new());
        one.write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
        let again = image::load_from_memory(jpeg.get_ref()).unwrap().into_rgb8();
        assert!(hash(&one).is_near(&hash(&smaller)) && hash(&one).is_near(&hash(&again)));
        for seed in 2..9 {
            assert!(!hash(&one).is_near(&hash(&photo(seed))), "{seed}");
        }
        assert_eq!(PerceptualHash::of(&RgbImage::new(64, 64)), None, "a flat area has no usable hash");
    }

    #[test]
    fn says_the_format_by_content() {
        let mut png = Vec::new();
        let image = image::RgbImage::new(5, 3);
        image.write_to(&mut std::io::Cursor::new(&mut png), ImageFormat::Png).unwrap();
        let (_dir, path) = written("a.jpg", &png);
        let photo = read(&path, true, None).unwrap();
        assert_eq!(photo.size, ImageSize { width: 5, height: 3 });
        assert_eq!(photo.format, ImageFormat::Png);
        assert!(photo.misnamed(&path) && !photo.misnamed(Path::new("a.png")));
    }
}
