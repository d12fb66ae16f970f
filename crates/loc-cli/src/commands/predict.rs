//! `loc predict`: writes one record per photo, in the photos' order.

mod records;

use std::path::Path;

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressDrawTarget};
use loc_infer::preprocess::FileKind;
use loc_infer::{Answer, LoadOptions, Localization, Localizer, Source};

use self::records::{COLUMNS, print_absent, print_error, print_found, print_rejected};
use super::model;
use super::saver::Saver;
use super::shared::use_threads;
use super::sources::{Sources, expand};
use crate::args::{PredictArgs, RecordFormat};
use crate::output::{Exit, Output, Usage};
use crate::outputs::Inputs;

/// Photos that are predicted before their records are printed.
const BATCH: usize = 32;

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
    let sources = Sources { sources: &args.sources, recursive: args.recursive, save: args.save.as_deref() };
    let photos = expand(&sources, output)?;
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

fn is_rejected(found: &Localization, localizer: &Localizer) -> bool {
    let threshold = localizer.meta().novelty.as_ref().map(|novelty| novelty.threshold);
    found.novelty.zip(threshold).is_some_and(|(novelty, threshold)| novelty > threshold)
}
