//! A photo that is there is found, by whatever name the annotation has for it; what is not found is called what it is.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;
#[path = "common/named.rs"]
mod named;

use common::{Folder, encoded, voc};
use image::ImageFormat;
use loc_data::check::check;
use loc_data::{Dataset, DiagnosticKind, ReadOptions, Severity};
use named::{CAT, HEADER, errors, lines, report, samples, set};

#[test]
fn a_photo_that_was_renamed_is_found_with_a_warning() {
    for (name, photo, why) in [
        ("a.jpg", "a.JPG", "only the case of its extension differs"),
        ("a.jpg", "a.jpeg", "only its extension differs"),
        ("a.jpg", "a.png", "only its extension differs"),
        ("a.JPG", "a.webp", "only its extension differs"),
        ("a.xml", "a.jpg", "only its extension differs"),
        ("a.jpg", "a.jpg.jpg", "only its extension differs"),
        // NFC and NFD: macOS writes the letter and its dots apart.
        ("\u{fc}.jpg", "u\u{308}.jpg", "only the spelling differs"),
        ("u\u{308}.jpg", "\u{fc}.jpg", "only the spelling differs"),
        ("my%20photo.jpg", "my photo.jpg", "only the spelling differs"),
        ("my photo.jpg", "my%20photo.jpg", "only the spelling differs"),
        ("%e7%8c%ab.jpg", "猫.jpeg", "only the spelling differs"),
        ("file:a.jpg", "a.jpg", "only the spelling differs"),
        ("file:///C:/photos/a.jpg", "a.jpg", "only the spelling differs"),
        ("IMG_1.jpg", "img_1.jpg", "only the case differs"),
        ("Img_1.jpg", "IMG_1.PNG", "only the case differs"),
        ("stale.jpg", "x.jpg", "there is none of that name, and it has the annotation's name"),
    ] {
        for (photo, xml) in [
            (photo.to_owned(), "x.xml"),
            (format!("images/{photo}"), "annotations/x.xml"),
            (format!("somewhere/{photo}"), "labels/x.xml"),
        ] {
            let folder = set(&[&photo], &[(xml, name)]);
            assert_eq!(samples(&folder), [photo.as_str()], "{name}");
            let warnings = lines(&folder, Severity::Warning);
            let prefix = format!("{xml}:3: the photo `{name}` is taken from {photo}: {why}");
            assert_eq!(warnings, [prefix], "{name}");
        }
    }
}

#[test]
fn a_set_of_another_ending_is_one_line_with_a_count() {
    let names: Vec<String> = (0..40).map(|i| format!("{i:02}")).collect();
    let photos: Vec<String> = names.iter().map(|n| format!("images/{n}.jpeg")).collect();
    let xmls: Vec<(String, String)> =
        names.iter().map(|n| (format!("annotations/{n}.xml"), format!("{n}.jpg"))).collect();
    let photos: Vec<&str> = photos.iter().map(String::as_str).collect();
    let xmls: Vec<(&str, &str)> = xmls.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let folder = set(&photos, &xmls);
    let opened = Dataset::open_with_report(folder.path(), &ReadOptions::default()).unwrap();
    assert_eq!((opened.dataset.samples.len(), opened.skipped.photos), (40, 0));
    let summary = loc_data::summary(&opened.warnings);
    assert_eq!(summary.len(), 1, "{summary:?}");
    assert!(summary[0].starts_with("40 photos found under another name: "), "{summary:?}");
}

#[test]
fn the_plainer_way_wins() {
    // Each photo alone would do; with all of them the first is meant.
    let ways = ["a b.jpg", "a b.JPG", "a b.png", "a%20b.jpg", "A b.jpg", "x.jpg"];
    for first in 0..ways.len() {
        let folder = set(&ways[first..], &[("x.xml", "a b.jpg")]);
        assert_eq!(samples(&folder), [ways[first]]);
    }
    // A plain name in another folder goes before a loose one beside.
    let folder = set(&["labels/a.png", "photos/a.jpg"], &[("labels/a.xml", "a.jpg")]);
    assert_eq!(samples(&folder), ["photos/a.jpg"]);
}

#[test]
fn several_candidates_are_an_error_that_lists_them() {
    for (photos, name) in [
        (&["a.jpeg", "a.png"][..], "a.jpg"),
        (&["a.jpeg", "images/a.jpeg"], "a.jpg"),
        (&["left/a.jpg", "right/a.jpg"], "a.jpg"),
        (&["left/a.jpg", "right/a.jpg"], "/home/x/a.jpg"),
        (&["left/a.jpeg", "right/a.png"], "a.jpg"),
        (&["a.jpg", "a.png"], "a"),
    ] {
        let folder = set(photos, &[("labels/x.xml", name)]);
        let candidates = photos.join(" or ");
        let expected = format!(
            "labels/x.xml:3: the photo `{name}` may be {candidates} (hint: rename all but one of them: the name must identify one photo)"
        );
        let found = report(&folder).diagnostics;
        let found: Vec<_> = found.iter().filter(|f| f.kind == DiagnosticKind::PhotoAmbiguous).collect();
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        let line = found[0].to_string().replace(&format!("{}/", folder.path().display()), "");
        assert_eq!(line, expected);
    }
    // Of a hundred of one name the first are listed, the others counted.
    let photos: Vec<String> = (0..100).map(|i| format!("{i:02}/a.jpg")).collect();
    let photos: Vec<&str> = photos.iter().map(String::as_str).collect();
    let folder = set(&photos, &[("x.xml", "a.jpg")]);
    assert!(errors(&folder)[1].contains("or 03/a.jpg or another (hint: "), "{:?}", errors(&folder));
}

#[test]
fn pictures_made_of_photos_are_no_candidates() {
    let photos = ["SegmentationClass/a.png", "thumbnails/a.jpeg", "JPEGImages/a.jpeg"];
    let folder = set(&photos, &[("Annotations/a.xml", "a.jpg")]);
    assert_eq!(samples(&folder), ["JPEGImages/a.jpeg"]);
    let folder = set(&["rgb/a.jpg", "thumbs/a.jpg"], &[("gt/a.xml", "a.jpg")]);
    assert_eq!(samples(&folder), ["rgb/a.jpg"]);
    let folder = set(&["masks/a.png"], &[("gt/b.xml", "a.jpg")]);
    assert!(errors(&folder)[1].contains("the photo `a.jpg` does not exist"), "{:?}", errors(&folder));
}

#[test]
fn what_is_there_and_no_photo_is_called_what_it_is() {
    let folder = set(&["good.jpg"], &[("good.xml", "good.jpg")]);
    folder.write("notes.txt", "hello");
    folder.write(".cache/hidden.jpg", encoded(64, 48, ImageFormat::Jpeg));
    folder.write("images/.dotted.jpg", encoded(64, 48, ImageFormat::Jpeg));
    folder.write("folder.jpg/inner.txt", "x");
    folder.write("phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic");
    folder.write("clip.mp4", b"\0\0\0\x18ftypmp42");
    let cases = [
        ("notes.txt", "1.xml:3: the photo `notes.txt` is not a photo: notes.txt: not a JPEG, PNG"),
        (
            "hidden.jpg",
            "2.xml:3: the photo `hidden.jpg` is at .cache/hidden.jpg, in a hidden folder (hint: hidden",
        ),
        (
            ".cache/hidden.jpg",
            "3.xml:3: the photo `.cache/hidden.jpg` is at .cache/hidden.jpg, hidden by a name",
        ),
        (
            ".dotted.jpg",
            "4.xml:3: the photo `.dotted.jpg` is at images/.dotted.jpg, hidden by a name that begins",
        ),
        ("folder.jpg", "5.xml:3: the photo `folder.jpg` is not a file: folder.jpg is a folder"),
        (
            "clip.mp4",
            "6.xml:3: the photo `clip.mp4` is not a photo: clip.mp4: is an MP4 video, which loc does not read",
        ),
        ("gone.jpg", "7.xml:3: the photo `gone.jpg` does not exist"),
        ("phone.heic", "phone.heic: is a HEIC photo, which loc does not read (hint: convert it to JPEG"),
    ];
    for (i, (name, _)) in cases.iter().enumerate() {
        folder.write(&format!("{}.xml", i + 1), voc(name, (64, 48), CAT));
    }
    let found = errors(&folder);
    assert_eq!(found.len(), cases.len(), "{found:#?}");
    for (found, (_, expected)) in found.iter().zip(cases) {
        assert!(found.starts_with(expected), "{found}\n{expected}");
    }
    assert_eq!(report(&folder).samples, 1);
}

#[test]
#[cfg(unix)]
fn what_is_no_file_is_called_what_it_is() {
    use std::os::unix::fs::symlink;
    let folder =
        set(&["good.jpg"], &[("good.xml", "good.jpg"), ("1.xml", "pipe.jpg"), ("2.xml", "link.jpg")]);
    folder.write("3.xml", voc("odd/pipe.png", (64, 48), CAT));
    folder.write("odd/x.txt", "");
    for pipe in ["pipe.jpg", "odd/pipe.png"] {
        assert!(
            std::process::Command::new("mkfifo").arg(folder.path().join(pipe)).status().unwrap().success()
        );
    }
    symlink(folder.path().join("nowhere"), folder.path().join("link.jpg")).unwrap();
    let found = errors(&folder);
    for (found, expected) in found.iter().zip([
        "1.xml:3: the photo `pipe.jpg` is not a file: pipe.jpg is a FIFO",
        "2.xml:3: the photo `link.jpg` cannot be read at link.jpg: it is a broken symbolic link",
        "3.xml:3: the photo `odd/pipe.png` is not a file: odd/pipe.png is a FIFO",
    ]) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn content_decides_whatever_the_ending() {
    let folder = Folder::new();
    let jpeg = encoded(64, 48, ImageFormat::Jpeg);
    for (i, name) in
        ["scraped", "a.jpg_original", "b.jfif", "c.JPE", "d.jpg_large", "e.tif", "f.heic"].iter().enumerate()
    {
        folder.write(&format!("images/{name}"), [&jpeg[..], &[u8::try_from(i).unwrap()]].concat());
        folder.write(&format!("annotations/{i}.xml"), voc(name, (64, 48), CAT));
    }
    assert_eq!(report(&folder).samples, 7, "{:?}", report(&folder).diagnostics);
    let misnamed: Vec<String> = lines(&folder, Severity::Warning);
    assert_eq!(
        misnamed,
        ["e.tif", "f.heic"]
            .map(|n| format!("images/{n}: is a JPEG despite its extension: it is read by its content"))
    );
}

#[test]
fn every_ending_of_the_decoders_is_read() {
    let folder = Folder::new();
    for (ending, format) in [
        ("tif", ImageFormat::Tiff),
        ("tiff", ImageFormat::Tiff),
        ("webp", ImageFormat::WebP),
        ("gif", ImageFormat::Gif),
        ("dib", ImageFormat::Bmp),
        ("apng", ImageFormat::Png),
        ("jif", ImageFormat::Jpeg),
    ] {
        folder.write(&format!("images/{ending}.{ending}"), encoded(64, 48, format));
        folder.write(&format!("annotations/{ending}.xml"), voc(&format!("{ending}.{ending}"), (64, 48), CAT));
    }
    let report = report(&folder);
    // `.tif` and `.tiff` have the same bytes here.
    let others =
        report.diagnostics.iter().filter(|diagnostic| diagnostic.kind != DiagnosticKind::Copies).count();
    assert_eq!((report.samples, others), (7, 0), "{:?}", report.diagnostics);
}

#[test]
fn photos_of_a_format_that_is_not_read_are_named() {
    // All of them, named as they are, or by the ending that they lost.
    for name in ["0.heic", "0.jpg"] {
        let folder = Folder::new();
        folder.write("images/0.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic");
        folder.write("annotations/0.xml", voc(name, (64, 48), CAT));
        let message = Dataset::open(folder.path(), &ReadOptions::default()).unwrap_err().to_string();
        assert!(
            message.contains("images/0.heic: is a HEIC photo, which loc does not read (hint: "),
            "{message}"
        );
        assert!(!message.contains("does not exist"), "{message}");
    }
    let folder = Folder::new();
    folder.write("0.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic");
    folder.write("1.HEIC", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic");
    folder.write("readme.txt", "");
    let message = Dataset::open(folder.path(), &ReadOptions::default()).unwrap_err().to_string();
    assert!(message.contains("among 0 photos and 3 other files (2 .heic (HEIC photo), 1 .txt)"), "{message}");
    folder.write("x.xml", voc("gone.jpg", (64, 48), CAT));
    let found = errors(&folder);
    assert!(
        found[0].contains("no photo found, only 2 .heic (HEIC photo), 1 .txt (hint: convert"),
        "{found:?}"
    );
    assert!(found[0].contains("heif-convert"), "{found:?}");
}

#[test]
fn paths_of_other_machines_keep_their_folders_apart() {
    let photos = ["left/a.jpg", "right/a.jpg"];
    for base in ["/home/someone/set/", "C:\\set\\", "./", "", "file:///data/"] {
        let separator = if base.contains('\\') { "\\" } else { "/" };
        let rows: String = ["left", "right"]
            .iter()
            .zip(["cat", "dog"])
            .map(|(side, class)| format!("{base}{side}{separator}a.jpg,64,48,{class},1,2,30,40\n"))
            .collect();
        let folder = set(&photos, &[]);
        folder.write("labels.csv", format!("{HEADER}\n{rows}"));
        assert_eq!(samples(&folder), photos, "{base}");
        let set = Dataset::open(folder.path(), &ReadOptions::default()).unwrap();
        let classes: Vec<usize> = set.samples.iter().map(|s| s.object.unwrap().class).collect();
        assert_eq!(classes, [0, 1], "{base}");
    }
}

#[test]
fn photos_outside_the_folder_are_read_where_the_path_is_given() {
    let outside = Folder::new();
    let photo = outside.photo("deep/a.jpg", 64, 48);
    for name in
        [photo.to_str().unwrap().to_owned(), "../deep/a.jpg".into(), format!("file://{}", photo.display())]
    {
        outside.write("set/x.xml", voc(&name, (64, 48), CAT));
        let opened = Dataset::open_with_report(&outside.path().join("set"), &ReadOptions::default()).unwrap();
        assert_eq!(opened.dataset.samples[0].image, photo, "{name}");
        let kinds: Vec<DiagnosticKind> = opened.warnings.iter().map(|f| f.kind).collect();
        assert!(kinds.contains(&DiagnosticKind::PhotoOutside), "{name}: {:?}", opened.warnings);
    }
    // Inside, by its absolute path, it is that photo and no other of the same name.
    let folder = set(&["left/a.jpg", "right/a.jpg"], &[]);
    let absolute = folder.path().join("right/a.jpg");
    folder.write("x.xml", voc(absolute.to_str().unwrap(), (64, 48), CAT));
    assert_eq!(samples(&folder), ["right/a.jpg"]);
    assert!(report(&folder).diagnostics.iter().all(|f| f.kind != DiagnosticKind::PhotoOutside));
    // What is no photo is not taken for one, wherever it lies.
    outside.write("passwords", "root");
    outside.write("set/x.xml", voc("../passwords", (64, 48), CAT));
    let found = check(&outside.path().join("set"), &ReadOptions::default(), None).unwrap().diagnostics;
    assert!(found.iter().any(|f| f.message.contains("is not a photo: ")), "{found:?}");
}

#[test]
fn layouts_of_other_tools() {
    let layouts: &[(&str, &str, &str)] = &[
        // LabelImg: XML beside the photo, or in a folder of its own.
        ("a.jpg", "a.xml", "a.jpg"),
        ("img/a.jpg", "xml/a.xml", "a.jpg"),
        // CVAT, "Pascal VOC 1.1": subsets as folders, the name with its folder.
        ("JPEGImages/train/a.jpg", "Annotations/train/a.xml", "train/a.jpg"),
        ("JPEGImages/train/a.jpg", "Annotations/train/a.xml", "a.jpg"),
        // Roboflow.
        (
            "train/a_jpg.rf.0123456789abcdef.jpg",
            "train/a_jpg.rf.0123456789abcdef.xml",
            "a_jpg.rf.0123456789abcdef.jpg",
        ),
        // VoTT.
        ("set-PascalVOC-export/JPEGImages/a.jpg", "set-PascalVOC-export/Annotations/a.xml", "a.jpg"),
        // Kaggle.
        ("Images/a.jpg", "Annotations/a.xml", "a.jpg"),
        ("Images/breed/a.jpg", "Annotation/breed/a.xml", "a"),
        ("images/images/a.jpg", "annotations/annotations/a.xml", "a.jpg"),
        ("images/train/a.jpg", "labels/train/a.xml", "a.jpg"),
        ("train/images/a.jpg", "train/labels/a.xml", "a.jpg"),
        ("train/image/a.jpg", "train/label/a.xml", "a.jpg"),
        ("photos/left/a.jpg", "ann/left/a.xml", "a.jpg"),
        ("train/img/a.jpg", "train/ann/a.xml", "a.jpg"),
        ("images/left/a.jpg", "left/labels/a.xml", "a.jpg"),
        ("Pictures/a.jpg", "XML/a.xml", "a.jpg"),
    ];
    for (photo, xml, name) in layouts {
        let folder = Folder::new();
        folder.photo(photo, 64, 48);
        folder.write(xml, voc(name, (64, 48), CAT));
        // The same name elsewhere: the layout alone says which is meant.
        let report = report(&folder);
        assert_eq!(
            (report.samples, report.diagnostics.len()),
            (1, 0),
            "{photo} {xml}: {:?}",
            report.diagnostics
        );
        folder.photo(&format!("other/place/{}", photo.rsplit('/').next().unwrap()), 64, 48);
        assert_eq!(samples(&folder), [*photo], "{xml}");
    }
}
