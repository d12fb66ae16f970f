//! Data sets of photos and annotations with given names, and what is found in them.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![allow(dead_code, reason = "each test file uses a part")]

use loc_data::check::{Report, check};
use loc_data::{Dataset, ReadOptions, Severity};

use crate::common::{Folder, voc};

/// One object in the middle.
pub(crate) const CAT: &[(&str, [f32; 4])] = &[("cat", [10.0, 12.0, 40.0, 36.0])];
/// A header of Roboflow's.
pub(crate) const HEADER: &str = "filename,width,height,class,xmin,ymin,xmax,ymax";

/// Photos, and annotations: the XML's path and the name in it.
pub(crate) fn set(photos: &[&str], xmls: &[(&str, &str)]) -> Folder {
    let folder = Folder::new();
    photos.iter().for_each(|photo| drop(folder.photo(photo, 64, 48)));
    xmls.iter().for_each(|(path, name)| drop(folder.write(path, voc(name, (64, 48), CAT))));
    folder
}

pub(crate) fn report(folder: &Folder) -> Report {
    check(folder.path(), &ReadOptions::default(), None).unwrap()
}

/// The diagnostics of a severity, without the folder's name.
pub(crate) fn lines(folder: &Folder, severity: Severity) -> Vec<String> {
    let prefix = format!("{}/", folder.path().display());
    let diagnostics = report(folder).diagnostics;
    let lines =
        diagnostics.iter().filter(|f| f.severity == severity).map(|f| f.to_string().replace(&prefix, ""));
    lines.collect()
}

pub(crate) fn errors(folder: &Folder) -> Vec<String> {
    lines(folder, Severity::Error)
}

/// The photos of the samples, by their paths below the folder.
pub(crate) fn samples(folder: &Folder) -> Vec<String> {
    let set = Dataset::open(folder.path(), &ReadOptions::default()).unwrap();
    let below =
        |path: &std::path::Path| path.strip_prefix(folder.path()).unwrap().to_str().unwrap().to_owned();
    let mut paths: Vec<String> = set.samples.iter().map(|s| below(&s.image)).collect();
    paths.sort();
    paths
}
