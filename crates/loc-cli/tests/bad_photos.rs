//! Tests bad photos, annotations and file names through the binary: they are named, the other photos are processed, and
//! no name controls the terminal or a spreadsheet.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use common::{Desk, first, model_file};
use fs_err as fs;
use serde_json::Value;

/// A model and a good photo.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.shapes(12);
    fs::write(desk.path("m.safetensors"), model_file(&["box", "disc", "star"], 1)).unwrap();
    fs::copy(first(&desk.path("shapes/images"), "jpg"), desk.path("good.jpg")).unwrap();
    desk
}

fn records(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

fn change(path: &Path, change: impl Fn(Vec<u8>) -> Vec<u8>) {
    fs::write(path, change(fs::read(path).unwrap())).unwrap();
}

/// Rows 38, 41, 51 and 52: the command fails and names all of them. With `--skip-bad` they are skipped and counted, and
/// the exit code is 3.
#[test]
fn bad_photos_and_annotations_are_errors_or_skipped() {
    let desk = desk();
    let at = |name: &str| desk.path(&format!("shapes/{name}"));
    change(&at("images/shape-00000.jpg"), |bytes| bytes[..bytes.len() * 9 / 10].to_vec());
    change(&at("images/shape-00001.jpg"), |_| b"<html><body>404</body></html>".to_vec());
    change(&at("images/shape-00002.jpg"), |_| Vec::new());
    fs::remove_file(at("images/shape-00003.jpg")).unwrap();
    change(&at("annotations/shape-00004.xml"), |bytes| bytes[..bytes.len() / 2].to_vec());
    let names = [
        "5 of 12 photos are invalid",
        "shape-00000.jpg: JPEG cut short",
        "shape-00001.jpg: not a JPEG, PNG, BMP, GIF, WebP or TIFF: starts with \"<html>",
        "looks like HTML",
        "shape-00002.jpg: is empty",
        "the photo `shape-00003.jpg` does not exist",
        "is not well-formed: the file ends inside an element",
    ];
    let train = ["train", "--data", "shapes", "--imgsz", "188", "--epochs", "1", "--batch", "4"];
    let ran = desk.fails(&train, 1, &names);
    assert!(ran.stderr.contains("(hint: ") && ran.stderr.contains("--skip-bad"), "{}", ran.stderr);
    let position = ran.stderr.lines().find(|line| line.contains("shape-00004.xml:")).unwrap();
    let position: Vec<&str> = position.split("shape-00004.xml:").nth(1).unwrap().split(':').take(2).collect();
    assert!(position.iter().all(|number| number.parse::<u32>().is_ok()), "line and column: {position:?}");
    assert!(!desk.path("runs").exists(), "no run folder is created");
    let check = desk.run(&["data", "check", "shapes"]);
    assert_eq!(check.code, 4);
    for name in &names[1..] {
        assert!(check.stdout.contains(name), "no {name} in {}", check.stdout);
    }

    let skipped = [
        "skipped 5 of 12 photos",
        "3 photos that cannot be decoded: shapes/images/shape-00000.jpg, shapes/images/shape-00001.jpg, ",
        "the photo `shape-00003.jpg` does not exist",
        "is not well-formed: the file ends inside an element",
    ];
    desk.fails(&[&train[..], &["--skip-bad"]].concat(), 3, &skipped);
    let run = fs::read_to_string(desk.path("runs/train/exp/run.json")).unwrap();
    let run: Value = serde_json::from_str(&run).unwrap();
    assert_eq!(run["dataset"]["left_out"]["photos"], 5, "{run}");
    assert_eq!(run["dataset"]["left_out"]["errors"].as_array().unwrap().len(), 5, "{run}");
    let split = fs::read_to_string(desk.path("runs/train/exp/split.csv")).unwrap();
    assert_eq!(split.lines().count(), 1 + 12 - 5, "{split}");
    let model = "runs/train/exp/weights/last.safetensors";
    desk.fails(&["val", "-m", model, "--data", "shapes"], 1, &names);
    let val = ["val", "-m", model, "--data", "shapes", "--skip-bad", "--format", "json", "--split", "all"];
    let ran = desk.fails(&val, 3, &skipped);
    assert_eq!(records(&ran.stdout)[0]["samples"], 7);
    // Without bad photos the flag changes nothing.
    desk.ok(&["data", "sample", "valid", "--n", "6"]);
    desk.ok(&["val", "-m", model, "--data", "valid", "--skip-bad", "--split", "all"]);
}

/// Rows 38 to 41, 45, 50 and 51 in prediction: there is a record for each file, in order, a count, and exit code 3.
#[test]
fn prediction_continues_after_bad_photos() {
    let desk = desk();
    let bytes = fs::read(desk.path("good.jpg")).unwrap();
    for (name, percent) in [("90.jpg", 90), ("50.jpg", 50), ("10.jpg", 10)] {
        fs::write(desk.path(name), &bytes[..bytes.len() * percent / 100]).unwrap();
    }
    fs::write(desk.path("empty.jpg"), b"").unwrap();
    fs::write(desk.path("page.jpg"), b"<html>").unwrap();
    fs::write(desk.path("soi.jpg"), b"\xff\xd8").unwrap();
    fs::write(desk.path("tail.jpg"), [&bytes[..], b"garbage behind the end"].concat()).unwrap();
    image::open(desk.path("good.jpg")).unwrap().save(desk.path("real.png")).unwrap();
    fs::rename(desk.path("real.png"), desk.path("png.jpg")).unwrap();
    let names = [
        "90.jpg",
        "good.jpg",
        "50.jpg",
        "10.jpg",
        "empty.jpg",
        "page.jpg",
        "soi.jpg",
        "gone.jpg",
        "tail.jpg",
        "png.jpg",
    ];
    let mut args = vec!["predict", "-m", "m.safetensors"];
    args.extend(names);
    let ran = desk.fails(
        &args,
        3,
        &["7 of 10 photos could not be read", "png.jpg: is a PNG despite its extension"],
    );
    let records = records(&ran.stdout);
    for (record, (name, error)) in records.iter().zip(names.iter().zip([
        "cut short",
        "",
        "cut short",
        "cut short",
        "is empty",
        "looks like HTML",
        "starts with",
        "does not exist",
        "",
        "",
    ])) {
        assert_eq!(record["path"], *name);
        let found = record["error"].as_str().unwrap_or_default();
        assert!(found.contains(error) && found.is_empty() == error.is_empty(), "{record}");
    }
    assert_eq!(records[1]["box"], records[8]["box"], "bytes after the end of the photo change nothing");
}

/// Row 49: file names of every kind, in every output format.
#[cfg(target_os = "linux")]
#[test]
fn file_names_of_any_kind_are_read_and_written_unchanged() {
    use std::os::unix::ffi::OsStrExt;
    let desk = desk();
    let long = format!("{}.jpg", "n".repeat(251));
    let names =
        ["-rf.jpg", "a, b.jpg", "new\nline.jpg", &long, "quo\"te.jpg", "with blank.jpg", "ünï 猫.jpg"];
    fs::create_dir(desk.path("names")).unwrap();
    for name in names {
        fs::copy(desk.path("good.jpg"), desk.path("names").join(name)).unwrap();
    }
    let text = desk.ok(&["predict", "-m", "m.safetensors", "names", "--save", "out", "--save-labels", "voc"]);
    let found = records(&text);
    assert_eq!(found.len(), names.len());
    for (record, name) in found.iter().zip(names) {
        assert_eq!(record["path"], format!("names/{name}"));
        // A name that is too long for a temporary file is shortened.
        let saved = if name.len() > 250 { format!("{}.jpg", &name[..200]) } else { (*name).to_owned() };
        assert!(desk.path("out").join(&saved).is_file(), "{name:?}");
    }
    let csv = desk.ok(&["predict", "-m", "m.safetensors", "names", "--format", "csv"]);
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let cells: Vec<String> = reader.records().map(|row| row.unwrap()[0].to_owned()).collect();
    assert_eq!(cells, names.map(|name| format!("names/{name}")));
    let text_format = desk.ok(&["predict", "-m", "m.safetensors", "names", "--format", "text"]);
    assert_eq!(text_format.lines().count(), names.len(), "one line per photo: {text_format}");
    // The written labels are a valid data set.
    for name in names {
        fs::copy(desk.path("names").join(name), desk.path("out/labels").join(name)).unwrap();
    }
    desk.ok(&["data", "check", "out/labels"]);

    // A name that is not UTF-8, on the command line and in a list.
    let bad = std::ffi::OsStr::from_bytes(b"names/b\xff.jpg");
    fs::copy(desk.path("good.jpg"), desk.path("").join(bad)).unwrap();
    let mut command = desk.command(&["predict", "-m", "m.safetensors"]);
    let ran = common::Ran::of(command.arg(bad).output().unwrap());
    assert_eq!((ran.code, records(&ran.stdout).len()), (0, 1), "{ran:?}");
    let mut child = desk
        .command(&["predict", "-m", "m.safetensors", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"names/b\xff.jpg\r\nnames/-rf.jpg\n").unwrap();
    let ran = common::Ran::of(child.wait_with_output().unwrap());
    assert_eq!((ran.code, records(&ran.stdout).len()), (0, 2), "{ran:?}");
}

/// Row 50.
#[cfg(unix)]
#[test]
fn special_files_are_skipped_with_a_reason_and_never_block() {
    let desk = desk();
    fs::create_dir(desk.path("odd")).unwrap();
    let at = |name: &str| desk.path("odd").join(name);
    fs::copy(desk.path("good.jpg"), at("good.jpg")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(at("fifo.jpg")).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(at("socket.jpg")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", at("zero.jpg")).unwrap();
    std::os::unix::fs::symlink(at("loop.jpg"), at("loop.jpg")).unwrap();
    for source in ["odd", "odd/*.jpg"] {
        let ran = desk.run(&["predict", "-m", "m.safetensors", source]);
        assert_eq!((ran.code, records(&ran.stdout).len()), (0, 1), "{ran:?}");
        for name in ["fifo.jpg", "socket.jpg", "zero.jpg", "loop.jpg"] {
            assert!(ran.stderr.contains(&format!("odd/{name}: skipped: ")), "{name}: {}", ran.stderr);
        }
    }
    // If it is named on the command line, it is an error; a split file, too.
    let named = ["predict", "-m", "m.safetensors", "odd/fifo.jpg", "good.jpg"];
    let ran = desk.fails(&named, 3, &["1 of 2 photos"]);
    assert!(ran.stdout.contains("is not a regular file"), "{ran:?}");
    let train = ["train", "--data", "shapes", "--imgsz", "188", "--split-file", "odd/fifo.jpg"];
    desk.fails(&train, 1, &["odd/fifo.jpg", "is not a regular file"]);
}

/// Row 67: names that a spreadsheet would read as a formula.
#[cfg(unix)]
#[test]
fn names_like_formulas_are_escaped_and_read_back() {
    let desk = desk();
    for (i, name) in ["=1+1", "+1", "-rf", "@SUM(A1)"].iter().enumerate() {
        let old = format!("shape-0000{i}");
        fs::rename(
            desk.path(&format!("shapes/images/{old}.jpg")),
            desk.path(&format!("shapes/images/{name}.jpg")),
        )
        .unwrap();
        let xml = desk.path(&format!("shapes/annotations/{old}.xml"));
        let text = fs::read_to_string(&xml).unwrap();
        fs::write(&xml, text.replace(&format!("{old}.jpg"), &format!("{name}.jpg"))).unwrap();
    }
    let formula = |cell: &str| cell.starts_with(['=', '+', '-', '@']);
    desk.ok(&["data", "split", "shapes", "-o", "split.csv"]);
    let text = fs::read_to_string(desk.path("split.csv")).unwrap();
    assert!(text.contains("'=1+1.jpg,") && !text.lines().any(formula), "{text}");
    let split = desk.path("split.csv");
    let val = ["val", "-m", "m.safetensors", "--data", "shapes", "--split-file", split.to_str().unwrap()];
    desk.ok(&val);

    let mut command = desk.command(&["predict", "-m", "../../m.safetensors", "--format", "csv", "--"]);
    command.current_dir(desk.path("shapes/images")).args(["=1+1.jpg", "+1.jpg", "-rf.jpg", "@SUM(A1).jpg"]);
    let ran = common::Ran::of(command.output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("\n'=1+1.jpg,") && !ran.stdout.lines().any(formula), "{}", ran.stdout);
    // The predictions, read as annotations.
    fs::write(desk.path("shapes/images/predictions.csv"), &ran.stdout).unwrap();
    desk.ok(&["data", "stats", "shapes/images/predictions.csv", "--classes", "box,disc,star"]);
}

/// Row 68: control characters in a name must not reach the terminal.
#[cfg(unix)]
#[test]
fn control_characters_in_names_are_printed_escaped() {
    let desk = desk();
    let class = "st\x1b[2J\u{9b}31mar";
    fs::write(desk.path("esc.safetensors"), model_file(&["box", "disc", class], 1)).unwrap();
    for (name, bytes) in
        [("b\x1b[2J.jpg", &b"no photo"[..]), ("g\x1b[2J.jpg", &fs::read(desk.path("good.jpg")).unwrap())]
    {
        fs::write(desk.path(name), bytes).unwrap();
    }
    let printed = |args: &[&str]| {
        let ran = desk.run(args);
        let output = ran.stdout + &ran.stderr;
        assert!(!output.contains(['\x1b', '\u{9b}']), "{args:?}: {output:?}");
        output
    };
    let text =
        printed(&["predict", "-m", "esc.safetensors", "--format", "text", "b\x1b[2J.jpg", "g\x1b[2J.jpg"]);
    assert!(text.contains("b\\u{1b}[2J.jpg: not a ") && text.contains("g\\u{1b}[2J.jpg: "), "{text}");
    assert!(printed(&["info", "esc.safetensors"]).contains("st\\u{1b}[2J\\u{9b}31mar"));
    printed(&["val", "-m", "esc.safetensors", "--data", "shapes"]);
    printed(&["info", "no\x1b[2J.safetensors"]);
    let json = desk.run(&["predict", "-m", "esc.safetensors", "g\x1b[2J.jpg"]).stdout;
    assert!(json.contains("\\u001b[2J") && !json.contains('\x1b'), "{json}");
    // In annotations, and in the output of a training.
    for entry in fs::read_dir(desk.path("shapes/annotations")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("<name>star<", "<name>st\u{9b}31mar<")).unwrap();
    }
    assert!(printed(&["data", "stats", "shapes"]).contains("st\\u{9b}31mar"));
    let train = ["train", "--data", "shapes", "--imgsz", "188", "--epochs", "1", "--batch", "8"];
    assert!(printed(&train).contains("st\\u{9b}31mar"));
    printed(&["val", "-m", "runs/train/exp/weights/last.safetensors", "--data", "shapes"]);
    printed(&["data", "check", "shapes"]);
}

/// `--encoding` and `--exif` have an effect as flags and as keys of a file. The effect itself is tested in loc-data.
#[test]
fn encoding_and_exif_are_flags_and_keys() {
    let desk = desk();
    fs::create_dir(desk.path("set")).unwrap();
    for i in 0..4 {
        let photo =
            image::RgbImage::from_fn(64, 48, |x, y| image::Rgb([(x * 4) as u8, (y * 5) as u8, i * 60]));
        photo.save(desk.path(&format!("set/{i}.png"))).unwrap();
    }
    let rows: Vec<u8> = (0..4).flat_map(|i| format!("{i}.png,gr\u{fc}n,1,2,30,40\n").into_bytes()).collect();
    let latin = String::from_utf8(rows).unwrap().chars().map(|c| c as u8).collect::<Vec<u8>>();
    fs::write(desk.path("set/l.csv"), [&b"filename,class,xmin,ymin,xmax,ymax\n"[..], &latin].concat())
        .unwrap();
    let check = ["data", "check", "set/l.csv"];
    let ran = desk.fails(&check, 4, &[]);
    assert!(ran.stdout.contains("is not UTF-8 in field 2") && ran.stdout.contains("--encoding"), "{ran:?}");
    desk.ok(&[&check[..], &["--encoding", "latin-1"]].concat());
    desk.fails(&[&check[..], &["--encoding", "klingon"]].concat(), 2, &["encoding is `klingon`", "`gbk`"]);
    desk.fails(
        &[&check[..], &["--exif", "sideways"]].concat(),
        2,
        &["sideways", "`as-stored` and `upright`"],
    );

    let train = ["train", "--data", "set/l.csv", "--epochs", "1", "--imgsz", "188", "--recipe", "tutorial"];
    desk.fails(&train, 1, &["is not UTF-8 in field 2"]);
    fs::write(desk.path("loc.toml"), "encoding = \"latin-1\"\nexif = \"as-stored\"\n").unwrap();
    desk.ok(&train);
    let written = fs::read_to_string(desk.path("runs/train/exp/config.toml")).unwrap();
    assert!(
        written.contains("encoding = \"latin-1\"") && written.contains("exif = \"as-stored\""),
        "{written}"
    );
    desk.fails(&[&train[..], &["--exif", "sideways"]].concat(), 2, &["exif is sideways"]);
    fs::write(desk.path("loc.toml"), fs::read(desk.path("good.jpg")).unwrap()).unwrap();
    desk.fails(&train, 2, &["loc.toml: is a JPEG photo, not a configuration in TOML"]);
}
