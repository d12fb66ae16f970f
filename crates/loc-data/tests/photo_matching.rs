//! Which annotation gets which photo: no photo is two samples, and photos without an annotation are said.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;
#[path = "common/named.rs"]
mod named;

use common::{Folder, encoded, voc};
use image::ImageFormat;
use loc_data::check::check;
use loc_data::{Dataset, ReadOptions, Severity};
use named::{CAT, HEADER, errors, lines, report, samples, set};
use proptest::prelude::*;

#[test]
#[cfg(unix)]
fn a_photo_by_two_paths_is_one() {
    let folder = set(&["real/a.jpg"], &[]);
    std::os::unix::fs::symlink(folder.path().join("real"), folder.path().join("set")).unwrap();
    folder.write(
        "real/labels.csv",
        format!(
            "{HEADER}\n{},64,48,cat,1,2,30,40\na.jpg,64,48,cat,5,6,30,40\n",
            folder.path().join("real/a.jpg").display()
        ),
    );
    let report = check(&folder.path().join("set"), &ReadOptions::default(), None).unwrap();
    assert_eq!(report.samples, 0);
    assert!(
        report.diagnostics[0].message.contains("is annotated under two names"),
        "{:?}",
        report.diagnostics
    );
}

#[test]
fn a_stale_filename_gives_way_to_the_annotations_own_name() {
    // The same name in all of them.
    let names = ["a", "b", "c"];
    let photos = names.map(|n| format!("images/{n}.jpg"));
    let photos: Vec<&str> = photos.iter().map(String::as_str).collect();
    let xmls = names.map(|n| (format!("annotations/{n}.xml"), "image.jpg"));
    let xmls: Vec<(&str, &str)> = xmls.iter().map(|(a, b)| (a.as_str(), *b)).collect();
    assert_eq!(samples(&set(&photos, &xmls)), photos);
    // One of them is that photo.
    let with_it = [&photos[..], &["images/image.jpg"]].concat();
    let mut and_its = xmls.clone();
    and_its.push(("annotations/image.xml", "image.jpg"));
    assert_eq!(samples(&set(&with_it, &and_its)), with_it);

    // LabelImg: an annotation copied from the photo before, its boxes then moved.
    let folder = set(&["a.jpg", "b.jpg"], &[("a.xml", "a.jpg"), ("b.xml", "a.jpg")]);
    assert_eq!(samples(&folder), ["a.jpg", "b.jpg"]);
    assert_eq!(
        lines(&folder, Severity::Warning),
        [
            "b.xml:3: the photo `a.jpg` is taken from b.jpg: that one is annotated in a.xml, and it has the annotation's name"
        ]
    );
    // But where the photo that it names is nobody else's, it is that photo.
    let folder = set(&["a.jpg", "b.jpg"], &[("b.xml", "a.jpg")]);
    assert_eq!(samples(&folder), ["a.jpg"]);
    let warnings = lines(&folder, Severity::Warning);
    assert_eq!(warnings, ["b.jpg: has no annotation: skipped; b.xml has the same name, but is for `a.jpg`"]);
}

#[test]
fn no_photo_is_two_samples() {
    // Both say so plainly: nobody knows which is right.
    let folder = set(&["a.jpg"], &[("a.xml", "a.jpg"), ("b.xml", "a.jpg")]);
    assert_eq!(report(&folder).samples, 0);
    assert_eq!(
        errors(&folder),
        ["b.xml:3: the photo `a.jpg` is also annotated in a.xml (hint: keep one of the two annotations)"]
    );
    // The plain name wins over the loose one, which is an error.
    for loose in ["A.jpg", "a.png", "a.JPG"] {
        let folder = set(&["a.jpg"], &[("x.xml", "a.jpg"), ("y.xml", loose)]);
        assert_eq!(report(&folder).samples, 1);
        let expected = format!(
            "y.xml:3: the photo `{loose}` does not exist; a.jpg is similar, but it is annotated as `a.jpg` in x.xml"
        );
        let found = errors(&folder);
        assert!(found.len() == 1 && found[0].starts_with(&expected), "{found:?}");
    }
    // In one file too.
    let folder = set(&["a.jpg"], &[]);
    folder.write("labels.csv", format!("{HEADER}\nA.JPG,64,48,cat,1,2,30,40\na.jpg,64,48,cat,5,6,30,40\n"));
    assert_eq!(report(&folder).samples, 1);
    let found = errors(&folder);
    assert!(
        found[0].starts_with("labels.csv:2: the photo `A.JPG` does not exist; a.jpg is similar"),
        "{found:?}"
    );
    // The own name is not taken where that photo is another's.
    let folder = set(&["a.jpg"], &[("a.xml", "gone.jpg"), ("x.xml", "a.jpg")]);
    assert_eq!(report(&folder).samples, 1);
    let found = errors(&folder);
    assert_eq!(
        found,
        [
            "a.xml:3: the photo `gone.jpg` does not exist (hint: a.jpg, named like this annotation, is annotated in x.xml)"
        ]
    );
    // One photo of two cameras is missing: the other's is not taken for it, nor conflicting.
    let folder = set(&["left/a.jpg"], &[("left/a.xml", "a.jpg"), ("right/a.xml", "a.jpg")]);
    assert_eq!(report(&folder).samples, 1);
    let found = errors(&folder);
    assert!(
        found.len() == 1 && found[0].starts_with("right/a.xml:3: the photo `a.jpg` does not exist"),
        "{found:?}"
    );
    // And one that lost its ending is still found.
    let folder = set(&["left/a.jpg", "right/a.jpeg"], &[("left/a.xml", "a.jpg"), ("right/a.xml", "a.jpg")]);
    assert_eq!(samples(&folder), ["left/a.jpg", "right/a.jpeg"]);
}

#[test]
fn a_set_without_one_annotated_photo_says_so() {
    let folder = set(&["images/a.jpg", "images/b.jpg"], &[("annotations/x.xml", "gone.jpg")]);
    let message = Dataset::open(folder.path(), &ReadOptions::default()).unwrap_err().to_string();
    for words in [
        "1 of 1 photos are invalid",
        "no annotation has a photo, among 2 photos",
        "`gone.jpg` does not exist",
    ] {
        assert!(message.contains(words), "{message}");
    }
    let folder = set(&["images/a.jpg"], &[]);
    fs_err::create_dir(folder.path().join("annotations")).unwrap();
    let message = Dataset::open(folder.path(), &ReadOptions::default()).unwrap_err().to_string();
    assert!(message.contains("no annotations found among 1 photo; the folder "), "{message}");
    assert!(message.contains("annotations is empty"), "{message}");
    // The folder of the annotations alone was named.
    let folder = set(&["images/a.jpg"], &[("annotations/a.xml", "a.jpg")]);
    let message =
        Dataset::open(&folder.path().join("annotations"), &ReadOptions::default()).unwrap_err().to_string();
    assert!(message.contains("images is beside it: give the folder that contains both"), "{message}");
}

#[test]
fn half_a_set_may_be_without_annotations() {
    let folder = set(
        &["images/a.jpg", "images/b.jpg", "images/raw.jpg", "masks/a.png", "cover.png"],
        &[("annotations/a.xml", "a.jpg"), ("annotations/raw.xml", "raw.jpg")],
    );
    folder.write("images/raw.NEF", b"II\x2a\0");
    folder.write("images/phone.heic", b"\0\0\0\x18ftypheic");
    assert_eq!(samples(&folder), ["images/a.jpg", "images/raw.jpg"]);
    assert_eq!(
        lines(&folder, Severity::Warning),
        ["images/b.jpg", "images/phone.heic"].map(|p| format!("{p}: has no annotation: skipped"))
    );
}

/// Folders and names that come to each other by every rule.
const FOLDERS: [&str; 5] = ["", "images/", "left/", "labels/", "masks/"];
const NAMES: [&str; 10] =
    ["a.jpg", "A.jpg", "a.JPG", "a.jpeg", "a.png", "a.jpg.jpg", "%61.jpg", "b.jpg", "b.heic", "a"];
const WRITTEN: [&str; 8] = [
    "left/a.jpg",
    "../images/a.jpg",
    "/elsewhere/a.jpg",
    "file:a.jpg",
    "C:\\x\\a.jpg",
    "gone.jpg",
    ".",
    "images",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever names come together: every photo is one sample at most, each annotation has a sample or an error, and
    /// an annotation of a plain name that no other name resembles has its photo.
    #[test]
    fn no_two_annotations_share_a_photo(
        photos in prop::collection::btree_set((0..FOLDERS.len(), 0..NAMES.len()), 1..8),
        xmls in prop::collection::btree_map(
            (0..FOLDERS.len(), 0..NAMES.len()), 0..NAMES.len() + WRITTEN.len(), 1..8,
        ),
    ) {
        let folder = Folder::new();
        let jpeg = encoded(64, 48, ImageFormat::Jpeg);
        for (i, (at, name)) in photos.iter().enumerate() {
            let bytes = [&jpeg[..], &[u8::try_from(i).unwrap()]].concat();
            folder.write(&format!("{}{}", FOLDERS[*at], NAMES[*name]), bytes);
        }
        for ((at, name), written) in &xmls {
            let written = NAMES.iter().chain(&WRITTEN).nth(*written).unwrap();
            let path = std::path::Path::new(NAMES[*name]).with_extension("xml");
            folder.write(&format!("{}{}", FOLDERS[*at], path.display()), voc(written, (64, 48), CAT));
        }
        let report = report(&folder);
        let errors = report.errors();
        prop_assert!(report.samples + errors >= 1, "{:?}", report.diagnostics);
        let options = ReadOptions { invalid_photos: loc_data::InvalidPhotoPolicy::SkipAny, ..ReadOptions::default() };
        if let Ok(opened) = Dataset::open_with_report(folder.path(), &options) {
            let mut images: Vec<_> = opened.dataset.samples.iter().map(|s| s.image.clone()).collect();
            prop_assert!(images.iter().all(|image| image.is_file()));
            let all = images.len();
            images.sort();
            images.dedup();
            prop_assert_eq!(images.len(), all, "two samples of one photo");
            prop_assert_eq!(all, report.samples);
            // What was left out has an error.
            prop_assert!(opened.skipped.photos == 0 || errors > 0);
            for diagnostic in opened.skipped.diagnostics.iter().chain(&opened.warnings) {
                prop_assert!(diagnostic.severity == Severity::Warning || opened.skipped.photos > 0, "{}", diagnostic);
            }
        }
    }
}
