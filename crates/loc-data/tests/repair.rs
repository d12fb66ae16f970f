//! `check::fix`: a repaired copy of a set, which has no error; the set itself stays as it is.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{Folder, encoded, voc};
use image::ImageFormat;
use loc_data::check::{check, fix};
use loc_data::{BBox, DataError, Dataset, DiagnosticKind, Format, ReadOptions};

const SIZE: (u32, u32) = (64, 48);

/// Everything below a folder.
fn everything(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(everything(&path));
        } else {
            all.insert(path.display().to_string(), fs_err::read(&path).unwrap());
        }
    }
    all
}

/// Photos with one fault each: corners swapped, a box that leaves its photo, a PNG named JPEG, UTF-16, and one that nothing
/// repairs.
fn faulty() -> Folder {
    let folder = Folder::new();
    for (name, b) in [
        ("good", [10.0, 12.0, 40.0, 36.0]),
        ("swapped", [40.0, 36.0, 10.0, 12.0]),
        ("outside", [-30.0, 12.0, 100.0, 36.0]),
        ("nowhere", [70.0, 12.0, 100.0, 36.0]),
    ] {
        folder.photo(&format!("{name}.jpg"), SIZE.0, SIZE.1);
        folder.write(&format!("{name}.xml"), voc(&format!("{name}.jpg"), SIZE, &[("cat", b)]));
    }
    folder.write("misnamed.jpg", encoded(64, 48, ImageFormat::Png));
    folder.write("misnamed.xml", voc("misnamed.jpg", SIZE, &[("dog", [1.0, 2.0, 30.0, 40.0])]));
    let wide = format!("\u{feff}{}", voc("wide.jpg", SIZE, &[("dög", [1.0, 2.0, 30.0, 40.0])]));
    folder.photo("wide.jpg", SIZE.0, SIZE.1);
    folder.write("wide.xml", wide.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
    folder
}

#[test]
fn a_repaired_copy_has_no_error_and_the_source_stays() {
    let (folder, new) = (faulty(), Folder::new());
    let before = everything(folder.path());
    let options = ReadOptions::default();
    assert_eq!(check(folder.path(), &options, None).unwrap().errors(), 6);
    let out = new.path().join("repaired");
    let (report, fixed) = fix(folder.path(), &options, None, &out).unwrap();
    assert_eq!(everything(folder.path()), before);

    let prefix = format!("{}/", folder.path().display());
    let said: Vec<String> = report.diagnostics.iter().map(|d| d.to_string().replace(&prefix, "")).collect();
    for expected in [
        "swapped.xml:12: repaired: xmin 40 and xmax 10 are swapped",
        "swapped.xml:12: repaired: ymin 36 and ymax 12 are swapped",
        "outside.xml:12: repaired: clipped: xmin -30 lies 30 px outside the photo, which is 64 wide, xmax 100 lies",
        "misnamed.jpg: is a PNG despite its extension",
        "wide.xml: repaired: is UTF-16LE: written as UTF-8",
        "nowhere.xml:12: the box has no area inside the photo",
    ] {
        assert!(said.iter().any(|line| line.starts_with(expected)), "no {expected:?} in {said:#?}");
    }
    assert_eq!((report.errors(), fixed.left_out, fixed.written.photos), (1, 1, 5));
    assert_eq!(fixed.written.renamed, [("misnamed.jpg".to_owned(), "JPEGImages/misnamed.png".to_owned())]);

    let again = check(&out, &options, None).unwrap();
    assert_eq!(
        (again.errors(), again.warnings(), again.format),
        (0, 0, Format::Voc),
        "{:?}",
        again.diagnostics
    );
    let set = Dataset::open(&out, &options).unwrap();
    let boxes: BTreeMap<&str, BBox> =
        set.samples.iter().map(|s| (s.file.as_str(), s.object.unwrap().bbox)).collect();
    let expected = BBox { x1: 10.0, y1: 12.0, x2: 40.0, y2: 36.0 };
    assert_eq!((boxes["good.jpg"], boxes["swapped.jpg"]), (expected, expected));
    assert_eq!(boxes["outside.jpg"], BBox { x1: 0.0, y1: 12.0, x2: 64.0, y2: 36.0 });
    assert_eq!(set.classes, ["cat", "dog", "dög"]);

    // Nothing is overwritten.
    assert!(matches!(fix(folder.path(), &options, None, &out), Err(DataError::NotEmpty(_))));
    assert!(matches!(
        fix(folder.path(), &options, None, &folder.path().join("in")),
        Err(DataError::Argument { .. })
    ));
}

#[test]
fn a_pattern_is_no_slip() {
    // Sizes in the place of the far corner: swapping corners would make wrong boxes of them.
    let (folder, new) = (Folder::new(), Folder::new());
    for i in 0..4 {
        folder.photo(&format!("{i}.jpg"), SIZE.0, SIZE.1);
        folder
            .write(&format!("{i}.xml"), voc(&format!("{i}.jpg"), SIZE, &[("cat", [30.0, 25.0, 20.0, 15.0])]));
    }
    let error =
        fix(folder.path(), &ReadOptions::default(), None, &new.path().join("out")).unwrap_err().to_string();
    assert!(error.contains("no photo is valid") && !new.path().join("out").exists(), "{error}");
}

#[test]
fn formats_that_are_not_written_become_coco() {
    let (folder, new) = (Folder::new(), Folder::new());
    folder.photo("a.jpg", SIZE.0, SIZE.1);
    let shapes = "{\"label\": \"cat\", \"points\": [[10, 12], [90, 36]], \"shape_type\": \"rectangle\"}";
    folder.write("a.json", format!("{{\"shapes\": [{shapes}], \"imagePath\": \"a.jpg\"}}"));
    let out = new.path().join("out");
    let (report, fixed) = fix(folder.path(), &ReadOptions::default(), None, &out).unwrap();
    assert_eq!((report.format, fixed.format.name(), fixed.left_out), (Format::Labelme, "coco", 0));
    assert!(
        report.diagnostics.iter().any(|d| d.kind == DiagnosticKind::BoxRepaired),
        "{:?}",
        report.diagnostics
    );
    let again = check(&out, &ReadOptions::default(), None).unwrap();
    assert_eq!((again.format, again.errors(), again.warnings()), (Format::Coco, 0, 0));
}
