//! Commands that write a new data set: `loc data convert` and `loc data check --fix`.

use fs_err as fs;

use crate::{desk, everything, refused};

/// The commands, of which `OUT` is the new folder.
const CALLS: [&[&str]; 2] = [
    &["data", "convert", "shapes", "--to", "yolo", "-o", "OUT"],
    &["data", "check", "shapes", "--fix", "OUT"],
];

#[test]
fn a_new_data_set_replaces_nothing_and_its_source_stays() {
    let desk = desk();
    for call in CALLS {
        let into = |out: &'static str| crate::with_out(call, out);
        for (out, word) in [
            ("shapes", "is not an empty folder"),
            ("shapes/images", "is not an empty folder"),
            ("m.safetensors", "is not an empty folder"),
            ("c.toml", "is not an empty folder"),
            ("shapes/new", "it lies in the data set shapes"),
            ("./shapes/images/../new/deeper", "it lies in the data set shapes"),
        ] {
            refused(&desk, &into(out), &[out, word]);
        }
        let before = everything(&desk.path(""));
        desk.ok(&into("out"));
        refused(&desk, &into("out"), &["out: already exists"]);
        let mut now = everything(&desk.path(""));
        now.retain(|path, _| !path.starts_with(desk.path("out")));
        assert_eq!(before, now, "{call:?}: something else was changed");
        fs::remove_dir_all(desk.path("out")).unwrap();
        // An empty folder is filled; it may be a mount point.
        fs::create_dir(desk.path("out")).unwrap();
        desk.ok(&into("out"));
        fs::remove_dir_all(desk.path("out")).unwrap();
    }
}

/// A linked photo is the data set's own file: nothing may write through it.
#[cfg(unix)]
#[test]
fn photos_are_linked_copied_or_left() {
    use std::os::unix::fs::MetadataExt;
    let desk = desk();
    let photo = "images/shape-00000.jpg";
    let links = |folder: &str| fs::metadata(desk.path(folder).join(photo)).map(|m| m.nlink());
    for (how, count) in [("link", Some(2)), ("copy", Some(1)), ("none", None)] {
        desk.ok(&["data", "convert", "shapes", "--to", "csv", "-o", how, "--photos", how]);
        assert_eq!(links(how).ok(), count, "{how}");
        if how == "link" {
            refused(&desk, &["data", "show", "link", "-o", &format!("link/{photo}")], &["is an input"]);
            fs::remove_dir_all(desk.path(how)).unwrap();
        }
    }
    assert!(desk.path("none/annotations.csv").is_file() && !desk.path("none/images").exists());
}
