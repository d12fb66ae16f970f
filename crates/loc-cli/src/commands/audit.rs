//! `loc data audit`: photos whose annotation is doubted by heads that have not seen them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use loc_infer::draw::{LabeledBox, draw};
use loc_infer::preprocess::decode_path;
use loc_infer::{BBox, Limits};
use loc_train::{Audit, AuditOptions, AuditedPhoto, Config, ConfigSource, DoubtReason, Stop, audit_settings};
use serde::Serialize;

use super::progress::Progress;
use super::shared::{or_stopped, reading, use_threads};
use super::{model, saver};
use crate::args::{AuditArgs, TextFormat};
use crate::output::{Exit, Output, Usage, escape, escape_name};
use crate::outputs::{Inputs, Kind, Target};
use crate::signals::{self, Signals};

/// Colours of the annotated and of the predicted box.
const GIVEN: [u8; 3] = [230, 57, 70];
const PREDICTED: [u8; 3] = [30, 121, 219];

#[derive(Serialize)]
struct Record<'a> {
    schema: &'static str,
    samples: usize,
    photos: Vec<Photo<'a>>,
}

#[derive(Serialize)]
struct Photo<'a> {
    path: &'a str,
    rank: usize,
    reason: &'static str,
    score: f64,
    suspect: bool,
    iou: f64,
    deviation: Option<f64>,
    given: Answer<'a>,
    predicted: Answer<'a>,
}

#[derive(Serialize)]
struct Answer<'a> {
    name: &'a str,
    class: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f32>,
    #[serde(rename = "box")]
    bbox: BBox,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    probs: BTreeMap<&'a str, f32>,
}

pub(crate) fn run(args: &AuditArgs, output: &Output) -> Result<Exit> {
    let stop = Stop::default();
    let signals = signals::listen(&stop)?;
    or_stopped(audit(args, (&stop, &signals), output), &signals, output)
}

fn audit(args: &AuditArgs, (stop, _): (&Stop, &Signals), output: &Output) -> Result<Exit> {
    use_threads(args.threads)?;
    if args.folds < 2 {
        bail!(Usage(format!("--folds {}: at least 2 are needed", args.folds)));
    }
    let data = &args.data;
    let epochs = args.epochs.map(|epochs| ConfigSource::value("--epochs", "epochs", &epochs.to_string()));
    let seed = ConfigSource::value("--seed", "seed", &args.seed.to_string());
    let sources: Vec<ConfigSource> = [audit_settings(), seed].into_iter().chain(epochs).collect();
    let settings = Config::resolve(Some("transfer"), &sources)?.config;
    let config = Config {
        data: Some(data.data.data.clone()),
        backbone_weights: args.backbone_weights.clone(),
        ..reading(settings, &data.data.reading, data.tolerance)
    };
    if let Some(weights) = &config.backbone_weights {
        model::check_backbone(weights)?;
    }
    let model = args.model.as_deref().map(model::locate).transpose()?;
    let mut inputs = Inputs::of(&config, None)?;
    if let Some(model) = &model {
        inputs = inputs.model(model);
    }
    // Refused before the work is done; the names follow from its result.
    let force = args.overwrite.force;
    if let Some(folder) = &args.save {
        Target::folder(folder, vec![("0001.jpg".into(), Kind::Doubt)], &inputs, force)?;
    }
    let mut progress = Progress::new(output);
    let options = AuditOptions { folds: args.folds, model };
    let audit = loc_train::audit(&config, &options, stop, &mut |e| progress.show(e))?;
    progress.end();
    let listed: Vec<&AuditedPhoto> =
        audit.photos.iter().filter(|photo| args.all || photo.is_suspect).collect();
    match args.format {
        TextFormat::Json => {
            let photos = (1..).zip(&listed).map(|(rank, photo)| record(&audit, photo, rank)).collect();
            output.json(&Record { schema: "loc.audit/1", samples: audit.photos.len(), photos })?;
        }
        TextFormat::Text => {
            for (rank, photo) in (1..).zip(&listed) {
                output.data(&line(&audit, photo, rank))?;
            }
        }
    }
    let suspects = audit.photos.iter().filter(|photo| photo.is_suspect);
    let (classes, boxes): (Vec<_>, Vec<_>) = suspects.partition(|photo| photo.reason == DoubtReason::Class);
    output.note(&format!(
        "{} photos judged by heads that have not seen them; doubtful: the class of {}, the box of {}",
        audit.photos.len(),
        classes.len(),
        boxes.len()
    ));
    if let Some(folder) = &args.save {
        save(folder, &audit, &listed, &inputs, force, output)?;
    }
    Ok(if progress.partly { Exit::Partly } else { Exit::Ok })
}

fn reason(photo: &AuditedPhoto) -> &'static str {
    match photo.reason {
        DoubtReason::Class => "class",
        DoubtReason::Box => "box",
    }
}

/// Probability of the predicted class.
fn confidence(photo: &AuditedPhoto) -> f32 {
    photo.probabilities.get(photo.class).copied().unwrap_or_default()
}

fn record<'a>(audit: &'a Audit, photo: &AuditedPhoto, rank: usize) -> Photo<'a> {
    let classes = &audit.dataset.classes;
    let sample = &audit.dataset.samples[photo.sample];
    let probabilities = classes.iter().map(String::as_str).zip(photo.probabilities.iter().copied());
    Photo {
        path: &sample.file,
        rank,
        reason: reason(photo),
        score: photo.score,
        suspect: photo.is_suspect,
        iou: photo.iou,
        deviation: photo.deviation,
        given: Answer {
            name: &classes[photo.given.class],
            class: photo.given.class,
            confidence: None,
            bbox: photo.given.bbox,
            probs: BTreeMap::new(),
        },
        predicted: Answer {
            name: &classes[photo.class],
            class: photo.class,
            confidence: Some(confidence(photo)),
            bbox: photo.bbox,
            probs: probabilities.collect(),
        },
    }
}

fn line(audit: &Audit, photo: &AuditedPhoto, rank: usize) -> String {
    let sample = &audit.dataset.samples[photo.sample];
    let name = |class: usize| escape_name(&audit.dataset.classes[class]);
    let of = |b: BBox| format!("{:.0},{:.0} to {:.0},{:.0}", b.x1, b.y1, b.x2, b.y2);
    let what = match photo.reason {
        DoubtReason::Class => {
            format!(
                "given {}, predicted {} {:.2}",
                name(photo.given.class),
                name(photo.class),
                confidence(photo)
            )
        }
        DoubtReason::Box => {
            format!("given {}, predicted {}, IoU {:.2}", of(photo.given.bbox), of(photo.bbox), photo.iou)
        }
    };
    format!("{rank:>4} {:.2} {:<5} {}: {what}", photo.score, reason(photo), escape_name(&sample.file))
}

/// Draws the photos: the annotated box in red, the predicted one in blue.
fn save(
    folder: &Path,
    audit: &Audit,
    listed: &[&AuditedPhoto],
    inputs: &Inputs,
    force: bool,
    output: &Output,
) -> Result<()> {
    let sample = |photo: &AuditedPhoto| &audit.dataset.samples[photo.sample];
    let name = |(rank, photo): (usize, &&AuditedPhoto)| {
        let path = &sample(photo).image;
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let stem = &stem[..stem.floor_char_boundary(saver::LONGEST)];
        let name = format!("{rank:04}-{}-{stem}.{}", reason(photo), saver::ending(path));
        (PathBuf::from(name), Kind::Doubt)
    };
    let names = (1..).zip(listed).map(name).collect();
    for (target, photo) in Target::folder(folder, names, inputs, force)?.iter().zip(listed) {
        let sample = sample(photo);
        let mut drawing = decode_path(&sample.image, &Limits::default())?.rgb;
        let class = |class: usize| escape(&audit.dataset.classes[class]);
        let given = LabeledBox { bbox: photo.given.bbox, label: class(photo.given.class), color: GIVEN };
        let label = format!("{} {:.2}", class(photo.class), confidence(photo));
        draw(&mut drawing, &[given, LabeledBox { bbox: photo.bbox, label, color: PREDICTED }]);
        target.write(saver::encoded(&drawing, &sample.image)?)?;
    }
    if !listed.is_empty() {
        output.note(&format!(
            "{}: {} drawings, annotations in red, predictions in blue",
            folder.display(),
            listed.len()
        ));
    }
    Ok(())
}
