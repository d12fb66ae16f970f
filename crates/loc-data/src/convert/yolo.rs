//! YOLO: a text file a photo, and Ultralytics' `data.yaml`.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::place::{Placed, by_subset};

pub(super) fn files(photos: &[Placed<'_>], classes: &[String]) -> BTreeMap<String, Vec<u8>> {
    let mut files: BTreeMap<String, Vec<u8>> = photos
        .iter()
        .map(|placed| {
            let photo = placed.photo;
            let (width, height) = (f64::from(photo.size.width), f64::from(photo.size.height));
            let mut text = String::new();
            for object in &photo.objects {
                let [x1, y1, x2, y2] =
                    [object.bbox.x1, object.bbox.y1, object.bbox.x2, object.bbox.y2].map(f64::from);
                let (x, y) = ((x1 + x2) / 2.0 / width, (y1 + y2) / 2.0 / height);
                let (w, h) = ((x2 - x1) / width, (y2 - y1) / height);
                // Ten digits: a billionth of the photo. Writing to a string cannot fail.
                let _ = writeln!(text, "{} {x:.10} {y:.10} {w:.10} {h:.10}", object.class);
            }
            (placed.annotation("labels", "txt"), text.into_bytes())
        })
        .collect();
    files.insert("data.yaml".to_owned(), listing(photos, classes).into_bytes());
    files
}

/// Ultralytics' description of the set: where the photos of each split lie, and the classes by number.
fn listing(photos: &[Placed<'_>], classes: &[String]) -> String {
    let parts = by_subset(photos);
    let folder = |subset| parts.contains_key(&Some(subset)).then(|| format!("images/{subset}"));
    let [train, val, test] = ["train", "val", "test"].map(folder);
    // Both keys are obligatory: without a split, the two are the same.
    let train = train.filter(|_| !parts.contains_key(&None)).unwrap_or_else(|| "images".into());
    let mut text = format!("train: {train}\nval: {}\n", val.as_ref().unwrap_or(&train));
    if let Some(test) = test {
        let _ = writeln!(text, "test: {test}");
    }
    text += "names:\n";
    for (number, name) in classes.iter().enumerate() {
        // JSON's strings are YAML's.
        let _ = writeln!(text, "  {number}: {}", serde_json::Value::from(name.as_str()));
    }
    text
}
