//! labelme JSON: one file a photo, with `shapes` of points in pixels. Rectangles are read as they are; of other outlines
//! the box around them is taken, with a warning.

use std::borrow::Cow;
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::coco::bounds;
use super::json::{Parser, Top};
use super::registry::{JsonReader, Reader};
use super::{Annotations, Empty, Label, Object, Scope, class_name};
use crate::DiagnosticKind;

pub(super) const READER: Reader =
    Reader { file_a_photo: true, json: Some(JsonReader { fits, read }), files: None };

/// Whether a file's outermost keys are labelme's.
fn fits(top: &Top<'_>) -> bool {
    matches!(top, Top::Object(fields) if fields.has(&["shapes", "imagePath"]))
}

#[derive(Deserialize)]
struct Shape<'a> {
    label: String,
    points: Vec<[f64; 2]>,
    #[serde(borrow, default)]
    shape_type: Option<Cow<'a, str>>,
}

/// Reads a parsed file.
fn read<'a>(path: &'a Path, text: &'a str, top: &Top<'a>) -> Annotations {
    let Top::Object(fields) = top else { return Annotations::default() };
    let mut reader = Parser::new(path, text);
    let Some(named) = fields.get("imagePath") else { return reader.read };
    let Some(name) = reader.parse::<Cow<'a, str>>(named, "imagePath") else {
        reader.read.lost = 1;
        return reader.read;
    };
    let mut photo = reader.photo(&name, named);
    photo.scope = Scope::One;
    photo.embedded = fields.get("imageData").is_some_and(|data| data.get() != "null");
    let number = |reader: &mut Parser<'a>, key: &str| {
        let value = fields.get(key).filter(|value| value.get() != "null")?;
        reader.parse::<f64>(value, key)
    };
    let (width, height) = (number(&mut reader, "imageWidth"), number(&mut reader, "imageHeight"));
    photo.size = reader.size(width, height, named);
    for value in reader.list(fields, "shapes") {
        let before = reader.read.diagnostics.len();
        match shape(&mut reader, value) {
            Some(object) => photo.objects.push(object),
            None => {
                // A point or a line shows that something is there.
                photo.empty = Empty::Unclear;
                photo.defective |= reader.errors_since(before);
            }
        }
    }
    photo.defective |= reader.errors_since(0);
    reader.read.photos.push(photo);
    reader.read
}

fn shape<'a>(reader: &mut Parser<'a>, value: &'a RawValue) -> Option<Object> {
    let shape = reader.parse::<Shape<'a>>(value, "shape")?;
    let label: Label = match class_name(shape.label) {
        Ok(label) => label,
        Err(why) => {
            reader.error(DiagnosticKind::Syntax, value, format!("label {why}"), "it names the class");
            return None;
        }
    };
    let line = reader.line(value);
    let kind = shape.shape_type.as_deref().unwrap_or("polygon");
    let mut points: Vec<(f64, f64)> = shape.points.iter().map(|[x, y]| (*x, *y)).collect();
    match (kind, &points[..]) {
        ("rectangle", [_, _]) => {}
        // The centre, and a point of the circle.
        ("circle", [(x, y), (u, v)]) => {
            let radius = (u - x).hypot(v - y);
            points = vec![(x - radius, y - radius), (x + radius, y + radius)];
        }
        ("point" | "points" | "line" | "linestrip", _) => {
            let message = format!("a shape of the type {kind} is no object with a box, it is not used");
            reader.warning(DiagnosticKind::ObjectIgnored, value, message);
            return None;
        }
        _ => {}
    }
    let Some(bbox) = bounds(points.into_iter()) else {
        reader.error(
            DiagnosticKind::FieldMissing,
            value,
            "has no points",
            "draw the object's box, or remove the shape",
        );
        return None;
    };
    if kind != "rectangle" {
        let message = format!("is a {kind}: the box around it is used");
        reader.warning(DiagnosticKind::BoxDerived, value, message);
    }
    Some(Object { label, label_line: line, bbox, line })
}
