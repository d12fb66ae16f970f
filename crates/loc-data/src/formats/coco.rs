//! COCO JSON: `images`, `annotations` and `categories` in one file, boxes as `[x, y, width, height]` in pixels. As COCO
//! itself, CVAT, Roboflow and Label Studio write it; often one file for each part of a split.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::{Fields, Id, Parser, Top};
use super::number::{self, quoted};
use super::registry::{JsonReader, Reader};
use super::{Annotation, Annotations, Empty, Label, Object, class_name};
use crate::{BBox, DiagnosticKind};

pub(super) const READER: Reader =
    Reader { file_a_photo: false, json: Some(JsonReader { fits, read }), files: None };

/// Whether a file's outermost keys are COCO's.
fn fits(top: &Top<'_>) -> bool {
    matches!(top, Top::Object(fields) if fields.has(&["images", "categories"]))
}

#[derive(Deserialize)]
struct Image<'a> {
    id: Id,
    #[serde(borrow)]
    file_name: Cow<'a, str>,
    width: Option<f64>,
    height: Option<f64>,
}

#[derive(Deserialize)]
struct Category {
    id: Id,
    name: String,
}

#[derive(Deserialize)]
struct Instance<'a> {
    image_id: Id,
    category_id: Id,
    bbox: Option<Vec<f64>>,
    #[serde(borrow)]
    segmentation: Option<&'a RawValue>,
    iscrowd: Option<f64>,
}

/// Reads a parsed file.
fn read<'a>(path: &'a Path, text: &'a str, top: &Top<'a>) -> Annotations {
    let Top::Object(fields) = top else { return Annotations::default() };
    let mut reader = Parser::new(path, text);
    let names = categories(&mut reader, fields);
    let mut photos: Vec<Annotation> = Vec::new();
    let mut by_id: HashMap<Id, usize> = HashMap::new();
    for value in reader.list(fields, "images") {
        if reader.is_full() {
            break;
        }
        let Some(image) = reader.parse::<Image<'_>>(value, "image") else {
            reader.read.lost += 1;
            continue;
        };
        let mut photo = reader.photo(&image.file_name, value);
        let errors = reader.read.diagnostics.len();
        if image.file_name.trim().is_empty() {
            reader.error(DiagnosticKind::FieldMissing, value, "file_name is empty", "it names the photo");
            reader.read.lost += 1;
            continue;
        }
        photo.listed = true;
        photo.size = reader.size(image.width, image.height, value);
        photo.defective = reader.read.diagnostics.len() > errors;
        if by_id.insert(image.id.clone(), photos.len()).is_some() {
            let message = format!("the image id {} is given twice", image.id);
            reader.error(DiagnosticKind::FieldDoubled, value, message, "give each image its own id");
            photo.defective = true;
        }
        photos.push(photo);
    }
    let before = reader.read.diagnostics.len();
    let instances = reader.list(fields, "annotations");
    let mut all_assigned = !reader.errors_since(before);
    for value in instances {
        if reader.is_full() {
            break;
        }
        all_assigned &= instance(&mut reader, value, &names, &by_id, &mut photos);
    }
    if !fields.has(&["annotations"]) {
        photos.iter_mut().for_each(|photo| photo.empty = Empty::Open);
    } else if !all_assigned {
        // An object that no image got may be of any image without one.
        photos.iter_mut().for_each(|photo| photo.empty = Empty::Unclear);
    }
    reader.read.photos = photos;
    reader.read
}

/// The categories' names by id; their order in the file is that of the classes.
fn categories<'a>(reader: &mut Parser<'a>, fields: &Fields<'a>) -> HashMap<Id, Label> {
    let mut names = HashMap::new();
    let mut order: Vec<String> = Vec::new();
    for value in reader.list(fields, "categories") {
        let Some(category) = reader.parse::<Category>(value, "category") else { continue };
        match class_name(category.name.clone()) {
            Ok(label) => {
                if names.insert(category.id.clone(), label).is_some() {
                    let message = format!("the category id {} is given twice", category.id);
                    reader.error(
                        DiagnosticKind::FieldDoubled,
                        value,
                        message,
                        "give each category its own id",
                    );
                }
            }
            Err(why) => {
                reader.error(DiagnosticKind::Syntax, value, format!("name {why}"), "it names the class")
            }
        }
        if !order.contains(&category.name) {
            order.push(category.name);
        }
    }
    reader.read.classes = order;
    names
}

/// Adds an annotation to its image; returns whether it has one.
fn instance<'a>(
    reader: &mut Parser<'a>,
    value: &'a RawValue,
    names: &HashMap<Id, Label>,
    by_id: &HashMap<Id, usize>,
    photos: &mut [Annotation],
) -> bool {
    let Some(instance) = reader.parse::<Instance<'a>>(value, "annotation") else {
        reader.read.lost += 1;
        return false;
    };
    let Some(photo) = by_id.get(&instance.image_id).map(|at| &mut photos[*at]) else {
        let message =
            format!("image_id {} is not among the images: the annotation is not used", instance.image_id);
        reader.warning(DiagnosticKind::PhotoMissing, value, message);
        return false;
    };
    if instance.iscrowd.is_some_and(|crowd| crowd != 0.0) {
        photo.empty = Empty::Unclear;
        reader.warning(
            DiagnosticKind::ObjectIgnored,
            value,
            format!("{}: a crowd (iscrowd 1) is no single object, it is not used", quoted(&photo.photo)),
        );
        return true;
    }
    let Some(label) = names.get(&instance.category_id).cloned() else {
        let message = format!("category_id {} is not among the categories", instance.category_id);
        reader.error(DiagnosticKind::ClassUnknown, value, message, "correct it, or add its category");
        photo.defective = true;
        return true;
    };
    let line = reader.line(value);
    match bbox(reader, value, &instance) {
        Some(bbox) => photo.objects.push(Object { label, label_line: line, bbox, line }),
        None => photo.defective = true,
    }
    true
}

/// The box, or the bounds of an outline where there is no box.
fn bbox(reader: &mut Parser<'_>, value: &RawValue, instance: &Instance<'_>) -> Option<BBox> {
    match instance.bbox.as_deref() {
        Some([x, y, width, height]) => Some(number::bbox([*x, *y, x + width, y + height])),
        Some(other) if !other.is_empty() => {
            let message = format!("bbox has {} numbers", other.len());
            reader.error(DiagnosticKind::Syntax, value, message, "it is [x, y, width, height]");
            None
        }
        _ => {
            let polygons: Option<Vec<Vec<f64>>> =
                instance.segmentation.and_then(|outline| serde_json::from_str(outline.get()).ok());
            let points = polygons.iter().flatten().flat_map(|p| p.chunks_exact(2)).map(|p| (p[0], p[1]));
            match bounds(points) {
                Some(bbox) => {
                    reader.warning(
                        DiagnosticKind::BoxDerived,
                        value,
                        "has a segmentation and no bbox: the box around the outline is used",
                    );
                    Some(bbox)
                }
                None if instance.segmentation.is_some_and(|s| s.get().starts_with('{')) => {
                    let message = "has a mask (RLE) and no bbox: only boxes and outlines are read";
                    reader.error(DiagnosticKind::FieldMissing, value, message, "export it again with boxes");
                    None
                }
                None => {
                    reader.error(
                        DiagnosticKind::FieldMissing,
                        value,
                        "has no bbox",
                        "it is [x, y, width, height] in pixels",
                    );
                    None
                }
            }
        }
    }
}

/// The smallest box around some points; none without any.
pub(super) fn bounds(points: impl Iterator<Item = (f64, f64)>) -> Option<BBox> {
    let bounds = points.fold(None, |bounds: Option<[f64; 4]>, (x, y)| {
        let [x1, y1, x2, y2] = bounds.unwrap_or([x, y, x, y]);
        Some([x1.min(x), y1.min(y), x2.max(x), y2.max(y)])
    });
    bounds.map(number::bbox)
}
