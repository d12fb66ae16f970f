//! The sample set: its promises measured on what is really written.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::Folder;
use loc_data::check::check;
use loc_data::stats::baseline;
use loc_data::{Dataset, ReadOptions, shapes};
use sha2::{Digest, Sha256};

fn generated(n: usize, seed: u64) -> (Folder, Dataset) {
    let folder = Folder::new();
    let out = folder.path().join("shapes");
    shapes::generate(&out, n, seed).unwrap();
    let set = Dataset::open(&out, &ReadOptions::default()).unwrap();
    (folder, set)
}

#[test]
fn a_constant_answer_fails_on_it() {
    // The full count and other seeds are measured in the crate itself, without painting.
    let (_folder, set) = generated(60, 0);
    assert_eq!(set.classes, ["box", "disc", "star"]);
    let all: Vec<usize> = (0..set.samples.len()).collect();
    let constant = baseline(&set, &all, &all).unwrap();
    assert!(constant.median_box.mean_iou <= 0.45, "{constant:?}");
    assert_eq!(constant.majority_accuracy, 1.0 / 3.0);
}

#[test]
fn the_same_bytes_for_the_same_seed() {
    let digest = |n, seed| {
        let (_folder, set) = generated(n, seed);
        set.samples
            .iter()
            .map(|s| fs_err::read(&s.image).unwrap())
            .fold(Sha256::new(), |h, b| h.chain_update(b))
            .finalize()
    };
    assert_eq!(digest(4, 0), digest(4, 0));
    assert_ne!(digest(4, 0), digest(4, 1));
}

/// Changes only on purpose: what recipes are measured on, and what `[expect]` tables promise, is this set.
#[test]
fn the_bytes_are_the_recorded_ones() {
    let folder = Folder::new();
    shapes::generate(&folder.path().join("shapes"), 12, 0).unwrap();
    let mut digest = Sha256::new();
    for i in 0..12 {
        for file in [format!("images/shape-{i:05}.jpg"), format!("annotations/shape-{i:05}.xml")] {
            digest.update(fs_err::read(folder.path().join("shapes").join(file)).unwrap());
        }
    }
    let hex = hex::encode(digest.finalize());
    assert_eq!(hex, "90b7061301942c612793b483f32518e0bfc2c5a9d207eadbe1d3e1784e8537f5");
}

#[test]
fn a_photo_does_not_depend_on_how_many_follow() {
    let ((_a, few), (_b, more)) = (generated(3, 5), generated(7, 5));
    for (a, b) in few.samples.iter().zip(&more.samples) {
        assert_eq!((&a.file, a.object), (&b.file, b.object));
        assert_eq!(fs_err::read(&a.image).unwrap(), fs_err::read(&b.image).unwrap());
    }
}

#[test]
fn it_has_no_defect() {
    let (folder, _) = generated(12, 9);
    let report = check(&folder.path().join("shapes"), &ReadOptions::default(), None).unwrap();
    assert!(report.diagnostics.is_empty(), "{:?}", report.diagnostics);
    assert_eq!((report.samples, report.photos), (12, 12));
}

#[test]
fn nothing_is_overwritten_or_left_half_done() {
    let folder = Folder::new();
    let out = folder.path().join("shapes");
    folder.write("shapes/mine.txt", "keep");
    assert!(shapes::generate(&out, 3, 0).unwrap_err().to_string().contains("is not an empty folder"));
    assert_eq!(fs_err::read_dir(&out).unwrap().count(), 1);
    for n in [0, 100_001] {
        assert!(shapes::generate(&folder.path().join("new"), n, 0).is_err());
    }
    fs_err::create_dir(folder.path().join("empty")).unwrap();
    shapes::generate(&folder.path().join("empty"), 1, 0).unwrap();
    shapes::generate(&folder.path().join("deep/er/new"), 1, 0).unwrap();
    assert!(shapes::generate(&folder.path().join("shapes/mine.txt"), 1, 0).is_err());
    let names: Vec<_> = fs_err::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "nothing but shapes, empty and deep: {names:?}");
}
