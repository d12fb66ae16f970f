//! No command destroys what it was given: every output of every command, pointed at each of its inputs and at files of
//! others. The commands and their arguments come from `loc --help`: one that is new is in these tables, or fails here.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::{Desk, Ran, commands, model_file, model_parts};
use fs_err as fs;

/// Arguments that name what a command writes.
const OUTPUTS: &[&str] = &["--output", "--save", "--project", "--name", "OUT"];
/// Arguments that name what a command reads.
const INPUTS: &[&str] = &[
    "DATA",
    "FILE",
    "MODEL|RUN|ONNX",
    "SOURCE",
    "--backbone-weights",
    "--config",
    "--data",
    "--init",
    "--model",
    "--recipe",
    "--resume",
    "--split-file",
];
/// Arguments that are neither.
const VALUES: &[&str] = &[
    "COMMAND",
    "-n",
    "--batch",
    "--classes",
    "--color",
    "--conf",
    "--data-format",
    "--device",
    "--epochs",
    "--fail-under",
    "--fold",
    "--format",
    "--high",
    "--imgsz",
    "--index",
    "--keep",
    "--low",
    "--lr",
    "--n",
    "--objects",
    "--opset",
    "--patience",
    "--save-labels",
    "--seed",
    "--seeds",
    "--split",
    "--steps",
    "--threads",
    "--val",
    "--workers",
];

/// A way to call a command: `OUT` stands for the output that is tested.
struct Row {
    command: &'static str,
    output: &'static str,
    args: &'static [&'static str],
    /// What it reads, by this call.
    inputs: &'static [&'static str],
}

const LR_FIND: &[&str] = &[
    "lr-find",
    "--data",
    "shapes",
    "--imgsz",
    "188",
    "--steps",
    "2",
    "--config",
    "c.toml",
    "--split-file",
    "s.csv",
    "--init",
    "m.safetensors",
    "--recipe",
    "r.toml",
    "--backbone-weights",
    "b.safetensors",
    "-o",
    "OUT",
];
const OF_THE_SET: &[&str] =
    &["shapes/images/shape-00000.jpg", "shapes/annotations/shape-00005.xml", "shapes/images/spare.jpg"];

/// Every command that writes one file.
const FILES: &[Row] = &[
    Row {
        command: "data show",
        output: "--output",
        args: &["data", "show", "shapes", "-n", "2", "-o", "OUT"],
        inputs: OF_THE_SET,
    },
    Row {
        command: "data show",
        output: "--output",
        args: &["data", "show", "a.csv", "-n", "2", "-o", "OUT"],
        inputs: &["a.csv", "shapes/images/shape-00001.jpg"],
    },
    Row {
        command: "data split",
        output: "--output",
        args: &["data", "split", "shapes", "-o", "OUT"],
        inputs: OF_THE_SET,
    },
    Row {
        command: "data split",
        output: "--output",
        args: &["data", "split", "a.csv", "-o", "OUT"],
        inputs: &["a.csv", "shapes/images/shape-00001.jpg"],
    },
    Row {
        command: "lr-find",
        output: "--output",
        args: LR_FIND,
        inputs: &[
            "c.toml",
            "s.csv",
            "m.safetensors",
            "r.toml",
            "b.safetensors",
            "shapes/images/shape-00000.jpg",
            "shapes/annotations/shape-00000.xml",
        ],
    },
    Row {
        command: "export",
        output: "--output",
        args: &["export", "-m", "m.safetensors", "-o", "OUT"],
        inputs: &["m.safetensors"],
    },
    Row {
        command: "import",
        output: "--output",
        args: &["import", "p.safetensors", "--classes", "box,disc,star", "--imgsz", "188", "-o", "OUT"],
        inputs: &["p.safetensors"],
    },
];

/// A folder with one of everything that commands read.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.shapes(8);
    let classes = ["box", "disc", "star"];
    let (weights, _) = model_parts(&classes, 1);
    let write = |name: &str, bytes: &[u8]| fs::write(desk.path(name), bytes).unwrap();
    write("m.safetensors", &model_file(&classes, 1));
    for name in ["p.safetensors", "b.safetensors"] {
        write(name, &loc_model::weights::to_bytes(&weights, None).unwrap());
    }
    desk.ok(&["data", "split", "shapes", "-o", "s.csv"]);
    write("c.toml", b"lr = 0.01\n");
    write("r.toml", b"batch = 4\n");
    let row = |i: usize| format!("shapes/images/shape-0000{i}.jpg,{},1,1,20,20\n", classes[i % 2]);
    let rows: Vec<String> = (0..4).map(row).collect();
    write("a.csv", format!("filename,class,xmin,ymin,xmax,ymax\n{}", rows.concat()).as_bytes());
    desk
}

/// Everything below a folder: links as what they lead to, files as their bytes.
fn everything(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let (path, kind) = entry.map(|e| (e.path(), e.file_type().unwrap())).unwrap();
        if kind.is_dir() {
            all.insert(path.clone(), Vec::new());
            all.extend(everything(&path));
        } else if kind.is_symlink() {
            all.insert(path.clone(), fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes());
        } else if kind.is_file() {
            all.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    all
}

/// Runs, and demands that it is refused with these words and changes nothing.
#[track_caller]
fn refused(desk: &Desk, args: &[&str], words: &[&str]) {
    refused_with(desk, args, &[], words);
}

#[track_caller]
fn refused_with(desk: &Desk, args: &[&str], env: &[(&str, &Path)], words: &[&str]) {
    let before = everything(&desk.path(""));
    let ran = Ran::of(desk.command(args).envs(env.iter().copied()).output().unwrap());
    assert_eq!(ran.code, 2, "loc {args:?}: {ran:?}");
    for word in [&["hint: "], words].concat() {
        assert!(ran.stderr.contains(word), "loc {args:?}: no {word:?} in {}", ran.stderr);
    }
    assert!(ran.stdout.is_empty(), "{ran:?}");
    for (path, bytes) in &before {
        let now = fs::read(path)
            .or_else(|_| fs::read_link(path).map(|to| to.into_os_string().into_encoded_bytes()));
        assert!(
            path.is_dir() || now.is_ok_and(|now| now == *bytes || path.is_symlink()),
            "{args:?}: {path:?} was changed"
        );
    }
    assert_eq!(before.len(), everything(&desk.path("")).len(), "loc {args:?}: something came or went");
}

fn with_out<'a>(args: &[&'a str], out: &'a str) -> Vec<&'a str> {
    args.iter().map(|arg| if *arg == "OUT" { out } else { arg }).collect()
}

/// Other names of a file: spellings, links.
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
fn every_argument_is_known_to_read_or_to_write_and_every_output_is_tested() {
    let desk = Desk::new();
    let mut outputs = Vec::new();
    for (command, arguments) in commands(&desk) {
        for argument in arguments {
            let is = |list: &[&str]| list.contains(&argument.as_str());
            assert!(
                is(OUTPUTS) || is(INPUTS) || is(VALUES),
                "loc {command}: say in tests/outputs.rs whether {argument} reads or writes"
            );
            if is(OUTPUTS) {
                outputs.push((command.clone(), argument));
            }
        }
    }
    let rows = FILES.iter().map(|row| (row.command, row.output));
    // Those that are no single file have tests of their own below.
    let others = [("predict", "--save"), ("train", "--project"), ("train", "--name"), ("data sample", "OUT")];
    let tested: Vec<(&str, &str)> = rows.chain(others).collect();
    for (command, output) in &outputs {
        assert!(tested.contains(&(command, output)), "loc {command}: its output {output} is not tested here");
    }
    assert!(outputs.len() > 8, "{outputs:?}");
}

#[test]
fn no_output_is_an_input_whatever_it_is_called() {
    let desk = desk();
    fs::copy(desk.path("shapes/images/shape-00000.jpg"), desk.path("shapes/images/spare.jpg")).unwrap();
    fs::write(desk.path("shapes/annotations/broken.xml"), "<annotation>").unwrap();
    for row in FILES {
        // Of the picture the ending says the format.
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

/// Files of others that look like outputs, and what has nothing to do with them.
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
fn what_others_wrote_is_overwritten_only_by_force() {
    let desk = desk();
    for row in FILES {
        for (name, bytes) in foreign(&desk) {
            // `loc data show` takes its format from the name.
            let name = if row.command == "data show" { "foreign.png" } else { name };
            fs::write(desk.path(name), &bytes).unwrap();
            let args = with_out(row.args, name);
            refused(&desk, &args, &["is there already", "--force", name]);
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
fn what_the_command_itself_wrote_is_overwritten_until_somebody_changes_it() {
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
            refused(&desk, &args, &["is there already", "--force"]);
        }
        fs::remove_file(desk.path(out)).unwrap();
    }
    // Another command's output is a file of others.
    desk.ok(&["data", "show", "shapes", "-n", "1", "-o", "shape-00000.jpg"]);
    let predict = ["predict", "-m", "m.safetensors", "shapes/images/shape-00000.jpg", "--save", "."];
    refused(&desk, &predict, &["shape-00000.jpg", "--force"]);
    // A split that differs may have been edited; one that does not is there already.
    desk.ok(&["data", "split", "shapes"]);
    desk.ok(&["data", "split", "shapes"]);
    refused(&desk, &["data", "split", "shapes", "--val", "0.5"], &["split.csv", "--force"]);
    desk.ok(&["data", "split", "shapes", "--val", "0.5", "--force"]);
}

#[test]
fn names_that_are_no_place_for_a_file_are_refused_before_any_work() {
    let desk = desk();
    fs::create_dir(desk.path("folder.png")).unwrap();
    fs::write(desk.path("closed.png"), "read-only").unwrap();
    let closed = fs::metadata(desk.path("closed.png")).map(|metadata| {
        let mut permissions = metadata.permissions();
        permissions.set_readonly(true);
        permissions
    });
    fs::set_permissions(desk.path("closed.png"), closed.unwrap()).unwrap();
    for row in FILES {
        for (out, word) in [
            ("folder.png", "is a folder"),
            ("closed.png", "may not be written to"),
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
                &["a link to nothing"],
            );
        }
        let _socket = std::os::unix::net::UnixListener::bind(desk.path("socket")).unwrap();
        refused(&desk, &["export", "-m", "m.safetensors", "-o", "socket"], &["is no regular file"]);
    }
}

/// Where a link leads, the file is written, and the link stays.
#[cfg(unix)]
#[test]
fn a_link_to_an_output_stays_a_link_and_a_stream_is_written_to() {
    use std::os::unix::fs::FileTypeExt;
    let desk = desk();
    desk.ok(&["export", "-m", "m.safetensors", "-o", "real.onnx"]);
    let bytes = fs::read(desk.path("real.onnx")).unwrap();
    std::os::unix::fs::symlink("real.onnx", desk.path("latest.onnx")).unwrap();
    desk.ok(&["export", "-m", "m.safetensors", "--opset", "11", "-o", "latest.onnx"]);
    assert!(desk.path("latest.onnx").is_symlink() && fs::read(desk.path("real.onnx")).unwrap() != bytes);
    // Nothing is said on stdout: what goes there is the file.
    assert_eq!(desk.ok(&["export", "-m", "m.safetensors", "-o", "/dev/null"]), "");
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device(), "a device was replaced");
    let output = desk.command(&["export", "-m", "m.safetensors", "-o", "/dev/stdout"]).output().unwrap();
    assert!(output.status.success() && output.stdout == bytes, "{output:?}");
}

/// `loc predict --save`: photos, the model, annotations; by any name, and all or none.
#[cfg(unix)]
#[test]
fn saved_predictions_destroy_nothing() {
    use std::os::unix::fs::symlink;
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
    // Links in the folder, to each input, as drawing and as annotation.
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
    // What others wrote, in one place of many: nothing is written.
    for name in ["shape-00003.jpg", "labels/shape-00005.xml"] {
        fs::create_dir_all(desk.path("out/labels")).unwrap();
        fs::write(desk.path("out").join(name), "precious").unwrap();
        refused(&desk, &predict(&["shapes/images"], "out", &[]), &[name, "--force"]);
        desk.ok(&predict(&["shapes/images"], "out", &["--force"]));
        desk.ok(&predict(&["shapes/images"], "out", &[]));
        // A label that was corrected by hand is no longer loc's.
        let label = desk.path("out/labels/shape-00000.xml");
        let text = fs::read_to_string(&label).unwrap();
        fs::write(&label, text.replacen("<xmin>", "<xmin>1", 1)).unwrap();
        refused(&desk, &predict(&["shapes/images"], "out", &[]), &["labels/shape-00000.xml"]);
        fs::remove_dir_all(desk.path("out")).unwrap();
    }
    // No folder, or no place for one.
    refused(&desk, &predict(&[photo], "c.toml", &["--force"]), &["c.toml", "is a file where a folder"]);
    fs::create_dir(desk.path("out")).unwrap();
    fs::write(desk.path("out/labels"), "precious").unwrap();
    refused(&desk, &predict(&[photo], "out", &["--force"]), &["out/labels", "is a file where a folder"]);
    fs::remove_file(desk.path("out/labels")).unwrap();
    fs::create_dir(desk.path("out/shape-00003.jpg")).unwrap();
    refused(&desk, &predict(&[photo], "out", &["--force"]), &["out/shape-00003.jpg", "is a folder"]);
}

/// `loc train`: a run folder is made anew, or with --exist-ok a run of ours is removed, and nothing else ever is.
#[test]
fn a_run_folder_takes_the_place_of_a_run_only() {
    let desk = desk();
    let train = |project: &str, name: &str, more: &[&str]| {
        let small = ["train", "--data", "shapes", "--imgsz", "188", "--epochs", "1", "--batch", "8"];
        let place = ["--project", project, "--name", name];
        [&small[..], &place, more].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let refused = |args: Vec<String>, words: &[&str]| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        refused(&desk, &args, words);
    };
    // The data set, the folder with everything in it, files.
    for (project, name) in [(".", "shapes"), ("shapes", "images"), ("shapes", "annotations")] {
        refused(train(project, name, &["--exist-ok"]), &["--exist-ok", name]);
    }
    refused(train(".", "m.safetensors", &["--exist-ok"]), &["is no folder"]);
    refused(train(".", "../x", &["--exist-ok"]), &["--name", "one folder's name"]);
    // Another program's run: names like ours, and its own.
    for (name, text) in [
        ("weights/best.pt", "precious"),
        ("weights/best.safetensors", "precious"),
        ("results.csv", "epoch,loss\n"),
        ("config.toml", "lr = 1\n"),
        ("run.json", "{\"schema\":\"other/1\"}"),
        (".lock", "precious"),
    ] {
        let path = desk.path("theirs/exp").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        refused(train("theirs", "exp", &["--exist-ok"]), &["--exist-ok", "theirs/exp"]);
        fs::remove_dir_all(desk.path("theirs")).unwrap();
    }
    // A run of ours: removed as a whole, but not with anything of others in it, nor with what this training reads.
    let ours = |more: &[&str]| train("runs", "exp", &[&["--exist-ok"], more].concat());
    let ok = |args: Vec<String>| desk.ok(&args.iter().map(String::as_str).collect::<Vec<_>>());
    ok(ours(&[]));
    let first = fs::read(desk.path("runs/exp/run.json")).unwrap();
    for name in ["notes.txt", "weights/best.onnx", "weights/deep/last.safetensors"] {
        let path = desk.path("runs/exp").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "precious").unwrap();
        refused(ours(&[]), &["runs/exp", name.rsplit('/').nth(1).filter(|d| *d == "deep").unwrap_or(name)]);
        fs::remove_file(&path).unwrap();
    }
    fs::remove_dir(desk.path("runs/exp/weights/deep")).unwrap();
    for (flag, file) in [
        ("--init", "weights/last.safetensors"),
        ("--init", ""),
        ("--config", "config.toml"),
        ("--split-file", "split.csv"),
    ] {
        let file = format!("runs/exp/{file}");
        refused(ours(&[flag, file.trim_end_matches('/')]), &["--exist-ok", "is an input of this command"]);
    }
    #[cfg(unix)]
    {
        let seeds = train("runs", "exp", &["--exist-ok", "--seeds", "3,4", "--init", "link.safetensors"]);
        fs::create_dir(desk.path("runs/exp-seed4")).unwrap();
        fs::hard_link(desk.path("m.safetensors"), desk.path("runs/exp-seed4/x")).unwrap();
        std::os::unix::fs::symlink("runs/exp/weights/best.safetensors", desk.path("link.safetensors"))
            .unwrap();
        refused(ours(&["--init", "link.safetensors"]), &["weights/best.safetensors", "is an input"]);
        refused(seeds, &["runs/exp-seed4/x"]);
    }
    ok(ours(&["--seed", "1"]));
    assert_ne!(fs::read(desk.path("runs/exp/run.json")).unwrap(), first, "the run is a new one");
    // Without the flag nothing is ever removed.
    assert_eq!(ok(train("runs", "exp", &[])), "runs/exp2\n");
}

#[test]
fn a_sample_set_is_drawn_only_where_nothing_is() {
    let desk = desk();
    for out in ["shapes", "m.safetensors", "shapes/images/../images", "c.toml/x"] {
        refused(&desk, &["data", "sample", out, "--n", "3"], &[out]);
    }
    // An empty folder stays the one it is.
    fs::create_dir(desk.path("empty")).unwrap();
    let mut command = desk.command(&["data", "sample", ".", "--n", "3"]);
    let ran = Ran::of(command.current_dir(desk.path("empty")).output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(everything(&desk.path("empty")).len(), 2 + 2 * 3);
    assert_eq!(desk.ok(&["data", "check", "empty"]), "");
}

/// A state dict with the names and shapes of EfficientNet-Lite0.
fn lite0(value: f32) -> Vec<u8> {
    use loc_net::{Backbone, Head, InputShape, NetworkConfig, Normalization, Weight, Weights};
    let input = InputShape { height: 224, width: 224 };
    let config = NetworkConfig { input, classes: 1, backbone: Backbone::Lite0, head: Head::Edges };
    let network = config.build(&Normalization::IDENTITY).unwrap();
    let mut state = Weights::default();
    for param in network.params().iter().filter(|p| p.layer < network.backbone_layers() && p.shape.len() == 4)
    {
        let name = param.name.strip_suffix(".weight").unwrap();
        let (conv, norm) = match name.split_once('.') {
            None if name == "stem" => ("_conv_stem".to_owned(), "_bn0".to_owned()),
            None => ("_conv_head".to_owned(), "_bn1".to_owned()),
            Some((block, part)) => {
                let block = format!("_blocks.{}", block.strip_prefix("block").unwrap());
                let n = ["expand", "depthwise", "project"].iter().position(|p| *p == part).unwrap();
                (format!("{block}._{part}_conv"), format!("{block}._bn{n}"))
            }
        };
        let mut put = |name: String, shape: &[usize]| {
            let data = vec![value; shape.iter().product()];
            state.0.insert(name, Weight { shape: shape.to_vec(), data });
        };
        put(format!("{conv}.weight"), &param.shape);
        for what in ["weight", "bias", "running_mean", "running_var"] {
            put(format!("{norm}.{what}"), &param.shape[..1]);
        }
    }
    loc_model::weights::to_bytes(&state, None).unwrap()
}

/// `loc weights add` and `fetch`, whose output is a file of the cache.
#[cfg(unix)]
#[test]
fn the_cache_of_weights_is_not_overwritten_unasked() {
    let desk = Desk::new();
    fs::write(desk.path("w.safetensors"), lite0(0.5)).unwrap();
    fs::write(desk.path("v.safetensors"), lite0(0.25)).unwrap();
    let cache = desk.path("cache");
    let env = [("LOC_WEIGHTS", cache.as_path())];
    let kept = cache.join("efficientnet-lite0.safetensors");
    let add = |file: &str, force: &[&str]| {
        let args = [&["weights", "add", file], force].concat();
        Ran::of(desk.command(&args).envs(env).output().unwrap())
    };
    assert_eq!(add("w.safetensors", &[]).code, 0);
    assert_eq!(add("w.safetensors", &[]).code, 0, "the same is there already");
    refused_with(&desk, &["weights", "add", "v.safetensors"], &env, &["holds something else", "--force"]);
    refused_with(&desk, &["weights", "fetch", "--yes"], &env, &["holds something else", "--force"]);
    assert_eq!(add("v.safetensors", &["--force"]).code, 0);
    assert!(fs::read(&kept).unwrap() == lite0(0.25));
    for link in [false, true] {
        fs::remove_file(&kept).unwrap();
        match link {
            true => std::os::unix::fs::symlink(desk.path("w.safetensors"), &kept).unwrap(),
            false => fs::hard_link(desk.path("w.safetensors"), &kept).unwrap(),
        }
        for file in ["w.safetensors", "cache/efficientnet-lite0.safetensors"] {
            refused_with(&desk, &["weights", "add", file, "--force"], &env, &["is an input of this command"]);
        }
    }
}
