//! Photos without the object: which are negatives, and which must not become one; their place in splits, statistics, batches.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::{Folder, voc};
use loc_data::check::check;
use loc_data::convert::{LabelledSet, PhotoFiles, Target, WriteOptions};
use loc_data::loader::NO_BOX;
use loc_data::stats::Stats;
use loc_data::{
    Augment, Dataset, InvalidPhotoPolicy, Loader, ReadOptions, Severity, UnlabelledPolicy, split,
};
use loc_infer::{ImageSize, InputSpec};

const BOX: [f32; 4] = [10.0, 12.0, 40.0, 36.0];

/// What became of a photo.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Became {
    Negative,
    Skipped,
    Invalid,
}
use Became::{Invalid, Negative, Skipped};

/// The photo `images/b.jpg` beside `images/a.jpg`, which has an object; both are 64×48.
fn became(files: &[(&str, String)], unlabelled: UnlabelledPolicy) -> Became {
    let folder = Folder::new();
    for name in ["images/a.jpg", "images/b.jpg"] {
        folder.photo(name, 64, 48);
    }
    files.iter().for_each(|(name, content)| drop(folder.write(name, content)));
    let invalid_photos = InvalidPhotoPolicy::SkipAny;
    let options = ReadOptions { unlabelled, invalid_photos, ..ReadOptions::default() };
    let opened =
        Dataset::open_with_report(folder.path(), &options).unwrap_or_else(|e| panic!("{files:?}: {e}"));
    let report = check(folder.path(), &options, None).unwrap();
    let of = |name: &str| opened.dataset.samples.iter().find(|sample| sample.file == name);
    assert!(of("a.jpg").unwrap().object.is_some(), "{files:?}");
    let negatives = usize::from(of("b.jpg").is_some());
    assert_eq!((report.samples, report.negatives), (1 + negatives, negatives), "{files:?}");
    // What is not a negative must not be written as one either.
    let written = LabelledSet::open(folder.path(), &options).unwrap().0;
    assert_eq!(written.photos.len(), 1 + negatives, "{files:?}");
    match of("b.jpg") {
        Some(sample) => {
            assert!(sample.is_negative() && sample.class().is_none());
            assert_eq!(report.diagnostics, [], "{files:?}");
            Negative
        }
        None if report.diagnostics.iter().any(|d| d.severity == Severity::Error) => Invalid,
        None => {
            assert!(!report.diagnostics.is_empty(), "{files:?}: nothing is skipped in silence");
            Skipped
        }
    }
}

/// Asserts what becomes of the photo, by default and where photos without an annotation are negatives.
#[track_caller]
fn assert_became(files: &[(&str, String)], [plain, unlabelled]: [Became; 2]) {
    let found = [UnlabelledPolicy::Skip, UnlabelledPolicy::Negative].map(|policy| became(files, policy));
    assert_eq!(found, [plain, unlabelled], "{files:?}");
}

#[test]
fn voc_and_yolo() {
    let a = ("annotations/a.xml", voc("a.jpg", (64, 48), &[("cat", BOX)]));
    let xml = |text: &str| ("annotations/b.xml", text.to_owned());
    let empty = voc("b.jpg", (64, 48), &[]);
    let bad = voc("b.jpg", (64, 48), &[("cat", [10.0, 12.0, 90.0, 36.0])]);
    let within =
        empty.replace("</annotation>", "<objects><object><name>cat</name></object></objects></annotation>");
    let wrong_size = voc("b.jpg", (640, 480), &[]);
    for (second, expected) in [
        (xml(&empty), [Negative, Negative]),
        // Neither an object that is refused nor one that is not found makes a negative.
        (xml(&bad), [Invalid, Invalid]),
        (xml(&bad.replace("<xmin>10</xmin>", "")), [Invalid, Invalid]),
        (xml(&within), [Skipped, Skipped]),
        (xml(&wrong_size), [Invalid, Invalid]),
        (xml(""), [Invalid, Invalid]),
        (xml(&empty[..empty.len() - 5]), [Invalid, Invalid]),
        (("notes.txt", "nothing".to_owned()), [Skipped, Negative]),
    ] {
        assert_became(&[a.clone(), second], expected);
    }
    let a = ("labels/a.txt", "0 0.5 0.5 0.5 0.5\n".to_owned());
    for (second, expected) in [
        (("labels/b.txt", String::new()), [Negative, Negative]),
        (("labels/b.txt", "\n \n".to_owned()), [Negative, Negative]),
        (("labels/b.txt", "0 0.5 0.5 0.5".to_owned()), [Invalid, Invalid]),
    ] {
        assert_became(&[a.clone(), second], expected);
    }
    assert_became(&[a], [Skipped, Negative]);
}

#[test]
fn files_of_many_photos() {
    let image = |id: u32, name: &str| format!("{{\"id\": {id}, \"file_name\": \"{name}\"}}");
    let object = |image: &str, rest: &str| {
        format!("{{\"id\": 1, \"image_id\": {image}, \"category_id\": 1, \"bbox\": [10, 12, 30, 24]{rest}}}")
    };
    let coco = |images: &[String], objects: &[String]| {
        let categories = "\"categories\": [{\"id\": 1, \"name\": \"cat\"}]";
        let (images, objects) = (images.join(","), objects.join(","));
        ("c.json", format!("{{{categories}, \"images\": [{images}], \"annotations\": [{objects}]}}"))
    };
    let (a, b) = (image(1, "a.jpg"), image(2, "b.jpg"));
    let both = [a.clone(), b.clone()];
    let own = object("1", "");
    for (file, expected) in [
        (coco(&both, std::slice::from_ref(&own)), [Negative, Negative]),
        (coco(&[a], std::slice::from_ref(&own)), [Skipped, Negative]),
        (coco(&both, &[own.clone(), object("2", ", \"iscrowd\": 1")]), [Skipped, Skipped]),
        // An object without an image may be of any that has none.
        (coco(&both, &[own.clone(), object("\"2\"", "")]), [Skipped, Skipped]),
        (coco(&both, &[own.clone(), object("null", "")]), [Invalid, Invalid]),
        (coco(&both, &[own, object("2", "").replace("30", "90")]), [Invalid, Invalid]),
    ] {
        assert_became(&[file], expected);
    }
    let csv =
        |rows: &str| ("t.csv", format!("filename,class,xmin,ymin,xmax,ymax\na.jpg,cat,10,12,40,36\n{rows}"));
    for (rows, expected) in [
        ("b.jpg,,,,,\n", [Negative, Negative]),
        ("", [Skipped, Negative]),
        ("b.jpg,cat,,,,\n", [Invalid, Invalid]),
        ("b.jpg,,10,12,40,36\n", [Invalid, Invalid]),
        // A row that names no photo may be of any.
        (",cat,10,12,40,36\n", [Invalid, Invalid]),
    ] {
        assert_became(&[csv(rows)], expected);
    }
    let coordinates = "{\"x\": 25, \"y\": 24, \"width\": 30, \"height\": 24}";
    let createml = |rest: &str| {
        let a = format!(
            "{{\"image\": \"a.jpg\", \"annotations\": [{{\"label\": \"cat\", \"coordinates\": {coordinates}}}]}}"
        );
        ("c.json", format!("[{a}{rest}]"))
    };
    assert_became(&[createml(", {\"image\": \"b.jpg\", \"annotations\": []}")], [Negative, Negative]);
    assert_became(&[createml("")], [Skipped, Negative]);
}

#[test]
fn tools_that_say_who_looked_at_a_photo() {
    let labelme = |name: &str, shapes: &str| {
        format!(
            "{{\"shapes\": [{shapes}], \"imagePath\": \"../images/{name}.jpg\", \"imageHeight\": 48, \"imageWidth\": 64}}"
        )
    };
    let shape = |kind: &str, points: &str| {
        format!("{{\"label\": \"cat\", \"points\": [{points}], \"shape_type\": \"{kind}\"}}")
    };
    let a = ("json/a.json", labelme("a", &shape("rectangle", "[10, 12], [40, 36]")));
    let b = |shapes: &str| ("json/b.json", labelme("b", shapes));
    assert_became(&[a.clone(), b("")], [Negative, Negative]);
    assert_became(&[a.clone(), b(&shape("point", "[10, 12]"))], [Skipped, Skipped]);
    assert_became(&[a], [Skipped, Negative]);

    let asset = |name: &str, state: u32, regions: &str| {
        let asset = format!(
            "{{\"name\": \"{name}.jpg\", \"state\": {state}, \"size\": {{\"width\": 64, \"height\": 48}}}}"
        );
        format!("\"{name}\": {{\"asset\": {asset}, \"regions\": [{regions}]}}")
    };
    let region =
        "{\"tags\": [\"cat\"], \"boundingBox\": {\"left\": 10, \"top\": 12, \"width\": 30, \"height\": 24}}";
    let vott = |state: u32| {
        let (a, b) = (asset("a", 2, region), asset("b", state, ""));
        ("export.json", format!("{{\"tags\": [{{\"name\": \"cat\"}}], \"assets\": {{{a}, {b}}}}}"))
    };
    // Visited, and not visited yet.
    assert_became(&[vott(1)], [Negative, Negative]);
    assert_became(&[vott(0)], [Skipped, Negative]);

    let result = "{\"original_width\": 64, \"original_height\": 48, \"type\": \"rectanglelabels\", \"value\": \
                  {\"x\": 20, \"y\": 25, \"width\": 50, \"height\": 50, \"rectanglelabels\": [\"cat\"]}}";
    let task = |name: &str, annotations: &str| {
        format!("{{\"annotations\": [{annotations}], \"data\": {{\"image\": \"images/{name}.jpg\"}}}}")
    };
    let studio = |annotations: &str| {
        let a = task("a", &format!("{{\"result\": [{result}]}}"));
        ("export.json", format!("[{a}, {}]", task("b", annotations)))
    };
    assert_became(&[studio("{\"result\": []}")], [Negative, Negative]);
    assert_became(&[studio("")], [Skipped, Negative]);
    assert_became(&[studio("{\"result\": [], \"was_cancelled\": true}")], [Skipped, Negative]);
    assert_became(&[studio("{\"result\": [{\"type\": \"choices\", \"value\": {}}]}")], [Skipped, Skipped]);
}

/// `positives` photos with a cat, and `negatives` without.
fn set(positives: usize, negatives: usize) -> Folder {
    let folder = Folder::new();
    for i in 0..positives + negatives {
        let objects = if i < positives { &[("cat", BOX)][..] } else { &[] };
        folder.photo(&format!("{i:02}.jpg"), 64, 48);
        folder.write(&format!("{i:02}.xml"), voc(&format!("{i:02}.jpg"), (64, 48), objects));
    }
    folder
}

#[test]
fn negatives_alone_are_no_data_set() {
    let folder = set(0, 3);
    let error = Dataset::open(folder.path(), &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("3 photos without an object"), "{error}");
    let report = check(folder.path(), &ReadOptions::default(), None).unwrap();
    assert_eq!((report.samples, report.negatives, report.errors()), (3, 3, 0));
}

#[test]
fn they_have_their_share_of_each_part_and_count_for_themselves() {
    let folder = set(20, 10);
    let dataset = Dataset::open(folder.path(), &ReadOptions::default()).unwrap();
    let parts = split::stratified(&dataset, 0.2, 3).unwrap();
    let negatives = |part: &[usize]| part.iter().filter(|i| dataset.samples[**i].is_negative()).count();
    assert_eq!((parts.val.len(), negatives(&parts.val), negatives(&parts.train)), (6, 2, 8));
    assert_eq!(dataset.positives(&parts.val).len(), 4);

    let (with, without) = (Stats::of(&dataset), {
        let mut alone = dataset.clone();
        alone.samples.retain(|sample| !sample.is_negative());
        Stats::of(&alone)
    });
    assert_eq!((with.samples, with.negatives, without.negatives), (30, 10, 0));
    assert_eq!(
        (&with.classes, &with.boxes, &with.baseline),
        (&without.classes, &without.boxes, &without.baseline)
    );
    let json = serde_json::to_value(&without).unwrap();
    assert!(json.get("negatives").is_none(), "a set without negatives is described as before");

    // Other photos than those with the object in place of negatives are another data set.
    let digest = dataset.digest();
    let mut other = dataset.clone();
    other.samples[25].object = dataset.samples[0].object;
    assert_ne!(digest, other.digest());
}

#[test]
fn every_format_keeps_them() {
    let folder = set(2, 2);
    let (set, _) = LabelledSet::open(folder.path(), &ReadOptions::default()).unwrap();
    for (name, target) in Target::ALL {
        let out = Folder::new();
        set.write(out.path(), WriteOptions { target, photos: PhotoFiles::Link, mend_endings: false })
            .unwrap();
        let read =
            Dataset::open(out.path(), &ReadOptions::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let negatives: Vec<bool> = read.samples.iter().map(loc_data::Sample::is_negative).collect();
        assert_eq!(negatives, [false, false, true, true], "{name}");
    }
}

#[test]
fn batches_say_where_an_object_is() {
    let folder = set(3, 2);
    let dataset = Dataset::open(folder.path(), &ReadOptions::default()).unwrap();
    let input = InputSpec { size: ImageSize { width: 32, height: 32 }, ..InputSpec::default() };
    let all: Vec<usize> = (0..5).collect();
    let loader = Loader::new(&dataset, &all, input, 1).unwrap();
    let augment =
        Augment { window: [0.3, 0.5], keep: 1.0, cutout: 1.0, mix: 1.0, flip: 0.5, ..Augment::default() };
    let batch = |augment: &Augment| loader.in_order_augmented(1, 1, 5, augment).next().unwrap().unwrap();
    for batch in [batch(&Augment::default()), batch(&augment)] {
        assert_eq!(batch.present, [true, true, true, false, false]);
        for row in 3..5 {
            assert_eq!((batch.boxes.row(row).to_vec(), batch.labels[row]), (NO_BOX.to_vec(), 0));
        }
    }
    // There is no box that a window or a cutout has to keep, and no photo with an object is mixed in.
    for sample in 0..20 {
        let drawn = augment.draw(1, 1, sample, None);
        assert!(drawn.window[2] <= 0.5 && drawn.cutout.is_some() && drawn.mix.is_none(), "{drawn:?}");
    }
}
