//! Create ML JSON: a list of photos, each with boxes given by centre, width and height in pixels. Apple's tools and
//! Roboflow write `image` and `annotations`, newer ones `imagefilename` and `annotation`.

use std::borrow::Cow;
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::{Parser, Top};
use super::registry::{JsonReader, Reader};
use super::{Annotations, Object, class_name, number};
use crate::DiagnosticKind;

pub(super) const READER: Reader =
    Reader { file_a_photo: false, json: Some(JsonReader { fits, read }), files: None };

/// Whether a file's first element is Create ML's.
fn fits(top: &Top<'_>) -> bool {
    let Top::Array(photos) = top else { return false };
    photos.first().is_some_and(|first| {
        serde_json::from_str::<Photo<'_>>(first.get()).is_ok_and(|photo| {
            let objects = photo.annotations.first();
            objects.is_none_or(|object| serde_json::from_str::<Marked>(object.get()).is_ok())
        })
    })
}

#[derive(Deserialize)]
struct Photo<'a> {
    #[serde(borrow, alias = "imagefilename")]
    image: Cow<'a, str>,
    #[serde(borrow, alias = "annotation")]
    annotations: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Marked {
    label: String,
    coordinates: Coordinates,
}

/// Centre, width and height, in pixels.
#[derive(Deserialize)]
struct Coordinates {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// Reads a parsed file.
fn read<'a>(path: &'a Path, text: &'a str, top: &Top<'a>) -> Annotations {
    let Top::Array(photos) = top else { return Annotations::default() };
    let mut reader = Parser::new(path, text);
    for value in photos {
        if reader.is_full() {
            break;
        }
        let Some(given) = reader.parse::<Photo<'a>>(value, "photo") else {
            reader.read.lost += 1;
            continue;
        };
        let mut photo = reader.photo(&given.image, value);
        for value in given.annotations {
            match object(&mut reader, value) {
                Some(object) => photo.objects.push(object),
                None => photo.defective = true,
            }
        }
        reader.read.photos.push(photo);
    }
    reader.read
}

fn object<'a>(reader: &mut Parser<'a>, value: &'a RawValue) -> Option<Object> {
    let Marked { label, coordinates: Coordinates { x, y, width, height } } =
        reader.parse(value, "annotation")?;
    let line = reader.line(value);
    match class_name(label) {
        Ok(label) => {
            let (w, h) = (width / 2.0, height / 2.0);
            let bbox = number::bbox([x - w, y - h, x + w, y + h]);
            Some(Object { label, label_line: line, bbox, line })
        }
        Err(why) => {
            reader.error(DiagnosticKind::Syntax, value, format!("label {why}"), "it names the class");
            None
        }
    }
}
