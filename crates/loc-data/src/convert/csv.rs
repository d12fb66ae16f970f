//! CSV: a row an object, with names of classes.

use std::collections::BTreeMap;

use csv::WriterBuilder;

use super::place::Placed;
use crate::csv_escape::escape_formula;

const HEADER: [&str; 8] = ["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"];

pub(super) fn files(photos: &[Placed<'_>], classes: &[String]) -> BTreeMap<String, Vec<u8>> {
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    // Writing to memory cannot fail.
    let _ = writer.write_record(HEADER);
    for placed in photos {
        let photo = placed.photo;
        if photo.objects.is_empty() {
            // As keras-retinanet has it: the photo, and empty fields.
            let size = [photo.size.width, photo.size.height].map(|side| side.to_string());
            let [width, height] = size;
            let empty = || String::new();
            let row =
                [escape_formula(&placed.path), width, height, empty(), empty(), empty(), empty(), empty()];
            let _ = writer.write_record(row);
        }
        for object in &photo.objects {
            let b = object.bbox;
            let edges = [b.x1, b.y1, b.x2, b.y2].map(|edge| edge.to_string());
            let row = [
                escape_formula(&placed.path),
                photo.size.width.to_string(),
                photo.size.height.to_string(),
                escape_formula(&classes[object.class]),
            ];
            let _ = writer.write_record(row.iter().chain(&edges));
        }
    }
    BTreeMap::from([("annotations.csv".to_owned(), writer.into_inner().unwrap_or_default())])
}
