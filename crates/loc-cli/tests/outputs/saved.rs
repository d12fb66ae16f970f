//! Tests `loc predict --save`: it overwrites no photo, model or annotation under any name, and writes all files or
//! none.

#![cfg(unix)]

use std::os::unix::fs::symlink;

use fs_err as fs;

use crate::common::Ran;
use crate::{desk, everything, refused};

#[test]
fn saved_predictions_overwrite_no_input_and_no_foreign_file() {
    let desk = desk();
    let predict = |sources: &[&'static str], folder: &'static str, more: &[&'static str]| {
        [&["predict", "-m", "m.safetensors"], sources, &["--save", folder, "--save-labels", "voc"], more]
            .concat()
    };
    let both: [&[&str]; 2] = [&[], &["--force"]];
    let photo = "shapes/images/shape-00003.jpg";
    for force in both {
        for folder in ["shapes/images", "./shapes/images/", "shapes/annotations/../images"] {
            refused(
                &desk,
                &predict(&["shapes/images"], folder, force),
                &["shape-00000.jpg", "is an input", "--save"],
            );
            refused(&desk, &predict(&[photo], folder, force), &["shape-00003.jpg"]);
            refused(&desk, &predict(&["shapes/images/*.jpg"], folder, force), &["shape-00007.jpg"]);
        }
    }
    // A list on standard input.
    let list =
        fs::write(desk.path("list"), format!("{photo}\n")).and_then(|()| fs::File::open(desk.path("list")));
    let mut command = desk.command(&predict(&["-"], "shapes/images", &["--force"]));
    let before = everything(&desk.path(""));
    let ran = Ran::of(command.stdin(list.unwrap().into_file()).output().unwrap());
    assert!(ran.code == 2 && everything(&desk.path("")) == before, "{ran:?}");
    // Links to each input, under the names of a drawn photo and of an annotation.
    for input in ["m.safetensors", photo, "shapes/images/shape-00004.jpg"] {
        for name in ["shape-00003.jpg", "labels/shape-00003.xml"] {
            for hard in [false, true] {
                fs::create_dir_all(desk.path("out/labels")).unwrap();
                let link = desk.path("out").join(name);
                if hard { fs::hard_link(desk.path(input), link) } else { symlink(desk.path(input), link) }
                    .unwrap();
                for force in both {
                    let args = predict(&[photo, "shapes/images/shape-00004.jpg"], "out", force);
                    refused(&desk, &args, &[name, "is an input"]);
                }
                fs::remove_dir_all(desk.path("out")).unwrap();
            }
        }
    }
    // One file of another program among many names: nothing is written.
    for name in ["shape-00003.jpg", "labels/shape-00005.xml"] {
        fs::create_dir_all(desk.path("out/labels")).unwrap();
        fs::write(desk.path("out").join(name), "precious").unwrap();
        refused(&desk, &predict(&["shapes/images"], "out", &[]), &[name, "--force"]);
        desk.ok(&predict(&["shapes/images"], "out", &["--force"]));
        desk.ok(&predict(&["shapes/images"], "out", &[]));
        // A label that was corrected by hand is not overwritten.
        let label = desk.path("out/labels/shape-00000.xml");
        let text = fs::read_to_string(&label).unwrap();
        fs::write(&label, text.replacen("<xmin>", "<xmin>1", 1)).unwrap();
        refused(&desk, &predict(&["shapes/images"], "out", &[]), &["labels/shape-00000.xml"]);
        fs::remove_dir_all(desk.path("out")).unwrap();
    }
    // The output folder cannot be created.
    refused(&desk, &predict(&[photo], "c.toml", &["--force"]), &["c.toml", "is a file where a folder"]);
    fs::create_dir(desk.path("out")).unwrap();
    fs::write(desk.path("out/labels"), "precious").unwrap();
    refused(&desk, &predict(&[photo], "out", &["--force"]), &["out/labels", "is a file where a folder"]);
    fs::remove_file(desk.path("out/labels")).unwrap();
    fs::create_dir(desk.path("out/shape-00003.jpg")).unwrap();
    refused(&desk, &predict(&[photo], "out", &["--force"]), &["out/shape-00003.jpg", "is a folder"]);
}
