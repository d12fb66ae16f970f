//! What is wrong is left out, for whoever asks: no error names a photo of either side of a split.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::path::Path;

use common::{Folder, object, voc};
use loc_data::check::check;
use loc_data::{
    DataError, Dataset, DiagnosticKind, InvalidPhotoPolicy, MultiObjectPolicy, ReadOptions, Remedy, Severity,
    split, summary,
};

/// Good photos beside the one that is wrong.
const GOOD: usize = 30;
const BOX: [f32; 4] = [10.0, 12.0, 40.0, 36.0];

/// A sound set as VOC, each photo with its XML; or as CSV, a row each.
fn sound(csv: bool) -> Folder {
    let folder = Folder::new();
    let mut rows = String::from("filename,width,height,class,xmin,ymin,xmax,ymax\n");
    for i in 0..GOOD {
        let name = format!("good{i:02}.jpg");
        folder.photo(&format!("images/{name}"), 64, 48);
        if csv {
            rows += &format!("{name},64,48,cat,10,12,40,36\n");
        } else {
            folder.write(&format!("annotations/good{i:02}.xml"), voc(&name, (64, 48), &[("cat", BOX)]));
        }
    }
    if csv {
        folder.write("labels.csv", rows);
    }
    folder
}

/// A kind, and how a sound set gets a fault of it.
type Fault = (DiagnosticKind, fn(&Folder));

/// One fault of each kind in a VOC set; the photo it concerns is called `bad`.
fn voc_faults() -> Vec<Fault> {
    fn bad(folder: &Folder, xml: impl AsRef<[u8]>) {
        folder.photo("images/bad.jpg", 64, 48);
        folder.write("annotations/bad.xml", xml);
    }
    fn boxed(edges: [&str; 4]) -> String {
        let xml = voc("bad.jpg", (64, 48), &[]);
        xml.replace("</annotation>", &(object("cat", edges.map(str::to_owned)) + "</annotation>"))
    }
    vec![
        (DiagnosticKind::Syntax, |f| bad(f, "<annotation><filename>bad.jpg")),
        (DiagnosticKind::Encoding, |f| bad(f, b"<annotation><filename>bad.jpg</filename>\xff</annotation>")),
        (DiagnosticKind::FieldMissing, |f| {
            bad(f, voc("bad.jpg", (64, 48), &[("cat", BOX)]).replace("<ymin>12</ymin>", ""))
        }),
        (DiagnosticKind::Number, |f| bad(f, boxed(["1", "2", "NaN", "40"]))),
        (DiagnosticKind::PhotoMissing, |f| {
            f.write("annotations/bad.xml", voc("bad.jpg", (64, 48), &[("cat", BOX)]));
        }),
        (DiagnosticKind::PhotoDamaged, |f| {
            bad(f, voc("bad.jpg", (64, 48), &[("cat", BOX)]));
            let path = f.path().join("images/bad.jpg");
            let whole = fs_err::read(&path).unwrap();
            fs_err::write(path, &whole[..whole.len() / 2]).unwrap();
        }),
        (DiagnosticKind::PhotoDoubled, |f| {
            bad(f, voc("bad.jpg", (64, 48), &[("cat", BOX)]));
            f.write("annotations/bad-again.xml", voc("bad.jpg", (64, 48), &[("cat", BOX)]));
        }),
        (DiagnosticKind::SizeMismatch, |f| bad(f, voc("bad.jpg", (640, 480), &[("cat", BOX)]))),
        (DiagnosticKind::BoxEmpty, |f| bad(f, boxed(["10", "12", "10", "40"]))),
        (DiagnosticKind::BoxOutside, |f| bad(f, boxed(["10", "12", "100", "40"]))),
        (DiagnosticKind::ClassUnknown, |f| bad(f, voc("bad.jpg", (64, 48), &[("Cat", BOX)]))),
        (DiagnosticKind::ObjectsSeveral, |f| {
            bad(f, voc("bad.jpg", (64, 48), &[("cat", BOX), ("cat", [1.0, 2.0, 9.0, 8.0])]))
        }),
        (DiagnosticKind::FieldDoubled, |f| {
            bad(f, voc("bad.jpg", (64, 48), &[("cat", BOX)]).replace("<name>", "<name>dog</name><name>"));
        }),
        (DiagnosticKind::BoxUnits, |f| bad(f, boxed(["0.1", "0.2", "0.5", "0.75"]))),
    ]
}

fn csv_faults() -> Vec<(DiagnosticKind, &'static str)> {
    vec![
        (DiagnosticKind::Syntax, "bad.jpg,64,48,cat,10,12\n"),
        (DiagnosticKind::FieldMissing, "bad.jpg,64,48,,10,12,40,36\n"),
        (DiagnosticKind::Number, "bad.jpg,64,48,cat,10,12,x,36\n"),
        (DiagnosticKind::PhotoMissing, "bad2.jpg,64,48,cat,10,12,40,36\n"),
        (DiagnosticKind::SizeMismatch, "bad.jpg,64,48,cat,10,12,40,36\nbad.jpg,48,64,cat,10,12,40,36\n"),
        (DiagnosticKind::SizeMismatch, "bad.jpg,640,480,cat,10,12,40,36\n"),
        (DiagnosticKind::BoxEmpty, "bad.jpg,64,48,cat,40,12,10,36\n"),
        (DiagnosticKind::BoxOutside, "bad.jpg,64,48,cat,-9,12,10,36\n"),
        (DiagnosticKind::ClassUnknown, "bad.jpg,64,48,CAT,10,12,40,36\n"),
        (DiagnosticKind::ObjectsSeveral, "bad.jpg,64,48,cat,10,12,40,36\nbad.jpg,64,48,cat,1,2,4,6\n"),
        // One bad row of two spoils the photo: the other row may not be its largest object.
        (DiagnosticKind::Number, "bad.jpg,64,48,cat,10,12,40,36\nbad.jpg,64,48,cat,1,2,x,6\n"),
    ]
}

/// Opens the set as training does, and checks that what an error names is nowhere.
fn is_left_out(folder: &Folder, kind: DiagnosticKind, named: usize) {
    let options = ReadOptions { objects: MultiObjectPolicy::Error, ..ReadOptions::default() };
    let opened =
        Dataset::open_with_report(folder.path(), &options).unwrap_or_else(|e| panic!("{kind:?}: {e}"));
    let (set, skipped) = (opened.dataset, opened.skipped);
    assert!(skipped.diagnostics.iter().any(|f| f.kind == kind), "{kind:?}: {skipped:?}");
    assert!(skipped.diagnostics.iter().all(|f| f.severity == Severity::Error));
    assert_eq!((skipped.photos, skipped.total), (1, GOOD + named), "{kind:?}");
    let parts = split::stratified(&set, 0.3, 0).unwrap();
    for index in parts.train.iter().chain(&parts.val) {
        assert!(set.samples[*index].file.starts_with("good"), "{kind:?}: {:?}", set.samples[*index]);
    }
    assert_eq!(parts.train.len() + parts.val.len(), GOOD, "{kind:?}: only what is wrong goes");

    let report = check(folder.path(), &options, None).unwrap();
    assert_eq!((report.samples, report.errors()), (GOOD, skipped.diagnostics.len()), "{kind:?}");

    let strict = ReadOptions { invalid_photos: InvalidPhotoPolicy::Refuse, ..options };
    let refused = Dataset::open(folder.path(), &strict).unwrap_err();
    assert!(matches!(refused, DataError::Defects { .. }), "{kind:?}: {refused}");
}

#[test]
fn whatever_the_error_its_photo_is_in_neither_part() {
    for (kind, fault) in voc_faults() {
        let folder = sound(false);
        fault(&folder);
        is_left_out(&folder, kind, 1);
    }
    for (kind, rows) in csv_faults() {
        let folder = sound(true);
        folder.photo("images/bad.jpg", 64, 48);
        let csv = folder.path().join("labels.csv");
        let text = fs_err::read_to_string(&csv).unwrap() + rows;
        fs_err::write(csv, text).unwrap();
        is_left_out(&folder, kind, 1);
    }
}

#[test]
fn every_kind_of_error_is_tried_here_or_concerns_no_single_photo() {
    let elsewhere = [
        // Of a file of many annotations: the set is refused (below).
        DiagnosticKind::Unreadable,
        DiagnosticKind::TooMany,
        // Only warnings.
        DiagnosticKind::Skipped,
        DiagnosticKind::Foreign,
        DiagnosticKind::PhotoRenamed,
        DiagnosticKind::PhotoOutside,
        DiagnosticKind::PhotoMisnamed,
        DiagnosticKind::PhotoUnannotated,
        DiagnosticKind::SizeUnknown,
        DiagnosticKind::Orientation,
        DiagnosticKind::BoxClipped,
        DiagnosticKind::BoxDerived,
        DiagnosticKind::BoxRepaired,
        DiagnosticKind::ObjectIgnored,
        DiagnosticKind::ObjectMissing,
        DiagnosticKind::ClassUnused,
        DiagnosticKind::CopiesTorn,
        DiagnosticKind::Copies,
        // It names two photos, of which neither need be wrong (`finder.rs`).
        DiagnosticKind::PhotoAmbiguous,
    ];
    let tried: Vec<DiagnosticKind> =
        voc_faults().iter().map(|(k, _)| *k).chain(csv_faults().iter().map(|(k, _)| *k)).collect();
    for kind in DiagnosticKind::ALL {
        assert_ne!(tried.contains(kind), elsewhere.contains(kind), "{kind:?}");
    }
}

#[test]
fn one_photo_in_twenty_may_be_unusable() {
    for (bad, good, admitted) in [(1, 19, true), (1, 18, false), (2, 38, true), (3, 38, false)] {
        let folder = Folder::new();
        for i in 0..good + bad {
            let size = if i < bad { (9, 9) } else { (64, 48) };
            folder.photo(&format!("{i}.jpg"), 64, 48);
            folder.write(&format!("{i}.xml"), voc(&format!("{i}.jpg"), size, &[("cat", BOX)]));
        }
        let open = |invalid_photos| {
            let options = ReadOptions { invalid_photos, ..ReadOptions::default() };
            Dataset::open_with_report(folder.path(), &options)
        };
        let few = open(InvalidPhotoPolicy::SkipFew);
        assert_eq!(few.is_ok(), admitted, "{bad} of {}", good + bad);
        match few {
            Ok(opened) => {
                assert_eq!(opened.dataset.samples.len(), good);
                assert!(!opened.skipped.by_skip_any());
                let lines = opened.skipped.summary();
                assert_eq!(
                    lines[0],
                    format!("skipped {bad} of {} photos: the photo or its annotation is invalid", good + bad)
                );
                assert!(
                    lines[1].contains("the photo `0.jpg` is 64×48") || lines[1].starts_with("2 annotations")
                );
            }
            Err(error) => {
                let message = error.to_string();
                assert!(
                    message.contains(&format!("{bad} of {} photos are invalid", good + bad)),
                    "{message}"
                );
                assert_eq!(message.matches("the size is given as 9×9").count(), bad, "{message}");
                assert_eq!(error.hint().and_then(|hint| hint.remedy), Some(Remedy::SkipInvalidPhotos));
            }
        }
        let any = open(InvalidPhotoPolicy::SkipAny).unwrap();
        assert!(any.skipped.by_skip_any() && any.dataset.samples.len() == good);
        assert!(open(InvalidPhotoPolicy::Refuse).is_err());
    }
}

#[test]
fn a_file_of_many_annotations_that_cannot_be_read_is_no_small_loss() {
    let folder = sound(true);
    folder.write("more.csv", "filename,width,height,class,xmin,ymin,xmax,ymax\n");
    let open = |invalid_photos| {
        Dataset::open(folder.path(), &ReadOptions { invalid_photos, ..ReadOptions::default() })
    };
    assert!(
        open(InvalidPhotoPolicy::SkipFew)
            .unwrap_err()
            .to_string()
            .contains("more.csv: has a header but no rows")
    );
    assert_eq!(open(InvalidPhotoPolicy::SkipAny).unwrap().samples.len(), GOOD);
}

#[test]
fn photos_without_annotations_are_a_warning_with_a_count() {
    let folder = sound(false);
    for i in 0..GOOD {
        folder.photo(&format!("images/plain{i:02}.jpg"), 64, 48);
    }
    let opened = Dataset::open_with_report(folder.path(), &ReadOptions::default()).unwrap();
    assert_eq!((opened.dataset.samples.len(), opened.skipped.photos), (GOOD, 0));
    let lines = summary(&opened.warnings);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("30 photos without an annotation: "), "{lines:?}");
    assert!(lines[0].contains("plain00.jpg") && lines[0].ends_with("plain02.jpg, …"), "{lines:?}");

    let none = Folder::new();
    none.photo("images/a.jpg", 64, 48);
    none.write("annotations/notes.xml", "<notes/>");
    let error = Dataset::open(none.path(), &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("no photo is valid"), "{error}");
}

#[test]
fn copies_stay_on_one_side_whatever_the_seed() {
    let folder = sound(false);
    let photo = fs_err::read(folder.path().join("images/good00.jpg")).unwrap();
    for i in 0..5 {
        let name = format!("copy{i}.jpg");
        folder.write(&format!("images/{name}"), &photo);
        folder.write(&format!("annotations/copy{i}.xml"), voc(&name, (64, 48), &[("cat", BOX)]));
        for j in 0..2 {
            let name = format!("cow{i}_jpg.rf.{j}123456789abcdef.jpg");
            folder.photo(&format!("images/{name}"), 64, 48);
            folder.write(
                &format!("annotations/{}.xml", Path::new(&name).file_stem().unwrap().to_str().unwrap()),
                voc(&name, (64, 48), &[("cow", BOX)]),
            );
        }
    }
    let set = Dataset::open(folder.path(), &ReadOptions::default()).unwrap();
    let choice = split::SplitOptions { file: None, folders: true, val: 0.3, seed: 0 };
    for seed in 0..20 {
        let (parts, origin) = split::choose(&set, &split::SplitOptions { seed, ..choice }).unwrap();
        assert!(split::leaks(&set, &parts).is_empty(), "seed {seed}");
        assert_eq!(parts.train.len() + parts.val.len(), GOOD + 15);
        assert!((12..=14).contains(&parts.val.len()), "about 30 %: {}", parts.val.len());
        let said = split::describe(&set, &parts, origin).join("\n");
        assert!(said.contains("16 photos are copies of 6 sources"), "{said}");
        for part in [
            split::fold(&set, &parts, split::Fold { index: 1, count: 3 }, seed).unwrap(),
            split::fold(&set, &parts, split::Fold { index: 3, count: 3 }, seed).unwrap(),
        ] {
            assert!(split::leaks(&set, &part).is_empty(), "folds of seed {seed}");
        }
    }
    // A split that is given may tear them apart: that is said.
    let half = split::Split { train: (0..3).collect(), val: (3..45).collect(), ..Default::default() };
    let torn = split::leaks(&set, &half);
    assert!(torn.iter().all(|f| f.kind == DiagnosticKind::CopiesTorn && f.severity == Severity::Warning));
    let file = folder.path().join("half.csv");
    split::write_csv(&file, &set, &half).unwrap();
    let report = check(folder.path(), &ReadOptions::default(), Some(&file)).unwrap();
    assert_eq!(
        report.diagnostics.iter().filter(|f| f.kind == DiagnosticKind::CopiesTorn).count(),
        torn.len()
    );
    assert!(!torn.is_empty());
}

#[test]
fn folders_are_a_split_unless_told_otherwise() {
    let make = |folders: &[(&str, usize)]| {
        let folder = Folder::new();
        for (name, photos) in folders {
            for i in 0..*photos {
                let photo = format!("{}{i}.jpg", name.replace('/', "-"));
                folder.annotated(
                    &format!("{name}/{photo}"),
                    &format!("{name}/{}", photo.replace("jpg", "xml")),
                );
            }
        }
        let set = Dataset::open(folder.path(), &ReadOptions::default()).unwrap();
        let choice = split::SplitOptions { file: None, folders: true, val: 0.25, seed: 0 };
        let counts =
            |(s, o): (split::Split, split::SplitSource)| (o, s.train.len(), s.val.len(), s.test.len());
        let drawn = split::choose(&set, &split::SplitOptions { folders: false, ..choice }).unwrap();
        assert_eq!(drawn.1, split::SplitSource::Drawn);
        counts(split::choose(&set, &choice).unwrap())
    };
    use split::SplitSource::{Drawn, DrawnInTrain, Folders};
    assert_eq!(make(&[("train", 8), ("valid", 3), ("test", 2)]), (Folders, 8, 3, 2));
    assert_eq!(make(&[("images/Train", 8), ("images/Val", 3)]), (Folders, 8, 3, 0));
    assert_eq!(make(&[("train", 8), ("test", 4)]), (DrawnInTrain, 6, 2, 4));
    assert_eq!(make(&[("train", 8)]), (Drawn, 6, 2, 0));
    assert_eq!(make(&[("train", 8), ("more", 4)]), (Drawn, 9, 3, 0), "not all lie in such folders");
}

#[test]
fn check_finds_copies_that_look_alike() {
    let folder = sound(false);
    let photo = image::open(folder.path().join("images/good03.jpg")).unwrap().into_rgb8();
    let smaller = image::imageops::resize(&photo, 48, 36, image::imageops::FilterType::Triangle);
    smaller.save(folder.path().join("images/near.png")).unwrap();
    folder.write("annotations/near.xml", voc("near.png", (48, 36), &[("cat", BOX)]));
    let same = fs_err::read(folder.path().join("images/good05.jpg")).unwrap();
    folder.write("images/zz.jpg", same);
    folder.write("annotations/zz.xml", voc("zz.jpg", (64, 48), &[("cat", BOX)]));
    let copies = |split: Option<&Path>| {
        let report = check(folder.path(), &ReadOptions::default(), split).unwrap();
        let copies = report
            .diagnostics
            .into_iter()
            .filter(|f| matches!(f.kind, DiagnosticKind::Copies | DiagnosticKind::CopiesTorn));
        copies
            .map(|f| f.to_string()[folder.path().display().to_string().len() + 1..].to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        copies(None),
        [
            "images/near.png: looks almost like `good03.jpg`",
            "images/zz.jpg: has the same bytes as `good05.jpg`"
        ]
    );
    let mut split = String::from("filename,split\n");
    for i in 0..GOOD {
        split += &format!("good{i:02}.jpg,{}\n", if i < 20 { "train" } else { "val" });
    }
    let file = folder.write("split.csv", split + "near.png,val\nzz.jpg,val\n");
    let torn = copies(Some(&file));
    assert_eq!(torn.len(), 2, "{torn:?}");
    assert!(
        torn[0].starts_with(
            "images/near.png: looks almost like `good03.jpg`, which is a training photo (hint: "
        ),
        "{torn:?}"
    );
    assert!(
        torn[1].starts_with("images/zz.jpg: is a copy of `good05.jpg`, which is a training photo"),
        "{torn:?}"
    );
}
