//! `loc predict`: writes one record per photo, in the photos' order.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use indicatif::{ProgressBar, ProgressDrawTarget};
use loc_data::csv_escape::escape_formula;
use loc_infer::preprocess::FileKind;
use loc_infer::{Absent, Answer, BBox, LoadOptions, Localization, Localizer, Source};
use serde::{Serialize, Serializer};

use super::model;
use super::saver::Saver;
use super::shared::use_threads;
use super::sources::expand;
use crate::args::{PredictArgs, RecordFormat};
use crate::output::{Exit, Output, Usage, escape_name};
use crate::outputs::Inputs;

/// Photos that are predicted before their records are printed.
const BATCH: usize = 32;
/// The tutorial's columns, and the confidence.
const COLUMNS: &str = "filename,width,height,class_num,xmin,ymin,xmax,ymax,confidence";

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

pub(crate) fn run(args: &PredictArgs, output: &Output) -> Result<Exit> {
    if !(0.0..=1.0).contains(&args.conf) {
        bail!(Usage(format!("--conf {}: must be within 0 and 1", args.conf)));
    }
    if let Some(presence) = args.presence.filter(|presence| !(0.0..=1.0).contains(presence)) {
        bail!(Usage(format!("--presence {presence}: must be within 0 and 1")));
    }
    use_threads(args.threads)?;
    let runs_onnx = cfg!(feature = "onnx") && args.model.extension().is_some_and(|e| e == "onnx");
    let model = if runs_onnx { args.model.clone() } else { model::locate(&args.model)? };
    let photos = expand(args, output)?;
    let inputs = Inputs::default().model(&model).files(&photos);
    let saver = args.save.as_deref().map(|dir| Saver::plan(dir, args, &photos, &inputs)).transpose()?;
    let options = LoadOptions::default().allow_nonfinite(args.allow_nonfinite).novelty(args.reject);
    let options = args.presence.map_or(options, |threshold| options.presence(threshold));
    let localizer = Localizer::load_with(&model, &options)?;
    let format =
        args.format.unwrap_or(if output.data_is_seen { RecordFormat::Text } else { RecordFormat::Jsonl });
    if format == RecordFormat::Csv {
        output.data(COLUMNS)?;
    }
    let bar = (output.bars && !output.data_is_seen && photos.len() > BATCH)
        .then(|| ProgressBar::with_draw_target(Some(photos.len() as u64), ProgressDrawTarget::stderr()));
    let (mut failed, mut unsure, mut rejected) = (0usize, 0usize, 0usize);
    for (at, chunk) in photos.chunks(BATCH).enumerate() {
        let sources: Vec<Photo> = chunk.iter().map(|p| Photo(p)).collect();
        let answers = localizer.predict_batch(&sources);
        for (place, (path, result)) in chunk.iter().zip(answers).enumerate() {
            match result {
                Ok(answer) if args.presence.is_some() && answer.presence().is_none() => {
                    bail!(Usage(format!(
                        "--presence: the model {} always answers: it was trained without photos of nothing (hint: \
                         leave --presence out)",
                        model.display()
                    )))
                }
                Ok(Answer::Found(found)) if is_rejected(&found, &localizer) => {
                    rejected += 1;
                    print_rejected(path, &found, format, output)?;
                }
                Ok(Answer::Found(found)) if found.confidence < args.conf => unsure += 1,
                Ok(answer) => {
                    if let Some(format) = FileKind::misnamed(path).map(FileKind::format_name) {
                        let shown = path.to_string_lossy();
                        output.warn(&format!(
                            "{shown}: is a {format} despite its extension: it is read by its content"
                        ));
                    }
                    match &answer {
                        Answer::Found(found) => print_found(path, found, &localizer, format, output)?,
                        Answer::Absent(absent) => print_absent(path, absent, &localizer, format, output)?,
                    }
                    if let Some(saver) = &saver {
                        saver.save(at * BATCH + place, path, &answer)?;
                    }
                }
                Err(error) if args.strict => bail!(error),
                Err(error) => {
                    failed += 1;
                    print_error(path, error.reason().to_string().as_str(), format, output)?;
                }
            }
        }
        if let Some(bar) = &bar {
            bar.inc(chunk.len() as u64);
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    if unsure > 0 {
        output.note(&format!("{unsure} of {} predictions left out by --conf {}", photos.len(), args.conf));
    }
    if rejected > 0 {
        output.note(&format!(
            "{rejected} of {} photos are unlike those that the model knows: no answer",
            photos.len()
        ));
    }
    if failed > 0 {
        output.warn(&format!("{failed} of {} photos could not be read", photos.len()));
        return Ok(Exit::Partly);
    }
    Ok(Exit::Ok)
}

/// A path as a source of `predict_batch`.
struct Photo<'a>(&'a Path);

impl<'a> From<&'a Photo<'_>> for Source<'a> {
    fn from(photo: &'a Photo<'_>) -> Self {
        Source::Path(photo.0)
    }
}

fn print_found(
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

fn print_absent(
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

fn is_rejected(found: &Localization, localizer: &Localizer) -> bool {
    let threshold = localizer.meta().novelty.as_ref().map(|novelty| novelty.threshold);
    found.novelty.zip(threshold).is_some_and(|(novelty, threshold)| novelty > threshold)
}

fn print_rejected(path: &Path, found: &Localization, format: RecordFormat, output: &Output) -> Result<()> {
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

fn print_error(path: &Path, error: &str, format: RecordFormat, output: &Output) -> Result<()> {
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
