//! Run folders written by hand.

use std::path::PathBuf;

use fs_err as fs;

use crate::common::Desk;

/// A run folder with a record and a configuration.
pub(crate) struct Made {
    folder: PathBuf,
}

const RECORD: &str = r#"{"schema":"loc.run/1","status":"finished","versions":{"loc":"0.1.0","model_format":1},
"machine":{"os":"linux","arch":"x86_64","cores":2},"threads":2,"arguments":["train","--data","a b"],"seed":0,
"dataset":{"path":"a b","digest":"DIGEST","train":8,"val":4},"classes":["cat","dog"],"started":1767225600,"number":1}"#;

impl Made {
    pub(crate) fn new(desk: &Desk, name: &str) -> Self {
        let folder = desk.path(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("run.json"), RECORD).unwrap();
        fs::write(folder.join("config.toml"), "recipe = \"scratch\"\nlr = 0.1\n").unwrap();
        Self { folder }
    }

    pub(crate) fn status(self, status: &str) -> Self {
        self.write_one("run.json", &RECORD.replace("finished", status));
        self
    }

    fn write_one(&self, name: &str, text: &str) {
        fs::write(self.folder.join(name), text).unwrap();
    }

    /// The last change: other files.
    pub(crate) fn write(self, files: &[(&str, &str)]) {
        files.iter().for_each(|(name, text)| self.write_one(name, text));
    }

    /// The last change: a file is missing.
    pub(crate) fn without(self, name: &str) {
        fs::remove_file(self.folder.join(name)).unwrap();
    }

    /// So many answers, each with this IoU.
    pub(crate) fn answers(self, n: usize, iou: f64) -> Self {
        let line = |i: usize| {
            record(&format!("{i:02}.png"), 600, ["cat", "cat"], 0.9, iou)
                .replace("\"path\":\"", "\"path\":\"photos/")
        };
        self.write_one("predictions.jsonl", &(0..n).map(line).collect::<String>());
        self
    }

    /// The photos of the answers: noise of this many pixels a side.
    pub(crate) fn noise(&self, side: u32) {
        let folder = self.folder.parent().unwrap().join("photos");
        fs::create_dir(&folder).unwrap();
        let mut state = 1u32;
        let photo = image::RgbImage::from_fn(side, side, |_, _| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            image::Rgb([(state >> 24) as u8, (state >> 16) as u8, (state >> 20) as u8])
        });
        photo.save(folder.join("00.png")).unwrap();
        for i in 1..40 {
            fs::hard_link(folder.join("00.png"), folder.join(format!("{i:02}.png"))).unwrap();
        }
    }
}

/// A line of `predictions.jsonl`.
pub(crate) fn record(file: &str, side: u32, [truth, name]: [&str; 2], confidence: f64, iou: f64) -> String {
    let class = |name: &str| usize::from(name != "cat");
    let corners = |x1: f64| serde_json::json!({"x1": x1, "y1": 1.0, "x2": f64::from(side) - 1.0, "y2": f64::from(side) / 2.0});
    let json = serde_json::json!({
        "epoch": 1, "path": file, "file": file, "width": side, "height": side, "name": name, "class": class(name),
        "confidence": confidence, "box": corners(1.0), "truth": {"name": truth, "class": class(truth), "box": corners(2.0)},
        "iou": iou,
    });
    format!("{json}\n")
}

/// A run whose names try to be more than text: classes, files, folder, configuration.
pub(crate) fn hostile(desk: &Desk, name: &str) {
    let script = "<script>alert(1)</script>";
    let photo = "\"'><img src=x onerror=alert(1)>\u{202e}gnp.\u{1b}[2J.png";
    let made = Made::new(desk, name);
    image::RgbImage::new(20, 20).save(desk.path("plain.png")).unwrap();
    // Not every file system takes such a name: then the photo is only named.
    let file = if fs::rename(desk.path("plain.png"), desk.path(photo)).is_ok() { photo } else { "plain.png" };
    let classes = serde_json::json!([script, "a\"b'c&d\u{202e}", "קוף"]);
    let json = RECORD
        .replace("[\"cat\",\"dog\"]", &classes.to_string())
        .replace("a b", "</code><script>x()</script>");
    let line = record(file, 20, ["cat", "x"], 0.5, 0.3)
        .replace("\"name\":\"cat\"", &format!("\"name\":{:?}", script));
    made.write(&[
        ("run.json", &json),
        ("predictions.jsonl", &line),
        ("config.toml", "recipe = \"</pre><script>alert(2)</script>\"\n"),
    ]);
}
