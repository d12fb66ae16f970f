//! `loc calibrate`: fits temperature, expected IoU and margins to held-back photos, and stores them in the model file.

use std::collections::HashSet;

use anyhow::{Result, bail};
use loc_data::Loader;
use loc_data::random::Random;
use loc_infer::confidence::{Margins, Novelty};
use loc_train::{BeforeAfter, Calibrated, EvaluateOptions, KNOWN_PHOTOS, ModelFile, photos_needed};

use super::evaluation::{BATCH, Named, Photos, judge};
use super::shared::{read_options, use_threads};
use crate::args::{CalibrateArgs, Part};
use crate::output::{Exit, Output, Usage, escape_name};
use crate::outputs::{Inputs, Kind, Target};

pub(crate) fn run(args: &CalibrateArgs, output: &Output) -> Result<Exit> {
    if !(args.coverage > 0.0 && args.coverage < 1.0) {
        bail!(Usage(format!("--coverage {}: must be above 0 and below 1 (hint: 0.9)", args.coverage)));
    }
    if args.photos.split == Part::Train {
        let why = "the model has learned these photos, and is more accurate on them than on others";
        bail!(Usage(format!("--split train: {why} (hint: leave --split out)")));
    }
    use_threads(args.photos.threads)?;
    let named = Named::load(&args.model)?;
    let data = read_options(&args.photos.reading, args.photos.tolerance)?;
    let inputs =
        Inputs::default().model(&named.path).files(&args.photos.split_file).data(&args.photos.data, data);
    let target = |path| Target::file(path, Kind::Calibrated, &inputs, args.overwrite.force);
    let target = args.output.as_deref().map(target).transpose()?;
    let models = [named];
    let photos = Photos::of(&args.photos, &models, output)?;
    let [named] = models;
    let shown = photos.dataset.positives(&photos.chosen);
    let (count, needed) = (shown.len(), photos_needed(args.coverage));
    let too_few = || {
        format!(
            "{count} photos do not decide margins with a coverage of {}: at least {needed} are needed (hint: use more \
             photos that were not trained on, or a smaller --coverage)",
            args.coverage
        )
    };
    if count < needed {
        bail!("{}", too_few());
    }
    warn_of_trained(&named, &photos, output);

    let loader = Loader::new(&photos.dataset, &shown, named.model.file.meta.input, args.photos.workers)?;
    let options = EvaluateOptions { batch: BATCH, flip: false };
    let (_, judged) = judge(&named.model, &loader, &photos.dataset, None, options, args.photos.workers)?;
    let names: Vec<&str> = photos.dataset.samples.iter().map(|sample| sample.file.as_str()).collect();
    let Some(mut found) = loc_train::calibrate(&judged, args.coverage, &names) else {
        bail!("{}", too_few())
    };
    found.novelty = novelty(&named, &photos, &loader, args.photos.workers)?;
    for line in describe(&found, &named, &photos) {
        output.note(&line);
    }
    match &target {
        Some(target) => {
            target.write(ModelFile::changed(&named.path, |file| found.store(file))?)?;
            output.made(target)?;
        }
        None => {
            ModelFile::replace(&named.path, |file| found.store(file))?;
            output.data(&named.path.display().to_string())?;
        }
    }
    Ok(photos.exit)
}

/// What tells photos of the model's kind from others, by the training photos and those of the calibration. None for a model that
/// says itself whether there is an object, or with too few photos.
fn novelty(named: &Named, photos: &Photos, held_back: &Loader, workers: usize) -> Result<Option<Novelty>> {
    let (model, dataset) = (&named.model, &photos.dataset);
    if model.network.presence().is_some() {
        return Ok(None);
    }
    let chosen: HashSet<usize> = photos.chosen.iter().copied().collect();
    let mut known = dataset.positives(&photos.split.train);
    known.retain(|sample| !chosen.contains(sample));
    Random::keyed(&[known.len() as u64]).shuffle(&mut known);
    known.truncate(KNOWN_PHOTOS);
    let known = Loader::new(dataset, &known, model.file.meta.input, workers)?;
    Ok(loc_train::novelty(&model.network, &model.weights, &known, held_back)?)
}

/// Warns of photos that the model was trained on: its answers to them are better than to others.
fn warn_of_trained(named: &Named, photos: &Photos, output: &Output) {
    let trained = named.trained_on(photos);
    if trained > 0 {
        output.warn(&format!(
            "the model was trained on {trained} of these {} photos: it will seem more accurate than it is, and the margins \
             will be too narrow (hint: leave --split and --split-file out)",
            photos.chosen.len()
        ));
    }
}

/// What was fitted, and what it gains.
fn describe(found: &Calibrated, named: &Named, photos: &Photos) -> Vec<String> {
    let ece = |ece: Option<BeforeAfter>, before: &str| match ece {
        Some(BeforeAfter { before: b, after }) => {
            format!("expected calibration error {after:.3}, {before} {b:.3}")
        }
        None => "expected calibration error unknown".into(),
    };
    let record = &found.record;
    let temperature = match found.temperature {
        Some(t) => format!("temperature {t:.3}: {}", ece(record.confidence_ece, "without")),
        None => "no temperature: these photos do not decide one (the class of every photo is right, there is one \
                 class, the classes are no better than chance, or no temperature fits photos better that it was not fitted to)"
            .into(),
    };
    let expected_iou = match found.expected_iou {
        Some(_) => {
            format!("expected IoU: {}", ece(record.expected_iou_ece, "of the confidence taken for it"))
        }
        None => "no expected IoU: it needs a head with distributions of edges, and 20 photos".into(),
    };
    let Margins { coverage, photos: count, .. } = found.margins;
    // The coverage of margins from n photos is distributed as Beta(k, n + 1 − k) with k = ⌈(n + 1) · coverage⌉ (Vovk 2012).
    let deviation = 2.0 * (coverage * (1.0 - coverage) / (count as f64 + 2.0)).sqrt();
    let (low, high) = ((coverage - deviation).max(0.0), (coverage + deviation).min(1.0));
    let halves = found.coverage_over_halves.map_or_else(String::new, |mean| {
        format!("; over 200 random halves of them, the margins of one half cover {mean:.3} of the other")
    });
    let novelty = match &found.novelty {
        Some(novelty) => format!(
            "--reject: {} % of photos of this kind are accepted; adds {} KB to the model file",
            100.0 * novelty.accepted,
            (2 * novelty.directions.len()).div_ceil(1000)
        ),
        None if named.model.network.presence().is_some() => {
            "no --reject: the model says itself whether there is an object".into()
        }
        None => {
            "no --reject: it needs at least 32 training photos of the same data set, and 19 others".into()
        }
    };
    vec![
        format!(
            "{count} photos ({}); errors are those on photos that the fit had not seen:",
            escape_name(photos.part)
        ),
        format!("  {temperature}"),
        format!("  {expected_iou}"),
        format!(
            "  margins for a coverage of {coverage}: with {count} photos it will be between {low:.2} and {high:.2} (95 %){halves}"
        ),
        format!("  {novelty}"),
    ]
}
