//! Commands that write one file.

use fs_err as fs;

use crate::common::{Desk, model_parts};
use crate::{FILES, desk, everything, refused, with_out};

/// Returns other names of a file: other spellings, and links.
fn aliases(desk: &Desk, input: &str, ending: &str) -> Vec<String> {
    let mut names = vec![
        input.to_owned(),
        format!("./{input}"),
        format!("shapes/../{input}"),
        desk.path(input).display().to_string(),
    ];
    fs::create_dir_all(desk.path("alias")).unwrap();
    let [hard, soft, softer] = ["hard", "soft", "softer"].map(|name| format!("alias/{name}{ending}"));
    fs::hard_link(desk.path(input), desk.path(&hard)).unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(desk.path(input), desk.path(&soft)).unwrap();
        std::os::unix::fs::symlink(desk.path(&soft), desk.path(&softer)).unwrap();
        std::os::unix::fs::symlink(desk.path("alias"), desk.path("alias/folder")).unwrap();
        names.extend([soft, softer, format!("alias/folder/hard{ending}")]);
    }
    names.push(hard);
    names
}

#[test]
fn no_output_overwrites_an_input_under_any_name() {
    let desk = desk();
    fs::copy(desk.path("shapes/images/shape-00000.jpg"), desk.path("shapes/images/spare.jpg")).unwrap();
    fs::write(desk.path("shapes/annotations/broken.xml"), "<annotation>").unwrap();
    for row in FILES {
        // The extension of the image selects its format.
        let ending = if row.command == "data show" { ".png" } else { "" };
        for input in row.inputs {
            for alias in aliases(&desk, input, ending) {
                if row.command == "data show" && !alias.ends_with("g") {
                    continue;
                }
                let args = with_out(row.args, &alias);
                for force in [&[][..], &["--force"]] {
                    refused(&desk, &[&args[..], force].concat(), &["is an input of this command"]);
                }
            }
            fs::remove_dir_all(desk.path("alias")).unwrap();
        }
    }
}

/// Returns files of other programs, some of which look like outputs of loc.
fn foreign(desk: &Desk) -> Vec<(&'static str, Vec<u8>)> {
    let mut photo = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(8, 8).write_to(&mut photo, image::ImageFormat::Png).unwrap();
    let mut trained = model_parts(&["a"], 1);
    trained.1 = trained.1.replace("\"epoch\":null", "\"epoch\":3");
    vec![
        ("notes.txt", b"precious".to_vec()),
        ("empty", Vec::new()),
        ("page.svg", b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>\n".to_vec()),
        ("other.onnx", b"\x08\x07\x12\x07pytorch\x3a\x00".to_vec()),
        ("picture.png", photo.into_inner()),
        ("split.csv", b"filename,split\nshape-00000.jpg,train\n".to_vec()),
        ("trained.safetensors", loc_model::weights::to_bytes(&trained.0, Some(&trained.1)).unwrap()),
        ("plain.safetensors", fs::read(desk.path("p.safetensors")).unwrap()),
    ]
}

#[test]
fn files_of_other_programs_are_overwritten_only_with_force() {
    let desk = desk();
    for row in FILES {
        for (name, bytes) in foreign(&desk) {
            // `loc data show` takes its format from the name.
            let name = if row.command == "data show" { "foreign.png" } else { name };
            fs::write(desk.path(name), &bytes).unwrap();
            let args = with_out(row.args, name);
            refused(&desk, &args, &["already exists", "--force", name]);
            let mut before = everything(&desk.path(""));
            desk.ok(&[&args[..], &["--force"]].concat());
            let now = everything(&desk.path(""));
            assert_ne!(
                before.insert(desk.path(name), now[&desk.path(name)].clone()).unwrap(),
                now[&desk.path(name)]
            );
            assert_eq!(before, now, "{args:?}: only the output is written");
            fs::remove_file(desk.path(name)).unwrap();
        }
    }
}

#[test]
fn an_output_of_the_same_command_is_overwritten_unless_it_was_changed() {
    let desk = desk();
    for row in FILES {
        let out = if row.command == "data show" { "out.jpg" } else { "out" };
        let args = with_out(row.args, out);
        desk.ok(&args);
        desk.ok(&args);
        let mut bytes = fs::read(desk.path(out)).unwrap();
        let at = bytes.len() - 9;
        bytes[at] ^= 1;
        if !["export", "import"].contains(&row.command) {
            fs::write(desk.path(out), &bytes).unwrap();
            refused(&desk, &args, &["already exists", "--force"]);
        }
        fs::remove_file(desk.path(out)).unwrap();
    }
    // The output of another command is not overwritten.
    desk.ok(&["data", "show", "shapes", "-n", "1", "-o", "shape-00000.jpg"]);
    let predict = ["predict", "-m", "m.safetensors", "shapes/images/shape-00000.jpg", "--save", "."];
    refused(&desk, &predict, &["shape-00000.jpg", "--force"]);
    // A different split may have been edited by hand; the same split is kept.
    desk.ok(&["data", "split", "shapes"]);
    desk.ok(&["data", "split", "shapes"]);
    refused(&desk, &["data", "split", "shapes", "--val", "0.5"], &["split.csv", "--force"]);
    desk.ok(&["data", "split", "shapes", "--val", "0.5", "--force"]);
}

#[test]
fn unusable_output_names_are_errors_before_any_work() {
    let desk = desk();
    fs::create_dir(desk.path("folder.png")).unwrap();
    fs::write(desk.path("closed.png"), "read-only").unwrap();
    let read_only = fs::metadata(desk.path("closed.png")).map(|metadata| {
        let mut permissions = metadata.permissions();
        permissions.set_readonly(true);
        permissions
    });
    fs::set_permissions(desk.path("closed.png"), read_only.unwrap()).unwrap();
    for row in FILES {
        for (out, word) in [
            ("folder.png", "is a folder"),
            ("closed.png", "is read-only"),
            ("nowhere/out.png", "the folder nowhere does not exist"),
            ("m.safetensors/out.png", "m.safetensors"),
        ] {
            refused(&desk, &[&with_out(row.args, out)[..], &["--force"]].concat(), &[out, word]);
        }
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("gone", desk.path("dangling.png")).unwrap();
        for row in FILES {
            refused(
                &desk,
                &[&with_out(row.args, "dangling.png")[..], &["--force"]].concat(),
                &["broken symbolic link"],
            );
        }
        let _socket = std::os::unix::net::UnixListener::bind(desk.path("socket")).unwrap();
        refused(&desk, &["export", "-m", "m.safetensors", "-o", "socket"], &["is not a regular file"]);
    }
}

/// A link is kept, and its target is written.
#[cfg(unix)]
#[test]
fn links_are_kept_and_streams_are_written_to() {
    use std::os::unix::fs::FileTypeExt;
    let desk = desk();
    desk.ok(&["export", "-m", "m.safetensors", "-o", "real.onnx"]);
    let bytes = fs::read(desk.path("real.onnx")).unwrap();
    std::os::unix::fs::symlink("real.onnx", desk.path("latest.onnx")).unwrap();
    desk.ok(&["export", "-m", "m.safetensors", "--opset", "11", "-o", "latest.onnx"]);
    assert!(desk.path("latest.onnx").is_symlink() && fs::read(desk.path("real.onnx")).unwrap() != bytes);
    // The path is not printed, since stdout may be the output itself.
    assert_eq!(desk.ok(&["export", "-m", "m.safetensors", "-o", "/dev/null"]), "");
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device(), "a device was replaced");
    let output = desk.command(&["export", "-m", "m.safetensors", "-o", "/dev/stdout"]).output().unwrap();
    assert!(output.status.success() && output.stdout == bytes, "{output:?}");
}
