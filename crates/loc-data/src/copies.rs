//! Photos that are copies of each other by their bytes or nearly by their pixels, as findings.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::formats::number::quoted;
use crate::photo::Photo;
use crate::{Dataset, Finding, Kind, Split, split};

/// Of photos that are copies of each other, a warning for each but the first.
pub(crate) fn all(dataset: &Dataset, photos: &[(PathBuf, Photo)]) -> Vec<Finding> {
    let photos = of_samples(dataset, photos);
    let first =
        |index: usize| (0..index).find_map(|other| Some((other, alike(photos[index]?, photos[other]?)?)));
    let found: Vec<Option<(usize, &str)>> = (0..photos.len()).into_par_iter().map(first).collect();
    let finding = |(index, found): (usize, Option<(usize, &str)>)| {
        let (other, how) = found?;
        let message = format!("{how} {}", quoted(&dataset.samples[other].file));
        Some(Finding::warning(Kind::Copies, &dataset.samples[index].image, None, message))
    };
    found.into_iter().enumerate().filter_map(finding).collect()
}

/// The samples that are judged although a copy of their photo trains: a warning each. Copies are those of
/// [`split::torn`], and photos that look nearly alike.
pub(crate) fn torn(dataset: &Dataset, split: &Split, photos: &[(PathBuf, Photo)]) -> Vec<Finding> {
    let mut findings = split::torn(dataset, split);
    let photos = of_samples(dataset, photos);
    let judged: Vec<usize> = split.val.iter().chain(&split.test).copied().collect();
    let trained = |index: &usize| {
        split.train.iter().find_map(|other| Some((*other, alike(photos[*index]?, photos[*other]?)?)))
    };
    let found: Vec<Option<(usize, &str)>> = judged.par_iter().map(trained).collect();
    for (index, found) in judged.into_iter().zip(found) {
        let sample = &dataset.samples[index];
        let file = sample.image.to_string_lossy();
        if let Some((other, how)) = found
            && findings.iter().all(|finding| finding.file != file)
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

/// What makes a photo a copy of another, in words.
fn alike(photo: &Photo, other: &Photo) -> Option<&'static str> {
    if photo.digest == other.digest {
        return Some("has the same bytes as");
    }
    photo.look.zip(other.look).filter(|(a, b)| a.is_near(b)).map(|_| "looks nearly like")
}
