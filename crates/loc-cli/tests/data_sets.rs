//! Tests which photos of a data set are used and how they are split, through the binary.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::Desk;
use fs_err as fs;
use serde_json::Value;

const TRAIN: [&str; 9] = ["train", "--recipe", "scratch", "--imgsz", "188", "--epochs", "1", "--batch", "8"];
const MODEL: &str = "runs/train/exp/weights/best.safetensors";

/// Creates forty photos; the annotation of the first has another size than its photo.
fn one_in_forty() -> Desk {
    let desk = Desk::new();
    desk.shapes(40);
    let xml = desk.path("shapes/annotations/shape-00000.xml");
    let text = fs::read_to_string(&xml).unwrap();
    fs::write(&xml, text.replacen("<width>", "<width>9", 1)).unwrap();
    desk
}

#[test]
fn a_few_unusable_photos_are_skipped_and_reported() {
    let desk = one_in_forty();
    let train = [&TRAIN[..], &["--data", "shapes"]].concat();
    let ran = desk.run(&train);
    assert_eq!(ran.code, 0, "{ran:?}");
    for words in ["skipped 1 of 40 photos", "shape-00000.xml:", "the size is given as"] {
        assert!(ran.stderr.contains(words), "no {words:?} in {}", ran.stderr);
    }
    let split = fs::read_to_string(desk.path("runs/train/exp/split.csv")).unwrap();
    assert!(split.lines().count() == 40 && !split.contains("shape-00000"), "{split}");
    let run: Value =
        serde_json::from_slice(&fs::read(desk.path("runs/train/exp/run.json")).unwrap()).unwrap();
    assert_eq!(
        (&run["dataset"]["left_out"]["photos"], &run["dataset"]["split"]),
        (&1.into(), &"drawn".into())
    );

    // Every command uses the same photos, and `loc data check` still fails.
    desk.ok(&["val", "-m", MODEL, "--data", "shapes"]);
    let check = desk.run(&["data", "check", "shapes"]);
    assert_eq!(check.code, 4);
    assert!(check.stderr.contains("39 usable photos"), "{}", check.stderr);
    assert!(check.stderr.contains("1 annotation with another size than its photo"), "{}", check.stderr);
    let stats: Value =
        serde_json::from_str(&desk.ok(&["data", "stats", "shapes", "--format", "json"])).unwrap();
    assert_eq!(stats["samples"], 39);
    desk.ok(&["data", "split", "shapes", "-o", "drawn.csv"]);
    assert_eq!(fs::read_to_string(desk.path("drawn.csv")).unwrap(), split);

    let refused = ["1 of 40 photos are invalid", "--skip-bad"];
    desk.fails(&[&train[..], &["--strict"]].concat(), 1, &refused);
    desk.fails(&["val", "-m", MODEL, "--data", "shapes", "--strict"], 1, &refused);
    desk.fails(&["data", "show", "shapes", "--strict", "-o", "show.png"], 1, &refused);
    desk.fails(&["data", "show", "shapes", "--skip-bad", "-o", "show.png"], 3, &["1 of 40 photos"]);
    desk.fails(&[&train[..], &["--strict", "--skip-bad"]].concat(), 2, &["only one can be set"]);
    desk.fails(&["train", "--resume", "--epochs", "2", "--skip-bad"], 3, &["1 of 40 photos"]);
}

#[test]
fn a_recorded_split_of_other_photos_is_an_error() {
    let desk = Desk::new();
    desk.shapes(16);
    desk.ok(&[&TRAIN[..], &["--data", "shapes"]].concat());
    desk.ok(&["val", "-m", MODEL, "--data", "shapes"]);
    let val = ["val", "-m", MODEL, "--data", "shapes"];
    fs::remove_file(desk.path("shapes/images/shape-00003.jpg")).unwrap();
    fs::remove_file(desk.path("shapes/annotations/shape-00003.xml")).unwrap();
    let words =
        ["split.csv: the split file does not fit", "the data set has no `shape-00003.jpg`", "--split-file"];
    desk.fails(&val, 1, &words);
    desk.ok(&[&val[..], &["--split", "all"]].concat());
    desk.ok(&["data", "split", "shapes", "-o", "own.csv"]);
    desk.ok(&[&val[..], &["--split-file", "own.csv"]].concat());
}

#[test]
fn folders_and_copies_determine_the_split_and_are_reported() {
    let desk = Desk::new();
    desk.shapes(24);
    for i in 0..24 {
        let part = ["train", "train", "valid", "test"][i % 4];
        for (folder, ending) in [("images", "jpg"), ("annotations", "xml")] {
            let name = format!("shape-{i:05}.{ending}");
            fs::create_dir_all(desk.path(&format!("parts/{part}"))).unwrap();
            fs::copy(
                desk.path(&format!("shapes/{folder}/{name}")),
                desk.path(&format!("parts/{part}/{name}")),
            )
            .unwrap();
        }
    }
    // A copy of a training photo under another name, in `valid`.
    fs::copy(desk.path("parts/train/shape-00000.jpg"), desk.path("parts/valid/again.jpg")).unwrap();
    let xml = fs::read_to_string(desk.path("parts/train/shape-00000.xml")).unwrap();
    fs::write(desk.path("parts/valid/again.xml"), xml.replace("shape-00000", "again")).unwrap();

    let train = [&TRAIN[..], &["--data", "parts"]].concat();
    let ran = desk.run(&train);
    assert_eq!(ran.code, 0, "{ran:?}");
    for words in [
        "split by the data set's folders: 12 train, 7 val, 6 test",
        "is a copy of `shape-00000.jpg`, which is a training photo",
    ] {
        assert!(ran.stderr.contains(words), "no {words:?} in {}", ran.stderr);
    }
    let test: Value = serde_json::from_str(
        &desk.ok(&["val", "-m", MODEL, "--data", "parts", "--split", "test", "--format", "json"]),
    )
    .unwrap();
    assert_eq!((&test["split"], &test["samples"]), (&"test".into(), &6.into()));

    let ran = desk.run(&[&train[..], &["--split-by", "draw"]].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stderr.contains("2 photos are copies of 1 source, by their bytes or names"),
        "{}",
        ran.stderr
    );
    let split = fs::read_to_string(desk.path("runs/train/exp2/split.csv")).unwrap();
    let side = |name: &str| split.lines().find_map(|l| l.strip_prefix(name)).unwrap().to_owned();
    assert_eq!(side("again.jpg"), side("shape-00000.jpg"));
    desk.fails(&[&train[..], &["--split-by", "lots"]].concat(), 2, &["folders", "draw"]);
    desk.fails(&[&train[..], &["--group-by", "("]].concat(), 2, &["pattern of groups", "unclosed group"]);
    desk.fails(
        &["val", "-m", "runs/train/exp2/weights/best.safetensors", "--data", "parts", "--split", "test"],
        2,
        &["the split has no such photos"],
    );
}

/// One set in each format, and a run that repeats and resumes without the flags that it was read with.
#[test]
fn every_format_trains_and_the_run_knows_how_its_data_were_read() {
    let desk = Desk::new();
    desk.shapes(24);
    desk.ok(&["data", "check", "shapes"]);
    let digest = |run: &str| {
        let json: Value =
            serde_json::from_slice(&fs::read(desk.path(run).join("run.json")).unwrap()).unwrap();
        (json["dataset"]["digest"].clone(), json["dataset"]["format"].clone())
    };
    let mut formats = vec!["voc"];
    for to in ["coco", "yolo", "csv", "createml"] {
        let folder = format!("as-{to}");
        desk.ok(&["data", "convert", "shapes", "--to", to, "-o", &folder]);
        desk.ok(&["data", "check", &folder]);
        formats.push(to);
    }
    let yaml: &[&str] = &["data", "stats", "as-yolo/data.yaml"];
    assert_eq!(desk.ok(yaml), desk.ok(&["data", "stats", "as-yolo"]));
    // The headerless table needs its columns, once.
    let table = fs::read_to_string(desk.path("as-csv/annotations.csv")).unwrap();
    let rows: String = table.lines().skip(1).map(|line| format!("as-csv/{line}\n")).collect();
    fs::write(desk.path("plain.csv"), rows).unwrap();
    desk.fails(
        &[&TRAIN[..], &["--data", "plain.csv"]].concat(),
        1,
        &["--columns filename,width,height,class,xmin"],
    );
    let columns = "filename,width,height,class,xmin,ymin,xmax,ymax";
    let run = desk.ok(&[&TRAIN[..], &["--data", "plain.csv", "--columns", columns]].concat());
    let run = run.trim();
    assert_eq!(digest(run).1, "csv");
    desk.ok(&["train", "--resume", run, "--epochs", "2"]);
    let again = desk.ok(&["train", "--config", &format!("{run}/config.toml"), "--epochs", "1"]);
    assert_eq!(digest(again.trim()), digest(run));
    // The recorded format does not apply to other data: theirs is detected.
    for format in formats {
        let data = if format == "voc" { "shapes".to_owned() } else { format!("as-{format}") };
        let other =
            desk.ok(&["train", "--config", &format!("{run}/config.toml"), "--data", &data, "--epochs", "1"]);
        assert_eq!(digest(other.trim()).1, format);
    }
}

#[test]
fn statistics_have_plots_in_a_folder() {
    let desk = Desk::new();
    desk.shapes(12);
    desk.ok(&["data", "stats", "shapes", "--save", "plots"]);
    for name in ["classes", "photo-sizes", "box-sizes", "box-shapes", "box-positions"] {
        let svg = fs::read_to_string(desk.path(&format!("plots/{name}.svg"))).unwrap();
        assert!(svg.starts_with("<svg ") && svg.contains("<title>") && !svg.contains("NaN"), "{name}: {svg}");
    }
    // Written again, unless somebody changed one.
    desk.ok(&["data", "stats", "shapes", "--save", "plots"]);
    fs::write(desk.path("plots/classes.svg"), "mine").unwrap();
    desk.fails(&["data", "stats", "shapes", "--save", "plots"], 2, &["classes.svg", "--force", "hint: "]);
}
