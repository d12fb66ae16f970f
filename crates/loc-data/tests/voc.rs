//! Pascal VOC: where the photos may lie, what an annotation may say, and what a folder may hold. Defects: `voc_errors`.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::{Folder, encoded, jpeg_with_orientation, object, voc};
use image::ImageFormat;
use loc_data::{
    BBox, DataError, Dataset, Format, ImageSize, LabelledObject, MultiObjectPolicy, ReadOptions, split,
};

fn open(folder: &Folder) -> Result<Dataset, DataError> {
    Dataset::open(folder.path(), &ReadOptions::default())
}

#[test]
fn finds_photos_in_every_layout() {
    let layouts = [
        ("a.jpg", "a.xml"),
        ("images/a.jpg", "annot/a.xml"),
        ("images/a.jpg", "annots/a.xml"),
        ("images/a.jpg", "annotations/a.xml"),
        ("images/a.jpg", "annotations/xmls/a.xml"),
        ("JPEGImages/a.jpg", "Annotations/a.xml"),
        ("dataset/images/a.jpg", "dataset/annot/a.xml"),
        ("dataset/a.jpg", "dataset/a.xml"),
        ("images/train/a.jpg", "images/train/a.xml"),
        ("images/train/a.jpg", "annotations/train/a.xml"),
        ("images/a.jpg", "a.xml"),
        ("a.jpg", "annotations/a.xml"),
        ("photos/deep/a.jpg", "labels/a.xml"),
        ("images/a.PNG", "labels/a.xml"),
    ];
    for (photo, xml) in layouts {
        let folder = Folder::new();
        folder.annotated(photo, xml);
        let set = open(&folder).unwrap_or_else(|e| panic!("{photo} {xml}: {e}"));
        assert_eq!(set.samples.len(), 1, "{photo}");
        let sample = &set.samples[0];
        assert_eq!(sample.image, folder.path().join(photo));
        assert_eq!(sample.file, photo.rsplit('/').next().unwrap());
        assert_eq!(sample.size, ImageSize { width: 64, height: 48 });
        assert_eq!(sample.object.unwrap().bbox, BBox::new(10.0, 12.0, 40.0, 36.0));
        assert_eq!(set.classes, ["cat"]);
    }
}

#[test]
fn a_folder_of_folders_is_one_set_sorted_by_name() {
    let folder = Folder::new();
    for (name, part) in [("c", "train"), ("a", "test"), ("b", "train")] {
        folder.annotated(&format!("images/{part}/{name}.jpg"), &format!("images/{part}/{name}.xml"));
    }
    let files: Vec<String> = open(&folder).unwrap().samples.into_iter().map(|s| s.file).collect();
    assert_eq!(files, ["a.jpg", "b.jpg", "c.jpg"]);
}

#[test]
fn filename_is_believed_and_neither_path_nor_the_xmls_name() {
    let folder = Folder::new();
    folder.photo("images/real.jpg", 64, 48);
    folder.write("annotations/other.xml", voc("real.jpg", (64, 48), &[("cat", [1.0, 2.0, 3.0, 4.0])]));
    assert_eq!(open(&folder).unwrap().samples[0].file, "real.jpg");

    // LabelImg once left the ending out; a name may hold blanks and quotes.
    let folder = Folder::new();
    folder.photo("it's a (1).jpg", 64, 48);
    folder.write("x.xml", voc("it's a (1)", (64, 48), &[("cat", [1.0, 2.0, 3.0, 4.0])]));
    assert_eq!(open(&folder).unwrap().samples[0].file, "it's a (1).jpg");
}

#[test]
fn coordinates_are_taken_as_written() {
    let folder = Folder::new();
    folder.photo("a.jpg", 64, 48);
    let xml = voc("a.jpg", (64, 48), &[("cat", [23.828_247, 0.0, 64.0, 48.0])]);
    folder.write("a.xml", xml.replace("\n", "\r\n"));
    assert_eq!(
        open(&folder).unwrap().samples[0].object.unwrap().bbox,
        BBox::new(23.828_247, 0.0, 64.0, 48.0)
    );
}

#[test]
fn flavours() {
    let boxed = object("cat", ["1", "2", "30", "40"].map(str::to_owned));
    let flavours = [
        // Namespaces; line breaks around a value.
        format!("<annotation xmlns=\"urn:x\">\r\n<filename>\r\n\ta.jpg\r\n</filename>{boxed}</annotation>"),
        format!("<v:annotation xmlns:v='urn:x'><v:filename>a.jpg</v:filename>{boxed}</v:annotation>"),
        format!("<annotation><filename>a.jpg</filename>{}</annotation>", boxed.replace(">cat<", ">\n    cat\n  <")),
        // A size that was left open.
        format!("<annotation><filename>a.jpg</filename><size/>{boxed}</annotation>"),
        format!("<annotation><filename>a.jpg</filename><size><width/><height></height></size>{boxed}</annotation>"),
        // VoTT: an attribute, blanks of its own.
        format!("<annotation verified=\"yes\">\n  <filename>a.jpg</filename>\n{boxed}</annotation>"),
        // A byte order mark, a declaration, comments.
        format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><!-- x --><annotation><filename>a.jpg</filename>{boxed}\
             </annotation>"
        ),
        // Pretty-printed values, an escaped name, an inner part with a box of its own.
        "<annotation><filename>\n a.jpg\n</filename><object><part><name>ear</name><bndbox><xmin>1</xmin></bndbox></part>\
         <name>cat</name><bndbox><xmin> 1 </xmin><ymin>2</ymin><xmax>30.0</xmax><ymax>4e1</ymax></bndbox></object>\
         </annotation>"
            .to_owned(),
    ];
    for xml in flavours {
        let folder = Folder::new();
        folder.photo("a.jpg", 64, 48);
        folder.write("a.xml", &xml);
        let set = open(&folder).unwrap_or_else(|e| panic!("{xml}: {e}"));
        assert_eq!(set.samples[0].object.unwrap().bbox, BBox::new(1.0, 2.0, 30.0, 40.0), "{xml}");
        assert_eq!(set.classes, ["cat"], "{xml}");
    }
}

#[test]
fn a_box_less_than_a_pixel_outside_is_clipped_with_a_warning() {
    let folder = Folder::new();
    folder.photo("a.jpg", 64, 48);
    folder.write("a.xml", voc("a.jpg", (64, 48), &[("cat", [-0.25, 0.0, 64.5, 40.0])]));
    let loc_data::OpenedDataset { dataset: set, warnings, .. } =
        Dataset::open_with_report(folder.path(), &ReadOptions::default()).unwrap();
    assert_eq!(set.samples[0].object.unwrap().bbox, BBox::new(0.0, 0.0, 64.0, 40.0));
    assert_eq!(warnings.len(), 1);
    let message = &warnings[0].message;
    assert!(message.starts_with("clipped: xmin -0.25 lies 0.25 px outside the photo"), "{message}");
}

#[test]
fn a_photo_is_as_large_as_it_is_upright() {
    for orientation in 1..=8 {
        let folder = Folder::new();
        folder.write("a.jpg", jpeg_with_orientation(64, 48, orientation));
        let turned = orientation >= 5;
        let upright = if turned { (48, 64) } else { (64, 48) };
        folder.write("a.xml", voc("a.jpg", upright, &[("cat", [1.0, 2.0, 40.0, 45.0])]));
        let set = open(&folder).unwrap();
        let size = set.samples[0].size;
        assert_eq!((size.width, size.height), upright, "{orientation}");

        folder.write("a.xml", voc("a.jpg", (upright.1, upright.0), &[("cat", [1.0, 2.0, 40.0, 45.0])]));
        let message = open(&folder).unwrap_err().to_string();
        let expected = if turned { "EXIF rotates the photo" } else { "width and height are swapped" };
        assert!(message.contains(expected), "{orientation}: {message}");
        assert_eq!(message.contains("EXIF"), turned, "{orientation}: {message}");
    }
}

#[test]
fn several_objects() {
    let small = ("cat", [1.0, 2.0, 10.0, 10.0]);
    let large = ("dog", [5.0, 5.0, 60.0, 40.0]);
    let folder = Folder::new();
    folder.photo("a.jpg", 64, 48);
    folder.write("a.xml", voc("a.jpg", (64, 48), &[small, large]));
    folder.annotated("b.jpg", "b.xml");
    let open = |objects| {
        Dataset::open_with_report(folder.path(), &ReadOptions { objects, ..ReadOptions::default() })
            .map(|opened| (opened.dataset, opened.warnings))
    };

    let (set, warnings) = open(MultiObjectPolicy::Largest).unwrap();
    assert_eq!(set.samples.len(), 2);
    assert_eq!(set.samples[0].object, Some(LabelledObject { class: 1, bbox: BBox::from(large.1) }));
    assert_eq!(warnings[0].message, "`a.jpg` has 2 objects: the largest is used");

    let (set, warnings) = open(MultiObjectPolicy::Skip).unwrap();
    assert_eq!(set.samples.len(), 1);
    assert_eq!(set.classes, ["cat"], "a class without a sample is none");
    assert_eq!(warnings[0].message, "`a.jpg` has 2 objects: skipped");

    let message = open(MultiObjectPolicy::Error).unwrap_err().to_string();
    assert!(message.contains("a.xml:3: `a.jpg` has 2 objects (hint: the largest"), "{message}");
}

#[test]
fn everything_is_reported_at_once() {
    let folder = Folder::new();
    folder.annotated("images/good.jpg", "annotations/good.xml");
    folder.photo("images/unannotated.jpg", 64, 48);
    folder.photo("images/twin.jpg", 64, 48);
    folder.annotated("images/twin.png", "annotations/twin.xml");
    folder.write("annotations/gone.xml", voc("gone.jpg", (64, 48), &[("cat", [1.0, 2.0, 3.0, 4.0])]));
    folder.write("annotations/again.xml", voc("good.jpg", (64, 48), &[("cat", [1.0, 2.0, 3.0, 4.0])]));
    folder.write("images/page.jpg", "<html>not found</html>");
    folder.write("annotations/page.xml", voc("page.jpg", (64, 48), &[("cat", [1.0, 2.0, 3.0, 4.0])]));
    folder.photo("images/broken.jpg", 64, 48);
    folder.write("annotations/broken.xml", "<annotation><filename>");
    folder.annotated("images/case.jpg", "annotations/case.xml");
    folder.write("annotations/case.xml", voc("case.jpg", (64, 48), &[("Cat", [1.0, 2.0, 3.0, 4.0])]));

    let Err(DataError::Defects { skipped, .. }) = open(&folder) else { panic!("no error") };
    let diagnostics = skipped.diagnostics;
    let lines: Vec<String> = diagnostics
        .iter()
        .map(|f| f.to_string().replace(&format!("{}/", folder.path().display()), ""))
        .collect();
    let expected = [
        "annotations/again.xml:3: the photo `good.jpg` is also annotated in",
        "annotations/broken.xml:1:23: is not well-formed",
        "annotations/case.xml:11: class `Cat`, but 5 objects of `cat`",
        "annotations/gone.xml:3: the photo `gone.jpg` does not exist",
        "images/page.jpg: not a",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\n{expected}");
    }
}

#[test]
fn photos_of_one_name_in_two_folders_are_two_photos() {
    let folder = Folder::new();
    for photo in ["left/a", "right/a", "right/b"] {
        folder.annotated(&format!("{photo}.jpg"), &format!("{photo}.xml"));
    }
    let set = open(&folder).unwrap();
    let files: Vec<&str> = set.samples.iter().map(|s| s.file.as_str()).collect();
    assert_eq!(files, ["b.jpg", "left/a.jpg", "right/a.jpg"], "paths where the names are not enough");
    let split = split::stratified(&set, 0.34, 0).unwrap();
    let file = folder.path().join("split.csv");
    split::write_csv(&file, &set, &split).unwrap();
    assert_eq!(split::read_csv(&file, &set).unwrap(), split);
}

#[test]
fn pictures_elsewhere_are_none_of_our_business() {
    let folder = Folder::new();
    folder.annotated("images/a.jpg", "annotations/a.xml");
    folder.photo("cover.png", 10, 10);
    folder.photo("SegmentationClass/a.png", 64, 48);
    folder.write("annotations/.hidden.xml", "junk");
    folder.write("pom.xml", "<project/>");
    let loc_data::OpenedDataset { dataset: set, warnings, .. } =
        Dataset::open_with_report(folder.path(), &ReadOptions::default()).unwrap();
    assert_eq!(set.samples.len(), 1);
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].message, "ignored: its root element is <project>, not <annotation>");

    folder.write("pom.xml", "<?xml version='1.0'?><annotations><version>1.1</version></annotations>");
    let opened = Dataset::open_with_report(folder.path(), &ReadOptions::default()).unwrap();
    let said = opened.warnings[0].to_string();
    assert!(
        said.ends_with(
            "XML of CVAT (<annotations>), which is not read (hint: export it from CVAT as Pascal VOC)"
        ),
        "{said}"
    );
}

#[test]
fn voc_wins_over_a_csv_beside_it() {
    let folder = Folder::new();
    folder.annotated("images/a.jpg", "annotations/a.xml");
    folder.write("labels.csv", "filename,class,xmin,ymin,xmax,ymax\na.jpg,dog,1,2,3,4\n");
    assert_eq!(open(&folder).unwrap().classes, ["cat"]);
    let csv = ReadOptions { format: Some(Format::Csv), ..ReadOptions::default() };
    assert_eq!(Dataset::open(folder.path(), &csv).unwrap().classes, ["dog"]);
}

#[test]
fn a_png_named_jpg_is_read_by_content_with_a_warning() {
    let folder = Folder::new();
    folder.write("a.jpg", encoded(64, 48, ImageFormat::Png));
    folder.write("a.xml", voc("a.jpg", (64, 48), &[("cat", [1.0, 2.0, 3.0, 4.0])]));
    let loc_data::OpenedDataset { dataset: set, warnings, .. } =
        Dataset::open_with_report(folder.path(), &ReadOptions::default()).unwrap();
    assert_eq!(set.samples.len(), 1);
    assert_eq!(warnings[0].message, "is a PNG despite its extension: it is read by its content");
}

#[test]
fn paths_that_hold_no_data_set() {
    let folder = Folder::new();
    let cases = [
        ("missing", "does not exist"),
        ("empty", "no annotations found among 0 photos"),
        ("coco", "JSON of no known annotation format"),
        ("table", "the header `a,b,c` has no column filename, xmin, ymin, xmax, ymax, class"),
        ("one.xml", "is one annotation of many"),
    ];
    fs_err::create_dir(folder.path().join("empty")).unwrap();
    folder.write("coco/annotations.json", "{}");
    folder.write("table/x.csv", "a,b,c\n1,2,3\n");
    folder.write("one.xml", "<annotation/>");
    for (name, expected) in cases {
        let path = folder.path().join(name);
        let message = Dataset::open(&path, &ReadOptions::default()).unwrap_err().to_string();
        assert!(message.starts_with(&path.display().to_string()), "{message}");
        assert!(message.contains(expected), "{message}");
    }
}
