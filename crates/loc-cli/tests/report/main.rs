//! `loc report` from outside: a page of any run, with nothing of others in it but text.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod browser;
#[path = "../common/mod.rs"]
mod common;
mod made;
#[path = "../../../../xtask/src/skip.rs"]
mod skip;

use base64::Engine;
use common::Desk;
use fs_err as fs;
use made::{Made, hostile};
use sha2::{Digest, Sha256};

/// What no page contains: scripts, and addresses that a browser would load.
#[track_caller]
fn is_self_contained(html: &str) {
    assert!(html.len() <= 2_000_000, "{} bytes", html.len());
    let lower = html.to_lowercase();
    for tag in [
        "<script",
        "<img",
        "<iframe",
        "<object",
        "<form",
        "<base",
        "<link rel=\"stylesheet",
        "@import",
        "url(",
    ] {
        assert!(!lower.contains(tag), "the page has {tag}");
    }
    for (at, _) in html.match_indices("href=\"") {
        let target = &html[at + 6..];
        assert!(
            target.starts_with('#') || target.starts_with("data:"),
            "a link to {:?}",
            &target[..40.min(target.len())]
        );
    }
    for attribute in [" src=\"", " style=\"", " onload=\"", " onclick=\""] {
        assert!(!html.contains(attribute), "an attribute{attribute}");
    }
    // The policy allows the page's own style sheet and no other.
    let style = html.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let digest = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(style));
    let policy = format!("default-src 'none'; style-src 'sha256-{digest}'; img-src data:");
    assert!(html.contains(&policy), "no {policy}");
}

#[test]
fn a_training_ends_with_a_page_and_three_lines() {
    let desk = Desk::new();
    desk.shapes(40);
    let small = ["--imgsz", "188", "--epochs", "2", "--batch", "8"];
    let train = [&["train", "--data", "shapes", "--recipe", "scratch"][..], &small].concat();
    let ran = desk.run(&train);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "runs/train/exp\n"), "{ran:?}");
    let last: Vec<&str> = ran.stderr.lines().rev().take(3).collect();
    assert!(last[0].starts_with("export:  loc export -m runs/train/exp"), "{last:?}");
    assert!(last[1].starts_with("predict: loc predict -m runs/train/exp"), "{last:?}");
    assert!(
        last[2].starts_with("report:  runs/train/exp/report.html (the worst photos: shape-0"),
        "{last:?}"
    );

    let page = fs::read_to_string(desk.path("runs/train/exp/report.html")).unwrap();
    is_self_contained(&page);
    let answers = fs::read_to_string(desk.path("runs/train/exp/predictions.jsonl")).unwrap();
    assert_eq!(answers.lines().count(), 8);
    assert_eq!(page.matches("data:image/jpeg").count(), 8, "every validation photo is shown, none twice");
    for part in [
        "Report of exp",
        "constant answer",
        "Photos with the worst answers",
        "annotated box",
        "Photo shape-000",
        "Success curve",
        "Reliability diagram",
        "Loss by epoch",
        "Positions of the boxes",
        "loc train --config runs/train/exp/config.toml",
        "imgsz = 188",
        "predicted class",
    ] {
        assert!(page.contains(part), "no {part:?}");
    }
    // From the folder alone the same page; also from elsewhere, and after the model is gone.
    assert_eq!(desk.ok(&["report", "runs/train/exp", "-o", "again.html"]), "again.html\n");
    let again = || fs::read_to_string(desk.path("again.html")).unwrap();
    assert!(again() == page, "the page at the end of the training is another one");
    desk.ok(&["calibrate", "-m", "runs/train/exp", "--data", "shapes", "--coverage", "0.5"]);
    desk.ok(&["report", "runs/train/exp", "-o", "again.html"]);
    assert!(again().contains("model was calibrated on 8 photos") && !page.contains("model was calibrated"));
    fs::remove_dir_all(desk.path("runs/train/exp/weights")).unwrap();
    let there = desk.path("runs/train");
    let ran = desk.command(&["report", "exp", "-o", "../../again.html"]).current_dir(there).output().unwrap();
    assert!(ran.status.success());
    assert_eq!(again().matches("data:image/jpeg").count(), 8, "the photos are found from another folder");
    // Photos that are gone or changed are left out.
    fs::rename(desk.path("shapes"), desk.path("moved")).unwrap();
    desk.ok(&["report", "runs/train/exp"]);
    let page = fs::read_to_string(desk.path("runs/train/exp/report.html")).unwrap();
    assert!(page.contains("8 photos are no longer where the training read them"), "{page}");
    assert!(page.contains("Success curve") && !page.contains("data:image/jpeg"));
}

#[test]
fn a_page_that_cannot_be_written_does_not_fail_the_training() {
    let desk = Desk::new();
    desk.shapes(20);
    let small = ["--recipe", "scratch", "--imgsz", "188", "--batch", "8", "--set", "schedule=constant"];
    let train = [&["train", "--data", "shapes", "--epochs", "1", "--no-report"][..], &small].concat();
    let ran = desk.run(&train);
    assert_eq!(ran.code, 0, "{ran:?}");
    let page = desk.path("runs/train/exp/report.html");
    assert!(!page.exists() && ran.stderr.contains("loc report runs/train/exp"), "{ran:?}");
    fs::write(&page, "<html>mine</html>").unwrap();
    let ran = desk.run(&["train", "--resume", "runs/train/exp", "--epochs", "2"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("warning: no report is written: runs/train/exp/report.html"), "{ran:?}");
    assert_eq!(fs::read_to_string(&page).unwrap(), "<html>mine</html>");
    fs::remove_file(&page).unwrap();
    desk.ok(&["train", "--resume", "runs/train/exp", "--epochs", "3"]);
    assert!(fs::read_to_string(&page).unwrap().contains("3 epochs"));
}

#[test]
fn names_from_strangers_are_text() {
    let desk = Desk::new();
    hostile(&desk, "run");
    desk.ok(&["report", "run"]);
    let page = fs::read_to_string(desk.path("run/report.html")).unwrap();
    is_self_contained(&page);
    assert!(page.contains("data:image/jpeg"), "the photo is shown");
    for text in ["&#60;script&#62;alert(1)", "\\u{202e}", "\\u{1b}[2J", "&lt;script&gt;alert(1)", "קוף"] {
        assert!(page.contains(text), "no {text:?}");
    }
    assert!(!page.contains('\u{202e}') && !page.contains('\u{1b}') && !page.contains('\0'));
    // Quotes in names do not end an attribute: each has one label, and all that is in it.
    let label = page.split("aria-label=\"Classes of ").nth(1).unwrap().split('"').next().unwrap();
    assert!(label.contains("&#34;") || !label.contains('<'), "{label}");
}

/// Runs that ended in any way, of any age, and damaged ones.
#[test]
fn any_run_has_a_page() {
    let row = "1,2.5,0.01,1.5,1.0,0.5,1.4,1.0,0.4,0.5,0.25,0.125,0.0";
    let header = "epoch,time,lr,train/loss,train/cls_loss,train/box_loss,val/loss,val/cls_loss,val/box_loss,val/acc,\
                  val/iou,val/acc_iou50,val/acc_iou75";
    let nan = row.replace("0.5,0.25", "NaN,inf");
    let results =
        |rows: &[&str]| std::iter::once(header).chain(rows.iter().copied()).collect::<Vec<_>>().join("\n");
    type Change<'a> = (&'a str, &'a dyn Fn(Made), &'a [&'a str], bool);
    let cases: &[Change] = &[
        (
            "failed before its first epoch",
            &|made| made.status("failed").write(&[]),
            &["failed;", "no results yet"],
            false,
        ),
        (
            "interrupted, of an earlier version",
            &|made| made.status("interrupted").write(&[("results.csv", &results(&[row]))]),
            &["interrupted;", "0.250", "no predictions.jsonl", "n/a"],
            false,
        ),
        (
            "numbers that are none",
            &|made| made.write(&[("results.csv", &results(&[&nan, row, &nan.replacen('1', "2", 1)]))]),
            &["n/a", "Loss by epoch"],
            false,
        ),
        ("an empty table", &|made| made.write(&[("results.csv", "")]), &["no results yet"], false),
        (
            "a table of fewer columns",
            &|made| made.write(&[("results.csv", "epoch,lr\n1,0.1\n")]),
            &["results.csv"],
            true,
        ),
        (
            "predictions without annotations",
            &|made| made.write(&[("predictions.jsonl", "{\"path\":\"a.jpg\",\"class\":0}\n")]),
            &["predictions.jsonl: line 1"],
            true,
        ),
        ("no record", &|made| made.without("run.json"), &["of unknown status"], true),
        ("no configuration", &|made| made.without("config.toml"), &["finished"], true),
        ("half a record", &|made| made.write(&[("run.json", "{\"schema\":")]), &["run.json"], true),
        ("another record", &|made| made.write(&[("run.json", "[1, 2]")]), &["of unknown status"], false),
        ("half a configuration", &|made| made.write(&[("config.toml", "lr = ")]), &["config.toml"], true),
        ("half a summary", &|made| made.write(&[("data.json", "{}")]), &["data.json"], true),
        (
            "an audit that is none",
            &|made| made.write(&[("audit.json", "{\"schema\":\"x\"}")]),
            &["audit.json"],
            true,
        ),
        (
            "an audit",
            &|made| {
                made.write(&[(
                    "audit.json",
                    r#"{"schema":"loc.audit/1","photos":[{"path":"<b>.jpg","rank":1,"reason":"class",
                    "given":{"class":"cat","box":{"x1":1,"y1":2,"x2":3,"y2":4}},"predicted":{"class":"dog"},"score":0.97}]}"#,
                )])
            },
            &["1 photo is doubtful", "cat, 1,2 to 3,4", "0.970", "&#60;b&#62;.jpg"],
            false,
        ),
    ];
    for (what, change, words, warns) in cases {
        let desk = Desk::new();
        change(Made::new(&desk, "run"));
        let ran = desk.run(&["report", "run"]);
        assert_eq!(ran.code, 0, "{what}: {ran:?}");
        assert_eq!(ran.stderr.contains("warning"), *warns, "{what}: {ran:?}");
        let page = fs::read_to_string(desk.path("run/report.html")).unwrap();
        is_self_contained(&page);
        for word in *words {
            assert!(page.contains(word), "{what}: no {word:?} in {page}");
        }
    }
    let desk = Desk::new();
    fs::create_dir(desk.path("empty")).unwrap();
    desk.fails(&["report", "empty"], 1, &["empty: is not a run folder", "hint: "]);
    desk.fails(&["report", "nowhere"], 1, &["nowhere", "hint: "]);
    desk.fails(&[&["report"][..], &["empty"; 9]].concat(), 2, &["at most 8 runs"]);
    desk.fails(&["report", "a", "b", "--audit", "x.json"], 2, &["--audit", "one run"]);
}

#[test]
fn several_runs_are_side_by_side() {
    let desk = Desk::new();
    // The second has each box better by the same; the third is of other data.
    for (run, iou, lr, digest) in
        [("one", 0.5, 0.1, "d"), ("two", 0.6, 0.2, "d"), ("three", 0.6, 0.2, "other")]
    {
        Made::new(&desk, run)
            .answers(10, iou)
            .write(&[("config.toml", &format!("recipe = \"x\"\nlr = {lr}\n"))]);
        let record = fs::read_to_string(desk.path(run).join("run.json")).unwrap();
        fs::write(desk.path(run).join("run.json"), record.replace("DIGEST", digest)).unwrap();
    }
    assert_eq!(desk.ok(&["report", "one", "two", "three"]), "report.html\n");
    let page = fs::read_to_string(desk.path("report.html")).unwrap();
    is_self_contained(&page);
    for part in [
        "Report of 3 runs",
        "+0.100 <span class=\"interval\">+0.100 to +0.100</span>",
        "three was trained on other data",
        "Settings that differ",
        "<code>lr</code>",
    ] {
        assert!(page.contains(part), "no {part:?}");
    }
    assert!(!page.contains("<code>recipe</code>"), "what is the same is not listed");
}

/// Noise is the largest of photos: they become smaller until the page is small enough.
#[test]
fn the_page_stays_below_two_megabytes() {
    let desk = Desk::new();
    let made = Made::new(&desk, "run").answers(40, 0.5);
    made.noise(600);
    made.write(&[]);
    desk.ok(&["report", "run"]);
    let page = fs::read_to_string(desk.path("run/report.html")).unwrap();
    is_self_contained(&page);
    assert_eq!(page.matches("data:image/jpeg").count(), 30, "24 of the worst and 6 of the best");
}
