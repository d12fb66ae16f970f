//! `loc val`: evaluates models on annotated photos, and compares them with the constant answer and with each other.

mod gates;
mod record;
mod text;

use std::time::Instant;

use anyhow::{Result, bail};
use loc_data::{Loader, PhotoCache, PhotoStore};
use loc_infer::InputSpec;
use loc_train::{
    Differences, EvaluateOptions, ModelFile, NoveltyFigures, at_temperature, baseline_only, best_temperature,
    calibration, differences, novelty_figures,
};
use serde::Serialize;

use self::gates::Gate;
use self::record::{Found, Record, Speed};
use super::evaluation::{BATCH, Named, Photos, judge};
use super::model::Model;
use super::shared::use_threads;
use crate::args::{Part, TextFormat, ValArgs};
use crate::output::{Exit, Output, Usage};

/// `loc.compare/1`: several models on the same photos.
#[derive(Serialize)]
struct Compared<'a> {
    schema: &'static str,
    split: &'static str,
    samples: usize,
    models: Vec<Record<'a>>,
    differences: Vec<FromFirst<'a>>,
}

/// The differences of a model from the first.
#[derive(Serialize)]
struct FromFirst<'a> {
    model: &'a str,
    from: &'a str,
    #[serde(flatten)]
    differences: Option<Differences>,
}

pub(crate) fn run(args: &ValArgs, output: &Output) -> Result<Exit> {
    let gates = args.fail_under.iter().map(|gate| Gate::parse(gate)).collect::<Result<Vec<_>>>()?;
    if args.model.len() > 1 && (args.calibrate || !gates.is_empty()) {
        bail!(Usage("--calibrate and --fail-under are for one model (hint: give `-m` once)".into()));
    }
    if args.calibrate && args.photos.split == Part::Train {
        let why = "the model has learned these photos, and is more confident about them than about others";
        bail!(Usage(format!("--calibrate --split train: {why} (hint: leave --split out)")));
    }
    use_threads(args.photos.threads)?;
    let models = args.model.iter().map(|given| Named::load(given)).collect::<Result<Vec<_>>>()?;
    let photos = Photos::of(&args.photos, &models, output)?;
    let (name, exit) = (photos.part, photos.exit);
    let found = evaluate_all(args, &models, &photos)?;
    let names: Vec<&str> = photos.dataset.samples.iter().map(|sample| sample.file.as_str()).collect();
    for (named, found) in models.iter().zip(&found) {
        warn_of_calibration(named, found, &names, output);
    }
    let failed = match &found[..] {
        [one] => {
            report(one, name, args.format, output)?;
            gates.iter().filter_map(|gate| gate.failure(&one.evaluation)).collect()
        }
        several => compare(several, name, args.format, output).map(|()| Vec::new())?,
    };
    if args.calibrate {
        calibrate(&models[0], &found[0], output)?;
    }
    for failure in &failed {
        output.warn(failure);
    }
    Ok(if failed.is_empty() { exit } else { Exit::Gate })
}

fn evaluate_all(args: &ValArgs, models: &[Named], photos: &Photos) -> Result<Vec<Found>> {
    let Photos { dataset, split, chosen, .. } = photos;
    let baseline = baseline_only(dataset, &split.train, chosen);
    let options = EvaluateOptions { batch: BATCH, flip: args.flip };
    let mut loaded: Option<(InputSpec, Loader, f64)> = None;
    let mut all = Vec::new();
    let each = |began: Instant| began.elapsed().as_secs_f64() * 1e3 / chosen.len().max(1) as f64;
    for Named { given, model, .. } in models {
        let meta = &model.file.meta;
        // Models with the same input share the decoded photos.
        let (_, loader, prepare_ms) = match loaded.take().filter(|(input, ..)| *input == meta.input) {
            Some(same) => loaded.insert(same),
            None => {
                let began = Instant::now();
                // In memory, so that the time for preparing photos is not the network's; on demand if they are too many.
                let store = PhotoStore::new(PhotoCache::Auto, meta.input, None);
                let loader = Loader::from_store(dataset, chosen, &store, args.photos.workers)?;
                loaded.insert((meta.input, loader, each(began)))
            }
        };
        let began = Instant::now();
        let (mut evaluation, judged) = judge(model, loader, dataset, baseline, options, args.photos.workers)?;
        if args.format == TextFormat::Json && !args.intervals {
            evaluation.intervals = None;
        }
        let predict_ms = each(began);
        let novelty = novelty(model, loader, photos)?;
        let speed = Speed {
            prepare_ms: *prepare_ms,
            predict_ms,
            batch: BATCH,
            threads: rayon::current_num_threads(),
        };
        let (model, meta) = (given.display().to_string(), meta.clone());
        all.push(Found { model, meta, evaluation, judged, novelty, speed });
    }
    Ok(all)
}

/// Whether the photos would be rejected, if the model can tell.
fn novelty(model: &Model, loader: &Loader, photos: &Photos) -> Result<Option<NoveltyFigures>> {
    let Some(novelty) = &model.file.meta.novelty else { return Ok(None) };
    let found = loc_train::novelties(&model.network, &model.weights, novelty, loader)?;
    let present = photos.chosen.iter().map(|sample| !photos.dataset.samples[*sample].is_negative());
    Ok(novelty_figures(novelty, &present.zip(found).collect::<Vec<_>>()))
}

fn report(found: &Found, split: &'static str, format: TextFormat, output: &Output) -> Result<()> {
    match format {
        TextFormat::Json => output.json(&found.record(split)),
        TextFormat::Text => Ok(output.data(&text::describe(found, split))?),
    }
}

/// Each model, then the differences from the first, photo by photo.
fn compare(all: &[Found], split: &'static str, format: TextFormat, output: &Output) -> Result<()> {
    let Some((first, others)) = all.split_first() else { return Ok(()) };
    let from_first = |other: &Found| differences(&first.judged, &other.judged);
    if format == TextFormat::Json {
        return output.json(&Compared {
            schema: "loc.compare/1",
            split,
            samples: first.judged.len(),
            models: all.iter().map(|found| found.record(split)).collect(),
            differences: others
                .iter()
                .map(|other| FromFirst {
                    model: &other.model,
                    from: &first.model,
                    differences: from_first(other),
                })
                .collect(),
        });
    }
    for found in all {
        output.data(&format!(
            "{}\n{}\n",
            crate::output::escape_name(&found.model),
            text::describe(found, split)
        ))?;
    }
    for other in others {
        if let Some(d) = from_first(other) {
            output.data(&text::compare(first, other, &d))?;
        }
    }
    Ok(())
}

/// Warns if the model was calibrated on just these photos: it fits them better than others.
fn warn_of_calibration(named: &Named, found: &Found, names: &[&str], output: &Output) {
    let record = named.model.file.calibrated.as_ref();
    if let Some(record) = record.filter(|record| record.is_of(&found.judged, names)) {
        let shown = named.given.display();
        output.warn(&format!(
            "{shown}: its confidences and margins fit these photos better than others: {record}"
        ));
    }
}

/// Stores the best temperature in the model file.
fn calibrate(named: &Named, found: &Found, output: &Output) -> Result<()> {
    let given = named.given.display();
    let Some(temperature) = best_temperature(&found.judged) else {
        let why = match found.meta.classes.len() {
            0 | 1 => "with one class the confidence is always 1",
            _ if found.judged.iter().all(loc_train::Judged::is_right) => {
                "the class of every photo is right, so that no confidence is too high"
            }
            _ => "the model's classes are no better than chance on these photos",
        };
        bail!(
            "{given}: these photos do not decide a temperature: {why} (hint: use more photos that were not trained on)"
        );
    };
    let error = |judged: &[loc_train::Judged]| calibration(judged).map_or(0.0, |c| c.ece);
    let (before, after) = (error(&found.judged), error(&at_temperature(&found.judged, temperature)));
    ModelFile::set_temperature(&named.path, temperature)?;
    output.note(&format!(
        "{}: temperature {temperature:.3} stored; on these photos the expected calibration error falls from {before:.3} to \
         {after:.3}",
        named.path.display()
    ));
    Ok(())
}
