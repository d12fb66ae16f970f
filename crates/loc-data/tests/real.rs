//! The shared photos, where they are: counts, objects, sizes and splits that were worked out independently.

mod common;

use common::{shared, shared_file};
use loc_data::check::check;
use loc_data::stats::baseline;
use loc_data::{Dataset, DiagnosticKind, Format, MultiObjectPolicy, ReadOptions, split};

#[test]
fn the_tutorials_photos() {
    let (Some(folder), Some(file)) = (shared("cats-dogs"), shared_file("splits/cats-dogs-seed43.csv")) else {
        return;
    };
    let options = ReadOptions::default();
    let set = Dataset::open(folder.path(), &options).unwrap();
    assert_eq!(
        (set.samples.len(), set.classes.as_slice()),
        (1200, &["cat".to_owned(), "dog".to_owned()][..])
    );
    for class in 0..2 {
        assert_eq!(set.samples.iter().filter(|s| s.class() == Some(class)).count(), 600);
    }
    // The same from the folder within.
    let inner = Dataset::open(&folder.path().join("dataset"), &options).unwrap();
    assert_eq!(
        (&inner.samples[0].file, inner.samples[0].object),
        (&set.samples[0].file, set.samples[0].object)
    );
    assert_eq!(inner.digest(), set.digest());

    // The same from the CSV, its numbers named.
    let named = ReadOptions { classes: Some(set.classes.clone()), ..ReadOptions::default() };
    let from_csv = Dataset::open(&folder.path().join("dataset.csv"), &named).unwrap();
    assert_eq!(from_csv.samples, set.samples);
    let by_format = ReadOptions { format: Some(Format::Csv), ..ReadOptions::default() };
    assert_eq!(Dataset::open(folder.path(), &by_format).unwrap().classes, ["0", "1"]);

    // The tutorial's split, and what the constant answer gets on it (worked out with NumPy).
    let parts = split::read_csv(&file, &set).unwrap();
    assert_eq!((parts.train.len(), parts.val.len()), (960, 240));
    let constant = baseline(&set, &parts.train, &parts.val).unwrap();
    let b = constant.median_box;
    for (got, expected) in
        [(constant.majority_accuracy, 0.467), (b.mean_iou, 0.711), (b.iou50, 0.879), (b.iou75, 0.542)]
    {
        assert!((got - expected).abs() < 0.0006, "{got} where {expected} is known");
    }

    // Our own split of them: a fifth of each class.
    let own = split::stratified(&set, 0.2, 0).unwrap();
    assert_eq!((own.train.len(), own.val.len()), (960, 240));
    assert_eq!(own.val.iter().filter(|i| set.samples[**i].class() == Some(0)).count(), 120);
}

#[test]
fn raccoons() {
    let Some(folder) = shared("raccoon") else { return };
    let report = check(folder.path(), &ReadOptions::default(), None).unwrap();
    let of = |kind| report.diagnostics.iter().filter(|f| f.kind == kind).count();
    assert_eq!((report.samples, report.errors()), (200, 0), "{:?}", report.diagnostics);
    assert_eq!(
        (of(DiagnosticKind::ObjectsSeveral), of(DiagnosticKind::Copies), report.warnings()),
        (16, 6, 22),
        "three have the same bytes"
    );
    assert_eq!((report.format, report.classes.as_slice()), (Format::Voc, &["raccoon".to_owned()][..]));
    let skip = ReadOptions { objects: MultiObjectPolicy::Skip, ..ReadOptions::default() };
    assert_eq!(Dataset::open(folder.path(), &skip).unwrap().samples.len(), 184);

    // The CSV holds the same boxes.
    let voc = Dataset::open(folder.path(), &ReadOptions::default()).unwrap();
    let csv = folder.path().join("raccoon/data/raccoon_labels.csv");
    let csv = Dataset::open(&csv, &ReadOptions::default()).unwrap();
    assert_eq!(csv.samples.len(), 200);
    for (a, b) in voc.samples.iter().zip(&csv.samples) {
        assert_eq!((&a.file, a.object, a.size), (&b.file, b.object, b.size));
    }
    // All three files at once name photos twice.
    let all = ReadOptions { format: Some(Format::Csv), ..ReadOptions::default() };
    let message = Dataset::open(folder.path(), &all).unwrap_err().to_string();
    assert!(message.contains("give the CSV file"), "{message}");
}

#[test]
fn boards() {
    let Some(folder) = shared("mcu") else { return };
    let set = Dataset::open(folder.path(), &ReadOptions::default()).unwrap();
    assert_eq!(set.samples.len(), 149);
    assert_eq!(set.classes, ["Arduino_Nano", "ESP8266", "Heltec_ESP32_Lora", "Raspberry_Pi_3"]);
    // Two CSV files, one a part, make the same set.
    let csv = ReadOptions { format: Some(Format::Csv), ..ReadOptions::default() };
    let from_csv = Dataset::open(folder.path(), &csv).unwrap();
    assert_eq!(from_csv.classes, set.classes);
    for (a, b) in set.samples.iter().zip(&from_csv.samples) {
        assert_eq!((&a.file, a.object), (&b.file, b.object));
    }
}

#[test]
fn rabbits_of_which_half_are_missing() {
    let Some(folder) = shared("rabbit") else { return };
    let report = check(folder.path(), &ReadOptions::default(), None).unwrap();
    let missing = report.diagnostics.iter().filter(|f| f.kind == DiagnosticKind::PhotoMissing).count();
    assert_eq!((report.format, report.samples, missing, report.errors()), (Format::Coco, 197, 203, 0));
    assert_eq!(report.classes, ["rabbit"]);
    assert_eq!(Dataset::open(folder.path(), &ReadOptions::default()).unwrap().samples.len(), 197);
}
