//! Tests the argument of `--model`: a file or a run. For everything else the error names the kind of file and has a
//! hint.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::{Desk, first, model_file, model_parts};
use fs_err as fs;

/// Creates a data set, a photo, a model, and files of other programs.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.shapes(6);
    let classes = ["box", "disc", "star"];
    let (weights, _) = model_parts(&classes, 1);
    let write = |name: &str, bytes: &[u8]| fs::write(desk.path(name), bytes).unwrap();
    write("m.safetensors", &model_file(&classes, 1));
    write("plain.safetensors", &loc_model::weights::to_bytes(&weights, None).unwrap());
    write("model.pth", b"PK\x03\x04\x14\0\0\0\0\0....archive/data.pkl");
    write("yolo.pt", b"PK\x03\x04\x14\0\0\0\0\0....something else");
    write("old.pth", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.");
    write("keras.h5", b"\x89HDF\r\n\x1a\n....");
    write("model.tflite", b"\x1c\0\0\0TFL3....");
    write("model.zip", b"PK\x03\x04\x14\0\0\0\0\0....x.txt");
    fs::copy(first(&desk.path("shapes/images"), "jpg"), desk.path("photo.jpg")).unwrap();
    desk.ok(&["export", "-m", "m.safetensors", "-o", "model.onnx"]);
    fs::copy(desk.path("model.onnx"), desk.path("onnx.safetensors")).unwrap();
    desk
}

#[test]
fn every_command_names_the_kind_of_a_file_that_is_not_a_model() {
    let desk = desk();
    let readers: [&[&str]; 5] = [
        &["predict", "-m", "MODEL", "photo.jpg"],
        &["val", "-m", "MODEL", "--data", "shapes"],
        &["export", "-m", "MODEL", "-o", "out.onnx"],
        &["info", "MODEL"],
        &["train", "--data", "shapes", "--imgsz", "188", "--init", "MODEL"],
    ];
    let import = |name: &str| format!("`loc import {name} -o ");
    for (name, what, way) in [
        ("model.pth", "a PyTorch file", &*import("model.pth")),
        ("yolo.pt", "a PyTorch file", &import("yolo.pt")),
        ("old.pth", "a PyTorch file", &import("old.pth")),
        ("model.onnx", "an ONNX file", "the .safetensors file that it was exported from"),
        ("onnx.safetensors", "an ONNX file", "the .safetensors file that it was exported from"),
        ("keras.h5", "an HDF5 file", "hint: "),
        ("model.tflite", "a TensorFlow Lite file", "hint: "),
        ("model.zip", "a ZIP archive", "hint: "),
        ("photo.jpg", "a photo", "hint: "),
        ("plain.safetensors", "is plain weights", &import("plain.safetensors")),
    ] {
        for reader in readers {
            // Plain weights can be initial weights. `info` reads ONNX files, and with the feature `onnx` so does
            // `predict`.
            let reads = match reader[0] {
                "train" => name.starts_with("plain"),
                "info" => name == "model.onnx",
                "predict" => name == "model.onnx" && cfg!(feature = "onnx"),
                _ => false,
            };
            if reads {
                continue;
            }
            let args: Vec<&str> = reader.iter().map(|arg| if *arg == "MODEL" { name } else { arg }).collect();
            desk.fails(&args, 1, &[name, what, way]);
        }
    }
    assert!(!desk.path("out.onnx").exists() && !desk.path("runs").exists());
    // The same for files to be imported, and for weights of a backbone.
    for args in [
        &["import", "model.onnx", "-o", "out.safetensors", "--classes", "a"][..],
        &["weights", "add", "model.onnx"],
    ] {
        desk.fails(args, 1, &["model.onnx", "an ONNX file", "hint: "]);
    }
    let transfer = ["train", "--data", "shapes", "--recipe", "transfer", "--backbone-weights"];
    desk.fails(&[&transfer[..], &["old.pth"]].concat(), 1, &["a PyTorch file", "`loc weights add old.pth`"]);
    desk.fails(&[&transfer[..], &["photo.jpg"]].concat(), 1, &["photo.jpg", "no weights of a backbone"]);
}

#[test]
fn a_run_selects_its_best_model_and_a_file_in_it_selects_the_run() {
    let desk = desk();
    let small = ["train", "--data", "shapes", "--imgsz", "188", "--batch", "4", "--recipe", "scratch"];
    let run = desk.ok(&[&small[..], &["--epochs", "2"]].concat()).trim().to_owned();
    let best = format!("{run}/weights/best.safetensors");
    let same = |args: &dyn Fn(&str) -> Vec<String>| {
        let ok = |model: &str| desk.ok(&args(model).iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(ok(&run), ok(&best));
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    same(&|model| words(&["predict", "-m", model, "photo.jpg"]));
    let all = ["--format", "csv", "shapes/images"];
    same(&|model| [words(&["predict", "-m", model]), words(&all)].concat());
    assert_eq!(desk.ok(&["export", "-m", &run]), format!("{run}/weights/best.onnx\n"));
    desk.ok(&["export", "-m", &run]);
    desk.ok(&["val", "-m", &run, "--data", "shapes"]);
    // Files of the run cannot be outputs.
    for file in ["weights/last.safetensors", "results.csv", "split.csv"] {
        let out = format!("{run}/{file}");
        desk.fails(
            &["export", "-m", &run, "-o", &out, "--force"],
            2,
            &["is an input of this command", "hint: "],
        );
    }
    let state = format!("{run}/weights/last.state.safetensors");
    desk.fails(
        &["val", "-m", &state, "--data", "shapes"],
        1,
        &["the saved state of a run", "last.safetensors", "hint: "],
    );
    desk.fails(
        &["val", "-m", &format!("{run}/weights"), "--data", "shapes"],
        1,
        &["a folder", &run, "hint: "],
    );
    let other = desk.ok(&[&small[..], &["--epochs", "1", "--init", &run, "--name", "other"]].concat());
    assert!(fs::read_to_string(desk.path(other.trim()).join("config.toml")).unwrap().contains(&best));

    for (epochs, file) in
        ["weights/last.safetensors", "weights", "config.toml", "weights/last.state.safetensors", ""]
            .iter()
            .enumerate()
    {
        let (epochs, path) = ((epochs + 3).to_string(), format!("{run}/{file}"));
        let printed = desk.ok(&["train", "--resume", path.trim_end_matches('/'), "--epochs", &epochs]);
        assert_eq!(printed.trim(), run, "{file}");
    }
    let args = ["train", "--resume", &best, "--epochs", "9"];
    let ran = desk.run(&args);
    assert!(ran.code == 0 && ran.stderr.contains("not from this file (hint: `--init"), "{ran:?}");
    let inside = desk
        .command(&["train", "--resume", "last.safetensors", "--epochs", "10"])
        .current_dir(desk.path(&run).join("weights"))
        .output()
        .unwrap();
    // The path of the data set is relative to the folder in which the run was started.
    assert!(String::from_utf8_lossy(&inside.stderr).contains("shapes"), "{inside:?}");
    desk.fails(&["train", "--resume", "photo.jpg"], 1, &["photo.jpg: is not a run", "hint: "]);

    fs::remove_file(desk.path(&best)).unwrap();
    desk.fails(&["export", "-m", &run], 1, &["no best model", "last.safetensors", "hint: "]);
}
