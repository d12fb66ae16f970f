//! The records of `loc predict`: a line of JSON, of CSV, or of text for each photo.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use loc_data::csv_escape::escape_formula;
use loc_infer::{Absent, BBox, Localization, Localizer};
use serde::{Serialize, Serializer};

use crate::args::RecordFormat;
use crate::output::{Output, escape_name};

/// The tutorial's columns, and the confidence.
pub(super) const COLUMNS: &str = "filename,width,height,class_num,xmin,ymin,xmax,ymax,confidence";

/// One line of JSON.
#[derive(Serialize)]
#[serde(untagged)]
enum Record<'a> {
    Found {
        path: &'a str,
        width: u32,
        height: u32,
        name: &'a str,
        class: usize,
        confidence: f32,
        #[serde(skip_serializing_if = "Option::is_none")]
        presence: Option<f32>,
        #[serde(rename = "box")]
        bbox: BBox,
        #[serde(skip_serializing_if = "Option::is_none")]
        expected_iou: Option<f32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        outer: Option<BBox>,
        /// `null` if there are margins, but no box is certain to lie in the true one.
        #[serde(skip_serializing_if = "Option::is_none")]
        inner: Option<Option<BBox>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        novelty: Option<f32>,
        #[serde(serialize_with = "as_map")]
        probs: Vec<(&'a str, f32)>,
    },
    /// A photo without an object: the same keys, with `null` for all that only an object has.
    Absent {
        path: &'a str,
        width: u32,
        height: u32,
        name: (),
        class: (),
        confidence: (),
        presence: f32,
        #[serde(rename = "box")]
        bbox: (),
        #[serde(skip_serializing_if = "Option::is_none")]
        expected_iou: Option<()>,
        #[serde(skip_serializing_if = "Option::is_none")]
        outer: Option<()>,
        #[serde(skip_serializing_if = "Option::is_none")]
        inner: Option<()>,
        probs: (),
    },
    /// No answer: the photo is unlike those that the model knows.
    Rejected {
        path: &'a str,
        width: u32,
        height: u32,
        name: (),
        #[serde(rename = "box")]
        bbox: (),
        novelty: f32,
    },
    Error {
        path: &'a str,
        error: &'a str,
    },
}

/// Serialises pairs as a JSON object, in order.
fn as_map<S: Serializer>(pairs: &[(&str, f32)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().copied())
}

pub(super) fn print_found(
    path: &Path,
    found: &Localization,
    localizer: &Localizer,
    format: RecordFormat,
    output: &Output,
) -> Result<()> {
    let shown = path.to_string_lossy();
    let b = found.bbox;
    match format {
        RecordFormat::Jsonl => {
            let classes = &localizer.meta().classes;
            let probs = classes.iter().map(String::as_str).zip(found.probs.iter().copied());
            output.json(&Record::Found {
                path: &shown,
                width: found.width,
                height: found.height,
                name: &found.name,
                class: found.class,
                confidence: found.confidence,
                presence: found.presence,
                bbox: b,
                expected_iou: found.expected_iou,
                outer: found.outer,
                inner: found.outer.map(|_| found.inner),
                novelty: found.novelty,
                probs: probs.collect(),
            })
        }
        RecordFormat::Csv => {
            let numbers = [b.x1, b.y1, b.x2, b.y2, found.confidence].map(|v| v.to_string());
            let fields = [
                escape_formula(&shown),
                found.width.to_string(),
                found.height.to_string(),
                found.class.to_string(),
            ];
            csv_line(fields.iter().chain(&numbers), output)
        }
        RecordFormat::Text => Ok(output.data(&format!(
            "{}: {} {:.2} at {} of {}×{}{}",
            escape_name(&shown),
            escape_name(&found.name),
            found.confidence,
            corners(b),
            found.width,
            found.height,
            trust(found, localizer)
        ))?),
    }
}

pub(super) fn print_absent(
    path: &Path,
    absent: &Absent,
    localizer: &Localizer,
    format: RecordFormat,
    output: &Output,
) -> Result<()> {
    let shown = path.to_string_lossy();
    let &Absent { presence, width, height } = absent;
    let meta = localizer.meta();
    let margins = meta.margins.map(|_| ());
    match format {
        RecordFormat::Jsonl => output.json(&Record::Absent {
            path: &shown,
            width,
            height,
            name: (),
            class: (),
            confidence: (),
            presence,
            bbox: (),
            expected_iou: meta.expected_iou.map(|_| ()),
            outer: margins,
            inner: margins,
            probs: (),
        }),
        RecordFormat::Csv => {
            let fields = [escape_formula(&shown), width.to_string(), height.to_string()];
            let empty = vec![String::new(); COLUMNS.split(',').count() - fields.len()];
            csv_line(fields.iter().chain(&empty), output)
        }
        RecordFormat::Text => Ok(output.data(&format!(
            "{}: no object (presence {presence:.2}) in {width}×{height}",
            escape_name(&shown)
        ))?),
    }
}

fn corners(b: BBox) -> String {
    format!("{:.0},{:.0} to {:.0},{:.0}", b.x1, b.y1, b.x2, b.y2)
}

/// What a calibrated model says about its box, for a person.
fn trust(found: &Localization, localizer: &Localizer) -> String {
    let expected = found.expected_iou.map_or_else(String::new, |iou| format!(", expected IoU {iou:.2}"));
    let (Some(outer), Some(margins)) = (found.outer, localizer.meta().margins) else { return expected };
    let percent = 100.0 * margins.coverage;
    let inner = found.inner.map_or_else(String::new, |inner| format!(" and contains {}", corners(inner)));
    format!("{expected}; with {percent} % it lies in {}{inner}", corners(outer))
}

pub(super) fn print_rejected(
    path: &Path,
    found: &Localization,
    format: RecordFormat,
    output: &Output,
) -> Result<()> {
    let shown = path.to_string_lossy();
    let (width, height, novelty) = (found.width, found.height, found.novelty.unwrap_or_default());
    match format {
        RecordFormat::Jsonl => {
            output.json(&Record::Rejected { path: &shown, width, height, name: (), bbox: (), novelty })
        }
        // A row needs a box; the rejected photos are counted at the end.
        RecordFormat::Csv => Ok(()),
        RecordFormat::Text => Ok(output.data(&format!(
            "{}: no answer, unlike the photos that the model knows (novelty {novelty:.2}), {width}×{height}",
            escape_name(&shown)
        ))?),
    }
}

pub(super) fn print_error(path: &Path, error: &str, format: RecordFormat, output: &Output) -> Result<()> {
    let shown = path.to_string_lossy();
    match format {
        RecordFormat::Jsonl => output.json(&Record::Error { path: &shown, error }),
        // The columns have no field for an error: it is printed to stderr.
        RecordFormat::Csv | RecordFormat::Text => {
            output.error(&anyhow!("{}: {error}", escape_name(&shown)));
            Ok(())
        }
    }
}

fn csv_line<'a>(fields: impl Iterator<Item = &'a String>, output: &Output) -> Result<()> {
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(Vec::new());
    writer.write_record(fields)?;
    let line = String::from_utf8(writer.into_inner()?).context("a CSV line is text")?;
    Ok(output.data(line.trim_end_matches('\n'))?)
}
