//! `loc val`: evaluates models on annotated photos, and compares them with the constant answer and with each other.

mod gates;
mod record;
mod text;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, bail};
use loc_data::split::{self, SplitSource};
use loc_data::{Dataset, Loader, Split, summary};
use loc_infer::InputSpec;
use loc_model::loss::LossConfig;
use loc_train::{
    Config, Differences, EvaluateOptions, ModelFile, Reference, at_temperature, baseline_only,
    best_temperature, calibration, differences, evaluate,
};
use serde::Serialize;

use self::gates::Gate;
use self::record::{Found, Record, Speed};
use super::model::{self, Model};
use super::shared::{open, read_options, use_threads};
use crate::args::{Part, TextFormat, ValArgs};
use crate::output::{Exit, Output, Usage};

/// Photos per batch.
const BATCH: usize = 32;

/// A model, and where it was found.
struct Named {
    /// As it was given.
    given: PathBuf,
    path: PathBuf,
    model: Model,
}

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
    if args.calibrate && args.split == Part::Train {
        let why = "the model has learned these photos, and is more confident about them than about others";
        bail!(Usage(format!("--calibrate --split train: {why} (hint: leave --split out)")));
    }
    use_threads(args.threads)?;
    let load = |given: &PathBuf| -> Result<Named> {
        let path = model::locate(given)?;
        Ok(Named { given: given.clone(), model: Model::load(&path)?, path })
    };
    let models = args.model.iter().map(load).collect::<Result<Vec<_>>>()?;
    let Some(first) = models.first() else { bail!(Usage("-m is needed".into())) };
    let classes = &first.model.file.meta.classes;
    let mut options = read_options(&args.reading, args.tolerance)?;
    if options.classes.is_none() && numbered(&args.data, &options, classes)? {
        options.classes = Some(classes.clone());
    }
    let (dataset, exit) = open(&args.data, &options, output)?;
    for named in &models {
        if dataset.classes != named.model.file.meta.classes {
            bail!(
                "{}: was made for the classes {:?}, the data set has {:?} (hint: `--classes` sets their order)",
                named.given.display(),
                named.model.file.meta.classes,
                dataset.classes
            );
        }
    }
    let (name, split, chosen) = common_photos(args, &models, &dataset, output)?;
    let found = evaluate_all(args, &models, &dataset, (&split, &chosen))?;
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

/// The name of the part, the first model's split, and the photos of the part in the splits of all models.
fn common_photos(
    args: &ValArgs,
    models: &[Named],
    dataset: &Dataset,
    output: &Output,
) -> Result<(&'static str, Split, Vec<usize>)> {
    let mut splits = Vec::new();
    for named in models {
        splits.push(find_split(args, &named.path, dataset, output)?);
        if args.split_file.is_some() {
            break;
        }
    }
    let part = |split: &Split| match args.split {
        Part::Train => ("train", split.train.clone()),
        Part::Val => ("val", split.val.clone()),
        Part::Test => ("test", split.test.clone()),
        Part::All => ("all", (0..dataset.samples.len()).collect()),
    };
    let (name, mut chosen) = part(&splits[0]);
    if chosen.is_empty() {
        let hint = "a folder `test` of the data set, or `test` in the file of --split-file, makes it one";
        bail!(Usage(format!("--split {name}: the split has no such photos (hint: {hint})")));
    }
    let all = chosen.len();
    for split in &splits[1..] {
        let others: HashSet<usize> = part(split).1.into_iter().collect();
        chosen.retain(|sample| others.contains(sample));
    }
    if chosen.is_empty() {
        bail!(
            "--split {name}: the runs of these models have no such photo in common (hint: --split-file names a split for \
             all of them)"
        );
    }
    if chosen.len() < all {
        output.warn(&format!(
            "the runs of these models have different splits: only the {} photos that are in `{name}` of all of them are \
             used",
            chosen.len()
        ));
    }
    Ok((name, splits.swap_remove(0), chosen))
}

fn evaluate_all(
    args: &ValArgs,
    models: &[Named],
    dataset: &Dataset,
    (split, chosen): (&Split, &[usize]),
) -> Result<Vec<Found>> {
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
                let loader = Loader::new(dataset, chosen, meta.input, args.workers)?;
                loaded.insert((meta.input, loader, each(began)))
            }
        };
        let device = loc_model::device::parse("cpu")?;
        let trained = loc_model::Model::new(model.network.clone(), &model.weights, &device)?;
        let reference = Reference { dataset, meta, loss: &LossConfig::default(), baseline };
        let began = Instant::now();
        let (mut evaluation, judged) = evaluate(&trained, loader, &reference, options)?;
        if args.format == TextFormat::Json && !args.intervals {
            evaluation.intervals = None;
        }
        let speed = Speed {
            prepare_ms: *prepare_ms,
            predict_ms: each(began),
            batch: BATCH,
            threads: rayon::current_num_threads(),
        };
        let (model, classes) = (given.display().to_string(), meta.classes.clone());
        all.push(Found { model, classes, temperature: meta.temperature, evaluation, judged, speed });
    }
    Ok(all)
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

/// Stores the best temperature in the model file.
fn calibrate(named: &Named, found: &Found, output: &Output) -> Result<()> {
    let given = named.given.display();
    let Some(temperature) = best_temperature(&found.judged) else {
        let why = match found.classes.len() {
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

/// Whether the data set's classes are numbers and the model's are names.
fn numbered(data: &Path, options: &loc_data::ReadOptions, classes: &[String]) -> Result<bool> {
    let all_numbers = |names: &[String]| names.iter().all(|n| n.parse::<u32>().is_ok());
    if all_numbers(classes) {
        return Ok(false);
    }
    let found = Dataset::open(data, options)?.classes;
    Ok(all_numbers(&found))
}

/// The split of the flag; else the one recorded in the model's run folder, which must fit; else that of the data set's
/// folders, or one drawn by seed 0.
fn find_split(args: &ValArgs, model: &Path, dataset: &Dataset, output: &Output) -> Result<Split> {
    let recorded = || model.parent().and_then(Path::parent).map(|run| run.join("split.csv"));
    if args.split_file.is_none()
        && let Some(file) = recorded().filter(|file| file.is_file())
    {
        return match split::read_csv(&file, dataset) {
            Ok(split) => Ok(split),
            // The split then matters only for the constant answer.
            Err(_) if args.split == Part::All => Ok(everything(dataset)),
            Err(error) => bail!(
                "{error}\n(hint: it says which photos the model has learned from. Give the data set it was trained on, a \
                 split of this one with --split-file, or judge all photos with --split all if it has seen none of them)"
            ),
        };
    }
    let config = Config { split_file: args.split_file.clone(), ..Config::default() };
    let (split, origin) = match loc_train::choose_split(&config, dataset) {
        Err(_) if args.split == Part::All && args.split_file.is_none() => return Ok(everything(dataset)),
        chosen => chosen?,
    };
    if origin == SplitSource::Drawn && args.split != Part::All {
        output.note("the split is drawn by seed 0: the model lies in no run folder (hint: --split-file)");
    }
    for line in split::describe(dataset, &split, origin) {
        output.note(&line);
    }
    for line in summary(&split::leaks(dataset, &split)) {
        output.warn(&line);
    }
    Ok(split)
}

/// A split for a model that has seen none of the photos: the constant answer is computed from all of them.
fn everything(dataset: &Dataset) -> Split {
    Split { train: (0..dataset.samples.len()).collect(), ..Split::default() }
}
