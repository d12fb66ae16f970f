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
        "5 of 12 photos cannot be used",
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
        "5 of 12 photos cannot be used and are left out",
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
        &["7 of 10 photos could not be read", "png.jpg: is a PNG, whatever its name says"],
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
    assert!(ran.stdout.contains("is no regular file"), "{ran:?}");
    let train = ["train", "--data", "shapes", "--imgsz", "188", "--split-file", "odd/fifo.jpg"];
    desk.fails(&train, 1, &["odd/fifo.jpg", "is not a regular file"]);
}

/// A folder with photos, other files, hidden ones, and photos in folders below.
fn mixed(desk: &Desk) {
    let good = fs::read(desk.path("good.jpg")).unwrap();
    for (name, bytes) in [
        ("mixed/b.jpg", &good[..]),
        ("mixed/a.JFIF", &good),
        ("mixed/scraped", &good),
        ("mixed/notes.txt", b"x"),
        ("mixed/list.TXT", b"x"),
        ("mixed/clip.mp4", b"x"),
        ("mixed/LICENSE", b"x"),
        ("mixed/.DS_Store", b"x"),
        ("mixed/.cache/c.jpg", &good),
        ("mixed/deep/er/d.jpg", &good),
        ("mixed/deep/e.jpg", &good),
        ("mixed/deep/readme.md", b"x"),
    ] {
        let path = desk.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

fn paths(ran: &common::Ran) -> Vec<String> {
    records(&ran.stdout).iter().map(|record| record["path"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn prediction_says_what_it_passes_over_in_a_folder() {
    let desk = desk();
    mixed(&desk);
    let ran = desk.run(&["predict", "-m", "m.safetensors", "mixed"]);
    assert_eq!(
        (ran.code, paths(&ran)),
        (0, ["a.JFIF", "b.jpg", "scraped"].map(|n| format!("mixed/{n}")).into())
    );
    let words = "mixed: passed over 6 files: 2 .txt, 1 without an ending, 1 .mp4 (MP4 video), 2 hidden\n";
    assert!(ran.stderr.contains(words), "{}", ran.stderr);
    let words = "mixed: 2 photos in folders below it are not read (hint: `--recursive`)\n";
    assert!(ran.stderr.contains(words), "{}", ran.stderr);

    // All below it, in the order of their paths; each folder once, however many links lead there.
    #[cfg(unix)]
    for (link, target) in [("mixed/again", "deep"), ("mixed/deep/loop", "..")] {
        std::os::unix::fs::symlink(target, desk.path(link)).unwrap();
    }
    let ran = desk.run(&["predict", "-m", "m.safetensors", "mixed", "--recursive", "--save", "mixed/drawn"]);
    let deep = if cfg!(unix) { "again" } else { "deep" };
    let expected = [
        "a.JFIF".to_owned(),
        format!("{deep}/e.jpg"),
        format!("{deep}/er/d.jpg"),
        "b.jpg".into(),
        "scraped".into(),
    ];
    let mut expected: Vec<String> = expected.iter().map(|name| format!("mixed/{name}")).collect();
    expected.sort_by_key(|path| Path::new(path).to_owned());
    assert_eq!((ran.code, paths(&ran)), (0, expected.clone()), "{ran:?}");
    assert!(ran.stderr.contains("1 .md"), "{}", ran.stderr);
    if cfg!(unix) {
        assert!(
            ran.stderr.contains("mixed/deep: skipped: it leads to a folder that is read already"),
            "{}",
            ran.stderr
        );
    }
    // What was drawn is no photo to look at.
    let again = ["predict", "-m", "m.safetensors", "mixed", "--recursive", "--save", "mixed/drawn"];
    let ran = desk.run(&again);
    assert!(ran.stderr.contains("mixed/drawn: skipped: it is the folder of --save"), "{}", ran.stderr);

    // Nothing but other files.
    fs::create_dir_all(desk.path("none/below")).unwrap();
    fs::write(desk.path("none/a.heic"), b"\0\0\0\x18ftypheic").unwrap();
    fs::write(desk.path("none/b.txt"), b"x").unwrap();
    let predict = |source| ["predict", "-m", "m.safetensors", source];
    let words = [
        "none: holds no photo (jpg, jpeg, ",
        "), only 2 files: 1 .heic (HEIC photo), 1 .txt (hint: convert it",
    ];
    desk.fails(&predict("none"), 2, &words);
    fs::copy(desk.path("good.jpg"), desk.path("none/below/c.jpg")).unwrap();
    desk.fails(&predict("none"), 2, &["(hint: 1 photo lie in folders below it: `--recursive` reads them)"]);
    // Photos that somebody would miss are a warning.
    fs::copy(desk.path("good.jpg"), desk.path("none/c.jpg")).unwrap();
    let ran = desk.run(&predict("none"));
    assert_eq!(ran.code, 0);
    assert!(
        ran.stderr.contains("warning: none: passed over 2 files: 1 .heic (HEIC photo), 1 .txt (hint: "),
        "{ran:?}"
    );
}

#[test]
fn globs_say_what_they_matched() {
    let desk = desk();
    mixed(&desk);
    let predict = |source| ["predict", "-m", "m.safetensors", source];
    let ran = desk.run(&predict("mixed/*"));
    assert_eq!((ran.code, paths(&ran).len()), (0, 3), "{ran:?}");
    let words = "passed over 4 files: 2 .txt, 1 without an ending, 1 .mp4 (MP4 video), and 1 folder\n";
    assert!(ran.stderr.contains(words), "{}", ran.stderr);
    for (pattern, words) in [
        ("mixed/d*", "mixed/d*: matches no photo, only 1 folder (hint: name a folder to read its photos)"),
        ("mixed/*.[tm]*", "mixed/*.[tm]*: matches no photo, only 2 files: 1 .mp4 (MP4 video), 1 .txt"),
        ("mixed/x*", "mixed/x*: matches no file"),
    ] {
        desk.fails(&predict(pattern), 2, &[words]);
    }
}

#[test]
fn lists_on_standard_input_are_forgiving() {
    let desk = desk();
    fs::create_dir(desk.path("home")).unwrap();
    fs::copy(desk.path("good.jpg"), desk.path("home/at home.jpg")).unwrap();
    let given = |list: &str| {
        let mut command = desk.command(&["predict", "-m", "m.safetensors", "-"]);
        command.env("HOME", desk.path("home"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(list.as_bytes()).unwrap();
        common::Ran::of(child.wait_with_output().unwrap())
    };
    let ran = given("\u{feff}good.jpg\r\n\r\n  \n~/at home.jpg\ngood.jpg\n");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(paths(&ran).len(), 3);
    for empty in ["", "\n", "\r\n \r\n"] {
        let ran = given(empty);
        assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{ran:?}");
        assert!(
            ran.stderr.contains("the list on standard input is empty: there is nothing to predict"),
            "{ran:?}"
        );
    }
}

/// What is known and not read is called by its name, in prediction as in a data set.
#[test]
fn kinds_of_files_that_are_not_read_are_named() {
    let desk = desk();
    let heic: &[u8] = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    let video: &[u8] = b"\0\0\0\x18ftypmp42\0\0\0\0";
    fs::write(desk.path("phone.heic"), heic).unwrap();
    fs::write(desk.path("phone.jpg"), heic).unwrap();
    fs::write(desk.path("clip.mp4"), video).unwrap();
    fs::write(desk.path("raw.dng"), b"II\x2a\0\x10\0\0\0CR\x02\0").unwrap();
    let args =
        ["predict", "-m", "m.safetensors", "phone.heic", "phone.jpg", "clip.mp4", "raw.dng", "gone.jpg"];
    let ran = desk.fails(&args, 3, &["5 of 5 photos could not be read"]);
    for (record, expected) in records(&ran.stdout).iter().zip([
        "is a HEIC photo, which loc does not read (hint: convert it to JPEG: `heif-convert",
        "is a HEIC photo, which loc does not read (hint: ",
        "is an MP4 video, which loc does not read (hint: take frames out of it: `ffmpeg",
        "is a camera's RAW photo, which loc does not read (hint: ",
        "does not exist (hint: is the path right?)",
    ]) {
        assert!(record["error"].as_str().unwrap().starts_with(expected), "{record}");
    }
    for i in 0..12 {
        fs::write(desk.path(&format!("shapes/images/shape-{i:05}.jpg")), heic).unwrap();
    }
    let ran = desk.run(&["data", "check", "shapes"]);
    assert_eq!(ran.code, 4);
    assert_eq!(ran.stdout.matches("is a HEIC photo, which loc does not read").count(), 12, "{ran:?}");
}

/// Photos whose ending changed on the way: one line says how many.
#[test]
fn photos_found_under_another_name_are_counted_in_one_line() {
    let desk = desk();
    for i in 0..12 {
        let photo = desk.path(&format!("shapes/images/shape-{i:05}.jpg"));
        fs::rename(&photo, photo.with_extension("jpeg")).unwrap();
    }
    let ran = desk.run(&["data", "stats", "shapes"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stderr.contains("warning: 12 photos found under another name: shapes/annotations/"),
        "{ran:?}"
    );
    assert!(ran.stdout.starts_with("samples   12\n"), "{ran:?}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
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
