//! Photos that are copies of each other by their bytes or nearly by their pixels, as findings.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::formats::number::quoted;
use crate::photo::{Look, Photo};
use crate::{Dataset, Finding, Kind, Split, split};

/// Of photos that are copies of each other, a warning for each but the first.
pub(crate) fn all(dataset: &Dataset, photos: &[(PathBuf, Photo)]) -> Vec<Finding> {
    let photos = of_samples(dataset, photos);
    let (mut known, mut findings) = (Known::default(), Vec::new());
    for (index, photo) in photos.into_iter().enumerate() {
        let Some(photo) = photo else { continue };
        if let Some((other, how)) = known.copy_of(photo) {
            let message = format!("{how} {}", quoted(&dataset.samples[other].file));
            findings.push(Finding::warning(Kind::Copies, &dataset.samples[index].image, None, message));
        }
        known.add(index, photo);
    }
    findings
}

/// The samples that are judged although a copy of their photo trains: a warning each. Copies are those of
/// [`split::torn`], and photos that look nearly alike.
pub(crate) fn torn(dataset: &Dataset, split: &Split, photos: &[(PathBuf, Photo)]) -> Vec<Finding> {
    let mut findings = split::torn(dataset, split);
    let named: HashSet<String> = findings.iter().map(|finding| finding.file.clone()).collect();
    let photos = of_samples(dataset, photos);
    let mut trained = Known::default();
    for index in &split.train {
        if let Some(photo) = photos[*index] {
            trained.add(*index, photo);
        }
    }
    for index in split.val.iter().chain(&split.test) {
        let sample = &dataset.samples[*index];
        if let Some((other, how)) = photos[*index].and_then(|photo| trained.copy_of(photo))
            && !named.contains(&*sample.image.to_string_lossy())
        {
            let message = format!("{how} {}, which trains", quoted(&dataset.samples[other].file));
            let finding = Finding::warning(Kind::CopiesTorn, &sample.image, None, message);
            findings.push(finding.hint(split::TORN_HINT));
        }
    }
    findings
}

/// The photo of each sample.
fn of_samples<'a>(dataset: &Dataset, photos: &'a [(PathBuf, Photo)]) -> Vec<Option<&'a Photo>> {
    let by_path: HashMap<&Path, &Photo> =
        photos.iter().map(|(path, photo)| (path.as_path(), photo)).collect();
    dataset.samples.iter().map(|sample| by_path.get(sample.image.as_path()).copied()).collect()
}

/// Photos among which copies are looked for, without comparing each with each.
#[derive(Default)]
struct Known<'a> {
    by_digest: HashMap<&'a [u8; 32], usize>,
    looks: Vec<(usize, Look)>,
    /// By the number of a band and its bits: positions in `looks`.
    by_band: HashMap<(usize, u16), Vec<usize>>,
}

impl<'a> Known<'a> {
    fn add(&mut self, index: usize, photo: &'a Photo) {
        // Of photos with the same bytes the first stands for all.
        if self.by_digest.contains_key(&photo.digest) {
            return;
        }
        self.by_digest.insert(&photo.digest, index);
        if let Some(look) = photo.look {
            let position = self.looks.len();
            self.looks.push((index, look));
            for key in look.bands().into_iter().enumerate() {
                self.by_band.entry(key).or_default().push(position);
            }
        }
    }

    /// The first photo that this one is a copy of, and how, in words.
    fn copy_of(&self, photo: &Photo) -> Option<(usize, &'static str)> {
        if let Some(other) = self.by_digest.get(&photo.digest) {
            return Some((*other, "has the same bytes as"));
        }
        let look = photo.look?;
        let bands = look.bands().into_iter().enumerate();
        let mut alike: Vec<&[usize]> =
            bands.map(|key| self.by_band.get(&key).map_or(&[][..], Vec::as_slice)).collect();
        // Bits that differ spoil one band each at most, so that of one band more than bits may differ one is the same;
        // those that the fewest photos share are looked at.
        alike.sort_by_key(|positions| positions.len());
        let candidates = alike.into_iter().take(Look::NEAR as usize + 1).flatten();
        let near = candidates.filter(|position| self.looks[**position].1.is_near(&look));
        near.min().map(|position| (self.looks[*position].0, "looks nearly like"))
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
        Photo { size, orientation, format: ImageFormat::Png, digest: [digest; 32], look: Some(Look(bits)) }
    }

    proptest! {
        /// What the bands find is what comparing with each finds.
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
            let mut known = Known::default();
            for (index, photo) in photos.iter().enumerate() {
                let look = photo.look.unwrap();
                let expected = photos[..index].iter().position(|other| other.look.unwrap().is_near(&look));
                prop_assert_eq!(known.copy_of(photo).map(|(other, _)| other), expected);
                known.add(index, photo);
            }
        }
    }
}
