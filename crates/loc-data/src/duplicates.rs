//! Duplicate photos as diagnostics: with the same bytes, or nearly the same pixels.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::formats::number::quoted;
use crate::photo::{PerceptualHash, Photo};
use crate::{Dataset, Diagnostic, DiagnosticKind, Split, split};

/// Warns of each photo that is a copy of an earlier one.
pub(crate) fn within(dataset: &Dataset, photos: &[(PathBuf, Photo)]) -> Vec<Diagnostic> {
    let photos = of_samples(dataset, photos);
    let (mut known, mut diagnostics) = (DuplicateIndex::default(), Vec::new());
    for (index, photo) in photos.into_iter().enumerate() {
        let Some(photo) = photo else { continue };
        if let Some((other, how)) = known.copy_of(photo) {
            let message = format!("{how} {}", quoted(&dataset.samples[other].file));
            diagnostics.push(Diagnostic::warning(
                DiagnosticKind::Copies,
                &dataset.samples[index].image,
                None,
                message,
            ));
        }
        known.add(index, photo);
    }
    diagnostics
}

/// Warns of each validation or test sample of which a copy is a training sample: the copies of [`split::leaks`], and photos
/// with similar hashes.
pub(crate) fn across_split(dataset: &Dataset, split: &Split, photos: &[(PathBuf, Photo)]) -> Vec<Diagnostic> {
    let mut diagnostics = split::leaks(dataset, split);
    let named: HashSet<String> = diagnostics.iter().map(|diagnostic| diagnostic.file.clone()).collect();
    let photos = of_samples(dataset, photos);
    let mut training = DuplicateIndex::default();
    for index in &split.train {
        if let Some(photo) = photos[*index] {
            training.add(*index, photo);
        }
    }
    for index in split.val.iter().chain(&split.test) {
        let sample = &dataset.samples[*index];
        if let Some((other, how)) = photos[*index].and_then(|photo| training.copy_of(photo))
            && !named.contains(&*sample.image.to_string_lossy())
        {
            let message =
                format!("{how} {}, which is a training photo", quoted(&dataset.samples[other].file));
            let diagnostic = Diagnostic::warning(DiagnosticKind::CopiesTorn, &sample.image, None, message);
            diagnostics.push(diagnostic.hint(split::LEAK_HINT));
        }
    }
    diagnostics
}

/// The photo of each sample.
fn of_samples<'a>(dataset: &Dataset, photos: &'a [(PathBuf, Photo)]) -> Vec<Option<&'a Photo>> {
    let by_path: HashMap<&Path, &Photo> =
        photos.iter().map(|(path, photo)| (path.as_path(), photo)).collect();
    dataset.samples.iter().map(|sample| by_path.get(sample.image.as_path()).copied()).collect()
}

/// An index of photos for finding copies without comparing all pairs.
#[derive(Default)]
struct DuplicateIndex<'a> {
    by_digest: HashMap<&'a [u8; 32], usize>,
    hashes: Vec<(usize, PerceptualHash)>,
    /// Positions in `hashes` by band number and bits.
    by_band: HashMap<(usize, u16), Vec<usize>>,
}

impl<'a> DuplicateIndex<'a> {
    fn add(&mut self, index: usize, photo: &'a Photo) {
        // Photos with the same bytes are represented by the first of them.
        if self.by_digest.contains_key(&photo.digest) {
            return;
        }
        self.by_digest.insert(&photo.digest, index);
        if let Some(hash) = photo.hash {
            let position = self.hashes.len();
            self.hashes.push((index, hash));
            for key in hash.bands().into_iter().enumerate() {
                self.by_band.entry(key).or_default().push(position);
            }
        }
    }

    /// The first photo that this one is a copy of, and the kind of copy in words.
    fn copy_of(&self, photo: &Photo) -> Option<(usize, &'static str)> {
        if let Some(other) = self.by_digest.get(&photo.digest) {
            return Some((*other, "has the same bytes as"));
        }
        let hash = photo.hash?;
        let bands = hash.bands().into_iter().enumerate();
        let mut by_band: Vec<&[usize]> =
            bands.map(|key| self.by_band.get(&key).map_or(&[][..], Vec::as_slice)).collect();
        // Each differing bit changes one band, so at least one of MAX_DISTANCE + 1 bands is equal; the bands shared by the
        // fewest photos are searched.
        by_band.sort_by_key(|positions| positions.len());
        let candidates = by_band.into_iter().take(PerceptualHash::MAX_DISTANCE as usize + 1).flatten();
        let near = candidates.filter(|position| self.hashes[**position].1.is_near(&hash));
        near.min().map(|position| (self.hashes[*position].0, "looks almost like"))
    }
}

#[cfg(test)]
mod tests {
    use image::ImageFormat;
    use image::metadata::Orientation;
    use proptest::prelude::*;

    use super::*;
    use crate::ImageSize;

    fn photo(bits: [u64; 4], digest: u8) -> Photo {
        let size = ImageSize { width: 1, height: 1 };
        let orientation = Orientation::NoTransforms;
        Photo {
            size,
            orientation,
            format: ImageFormat::Png,
            digest: [digest; 32],
            hash: Some(PerceptualHash(bits)),
            stamp: None,
        }
    }

    proptest! {
        /// The search by bands finds the same copies as comparing all pairs.
        #[test]
        fn bands_miss_no_copy(
            bases in prop::collection::vec(any::<[u64; 4]>(), 1..5),
            flips in prop::collection::vec((0usize..5, prop::collection::vec(0u32..256, 0..14)), 1..40),
        ) {
            let flipped = |(base, flips): &(usize, Vec<u32>)| {
                let mut bits = bases[base % bases.len()];
                for flip in flips {
                    bits[*flip as usize / 64] ^= 1 << (flip % 64);
                }
                bits
            };
            let photos: Vec<Photo> = (0..).zip(&flips).map(|(i, flip)| photo(flipped(flip), i)).collect();
            let mut known = DuplicateIndex::default();
            for (index, photo) in photos.iter().enumerate() {
                let hash = photo.hash.unwrap();
                let expected = photos[..index].iter().position(|other| other.hash.unwrap().is_near(&hash));
                prop_assert_eq!(known.copy_of(photo).map(|(other, _)| other), expected);
                known.add(index, photo);
            }
        }
    }
}
