//! What may lie in a folder beside photos, and photos that are none: nothing blocks, nothing panics, each is named.

mod common;

use common::{Folder, encoded, voc};
use image::ImageFormat;
use loc_data::check::check;
use loc_data::{Dataset, ReadOptions, Severity};

fn annotated_bytes(bytes: &[u8]) -> Folder {
    let folder = Folder::new();
    folder.write("images/a.jpg", bytes);
    folder.write("annotations/a.xml", voc("a.jpg", (64, 48), &[("cat", [1.0, 2.0, 3.0, 4.0])]));
    folder
}

#[test]
fn check_decodes_every_photo() {
    let whole = encoded(64, 48, ImageFormat::Jpeg);
    for percent in [90, 50] {
        let folder = annotated_bytes(&whole[..whole.len() * percent / 100]);
        let report = check(folder.path(), &ReadOptions::default(), None).unwrap();
        assert_eq!((report.errors(), report.samples), (1, 0), "{percent} %: {:?}", report.diagnostics);
        assert!(report.diagnostics[0].message.contains("cut short"), "{}", report.diagnostics[0]);
        assert!(report.diagnostics[0].file.ends_with("a.jpg"));
    }
    let mut trailing = whole.clone();
    trailing.extend(b"some editor's notes");
    let report = check(annotated_bytes(&trailing).path(), &ReadOptions::default(), None).unwrap();
    assert_eq!((report.diagnostics.len(), report.samples, report.photos), (0, 1, 1));
}

/// A decoder cannot see every changed byte of a scan; the data set's digest does.
#[test]
fn bytes_changed_in_a_scan_are_found_by_the_digest() {
    let whole = encoded(200, 150, ImageFormat::Jpeg);
    let digest = |bytes: &[u8]| {
        let folder = Folder::new();
        folder.write("a.jpg", bytes);
        folder.write("a.xml", voc("a.jpg", (200, 150), &[("cat", [1.0, 2.0, 30.0, 40.0])]));
        let report = check(folder.path(), &ReadOptions::default(), None).unwrap();
        assert_eq!(report.errors() + report.samples, 1, "one or the other: {:?}", report.diagnostics);
        Dataset::open(folder.path(), &ReadOptions::default()).unwrap().digest()
    };
    let sound = digest(&whole);
    for start in [whole.len() / 2, whole.len() - 200] {
        let mut spoilt = whole.clone();
        for byte in &mut spoilt[start..start + 64] {
            // Never FF: no marker comes or goes.
            *byte = if *byte == 0x55 { 0x2a } else { 0x55 };
        }
        assert_ne!(digest(&spoilt), sound, "64 bytes from {start}");
    }
}

#[test]
fn photos_that_are_none() {
    for (bytes, expected) in [
        (&b""[..], "is empty"),
        (b"<html><body>404", "starts with \"<html><body>404\""),
        (b"\xff\xd8", "a.jpg: "),
        (b"GIF89a", "a.jpg: "),
    ] {
        let folder = annotated_bytes(bytes);
        let message = Dataset::open(folder.path(), &ReadOptions::default()).unwrap_err().to_string();
        assert!(message.contains("a.jpg: ") && message.contains(expected), "{message}");
    }
}

/// A PNG of `width` × `height` pixels whose data is missing: 13 bytes that ask for gigabytes.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut png = encoded(1, 1, ImageFormat::Png);
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = crc32fast::hash(&png[12..29]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    png
}

#[test]
fn bombs_are_refused_from_their_header() {
    for (width, height) in [(60_000, 60_000), (13_000, 13_000), (1, 65_000)] {
        let folder = annotated_bytes(&png_header(width, height));
        let message = Dataset::open(folder.path(), &ReadOptions::default()).unwrap_err().to_string();
        assert!(message.contains(&format!("{width}×{height} photo is beyond the limits")), "{message}");
    }
}

#[test]
#[cfg(unix)]
fn what_is_no_file_is_skipped_and_never_waited_for() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new();
    folder.annotated("images/a.jpg", "annotations/a.xml");
    let at = |name: &str| folder.path().join(name);
    let fifo = |name: &str| {
        assert!(std::process::Command::new("mkfifo").arg(at(name)).status().unwrap().success());
    };
    fifo("images/fifo.jpg");
    fifo("annotations/fifo.xml");
    fifo("labels.csv");
    let _socket = std::os::unix::net::UnixListener::bind(at("images/socket.jpg")).unwrap();
    symlink("/dev/zero", at("images/zero.jpg")).unwrap();
    symlink(at("images/self.jpg"), at("images/self.jpg")).unwrap();
    symlink(at("nowhere.jpg"), at("images/dangling.jpg")).unwrap();
    symlink(folder.path(), at("images/loop")).unwrap();
    // A link to a photo is as good as the photo.
    fs_err::rename(at("images/a.jpg"), at("elsewhere.bin")).unwrap();
    symlink(at("elsewhere.bin"), at("images/a.jpg")).unwrap();

    let (sender, receiver) = std::sync::mpsc::channel();
    let root = folder.path().to_owned();
    std::thread::spawn(move || sender.send(check(&root, &ReadOptions::default(), None)));
    let report = receiver.recv_timeout(std::time::Duration::from_secs(60)).expect("blocked").unwrap();

    assert_eq!((report.errors(), report.samples), (0, 1), "{:#?}", report.diagnostics);
    for (name, why) in [
        ("images/fifo.jpg", "skipped: it is a FIFO"),
        ("annotations/fifo.xml", "skipped: it is a FIFO"),
        ("labels.csv", "skipped: it is a FIFO"),
        ("images/socket.jpg", "skipped: it is a socket"),
        ("images/zero.jpg", "skipped: it is a device"),
        ("images/self.jpg", "skipped: it is a link that cannot be followed"),
        ("images/dangling.jpg", "skipped: it is a broken symbolic link"),
        ("images/loop", "skipped: it is a link to a folder that is listed already"),
    ] {
        let diagnostic = report.diagnostics.iter().find(|f| f.file == at(name).to_string_lossy());
        let diagnostic = diagnostic.unwrap_or_else(|| panic!("{name}: {:#?}", report.diagnostics));
        assert_eq!(diagnostic.severity, Severity::Warning);
        assert!(diagnostic.message.starts_with(why), "{diagnostic}");
    }
    assert!(Dataset::open(&at("images/fifo.jpg"), &ReadOptions::default()).is_err());
}

#[test]
#[cfg(target_os = "linux")]
fn names_of_any_kind() {
    use std::os::unix::ffi::OsStrExt;
    let long = format!("{}.jpg", "n".repeat(251));
    let names = ["with blank.jpg", "quote\".jpg", "-rf.jpg", "ünïcödé 猫.jpg", "new\nline.jpg", &long];
    let folder = Folder::new();
    for (i, name) in names.iter().enumerate() {
        folder.photo(&format!("images/{name}"), 64, 48);
        let xml = voc(name, (64, 48), &[("cat", [1.0, 2.0, 3.0, 4.0])]);
        folder.write(&format!("annotations/{i}.xml"), xml);
    }
    let bad = folder.path().join("images").join(std::ffi::OsStr::from_bytes(b"b\xff.jpg"));
    fs_err::write(&bad, encoded(64, 48, ImageFormat::Jpeg)).unwrap();
    let loc_data::OpenedDataset { dataset: set, warnings, .. } =
        Dataset::open_with_report(folder.path(), &ReadOptions::default()).unwrap();
    let mut expected: Vec<&str> = names.to_vec();
    expected.sort_unstable();
    let files: Vec<&str> = set.samples.iter().map(|s| s.file.as_str()).collect();
    assert_eq!(files, expected);
    assert!(warnings[0].message.contains("its name is not UTF-8"), "{warnings:?}");
}

#[test]
fn the_digest_is_of_the_content() {
    let make = |jpeg: &[u8], class: &str, x2: f32, photo: &str, xml: &str| {
        let folder = Folder::new();
        folder.write(photo, jpeg);
        let name = photo.rsplit('/').next().unwrap();
        folder.write(xml, voc(name, (64, 48), &[(class, [1.0, 2.0, x2, 4.0])]));
        Dataset::open(folder.path(), &ReadOptions::default()).unwrap().digest()
    };
    let jpeg = encoded(64, 48, ImageFormat::Jpeg);
    let other = [&jpeg[..], b"x"].concat();
    let digest = make(&jpeg, "cat", 3.0, "images/a.jpg", "annotations/a.xml");
    assert_eq!(digest.len(), 64);
    assert_eq!(digest, make(&jpeg, "cat", 3.0, "a.jpg", "b.xml"), "where files lie makes no difference");
    for changed in [
        make(&other, "cat", 3.0, "a.jpg", "a.xml"),
        make(&jpeg, "dog", 3.0, "a.jpg", "a.xml"),
        make(&jpeg, "cat", 3.5, "a.jpg", "a.xml"),
        make(&jpeg, "cat", 3.0, "b.jpg", "a.xml"),
    ] {
        assert_ne!(digest, changed);
    }
}
