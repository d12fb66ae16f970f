//! Data sets laid out as annotation tools export them: each opens as what it is, with its classes and its split, or the error
//! says what to do.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::{Folder, voc};
use loc_data::check::check;
use loc_data::split::{SplitOptions, SplitSource, choose};
use loc_data::{Dataset, DiagnosticKind, Format, ReadOptions};

const SIZE: (u32, u32) = (64, 48);
/// The class of each of six photos, and its number in [`CLASSES`].
const CLASS: [usize; 6] = [1, 2, 0, 1, 2, 0];
const CLASSES: [&str; 3] = ["star", "box", "disc"];
/// Every photo's box.
const BOX: [f32; 4] = [16.0, 12.0, 48.0, 36.0];
/// The same as YOLO writes it.
const LABEL: &str = "0.5 0.5 0.5 0.5";

/// A photo's name without extension.
fn name(i: usize) -> String {
    format!("p{i}")
}

fn photos(folder: &Folder, place: impl Fn(usize) -> String) {
    (0..6).for_each(|i| drop(folder.photo(&place(i), SIZE.0, SIZE.1)));
}

fn labels(folder: &Folder, place: impl Fn(usize) -> String) {
    (0..6).for_each(|i| drop(folder.write(&place(i), format!("{} {LABEL}\n", CLASS[i]))));
}

/// COCO of these photos; `image` gives the name.
fn coco(of: &[usize], image: impl Fn(usize) -> String) -> String {
    let categories = CLASSES.iter().enumerate();
    let categories = categories.map(|(i, c)| format!("{{\"id\": {}, \"name\": \"{c}\"}}", 7 * i + 3));
    let images = of
        .iter()
        .map(|i| format!("{{\"id\": {i}, \"file_name\": \"{}\", \"width\": 64, \"height\": 48}}", image(*i)));
    let annotations = of.iter().map(|i| {
        let category = 7 * CLASS[*i] + 3;
        format!(
            "{{\"image_id\": {i}, \"category_id\": {category}, \"bbox\": [16.0, 12, 32, 24], \"iscrowd\": 0}}"
        )
    });
    let list = |items: Vec<String>| items.join(",\n");
    format!(
        "{{\"categories\": [{}],\n\"images\": [{}],\n\"annotations\": [{}]}}",
        list(categories.collect()),
        list(images.collect()),
        list(annotations.collect())
    )
}

fn rows(of: &[usize], photo: impl Fn(usize) -> String) -> String {
    of.iter().map(|i| format!("{},16,12,48,36,{}\n", photo(*i), CLASSES[CLASS[*i]])).collect()
}

/// Four photos train, one validates, one tests.
fn part(i: usize) -> &'static str {
    ["train", "train", "train", "train", "valid", "test"][i]
}

/// What a set must be: format, numbers of its split (none: it has none).
type Expected = (Format, Option<(usize, usize, usize)>);

#[track_caller]
fn opens(what: &str, path: &std::path::Path, options: &ReadOptions, (format, split): Expected) {
    let report = check(path, options, None).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!((report.errors(), report.format), (0, format), "{what}: {:?}", report.diagnostics);
    let set = Dataset::open(path, options).unwrap();
    assert_eq!(set.samples.len(), 6, "{what}: {:?}", report.diagnostics);
    for sample in &set.samples {
        let digit = sample.file.bytes().rev().find(u8::is_ascii_digit).unwrap();
        let class = CLASSES[CLASS[usize::from(digit - b'0')]];
        assert_eq!(set.classes[sample.object.unwrap().class], class, "{what}: {}", sample.file);
        let b = sample.object.unwrap().bbox.xyxy();
        assert!(b.iter().zip(BOX).all(|(a, b)| (a - b).abs() < 1e-3), "{what}: {b:?}");
    }
    let choice = SplitOptions { file: None, folders: true, val: 0.5, seed: 0 };
    let (found, source) = choose(&set, &choice).unwrap();
    let found =
        (source == SplitSource::Folders).then_some((found.train.len(), found.val.len(), found.test.len()));
    assert_eq!(found, split, "{what}");
}

#[test]
fn yolo() {
    let plain = ReadOptions::default();
    let yaml = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 3\nnames: ['star', 'box', 'disc']\n";
    let all_parts = Some((4, 1, 1));

    let folder = Folder::new();
    photos(&folder, |i| format!("{}/images/{}.jpg", part(i), name(i)));
    labels(&folder, |i| format!("{}/labels/{}.txt", part(i), name(i)));
    folder.write("data.yaml", yaml);
    folder.write("README.roboflow.txt", "\nset - v1\n");
    opens("Roboflow, YOLO", folder.path(), &plain, (Format::Yolo, all_parts));
    opens("Roboflow's data.yaml", &folder.path().join("data.yaml"), &plain, (Format::Yolo, all_parts));

    let folder = Folder::new();
    photos(&folder, |i| format!("{}/{}.jpg", part(i), name(i)));
    labels(&folder, |i| format!("{}/{}.txt", part(i), name(i)));
    for part in ["train", "valid", "test"] {
        folder.write(&format!("{part}/_darknet.labels"), "star\nbox\ndisc");
    }
    opens("Roboflow, darknet", folder.path(), &plain, (Format::Yolo, all_parts));

    let folder = Folder::new();
    let part = |i: usize| if i < 4 { "train" } else { "val" };
    photos(&folder, |i| format!("set/images/{}/{}.jpg", part(i), name(i)));
    labels(&folder, |i| format!("set/labels/{}/{}.txt", part(i), name(i)));
    let yaml = "path: set # root\ntrain: images/train\nval: images/val # 2\ntest:\nnames:\n  0: star\n  1: box\n  2: disc\n";
    folder.write("set.yaml", yaml);
    folder.write("other.yaml", "train: elsewhere/train\nnames: [a, b, c]\n");
    let two = Some((4, 2, 0));
    opens("Ultralytics, YAML above", &folder.path().join("set"), &plain, (Format::Yolo, two));
    opens("Ultralytics, by its YAML", &folder.path().join("set.yaml"), &plain, (Format::Yolo, two));

    let folder = Folder::new();
    photos(&folder, |i| format!("obj_train_data/{}.jpg", name(i)));
    labels(&folder, |i| format!("obj_train_data/{}.txt", name(i)));
    folder.write("obj.names", "star\nbox\ndisc\n");
    folder.write(
        "obj.data",
        "classes = 3\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\n",
    );
    let list = |of: std::ops::Range<usize>| {
        of.map(|i| format!("data/obj_train_data/{}.jpg\n", name(i))).collect::<String>()
    };
    folder.write("train.txt", list(0..4));
    folder.write("valid.txt", list(4..6));
    opens("darknet", folder.path(), &plain, (Format::Yolo, two));
    folder.write("valid.txt", list(0..6));
    opens("darknet, a list in two parts", folder.path(), &plain, (Format::Yolo, None));

    let folder = Folder::new();
    photos(&folder, |i| format!("{}.jpg", name(i)));
    labels(&folder, |i| format!("{}.txt", name(i)));
    folder.write("classes.txt", "star\r\nbox\r\ndisc\r\n");
    opens("LabelImg, YOLO", folder.path(), &plain, (Format::Yolo, None));
    // Encodings of Windows.
    let wide =
        |text: &str| format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    folder.write("classes.txt", wide("star\r\nbox\r\ndisc\r\n"));
    folder.write("p0.txt", wide(&format!("1 {LABEL}\r\n")));
    folder.write("p1.txt", format!("\u{feff}2 {LABEL} 0.93\r\n\r\n"));
    opens("LabelImg, UTF-16", folder.path(), &plain, (Format::Yolo, None));
}

#[test]
fn names_that_contradict_each_other_are_no_guess() {
    let folder = Folder::new();
    photos(&folder, |i| format!("images/{}.jpg", name(i)));
    labels(&folder, |i| format!("labels/{}.txt", name(i)));
    folder.write("a/classes.txt", "star\nbox\ndisc\n");
    folder.write("b/classes.txt", "box\nstar\ndisc\n");
    let error = Dataset::open(folder.path(), &ReadOptions::default()).unwrap_err().to_string();
    assert!(
        error.contains("b/classes.txt:1: lists other class names than ") && error.contains("(hint: "),
        "{error}"
    );
    // A YAML file is the better source.
    folder.write("data.yaml", "names: [star, box, disc]\n");
    opens("YAML before lists", folder.path(), &ReadOptions::default(), (Format::Yolo, None));
    for (yaml, expected) in [
        ("names: {0: star, 2: disc}\n", "names have the number 2 and no number 1"),
        ("names:\n  - star\n  - [box]\n", "data.yaml:3: a class has no name"),
        ("names: star\n", "`names` is neither a list nor a map"),
        ("names: [star\n", "is not well-formed YAML"),
        ("- names: 1\nnc: 3\n", "data.yaml"),
        (&format!("names: {}", "[".repeat(100_000)), "is nested too deeply"),
        (&format!("names:\n{}x", "- ".repeat(100_000)), "is nested too deeply"),
        (&format!("a: &a [x]\n{}", "b: [*a, *a, *a]\n".repeat(30)), ""),
        (&format!("names: &a [x]\n{}", "b: [*a, *a, *a]\n".repeat(30)), "has too many aliases"),
    ] {
        folder.write("data.yaml", yaml);
        let error = Dataset::open(folder.path(), &ReadOptions::default()).unwrap_err().to_string();
        assert!(error.contains(expected), "{yaml:.30}: {error}");
    }
}

#[test]
fn coco_files() {
    let plain = ReadOptions::default();
    let folder = Folder::new();
    photos(&folder, |i| format!("{}/{}.jpg", part(i), name(i)));
    for (part, of) in [("train", &[0, 1, 2, 3][..]), ("valid", &[4]), ("test", &[5])] {
        let text = coco(of, |i| format!("{}.jpg", name(i)));
        // Roboflow has a category for all, which no object has.
        let text = text.replacen("[{", "[{\"id\": 0, \"name\": \"shapes\"}, {", 1);
        folder.write(&format!("{part}/_annotations.coco.json"), text);
    }
    opens("Roboflow, COCO", folder.path(), &plain, (Format::Coco, Some((4, 1, 1))));

    let folder = Folder::new();
    photos(&folder, |i| format!("images/default/{}.jpg", name(i)));
    let file = folder.write(
        "annotations/instances_default.json",
        coco(&[0, 1, 2, 3, 4, 5], |i| format!("{}.jpg", name(i))),
    );
    opens("CVAT, COCO", folder.path(), &plain, (Format::Coco, None));
    opens("CVAT, COCO, the file", &file, &plain, (Format::Coco, None));

    let folder = Folder::new();
    photos(&folder, |i| format!("{}2017/{}.jpg", if i < 4 { "train" } else { "val" }, name(i)));
    for (part, of) in [("train", &[0, 1, 2, 3][..]), ("val", &[4, 5])] {
        folder.write(
            &format!("annotations/instances_{part}2017.json"),
            coco(of, |i| format!("{}.jpg", name(i))),
        );
        let captions = "{\"images\": [{\"id\": 0, \"file_name\": \"p0.jpg\"}], \"annotations\": [{\"image_id\": 0, \"caption\": \"x\"}]}";
        folder.write(&format!("annotations/captions_{part}2017.json"), captions);
    }
    opens("COCO 2017", folder.path(), &plain, (Format::Coco, Some((4, 2, 0))));

    // All photos in one folder: the files are the split.
    let folder = Folder::new();
    photos(&folder, |i| format!("images/0a1b2c3d-{}.jpg", name(i)));
    folder.write("train.json", coco(&[0, 1, 2, 3], |i| format!("images\\\\0a1b2c3d-{}.jpg", name(i))));
    folder.write("val.json", coco(&[4, 5], |i| format!("images\\\\0a1b2c3d-{}.jpg", name(i))));
    opens("Label Studio, COCO", folder.path(), &plain, (Format::Coco, Some((4, 2, 0))));
}

#[test]
fn tables() {
    let plain = ReadOptions::default();
    let folder = Folder::new();
    photos(&folder, |i| format!("vott-csv-export/{}.jpg", name(i)));
    let quoted: String = rows(&[0, 1, 2, 3, 4, 5], |i| format!("\"{}.jpg\"", name(i))).replace('\n', "\r\n");
    let table = format!("\"image\",\"xmin\",\"ymin\",\"xmax\",\"ymax\",\"label\"\r\n{quoted}");
    folder.write("vott-csv-export/Shapes-export.csv", &table);
    opens("VoTT, CSV", folder.path(), &plain, (Format::Csv, None));
    let wide: Vec<u8> = format!("\u{feff}{table}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    folder.write("vott-csv-export/Shapes-export.csv", wide);
    opens("VoTT, CSV, UTF-16", folder.path(), &plain, (Format::Csv, None));

    let folder = Folder::new();
    photos(&folder, |i| format!("images/{}.jpg", name(i)));
    let header = "image_id,xmin,ymin,xmax,ymax,label\n";
    folder.write("train.csv", header.to_owned() + &rows(&[0, 1, 2, 3], name));
    folder.write("val.csv", header.to_owned() + &rows(&[4, 5], name));
    opens("luminoth", folder.path(), &plain, (Format::Csv, Some((4, 2, 0))));

    let folder = Folder::new();
    photos(&folder, |i| format!("imgs/{}.jpg", name(i)));
    folder.write(
        "annotations.csv",
        rows(&[0, 1, 2, 3, 4, 5], |i| format!("/home/me/set/imgs/{}.jpg", name(i))),
    );
    folder.write("classes.csv", "box,0\ndisc,1\nstar,2\n");
    let columns = |text: &str| ReadOptions {
        columns: Some(text.split(',').map(str::to_owned).collect()),
        ..ReadOptions::default()
    };
    opens(
        "keras-retinanet",
        folder.path(),
        &columns("filename,xmin,ymin,xmax,ymax,class"),
        (Format::Csv, None),
    );
    let error = Dataset::open(folder.path(), &plain).unwrap_err().to_string();
    assert!(error.contains("`filename,xmin,ymin,xmax,ymax,class`"), "{error}");

    // One class, named by file or folder, or given.
    for (file, class) in
        [("box.csv", "box"), ("box/annotations.csv", "box"), ("box/train/_annotations.csv", "box")]
    {
        let folder = Folder::new();
        photos(&folder, |i| format!("imgs/{}.jpg", name(i)));
        folder.write(file, rows(&[0, 3], |i| format!("imgs/{}.jpg", name(i))));
        let set = Dataset::open(folder.path(), &columns("filename,xmin,ymin,xmax,ymax,-")).unwrap();
        assert_eq!(set.classes, [class], "{file}");
    }
    let folder = Folder::new();
    photos(&folder, |i| format!("imgs/{}.jpg", name(i)));
    let no_class = "filename,xmin,ymin,xmax,ymax\np0.jpg,16,12,48,36\n";
    folder.write("x.csv", no_class);
    let error = Dataset::open(folder.path(), &plain).unwrap_err().to_string();
    assert!(error.contains("has no column class") && error.contains("`ReadOptions::class`"), "{error}");
    let given = ReadOptions { class: Some("box".into()), ..ReadOptions::default() };
    assert_eq!(Dataset::open(folder.path(), &given).unwrap().classes, ["box"]);
    // Where annotations have classes, none can be given.
    folder.write("p1.xml", voc("p1.jpg", SIZE, &[("box", BOX)]));
    let error = Dataset::open(folder.path(), &given).unwrap_err().to_string();
    assert!(error.contains("class is box: it is for tables (CSV), and the annotations are voc"), "{error}");
}

#[test]
fn labels_and_photos_that_do_not_find_each_other_are_said() {
    let folder = Folder::new();
    photos(&folder, |i| format!("images/{}.jpg", name(i)));
    labels(&folder, |i| format!("labels/{}.txt", name(i)));
    folder.write("labels/gone.txt", format!("0 {LABEL}\n"));
    folder.write("elsewhere/lost.txt", format!("0 {LABEL}\n"));
    folder.write("notes.txt", "three photos are missing\n");
    let report = check(folder.path(), &ReadOptions::default(), None).unwrap();
    let missing: Vec<String> = report
        .diagnostics
        .iter()
        .filter(|d| d.kind == DiagnosticKind::PhotoMissing)
        .map(|d| d.message.clone())
        .collect();
    assert_eq!(missing, ["the photo `lost` does not exist", "the photo `gone` does not exist"]);

    // A damaged photo has one error: nothing is said about the box.
    folder.write("images/p0.jpg", b"\xff\xd8\xff");
    let report = check(folder.path(), &ReadOptions::default(), None).unwrap();
    let of_photo = |d: &&loc_data::Diagnostic| d.file.ends_with("p0.jpg") || d.file.ends_with("p0.txt");
    assert_eq!(report.diagnostics.iter().filter(of_photo).count(), 1, "{:?}", report.diagnostics);

    // labelme stores the photo in the annotation, too.
    let folder = Folder::new();
    let embedded = "{\"shapes\": [{\"label\": \"a\", \"points\": [[1, 2], [30, 40]], \"shape_type\": \"rectangle\"}], \
                    \"imagePath\": \"p.jpg\", \"imageData\": \"/9j/4AAQ\"}";
    folder.write("p.json", embedded);
    folder.photo("q.jpg", 64, 48);
    let error = Dataset::open(folder.path(), &ReadOptions::default()).unwrap_err().to_string();
    assert!(
        error.contains("p.json:1: the photo `p.jpg` does not exist (hint: the annotation holds it"),
        "{error}"
    );
}
