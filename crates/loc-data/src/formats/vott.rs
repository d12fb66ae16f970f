//! VoTT JSON: the export of a whole project (`assets` by id), the file of one photo (`asset` and `regions`), and the
//! first version's `frames`. Boxes in pixels.

use std::borrow::Cow;
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::coco::bounds;
use super::json::{Fields, Parser, Top};
use super::number::{self, quoted};
use super::registry::{JsonReader, Reader};
use super::{Annotation, Annotations, Empty, Object, Scope, class_name};
use crate::{BBox, DiagnosticKind};

pub(super) const READER: Reader =
    Reader { file_a_photo: false, json: Some(JsonReader { fits, read }), files: None };

/// Whether a file's outermost keys are VoTT's.
fn fits(top: &Top<'_>) -> bool {
    let Top::Object(fields) = top else { return false };
    let is_first_version = ["inputTags", "visitedFrames", "framerate"].iter().any(|key| fields.has(&[key]));
    fields.has(&["asset", "regions"])
        || (is_first_version && fields.get("frames").is_some_and(is_object))
        || (fields.has(&["tags"]) && fields.get("assets").is_some_and(is_object))
}

fn is_object(value: &RawValue) -> bool {
    value.get().starts_with('{')
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    asset: Asset<'a>,
    #[serde(borrow, default)]
    regions: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Asset<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    size: Option<Size>,
    /// 0: not visited yet.
    state: Option<f64>,
}

#[derive(Deserialize, Clone, Copy)]
struct Size {
    width: f64,
    height: f64,
}

#[derive(Deserialize)]
struct Region {
    tags: Vec<String>,
    #[serde(rename = "boundingBox")]
    bounding_box: Option<Bounding>,
    #[serde(default)]
    points: Vec<Point>,
}

#[derive(Deserialize)]
struct Bounding {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

#[derive(Deserialize)]
struct Point {
    x: f64,
    y: f64,
}

/// A box of the first version.
#[derive(Deserialize)]
struct Frame {
    x1: f64,
    y1: f64,
    x2: f64,
    y2: f64,
    width: Option<f64>,
    height: Option<f64>,
    tags: Vec<String>,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
}

/// Reads a parsed file.
fn read<'a>(path: &'a Path, text: &'a str, top: &Top<'a>) -> Annotations {
    let Top::Object(fields) = top else { return Annotations::default() };
    let mut reader = Parser::new(path, text);
    for value in reader.list(fields, "tags") {
        if let Ok(tag) = serde_json::from_str::<Tag>(value.get()) {
            reader.read.classes.push(tag.name);
        }
    }
    if let Some(frames) = fields.get("frames") {
        self::frames(&mut reader, frames);
    } else if let Some(assets) = fields.get("assets") {
        for (_, value) in
            reader.parse::<Fields<'a>>(assets, "assets").map(|assets| assets.0).unwrap_or_default()
        {
            if reader.is_full() {
                break;
            }
            match reader.parse::<Item<'a>>(value, "asset") {
                Some(item) => self::item(&mut reader, item, value),
                None => reader.read.lost += 1,
            }
        }
    } else if let (Some(asset), Some(regions)) = (fields.get("asset"), fields.get("regions")) {
        let parsed = (reader.parse::<Asset<'a>>(asset, "asset"), reader.parse(regions, "regions"));
        match parsed {
            (Some(parsed), Some(regions)) => {
                item(&mut reader, Item { asset: parsed, regions }, asset);
                reader.read.photos.iter_mut().for_each(|photo| photo.scope = Scope::One);
            }
            _ => reader.read.lost += 1,
        }
    }
    reader.read
}

fn item<'a>(reader: &mut Parser<'a>, item: Item<'a>, at: &'a RawValue) {
    let mut photo = reader.photo(&item.asset.name, at);
    photo.size = reader.size(item.asset.size.map(|s| s.width), item.asset.size.map(|s| s.height), at);
    if item.asset.state == Some(0.0) {
        photo.empty = Empty::Open;
    }
    for value in item.regions {
        let Some(region) = reader.parse::<Region>(value, "region") else {
            photo.defective = true;
            continue;
        };
        let bbox = match region.bounding_box {
            Some(Bounding { left, top, width, height }) => {
                Some(number::bbox([left, top, left + width, top + height]))
            }
            None => bounds(region.points.iter().map(|p| (p.x, p.y))),
        };
        object(reader, &mut photo, value, region.tags, bbox);
    }
    reader.read.photos.push(photo);
}

fn frames<'a>(reader: &mut Parser<'a>, frames: &'a RawValue) {
    for (name, boxes) in reader.parse::<Fields<'a>>(frames, "frames").map(|f| f.0).unwrap_or_default() {
        let mut photo = reader.photo(&name, boxes);
        for value in reader.parse::<Vec<&'a RawValue>>(boxes, "frame").unwrap_or_default() {
            let Some(frame) = reader.parse::<Frame>(value, "box") else {
                photo.defective = true;
                continue;
            };
            if photo.size.is_none() {
                photo.size = reader.size(frame.width, frame.height, value);
            }
            let Frame { x1, y1, x2, y2, .. } = frame;
            let bbox = number::bbox([x1, y1, x2, y2]);
            object(reader, &mut photo, value, frame.tags, Some(bbox));
        }
        reader.read.photos.push(photo);
    }
}

/// Adds an object with the class of its one tag.
fn object<'a>(
    reader: &mut Parser<'a>,
    photo: &mut Annotation,
    value: &'a RawValue,
    tags: Vec<String>,
    bbox: Option<BBox>,
) {
    let line = reader.line(value);
    let mut tags = tags.into_iter();
    let label = match (tags.next(), tags.next()) {
        (Some(tag), None) => class_name(tag).map_err(|why| format!("the tag {why}")),
        (None, _) => Err("has no tag".to_owned()),
        (Some(first), Some(second)) => {
            Err(format!("has several tags, {} and {}", quoted(&first), quoted(&second)))
        }
    };
    match (label, bbox) {
        (Ok(label), Some(bbox)) => photo.objects.push(Object { label, label_line: line, bbox, line }),
        (Err(why), _) => {
            reader.error(DiagnosticKind::FieldMissing, value, why, "each box needs one tag: its class");
            photo.defective = true;
        }
        (Ok(_), None) => {
            reader.error(
                DiagnosticKind::FieldMissing,
                value,
                "has neither a bounding box nor points",
                "draw the object's box",
            );
            photo.defective = true;
        }
    }
}
