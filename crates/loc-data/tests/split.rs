//! Splits: their shares, what they depend on, and the file they are kept in.

mod common;

use common::Folder;
use loc_data::split::{Fold, fold, read_csv, stratified, write_csv};
use loc_data::{BBox, Dataset, ImageSize, LabelledObject, Sample, Split};
use proptest::prelude::*;

/// A set without files: `counts[c]` samples of class `c`.
fn set(counts: &[usize]) -> Dataset {
    let mut samples = Vec::new();
    for (class, count) in counts.iter().enumerate() {
        for i in 0..*count {
            let file = format!("{class}-{i}.jpg");
            let size = ImageSize { width: 10, height: 10 };
            samples.push(Sample {
                image: file.clone().into(),
                file,
                size,
                object: Some(LabelledObject { class, bbox: BBox::new(1.0, 1.0, 5.0, 5.0) }),
                subset: None,
                digest: [0; 32],
                group: None,
            });
        }
    }
    samples.sort_by(|a, b| a.file.cmp(&b.file));
    let classes = (0..counts.len()).map(|c| c.to_string()).collect();
    Dataset { root: ".".into(), classes, samples }
}

fn val_counts(set: &Dataset, split: &Split) -> Vec<usize> {
    let count = |c| split.val.iter().filter(|i| set.samples[**i].class() == Some(c)).count();
    (0..set.classes.len()).map(count).collect()
}

#[test]
fn shares() {
    for (counts, val, expected) in [
        (&[600, 600][..], 0.2, &[120, 120][..]),
        (&[50, 49, 50], 0.2, &[10, 10, 10]),
        (&[10, 1], 0.2, &[2, 0]),
        (&[2, 2], 0.5, &[1, 1]),
        (&[2, 2], 0.99, &[1, 1]),
        (&[100, 2], 0.001, &[1, 0]),
        (&[5], 0.2, &[1]),
        (&[200], 0.2, &[40]),
        (&[3, 3, 3, 3], 0.25, &[1, 1, 1, 0]),
        (&[0, 4], 0.5, &[0, 2]),
    ] {
        let set = set(counts);
        let split = stratified(&set, val, 0).unwrap();
        assert_eq!(val_counts(&set, &split), expected, "{counts:?} {val}");
    }
}

#[test]
fn bad_fractions_and_hopeless_sets() {
    for val in [0.0, 1.0, -0.1, 1.5, f64::NAN, f64::INFINITY] {
        let message = stratified(&set(&[10]), val, 0).unwrap_err().to_string();
        assert!(message.starts_with("validation fraction is "), "{message}");
    }
    for counts in [&[][..], &[1], &[1, 1, 1]] {
        let message = stratified(&set(counts), 0.5, 0).unwrap_err().to_string();
        assert!(message.contains("leave none for validation"), "{message}");
    }
}

#[test]
fn membership_is_a_function_of_seed_and_name() {
    let all = set(&[40, 40]);
    let names = |set: &Dataset, seed| {
        let split = stratified(set, 0.25, seed).unwrap();
        split.val.iter().map(|i| set.samples[*i].file.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&all, 7), names(&all, 7));
    assert_ne!(names(&all, 7), names(&all, 8));
    // The samples' order in the set makes no difference.
    let mut reversed = all.clone();
    reversed.samples.reverse();
    let mut other = names(&reversed, 7);
    other.sort();
    assert_eq!(names(&all, 7), other);
    // Nor do other classes: class 0 alone validates the same photos.
    let mut alone = all.clone();
    alone.samples.retain(|s| s.class() == Some(0));
    let of_class_0: Vec<String> = names(&all, 7).into_iter().filter(|n| n.starts_with("0-")).collect();
    assert_eq!(names(&alone, 7), of_class_0);
}

proptest! {
    #[test]
    fn every_sample_once_and_every_class_trains(
        counts in prop::collection::vec(0_usize..30, 1..6), val in 0.001_f64..0.999, seed: u64,
    ) {
        let set = set(&counts);
        match stratified(&set, val, seed) {
            Ok(split) => {
                let mut all = [split.train.clone(), split.val.clone()].concat();
                all.sort_unstable();
                prop_assert_eq!(all, (0..set.samples.len()).collect::<Vec<_>>());
                prop_assert!(!split.val.is_empty());
                for (count, val) in counts.iter().zip(val_counts(&set, &split)) {
                    prop_assert!(*count == 0 || val < *count);
                }
            }
            Err(_) => prop_assert!(counts.iter().all(|c| *c < 2)),
        }
    }
}

#[test]
fn comes_back_from_its_file() {
    let folder = Folder::new();
    let path = folder.path().join("split.csv");
    let mut set = set(&[6, 5]);
    set.samples[3].file = "with, comma and \"quotes\".jpg".into();
    let split = stratified(&set, 0.3, 1).unwrap();
    write_csv(&path, &set, &split).unwrap();
    assert_eq!(read_csv(&path, &set).unwrap(), split);
    let text = fs_err::read_to_string(&path).unwrap();
    assert!(text.starts_with("filename,split\n0-0.jpg,"), "{text}");
    // As Excel would save it.
    folder.write("split.csv", format!("\u{feff}{}", text.replace('\n', "\r\n")));
    assert_eq!(read_csv(&path, &set).unwrap(), split);
    let missing = folder.path().join("no/such/split.csv");
    assert!(write_csv(&missing, &set, &split).unwrap_err().to_string().contains("no/such/split.csv"));
    assert!(read_csv(&missing, &set).unwrap_err().to_string().contains("no/such/split.csv"));
}

#[test]
fn all_problems_of_a_file_at_once() {
    let set = set(&[4]);
    let cases: [(&str, &[&str]); 5] = [
        (
            "filename,split\n0-0.jpg,train\n0-0.jpg,val\nx.jpg,train\n0-1.jpg,tests\n0-2.jpg\n",
            &[
                "record 2: `0-0.jpg` occurs twice",
                "record 3: the data set has no `x.jpg`",
                "record 4: split is `tests`; valid are `train`, `val`, `test` and `none`",
                "record 5: 1 fields instead of 2",
                "`0-1.jpg` is in the data set, but not in the file",
                "`0-2.jpg` is in the data set, but not in the file",
                "`0-3.jpg` is in the data set, but not in the file",
            ],
        ),
        ("file,part\n", &["the header is `file,part` instead of `filename,split`"]),
        ("", &["the header is `` instead"]),
        (
            "filename,split\n0-0.jpg,val\n0-1.jpg,val\n0-2.jpg,val\n0-3.jpg,val\n",
            &["no sample is in `train`"],
        ),
        (
            "filename,split\n0-0.jpg,train\n0-1.jpg,train\n0-2.jpg,train\n0-3.jpg,train\n",
            &["no sample is in `val`"],
        ),
    ];
    for (text, expected) in cases {
        let folder = Folder::new();
        let path = folder.write("split.csv", text);
        let message = read_csv(&path, &set).unwrap_err().to_string();
        assert!(message.starts_with(&path.display().to_string()), "{message}");
        assert_eq!(message.lines().count(), expected.len() + 1, "{message}");
        for problem in expected {
            assert!(message.contains(problem), "{message}\n{problem}");
        }
    }
}

#[test]
fn folds_part_the_training_samples_and_leave_the_others_alone() {
    let set = set(&[30, 17]);
    let split = stratified(&set, 0.2, 3).unwrap();
    let folds: Vec<Split> =
        (1..=4).map(|i| fold(&set, &split, Fold { index: i, count: 4 }, 3).unwrap()).collect();
    let mut seen: Vec<usize> = folds.iter().flat_map(|f| f.val.clone()).collect();
    seen.sort_unstable();
    assert_eq!(seen, split.train, "each training sample validates once");
    for part in &folds {
        let mut both = [part.train.clone(), part.val.clone()].concat();
        both.sort_unstable();
        assert_eq!(both, split.train);
        assert!(val_counts(&set, part).iter().all(|n| *n > 0), "every class is in every fold");
        assert!((9..=10).contains(&part.val.len()), "{}", part.val.len());
    }
    assert_ne!(
        folds[0].val,
        fold(&set, &split, Fold { index: 1, count: 4 }, 4).unwrap().val,
        "the seed decides"
    );
    for wrong in [(0, 4), (5, 4), (1, 1)] {
        let message = fold(&set, &split, Fold { index: wrong.0, count: wrong.1 }, 0).unwrap_err().to_string();
        assert!(message.contains("I/K"), "{message}");
    }
    // What is in neither part comes back from a file so.
    let folder = Folder::new();
    let path = folder.path().join("split.csv");
    write_csv(&path, &set, &folds[1]).unwrap();
    assert_eq!(read_csv(&path, &set).unwrap(), folds[1]);
}
