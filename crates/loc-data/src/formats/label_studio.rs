//! Label Studio's exports: JSON (a list of tasks with `annotations`), JSON-MIN and CSV (fields with the labels
//! themselves). Boxes in percent of the photo's size, which stands beside them.

use std::borrow::Cow;
use std::path::Path;

use loc_infer::preprocess::FileKind;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::json::{self, Fields, Parser, Top};
use super::number::{self, quoted};
use super::registry::{FilesReader, JsonReader, Reader};
use super::{Annotation, Annotations, Empty, Object, Request, class_name};
use crate::file_index::FileIndex;
use crate::{Diagnostic, DiagnosticKind};

pub(super) const READER: Reader = Reader {
    file_a_photo: false,
    json: Some(JsonReader { fits, read }),
    files: Some(FilesReader {
        recognise: |files, _| files.csvs.iter().any(|path| looks_like_csv(path)),
        read: read_tables,
    }),
};

/// Whether one of a file's first elements is an annotated task of Label Studio.
fn fits(top: &Top<'_>) -> bool {
    const TRIED: usize = 100;
    let Top::Array(tasks) = top else { return false };
    let mut first =
        tasks.iter().take(TRIED).filter_map(|task| serde_json::from_str::<Fields<'_>>(task.get()).ok());
    first.any(|task| {
        task.has(&["annotations", "data"])
            || task.has(&["completions", "data"])
            || task.has(&["image", "id", "annotator"])
            || task.0.iter().any(|(_, value)| is_labels(value))
    })
}

/// Whether a value is a list of results with labels, as JSON-MIN has them in a field of the label's name.
fn is_labels(value: &RawValue) -> bool {
    serde_json::from_str::<Vec<&RawValue>>(value.get()).is_ok_and(|list| {
        list.first().is_some_and(|first| {
            serde_json::from_str::<Fields<'_>>(first.get())
                .is_ok_and(|fields| fields.has(&["original_width", "original_height"]))
        })
    })
}

/// Whether a value is a list of objects, with at least one.
fn is_objects(value: &RawValue) -> bool {
    serde_json::from_str::<Vec<Fields<'_>>>(value.get()).is_ok_and(|list| !list.is_empty())
}

#[derive(Deserialize)]
struct Task<'a> {
    #[serde(borrow)]
    data: Fields<'a>,
    #[serde(borrow, alias = "completions", default)]
    annotations: Vec<Work<'a>>,
}

/// One person's work on a task.
#[derive(Deserialize)]
struct Work<'a> {
    #[serde(borrow, default)]
    result: Vec<&'a RawValue>,
    #[serde(default)]
    was_cancelled: bool,
}

#[derive(Deserialize)]
struct Outcome<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Option<Cow<'a, str>>,
    original_width: Option<f64>,
    original_height: Option<f64>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

/// A rectangle, in percent.
#[derive(Deserialize)]
struct Rectangle {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    #[serde(default)]
    rotation: f64,
    #[serde(alias = "labels", default)]
    rectanglelabels: Vec<String>,
    original_width: Option<f64>,
    original_height: Option<f64>,
}

/// Whether a CSV is an export: columns for the photo and the labels, and JSON with a photo's size in one of its first rows.
fn looks_like_csv(path: &Path) -> bool {
    const ROWS: usize = 100;
    if !path.is_file() {
        return false;
    }
    let Ok(mut rows) = csv::ReaderBuilder::new().flexible(true).from_path(path) else { return false };
    let has_column =
        |name: &str| matches!(name.trim_start_matches('\u{feff}'), "annotator" | "annotation_id" | "id");
    let has_columns = rows.headers().is_ok_and(|header| header.iter().any(has_column));
    let has_labels = |row: csv::Result<csv::StringRecord>| {
        row.is_ok_and(|row| row.iter().any(|cell| cell.starts_with("[{") && cell.contains("original_width")))
    };
    has_columns && rows.records().take(ROWS).any(has_labels)
}

/// Reads the CSV exports.
fn read_tables(files: &FileIndex, request: &Request<'_>) -> Annotations {
    let mut all = Annotations::default();
    for path in files.csvs.iter().filter(|path| looks_like_csv(path)) {
        all.append(match json::text_of(path, request.encoding) {
            Ok(text) => read_csv(path, &text),
            Err(why) => Annotations { diagnostics: vec![why], incomplete: true, ..Annotations::default() },
        });
    }
    all
}

/// Reads a CSV export: each row is a task in the short form.
fn read_csv(path: &Path, text: &str) -> Annotations {
    let mut all = Annotations::default();
    let mut rows = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let names: Vec<String> =
        rows.headers().map(|h| h.iter().map(str::to_owned).collect()).unwrap_or_default();
    for row in rows.records() {
        let Ok(row) = row else { continue };
        let line = row.position().map_or(1, csv::Position::line);
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        // The row as a JSON object: cells that are JSON lists stay what they are.
        let cells = names.iter().zip(row.iter());
        let value = |cell: &str| match cell.starts_with("[{") {
            true => serde_json::from_str(cell),
            false => Ok(Value::from(cell)),
        };
        let fields: Result<serde_json::Map<String, Value>, _> =
            cells.map(|(name, cell)| Ok((name.clone(), value(cell)?))).collect();
        let fields = match fields {
            Ok(fields) if row.len() == names.len() => fields,
            wrong => {
                let why = wrong.err().map_or_else(
                    || {
                        format!(
                            "{} where the header has {}",
                            crate::error::count(row.len(), "field"),
                            names.len()
                        )
                    },
                    |e: serde_json::Error| format!("the labels are not well-formed JSON: {e}"),
                );
                let finding = Diagnostic::error(DiagnosticKind::Syntax, path, Some(line), why);
                all.diagnostics.push(finding.hint("export it again"));
                all.lost += 1;
                continue;
            }
        };
        let task = Value::Array(vec![Value::Object(fields)]).to_string();
        let Ok(top) = json::top(path, &task) else { continue };
        let mut read = read(path, &task, &top);
        // The task is one line; in the file it stands on the row's.
        for photo in &mut read.photos {
            photo.line = line;
            photo.size = photo.size.map(|(size, _)| (size, line));
            photo.objects.iter_mut().for_each(|object| (object.line, object.label_line) = (line, line));
        }
        read.diagnostics.iter_mut().for_each(|diagnostic| diagnostic.line = Some(line));
        all.append(read);
    }
    all
}

/// Reads a parsed file.
fn read<'a>(path: &'a Path, text: &'a str, top: &Top<'a>) -> Annotations {
    let Top::Array(tasks) = top else { return Annotations::default() };
    let mut reader = Parser::new(path, text);
    for value in tasks {
        if reader.is_full() {
            break;
        }
        let Some(fields) = reader.parse::<Fields<'a>>(value, "task") else {
            reader.read.lost += 1;
            continue;
        };
        let is_whole = fields.has(&["data"]);
        let photo = if is_whole { task(&mut reader, value) } else { short(&mut reader, &fields, value) };
        match photo {
            Some(photo) => reader.read.photos.push(photo),
            None => reader.read.lost += 1,
        }
    }
    reader.read
}

/// A task of the full export.
fn task<'a>(reader: &mut Parser<'a>, value: &'a RawValue) -> Option<Annotation> {
    let task = reader.parse::<Task<'a>>(value, "task")?;
    let name = photo_in(&task.data);
    let Some(name) = name else {
        reader.error(DiagnosticKind::FieldMissing, value, "data names no photo", "it is a task of images");
        return None;
    };
    let mut photo = named(reader, &name, value);
    let mut works = task.annotations.iter().filter(|work| !work.was_cancelled);
    let (first, second) = (works.next(), works.next());
    if first.is_none() {
        photo.empty = Empty::Open;
    }
    if second.is_some() {
        let message =
            format!("{} was annotated more than once, the first annotation is used", quoted(&photo.photo));
        reader.warning(DiagnosticKind::PhotoDoubled, value, message);
    }
    for result in first.iter().flat_map(|work| &work.result) {
        let Some(outcome) = reader.parse::<Outcome<'a>>(result, "result") else {
            photo.defective = true;
            continue;
        };
        match (outcome.kind.as_deref(), outcome.value) {
            (Some("rectanglelabels") | None, Some(rectangle)) => {
                let size = (outcome.original_width, outcome.original_height);
                rectangle_of(reader, &mut photo, rectangle, size);
            }
            (Some(kind), _) => {
                photo.empty = Empty::Unclear;
                let message = format!("a result of the type {kind} is no box, it is not used");
                reader.warning(DiagnosticKind::ObjectIgnored, result, message);
            }
            (None, None) => photo.empty = Empty::Unclear,
        }
    }
    Some(photo)
}

/// A task of the short export: its labels are a field beside the photo.
fn short<'a>(reader: &mut Parser<'a>, fields: &Fields<'a>, value: &'a RawValue) -> Option<Annotation> {
    let Some(name) = photo_in(fields) else {
        reader.error(DiagnosticKind::FieldMissing, value, "names no photo", "it is a task of images");
        return None;
    };
    let mut photo = named(reader, &name, value);
    let has_work = ["annotator", "annotation_id"].iter().any(|key| fields.has(&[key]));
    // A list in another field may hold the labels of a form that is not known here.
    if !has_work || fields.0.iter().any(|(_, value)| is_objects(value)) {
        photo.empty = if has_work { Empty::Unclear } else { Empty::Open };
    }
    for (_, labels) in fields.0.iter().filter(|(_, value)| is_labels(value)) {
        for rectangle in reader.parse::<Vec<&'a RawValue>>(labels, "labels").unwrap_or_default() {
            rectangle_of(reader, &mut photo, rectangle, (None, None));
        }
    }
    Some(photo)
}

/// Adds a rectangle: from percent to pixels by the size that stands beside it.
fn rectangle_of<'a>(
    reader: &mut Parser<'a>,
    photo: &mut Annotation,
    value: &'a RawValue,
    (width, height): (Option<f64>, Option<f64>),
) {
    let Some(rectangle) = reader.parse::<Rectangle>(value, "rectangle") else {
        photo.defective = true;
        return;
    };
    let size = (rectangle.original_width.or(width), rectangle.original_height.or(height));
    let size = match size {
        (Some(width), Some(height)) => (width, height),
        _ => {
            let hint = "without original_width and original_height percents mean nothing";
            reader.error(DiagnosticKind::FieldMissing, value, "has no size of the photo", hint);
            photo.defective = true;
            return;
        }
    };
    if photo.size.is_none() {
        photo.size = reader.size(Some(size.0), Some(size.1), value);
    }
    let line = reader.line(value);
    let mut labels = rectangle.rectanglelabels.into_iter();
    let label = match (labels.next(), labels.next()) {
        (Some(label), None) => class_name(label),
        (None, _) => Err("has no label".to_owned()),
        (Some(_), Some(_)) => Err("has several labels".to_owned()),
    };
    let label = match label {
        Ok(label) => label,
        Err(why) => {
            reader.error(DiagnosticKind::FieldMissing, value, why, "each box needs one label: its class");
            photo.defective = true;
            return;
        }
    };
    let (x, y) = (rectangle.x / 100.0 * size.0, rectangle.y / 100.0 * size.1);
    let (w, h) = (rectangle.width / 100.0 * size.0, rectangle.height / 100.0 * size.1);
    let bbox = if rectangle.rotation == 0.0 {
        number::bbox([x, y, x + w, y + h])
    } else {
        reader.warning(
            DiagnosticKind::BoxDerived,
            value,
            "is a rotated box: the upright box around it is used",
        );
        // Turned clockwise about its upper left corner.
        let (sin, cos) = rectangle.rotation.to_radians().sin_cos();
        let corners = [(0.0, 0.0), (w, 0.0), (0.0, h), (w, h)];
        let turned = corners.map(|(u, v)| (x + u * cos - v * sin, y + u * sin + v * cos));
        match super::coco::bounds(turned.into_iter()) {
            Some(bbox) => bbox,
            None => {
                photo.empty = Empty::Unclear;
                return;
            }
        }
    };
    photo.objects.push(Object { label, label_line: line, bbox, line });
}

/// The photo that a task names: the field `image`, or the first text with the ending of a photo.
fn photo_in(fields: &Fields<'_>) -> Option<String> {
    let text = |value: &&RawValue| serde_json::from_str::<String>(value.get()).ok();
    let is_photo = |name: &String| FileKind::of_ending(Path::new(name)).is_some_and(FileKind::is_photo);
    let named = ["image", "img", "photo"].iter().find_map(|key| fields.get(key).as_ref().and_then(text));
    named.or_else(|| fields.0.iter().filter_map(|(_, value)| text(value)).find(is_photo))
}

/// An annotation of the photo at this address.
fn named<'a>(reader: &Parser<'a>, address: &str, at: &RawValue) -> Annotation {
    let name = photo_name(address);
    let other_name = without_prefix(&name).map(str::to_owned);
    Annotation { other_name, ..reader.photo(&name, at) }
}

/// The photo's own name in the address that Label Studio gives it.
fn photo_name(address: &str) -> String {
    // Local files: `/data/local-files/?d=folder/a.jpg`.
    let path = match address.split_once("?d=") {
        Some((_, path)) => path,
        None => match address.split_once("://") {
            Some((_, path)) => path.split('?').next().unwrap_or(path),
            None => address,
        },
    };
    let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned();
    match path.strip_prefix("/data/upload/") {
        // Uploads: `/data/upload/PROJECT/0123abcd-a.jpg`.
        Some(upload) => upload.rsplit('/').next().unwrap_or(upload).to_owned(),
        None => path.trim_start_matches('/').to_owned(),
    }
}

/// An upload's name without the eight digits that Label Studio puts before it, if it has them.
fn without_prefix(name: &str) -> Option<&str> {
    let (prefix, rest) = name.split_once('-')?;
    (prefix.len() == 8 && prefix.bytes().all(|b| b.is_ascii_hexdigit()) && !rest.is_empty()).then_some(rest)
}
