//! Every annotation format: read as tools write it, recognised by content, and equal boxes through every pair of formats.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

#[path = "../common/mod.rs"]
mod common;
mod fixtures;

use std::path::Path;

use common::{Folder, voc};
use fixtures::{A, B, as_tools_write_it};
use loc_data::convert::{LabelledSet, PhotoFiles, Target, WriteOptions};
use loc_data::{BBox, Dataset, Format, ReadOptions, Subset};

/// Photos with boxes at odd places; `b.jpg` has two objects, `c.jpg` none.
fn set() -> Folder {
    let folder = Folder::new();
    type Photo<'a> = (&'a str, (u32, u32), &'a [(&'a str, [f32; 4])]);
    let photos: [Photo; 3] = [
        ("a.jpg", (64, 48), &[("dog", [1.25, 2.5, 30.125, 40.0])]),
        (
            "sub/b.jpg",
            (101, 67),
            &[("cat", [0.0, 0.0, 100.9, 66.7]), ("a, \"b\" &lt;é>", [13.37, 7.0, 77.7, 8.1])],
        ),
        ("c.jpg", (33, 99), &[]),
    ];
    for (name, size, objects) in photos {
        folder.photo(name, size.0, size.1);
        let xml = voc(name.rsplit('/').next().unwrap(), size, objects);
        folder.write(&name.replace(".jpg", ".xml"), xml);
    }
    folder
}

fn read(path: &Path) -> LabelledSet {
    LabelledSet::open(path, &ReadOptions::default()).unwrap().0
}

/// Writes a set as another format into a new folder.
fn converted(set: &LabelledSet, target: Target) -> Folder {
    let folder = Folder::new();
    let options = WriteOptions { target, photos: PhotoFiles::Link, mend_endings: false };
    let written = set.write(folder.path(), options).unwrap();
    assert_eq!((written.photos, &written.renamed[..]), (set.photos.len(), &[][..]));
    folder
}

/// Names, sizes, classes and boxes, for comparison.
fn described(set: &LabelledSet, subsets: bool) -> Vec<String> {
    set.photos
        .iter()
        .map(|p| {
            let objects: Vec<String> = p
                .objects
                .iter()
                .map(|o| {
                    let b = o.bbox;
                    // To the thousandth, and a little more than half of one apart.
                    let edges = [b.x1, b.y1, b.x2, b.y2].map(|v| format!("{:.2}", f64::from(v) + 1e-4));
                    format!("{} {}", set.classes[o.class], edges.join(" "))
                })
                .collect();
            let name = p.file.rsplit('/').next().unwrap();
            let subset = subsets.then_some(p.subset);
            format!("{name} {:?} {objects:?} {subset:?}", p.size)
        })
        .collect()
}

#[test]
fn boxes_are_the_same_through_every_pair_of_formats() {
    let folder = set();
    let original = read(folder.path());
    assert_eq!(original.classes, ["a, \"b\" <é>", "cat", "dog"]);
    let expected = described(&original, false);
    for (first, one) in Target::ALL {
        let once = converted(&original, one);
        let read_once = read(once.path());
        assert_eq!(described(&read_once, false), expected, "{first}");
        for (second, two) in Target::ALL {
            let twice = converted(&read_once, two);
            let report = loc_data::check::check(twice.path(), &ReadOptions::default(), None).unwrap();
            assert_eq!(report.errors(), 0, "{first} to {second}: {:?}", report.diagnostics);
            assert_eq!(described(&read(twice.path()), false), expected, "{first} to {second}");
        }
    }
}

#[test]
fn an_order_of_classes_and_a_split_are_kept() {
    let folder = set();
    let mut original = read(folder.path());
    original.classes.reverse();
    for object in original.photos.iter_mut().flat_map(|p| &mut p.objects) {
        object.class = 2 - object.class;
    }
    for (photo, subset) in original.photos.iter_mut().zip([Subset::Train, Subset::Val, Subset::Test]) {
        photo.subset = Some(subset);
    }
    for (name, target) in Target::ALL {
        let read = read(converted(&original, target).path());
        assert_eq!(read.classes, original.classes, "{name}");
        assert_eq!(described(&read, true), described(&original, true), "{name}");
    }
}

/// What a folder is read as: its format, and of each photo class and box.
fn opened(folder: &Folder, options: &ReadOptions) -> (Format, Vec<(String, String, BBox)>) {
    let report = loc_data::check::check(folder.path(), options, None).unwrap();
    let set = Dataset::open(folder.path(), options).unwrap_or_else(|e| panic!("{e}"));
    let samples = set.samples.iter().map(|s| {
        let object = s.object.unwrap();
        (s.file.clone(), set.classes[object.class].clone(), object.bbox)
    });
    (report.format, samples.collect())
}

fn photos() -> Folder {
    let folder = Folder::new();
    for name in ["images/a.jpg", "images/b.jpg"] {
        folder.photo(name, 200, 100);
    }
    folder
}

#[test]
fn each_format_is_recognised_and_read_as_tools_write_it() {
    let fixtures = as_tools_write_it();
    for format in Format::ALL {
        assert!(fixtures.iter().any(|(_, fixture, _)| fixture == format), "{format} has no fixture");
    }
    for (what, format, files) in fixtures {
        let folder = photos();
        files.iter().for_each(|(name, content)| drop(folder.write(name, content)));
        let (read_as, samples) = opened(&folder, &ReadOptions::default());
        assert_eq!(read_as, format, "{what}");
        let expected = [("a.jpg", "cat", A), ("b.jpg", "dog", B)];
        assert_eq!(samples.len(), 2, "{what}: {samples:?}");
        for ((file, class, bbox), expected) in samples.iter().zip(expected) {
            assert_eq!((file.as_str(), class.as_str()), (expected.0, expected.1), "{what}");
            let apart = [
                bbox.x1 - expected.2.x1,
                bbox.y1 - expected.2.y1,
                bbox.x2 - expected.2.x2,
                bbox.y2 - expected.2.y2,
            ];
            assert!(apart.iter().all(|d| d.abs() < 1e-3), "{what}: {bbox:?}");
        }
    }
}

#[test]
fn a_table_without_a_header_is_read_by_its_given_columns() {
    let folder = photos();
    folder.write("cats.csv", "images/a.jpg,10,20,110,70,x\nimages/b.jpg,0.5,0,100.5,50,x\n");
    let columns = |text: &str| Some(text.split(',').map(str::to_owned).collect());
    let options =
        ReadOptions { columns: columns("filename,xmin,ymin,xmax,ymax,-"), ..ReadOptions::default() };
    let (format, samples) = opened(&folder, &options);
    assert_eq!(format, Format::Csv);
    assert_eq!(samples, [("a.jpg".into(), "cats".into(), A), ("b.jpg".into(), "cats".into(), B)]);
    let options = ReadOptions { class: Some("cat".into()), ..options };
    assert_eq!(opened(&folder, &options).1[0].1, "cat");
    let both = ReadOptions { columns: columns("filename,xmin,ymin,xmax,ymax,class"), ..options };
    let error = Dataset::open(folder.path(), &both).unwrap_err().to_string();
    assert!(error.contains("the column `class` is the class, and the class `cat` is given"), "{error}");
    let options = ReadOptions { class: None, ..both };
    assert_eq!(opened(&folder, &options).1[0].1, "x");
    for wrong in ["filename,xmin,ymin,xmax", "filename,xmin,ymin,xmax,ymax,color"] {
        let options = ReadOptions { columns: columns(wrong), ..ReadOptions::default() };
        let error = Dataset::open(folder.path(), &options).unwrap_err().to_string();
        assert!(error.contains("columns are filename, xmin"), "{error}");
    }
}

/// The kinds and first lines of what is said of a folder with these files beside two photos.
fn said(files: &[(&str, &str)]) -> Vec<String> {
    let folder = photos();
    files.iter().for_each(|(name, content)| drop(folder.write(name, content)));
    let report = loc_data::check::check(folder.path(), &ReadOptions::default(), None).unwrap();
    let prefix = format!("{}/", folder.path().display());
    report.diagnostics.iter().map(|d| d.to_string().replace(&prefix, "")).collect()
}

#[test]
fn defects_of_coco_are_named_with_their_lines() {
    let document = |images: &str, annotations: &str| {
        format!(
            "{{\"categories\": [{{\"id\": 1, \"name\": \"cat\"}}],\n\"images\": [\n{images}],\n\"annotations\": [\n{annotations}]}}"
        )
    };
    let a = "{\"id\": 1, \"file_name\": \"a.jpg\"}";
    let good = "{\"image_id\": 1, \"category_id\": 1, \"bbox\": [10, 20, 100, 50]}";
    for (annotation, expected) in [
        (
            "{\"image_id\": 9, \"category_id\": 1, \"bbox\": [1, 2, 3, 4]}",
            "c.json:5: image_id 9 is not among the images",
        ),
        (
            "{\"image_id\": 1, \"category_id\": 9, \"bbox\": [1, 2, 3, 4]}",
            "c.json:5: category_id 9 is not among the categories",
        ),
        ("{\"image_id\": 1, \"category_id\": 1, \"bbox\": [1, 2, 3]}", "c.json:5: bbox has 3 numbers"),
        (
            "{\"image_id\": 1, \"category_id\": 1, \"bbox\": [1, 2, \"x\", 4]}",
            "c.json:5: annotation: invalid type: string",
        ),
        ("{\"image_id\": 1,\n\"bbox\": [1, 2, 3, 4]}", "c.json:6: annotation: missing field `category_id`"),
        ("{\"image_id\": 1, \"category_id\": 1}", "c.json:5: has no bbox"),
        (
            "{\"image_id\": 1, \"category_id\": 1, \"segmentation\": {\"counts\": \"abc\", \"size\": [1, 2]}, \"iscrowd\": 0}",
            "c.json:5: has a mask (RLE) and no bbox",
        ),
        (
            "{\"image_id\": 1, \"category_id\": 1, \"bbox\": [1, 2, 3, 4], \"iscrowd\": 1}",
            "c.json:5: `a.jpg`: a crowd",
        ),
    ] {
        let said = said(&[("c.json", &document(a, annotation))]);
        assert!(said.iter().any(|line| line.starts_with(expected)), "{expected}\n{said:?}");
    }
    let polygon = "{\"image_id\": 1, \"category_id\": 1, \"segmentation\": [[10, 20, 110, 30, 60, 70]]}";
    let folder = photos();
    folder.write("c.json", document(a, polygon));
    assert_eq!(opened(&folder, &ReadOptions::default()).1, [("a.jpg".into(), "cat".into(), A)]);
    let doubled = said(&[("c.json", &document(&format!("{a},\n{a}"), good))]);
    assert!(
        doubled.iter().any(|line| line.starts_with("c.json:4: the image id 1 is given twice")),
        "{doubled:?}"
    );
    let (whole, folder) = (document(a, good), photos());
    folder.write("c.json", &whole[..whole.len() - 20]);
    let error = Dataset::open(folder.path(), &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("c.json:5:") && error.contains("the file may be cut off"), "{error}");
}

#[test]
fn defects_of_yolo_are_named_with_their_lines() {
    let names = ("data.yaml", "names: [dog, cat]\n");
    for (label, expected) in [
        ("2 0.5 0.5 0.1 0.1", "labels/a.txt:1: class number 2, but 2 names are listed in data.yaml"),
        ("\n0 0.5 0.5 0.1", "labels/a.txt:2: `0 0.5 0.5 0.1` has 4 fields"),
        ("0.5 0.5 0.5 0.1 0.1", "labels/a.txt:1: class `0.5` is not a whole number from 0"),
        ("0 0.5 x 0.1 0.1", "labels/a.txt:1: `x` is not a number"),
        ("0 0.1 0.1 0.9 0.1 0.5 0.9", "labels/a.txt: 1 segmentation outline: the box around each is used"),
        ("0 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9", "labels/a.txt: 1 oriented box: the box around each is used"),
        ("0 0.5 0.5 1.5 0.1", "labels/a.txt:1: "),
    ] {
        let said = said(&[names, ("labels/b.txt", "1 0.5 0.5 0.5 0.5"), ("labels/a.txt", label)]);
        assert!(said.iter().any(|line| line.starts_with(expected)), "{expected}\n{said:?}");
    }
}

#[test]
fn what_is_recognised_and_not_read_is_named_with_the_way_out() {
    for (json, expected) in [
        ("{\"_via_settings\": {}, \"_via_img_metadata\": {}}", "VGG Image Annotator"),
        ("{\"a.jpg123\": {\"filename\": \"a.jpg\", \"size\": 123, \"regions\": []}}", "VGG Image Annotator"),
        (
            "{\"description\": \"\", \"tags\": [], \"size\": {\"height\": 1, \"width\": 1}, \"objects\": []}",
            "Supervisely",
        ),
        ("{\"a\": 1}", "JSON of no known annotation format: its keys are `a`"),
        ("[1, 2]", "a JSON list of no known annotation format"),
    ] {
        let folder = photos();
        folder.write("x.json", json);
        let error = Dataset::open(folder.path(), &ReadOptions::default()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
