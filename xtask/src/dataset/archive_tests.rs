//! Tests with valid and malicious archives, which are built here byte by byte.

use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use fs_err as fs;
use tar::{EntryType, Header};

use super::DataSet;
use super::archive::Archive;

/// One entry of an archive.
pub(super) struct Item<'a>(pub(super) &'a str, pub(super) EntryType, pub(super) &'a [u8]);

/// A plain file.
pub(super) fn file<'a>(name: &'a str, data: &'a [u8]) -> Item<'a> {
    Item(name, EntryType::Regular, data)
}

/// Builds a `.tar.gz` with these entries; names are written unchecked.
pub(super) fn tar_gz(items: &[Item]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for Item(name, kind, data) in items {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        if kind.is_symlink() || kind.is_hard_link() {
            header.set_link_name("/etc/hostname").unwrap();
        }
        header.set_mode(0o644);
        header.set_size(data.len() as u64);
        header.set_cksum();
        tar.append(&header, *data).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// The data set of these tests: two photos and their boxes.
pub(super) fn good_items() -> Vec<Item<'static>> {
    vec![
        Item("pax_global_header", EntryType::XGlobalHeader, b"17 comment=372ebf\n"),
        Item("repo-372ebf/", EntryType::Directory, b""),
        file("repo-372ebf/README.md", b"not of the set"),
        file("repo-372ebf/dataset/annot/a.xml", b"<a/>"),
        file("repo-372ebf/dataset/annot/b.xml", b"<b/>"),
        file("repo-372ebf/dataset/images/a.jpg", &[7; 3000]),
        file("repo-372ebf/dataset/images/b.jpg", &[8; 5000]),
        file("repo-372ebf/dataset/images-old/a.jpg", b"not of the set either"),
    ]
}

/// Its entry in `data/datasets.toml`.
pub(super) fn good_set() -> DataSet {
    DataSet {
        what: "four files".into(),
        origin: "this test".into(),
        licence: "none needed".into(),
        url: String::new(),
        folders: vec!["dataset/images".into(), "dataset/annot".into()],
        files: 4,
        // With the four files in a folder: find dataset -type f | LC_ALL=C sort | xargs sha256sum | sha256sum
        sha256: "a8b4ca7d38c02bd2c3d332fbfcc0c5c512e82c0e647c1a981203eafba746a92d".into(),
        max_mib: 1,
    }
}

fn with_archive<T>(bytes: &[u8], set: &DataSet, test: impl FnOnce(&Archive) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.tar.gz");
    fs::write(&path, bytes).unwrap();
    test(&Archive { path: &path, set })
}

/// The error of the first pass, without the path.
fn error_of(bytes: &[u8]) -> String {
    with_archive(bytes, &good_set(), |archive| {
        let error = format!("{:#}", archive.contents().unwrap_err());
        let (_, message) = error.split_once("set.tar.gz: ").expect("the error names the file");
        message.to_owned()
    })
}

#[test]
fn the_prefix_is_removed_and_other_files_are_ignored() {
    let set = good_set();
    with_archive(&tar_gz(&good_items()), &set, |archive| {
        let contents = archive.contents().unwrap();
        assert_eq!((contents.len(), contents.digest()), (4, set.sha256.clone()));
        let into = archive.path.with_file_name("out");
        archive.unpack(&contents, &into).unwrap();
        assert_eq!(super::Contents::of_folder(&into, &set.folders).unwrap(), contents);
        assert!(!into.join("README.md").exists() && !into.join("dataset/images-old").exists());
    });
}

#[test]
fn a_set_without_a_prefix_is_the_same_set() {
    let items: Vec<Item> = good_items()
        .into_iter()
        .map(|Item(name, kind, data)| Item(name.strip_prefix("repo-372ebf/").unwrap_or(name), kind, data))
        .filter(|Item(name, ..)| !name.is_empty())
        .collect();
    let set = good_set();
    with_archive(&tar_gz(&items), &set, |archive| {
        assert_eq!(archive.contents().unwrap().digest(), set.sha256);
    });
}

#[test]
fn malicious_entries_are_refused_by_name() {
    let cases: &[(Item, &str)] = &[
        (file("../dataset/images/x", b""), "the name `../dataset/images/x` points outside the folder"),
        (
            file("dataset/images/../../../x", b""),
            "the name `dataset/images/../../../x` points outside the folder",
        ),
        (file("/dataset/images/x", b""), "the name `/dataset/images/x` is an absolute path"),
        (file("C:/dataset/images/x", b""), "the name `C:/dataset/images/x` is an absolute path"),
        (
            file("dataset/images/..\\x", b""),
            "the name `dataset/images/..\\\\x` has a backslash or a control character",
        ),
        (
            file("dataset/images/\x1b[2J", b""),
            "the name `dataset/images/\\x1b[2J` has a backslash or a control character",
        ),
        (file("dataset/images/./x", b""), "the name `dataset/images/./x` is not a plain path"),
        (
            Item("dataset/images/x", EntryType::Symlink, b""),
            "`dataset/images/x` is a link; links are refused",
        ),
        (Item("elsewhere", EntryType::Link, b""), "`elsewhere` is a link; links are refused"),
        (Item("dataset/images/x", EntryType::Fifo, b""), "`dataset/images/x` is neither a file nor a folder"),
    ];
    for (malicious, expected) in cases {
        let mut items = good_items();
        items.push(Item(malicious.0, malicious.1, malicious.2));
        assert_eq!(error_of(&tar_gz(&items)), *expected);
    }
}

#[test]
fn two_entries_of_one_name_are_refused_also_by_case() {
    for name in ["repo-372ebf/dataset/images/a.jpg", "other/dataset/images/A.JPG"] {
        let mut items = good_items();
        items.push(file(name, b"another"));
        let error = error_of(&tar_gz(&items));
        assert!(error.starts_with("two entries for `dataset/images/"), "{error}");
    }
}

#[test]
fn too_many_entries_or_bytes_are_refused() {
    let names: Vec<String> = (0..1100).map(|i| format!("f{i}")).collect();
    let items: Vec<Item> = names.iter().map(|name| file(name, b"")).collect();
    assert_eq!(error_of(&tar_gz(&items)), "more than 1008 entries");

    // 16 MiB of zeros pack to a few KB.
    let zeros = vec![0; 16 << 20];
    assert_eq!(error_of(&tar_gz(&[file("zeros", &zeros)])), "unpacks to more than 1 MiB");

    // Many files in ignored folders, each below the limit.
    let zeros = vec![0; 400 << 10];
    let items = [file("a", &zeros), file("b", &zeros), file("c", &zeros)];
    assert_eq!(error_of(&tar_gz(&items)), "unpacks to more than 1 MiB");
}

#[test]
fn an_archive_of_zeros_is_refused_long_before_the_sets_limit() {
    let set = DataSet { max_mib: 1000, ..good_set() };
    let zeros = vec![0; 200 << 20];
    let bytes = tar_gz(&[file("dataset/images/a.jpg", &zeros)]);
    assert!(bytes.len() < 2 << 20, "{} bytes", bytes.len());
    with_archive(&bytes, &set, |archive| {
        let error = format!("{:#}", archive.contents().unwrap_err());
        assert!(error.ends_with("set.tar.gz: unpacks to more than 100 times its size"), "{error}");
    });
}

#[test]
fn a_wrong_size_in_a_header_is_detected_by_the_stream() {
    // The tar library reads a long-name entry itself, before our code sees its size.
    let zeros = vec![b'x'; 4 << 20];
    let items = [Item("././@LongLink", EntryType::GNULongName, &zeros), file("short", b"")];
    let error = error_of(&tar_gz(&items));
    assert!(error.ends_with("it unpacks to too many bytes"), "{error}");
}

#[test]
fn other_file_formats_are_named() {
    let cases: &[(&[u8], &str)] = &[
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf  <!DOCTYPE html><title>Not found</title>", "an HTML page, not an archive"),
        (b"PK\x03\x04 a zip", "not a .tar.gz, it starts with \"PK\\x03\\x04 a z\""),
    ];
    for (bytes, expected) in cases {
        assert_eq!(error_of(bytes), *expected);
    }
}

#[test]
fn a_truncated_archive_is_never_accepted() {
    let whole = tar_gz(&good_items());
    let set = good_set();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.tar.gz");
    let archive = Archive { path: &path, set: &set };
    let mut errors = 0;
    for n in 0..whole.len() {
        fs::write(&path, &whole[..n]).unwrap();
        match archive.contents() {
            Err(_) => errors += 1,
            // After the last file there are only zeros and the checksum of gzip: the data set is complete without them.
            Ok(contents) => assert_eq!(contents.digest(), set.sha256, "cut at {n} of {}", whole.len()),
        }
    }
    assert!(errors > whole.len() * 3 / 4, "{errors} of {}", whole.len());
    let error = error_of(&whole[..whole.len() / 2]);
    assert!(error.contains("cut short at "), "{error}");
}

#[test]
fn a_file_that_changes_between_the_passes_is_refused() {
    let set = good_set();
    with_archive(&tar_gz(&good_items()), &set, |archive| {
        let contents = archive.contents().unwrap();
        let mut items = good_items();
        items[3] = file("repo-372ebf/dataset/annot/a.xml", b"<c/>");
        fs::write(archive.path, tar_gz(&items)).unwrap();
        let into: PathBuf = archive.path.with_file_name("out");
        let error = archive.unpack(&contents, &into).unwrap_err().to_string();
        assert!(error.ends_with("dataset/annot/a.xml changed while it was unpacked"), "{error}");
    });
}
