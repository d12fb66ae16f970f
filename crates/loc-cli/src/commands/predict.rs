//! `loc predict`: photos in, a record each out, in their order.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use image::ImageEncoder;
use image::codecs::{jpeg::JpegEncoder, png::PngEncoder};
use indicatif::{ProgressBar, ProgressDrawTarget};
use loc_data::cell::guarded;
use loc_infer::draw::{Mark, draw};
use loc_infer::preprocess::{FileKind, decode_path};
use loc_infer::{Limits, LoadOptions, Localization, Localizer, Source};
use serde::{Serialize, Serializer};

use super::labels;
use super::shared::{use_threads, write_whole};
use super::sources::expand;
use crate::args::{LabelFormat, PredictArgs, RecordFormat};
use crate::output::{Exit, Output, Usage, escape_name};

/// Photos that are answered before the next lines are printed.
const BATCH: usize = 32;
/// Longest name of a drawn photo without its ending, in bytes; file systems allow 255 in all.
const LONGEST: usize = 200;
/// JPEG quality of drawn photos.
const QUALITY: u8 = 92;
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
        #[serde(rename = "box")]
        bbox: loc_infer::BBox,
        #[serde(serialize_with = "as_map")]
        probs: Vec<(&'a str, f32)>,
    },
    Error {
        path: &'a str,
        error: &'a str,
    },
}

/// Pairs as a JSON object, in their order.
fn as_map<S: Serializer>(pairs: &[(&str, f32)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().copied())
}

pub(crate) fn run(args: &PredictArgs, output: &Output) -> Result<Exit> {
    if !(0.0..=1.0).contains(&args.conf) {
        bail!(Usage(format!("--conf {}: must be within 0 and 1", args.conf)));
    }
    use_threads(args.threads)?;
    let options = LoadOptions::default().allow_nonfinite(args.allow_nonfinite);
    let localizer = Localizer::load_with(&args.model, &options).map_err(nonfinite_hint)?;
    let photos = expand(args, output)?;
    let format =
        args.format.unwrap_or(if output.data_is_seen { RecordFormat::Text } else { RecordFormat::Jsonl });
    let mut saver = args.save.as_deref().map(|dir| Saver::new(dir, args.save_labels)).transpose()?;
    if format == RecordFormat::Csv {
        output.data(COLUMNS)?;
    }
    let bar = (output.bars && !output.data_is_seen && photos.len() > BATCH)
        .then(|| ProgressBar::with_draw_target(Some(photos.len() as u64), ProgressDrawTarget::stderr()));
    let (mut failed, mut unsure) = (0usize, 0usize);
    for chunk in photos.chunks(BATCH) {
        let sources: Vec<Photo> = chunk.iter().map(|p| Photo(p)).collect();
        for (path, result) in chunk.iter().zip(localizer.predict_batch(&sources)) {
            match result {
                Ok(found) if found.confidence < args.conf => unsure += 1,
                Ok(found) => {
                    if let Some(format) = FileKind::misnamed(path).map(FileKind::format_name) {
                        let shown = path.to_string_lossy();
                        output.warn(&format!(
                            "{shown}: is a {format}, whatever its name says: it is read by its content"
                        ));
                    }
                    print_found(path, &found, &localizer, format, output)?;
                    if let Some(saver) = &mut saver {
                        saver.save(path, &found)?;
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
        output.note(&format!("{unsure} of {} answers left out by --conf {}", photos.len(), args.conf));
    }
    if failed > 0 {
        output.warn(&format!("{failed} of {} photos could not be read", photos.len()));
        return Ok(Exit::Partly);
    }
    Ok(Exit::Ok)
}

/// The error of a model, and the flag where that would help.
fn nonfinite_hint(error: loc_infer::Error) -> anyhow::Error {
    let refused = error.to_string().contains(" non-finite values");
    let error = anyhow::Error::new(error);
    if refused { anyhow!("{error:#} (hint: `--allow-nonfinite` uses it all the same)") } else { error }
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
                bbox: b,
                probs: probs.collect(),
            })
        }
        RecordFormat::Csv => {
            let numbers = [b.x1, b.y1, b.x2, b.y2, found.confidence].map(|v| v.to_string());
            let fields =
                [guarded(&shown), found.width.to_string(), found.height.to_string(), found.class.to_string()];
            csv_line(fields.iter().chain(&numbers), output)
        }
        RecordFormat::Text => Ok(output.data(&format!(
            "{}: {} {:.2} at {:.0},{:.0} to {:.0},{:.0} of {}×{}",
            escape_name(&shown),
            escape_name(&found.name),
            found.confidence,
            b.x1,
            b.y1,
            b.x2,
            b.y2,
            found.width,
            found.height
        ))?),
    }
}

fn print_error(path: &Path, error: &str, format: RecordFormat, output: &Output) -> Result<()> {
    let shown = path.to_string_lossy();
    match format {
        RecordFormat::Jsonl => output.json(&Record::Error { path: &shown, error }),
        // The columns have no room for an error: it goes where people look.
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

/// Writes drawn photos, and annotations if asked, under names that do not collide.
struct Saver<'a> {
    folder: &'a Path,
    labels: Option<LabelFormat>,
    taken: HashSet<String>,
}

impl<'a> Saver<'a> {
    fn new(folder: &'a Path, labels: Option<LabelFormat>) -> Result<Self> {
        fs_err::create_dir_all(folder)?;
        if labels.is_some() {
            fs_err::create_dir_all(folder.join("labels"))?;
        }
        Ok(Self { folder, labels, taken: HashSet::new() })
    }

    fn save(&mut self, path: &Path, found: &Localization) -> Result<()> {
        let png = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"));
        let file = self.file_name(path, if png { "png" } else { "jpg" });
        let mut photo = decode_path(path, &Limits::default())?.rgb;
        draw(&mut photo, &[Mark::of(found)]);
        let (bytes, size, color) =
            (photo.as_raw(), (photo.width(), photo.height()), image::ExtendedColorType::Rgb8);
        let mut encoded = Vec::new();
        match png {
            true => PngEncoder::new(&mut encoded).write_image(bytes, size.0, size.1, color),
            false => {
                JpegEncoder::new_with_quality(&mut encoded, QUALITY).write_image(bytes, size.0, size.1, color)
            }
        }
        .with_context(|| format!("encoding {}", file.display()))?;
        write_whole(&file, &encoded)?;
        match self.labels {
            None => Ok(()),
            Some(LabelFormat::Voc) => {
                let name = file.with_extension("xml");
                let name = name.file_name().unwrap_or_default();
                write_whole(&self.folder.join("labels").join(name), labels::voc(path, found).as_bytes())
            }
        }
    }

    /// `photo.jpg`, or `photo-2.jpg` where another folder's photo has that name.
    fn file_name(&mut self, path: &Path, ending: &str) -> PathBuf {
        let stem =
            path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_else(|| "photo".into());
        // Room for the ending, a number, and what a file that is being written is called.
        let stem = stem[..stem.floor_char_boundary(LONGEST)].to_owned();
        let names = std::iter::once(stem.clone()).chain((2..).map(|n| format!("{stem}-{n}")));
        for name in names {
            if self.taken.insert(name.to_lowercase()) {
                return self.folder.join(format!("{name}.{ending}"));
            }
        }
        unreachable!("there are more numbers than photos")
    }
}
