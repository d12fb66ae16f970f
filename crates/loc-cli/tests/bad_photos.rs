//! Photos, annotations and names as strangers bring them, through the binary: the others go on, what is wrong is named,
//! and no name steers the terminal or a spreadsheet.

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

/// Rows 38, 41, 51 and 52: refused as a whole, named one and all; with `--skip-bad` left out, exit 3 and a count.
#[test]
fn bad_photos_and_annotations_are_refused_or_left_out() {
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
    let place = ran.stderr.lines().find(|line| line.contains("shape-00004.xml:")).unwrap();
    let place: Vec<&str> = place.split("shape-00004.xml:").nth(1).unwrap().split(':').take(2).collect();
    assert!(place.iter().all(|number| number.parse::<u32>().is_ok()), "line and column: {place:?}");
    assert!(!desk.path("runs").exists(), "no run folder for a set that is refused");
    let check = desk.run(&["data", "check", "shapes"]);
    assert_eq!(check.code, 4);
    for name in &names[1..] {
        assert!(check.stdout.contains(name), "no {name} in {}", check.stdout);
    }

    let left_out = [
        "skipped 5 of 12 photos",
        "3 photos that cannot be decoded: shapes/images/shape-00000.jpg, shapes/images/shape-00001.jpg, ",
        "the photo `shape-00003.jpg` does not exist",
        "is not well-formed: the file ends inside an element",
    ];
    desk.fails(&[&train[..], &["--skip-bad"]].concat(), 3, &left_out);
    let run = fs::read_to_string(desk.path("runs/train/exp/run.json")).unwrap();
    let run: Value = serde_json::from_str(&run).unwrap();
    assert_eq!(run["dataset"]["left_out"]["photos"], 5, "{run}");
    assert_eq!(run["dataset"]["left_out"]["errors"].as_array().unwrap().len(), 5, "{run}");
    let split = fs::read_to_string(desk.path("runs/train/exp/split.csv")).unwrap();
    assert_eq!(split.lines().count(), 1 + 12 - 5, "{split}");
    let model = "runs/train/exp/weights/last.safetensors";
    desk.fails(&["val", "-m", model, "--data", "shapes"], 1, &names);
    let val = ["val", "-m", model, "--data", "shapes", "--skip-bad", "--format", "json", "--split", "all"];
    let ran = desk.fails(&val, 3, &left_out);
    assert_eq!(records(&ran.stdout)[0]["samples"], 7);
    // A set without a fault is as good with the flag as without.
    desk.ok(&["data", "sample", "sound", "--n", "6"]);
    desk.ok(&["val", "-m", model, "--data", "sound", "--skip-bad", "--split", "all"]);
}

/// Rows 38 to 41, 45, 50 and 51 in prediction: a record each, in order, exit 3 and a count.
#[test]
fn prediction_goes_on_past_what_is_no_photo() {
    let desk = desk();
    let whole = fs::read(desk.path("good.jpg")).unwrap();
    for (name, percent) in [("90.jpg", 90), ("50.jpg", 50), ("10.jpg", 10)] {
        fs::write(desk.path(name), &whole[..whole.len() * percent / 100]).unwrap();
    }
    fs::write(desk.path("empty.jpg"), b"").unwrap();
    fs::write(desk.path("page.jpg"), b"<html>").unwrap();
    fs::write(desk.path("soi.jpg"), b"\xff\xd8").unwrap();
    fs::write(desk.path("tail.jpg"), [&whole[..], b"garbage behind the end"].concat()).unwrap();
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
    assert_eq!(records[1]["box"], records[8]["box"], "what follows the end changes nothing");
}

/// Row 49: names of every kind, one by one and in a folder, in every format of output.
#[cfg(target_os = "linux")]
#[test]
fn names_of_any_kind_are_read_and_written_whole() {
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
        // A name that leaves no room for a temporary one is cut.
        let saved = if name.len() > 250 { format!("{}.jpg", &name[..200]) } else { (*name).to_owned() };
        assert!(desk.path("out").join(&saved).is_file(), "{name:?}");
    }
    let csv = desk.ok(&["predict", "-m", "m.safetensors", "names", "--format", "csv"]);
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let cells: Vec<String> = reader.records().map(|row| row.unwrap()[0].to_owned()).collect();
    assert_eq!(cells, names.map(|name| format!("names/{name}")));
    let people = desk.ok(&["predict", "-m", "m.safetensors", "names", "--format", "text"]);
    assert_eq!(people.lines().count(), names.len(), "a line each: {people}");
    // What was written reads back as a data set.
    for name in names {
        fs::copy(desk.path("names").join(name), desk.path("out/labels").join(name)).unwrap();
    }
    desk.ok(&["data", "check", "out/labels"]);

    // Not UTF-8: on the command line, in a folder, in a list.
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
fn what_is_no_file_is_skipped_with_its_reason_and_never_waited_for() {
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
    // Named by itself it is an error, and so is one among the photos of training or as a split.
    let named = ["predict", "-m", "m.safetensors", "odd/fifo.jpg", "good.jpg"];
    let ran = desk.fails(&named, 3, &["1 of 2 photos"]);
    assert!(ran.stdout.contains("is not a regular file"), "{ran:?}");
    let train = ["train", "--data", "shapes", "--imgsz", "188", "--split-file", "odd/fifo.jpg"];
    desk.fails(&train, 1, &["odd/fifo.jpg", "is not a regular file"]);
}

/// Row 67: what a spreadsheet would take for a formula.
#[cfg(unix)]
#[test]
fn names_that_begin_like_formulas_are_guarded_and_read_back() {
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
    // The answers, taken as annotations.
    fs::write(desk.path("shapes/images/answers.csv"), &ran.stdout).unwrap();
    desk.ok(&["data", "stats", "shapes/images/answers.csv", "--classes", "box,disc,star"]);
}

/// Row 68: a name may not clear the screen, whichever way it comes.
#[cfg(unix)]
#[test]
fn escapes_in_names_are_shown_and_not_sent() {
    let desk = desk();
    let class = "st\x1b[2J\u{9b}31mar";
    fs::write(desk.path("esc.safetensors"), model_file(&["box", "disc", class], 1)).unwrap();
    for (name, bytes) in
        [("b\x1b[2J.jpg", &b"no photo"[..]), ("g\x1b[2J.jpg", &fs::read(desk.path("good.jpg")).unwrap())]
    {
        fs::write(desk.path(name), bytes).unwrap();
    }
    let all = |args: &[&str]| {
        let ran = desk.run(args);
        let both = ran.stdout + &ran.stderr;
        assert!(!both.contains(['\x1b', '\u{9b}']), "{args:?}: {both:?}");
        both
    };
    let text = all(&["predict", "-m", "esc.safetensors", "--format", "text", "b\x1b[2J.jpg", "g\x1b[2J.jpg"]);
    assert!(text.contains("b\\u{1b}[2J.jpg: not a ") && text.contains("g\\u{1b}[2J.jpg: "), "{text}");
    assert!(all(&["info", "esc.safetensors"]).contains("st\\u{1b}[2J\\u{9b}31mar"));
    all(&["val", "-m", "esc.safetensors", "--data", "shapes"]);
    all(&["info", "no\x1b[2J.safetensors"]);
    let json = desk.run(&["predict", "-m", "esc.safetensors", "g\x1b[2J.jpg"]).stdout;
    assert!(json.contains("\\u001b[2J") && !json.contains('\x1b'), "{json}");
    // In annotations and in what training prints.
    for entry in fs::read_dir(desk.path("shapes/annotations")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("<name>star<", "<name>st\u{9b}31mar<")).unwrap();
    }
    assert!(all(&["data", "stats", "shapes"]).contains("st\\u{9b}31mar"));
    let train = ["train", "--data", "shapes", "--imgsz", "188", "--epochs", "1", "--batch", "8"];
    assert!(all(&train).contains("st\\u{9b}31mar"));
    all(&["val", "-m", "runs/train/exp/weights/last.safetensors", "--data", "shapes"]);
    all(&["data", "check", "shapes"]);
}

/// `--encoding` and `--exif` reach the readers, from the command line, the environment and a file; what they do there is
/// tested in loc-data.
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
