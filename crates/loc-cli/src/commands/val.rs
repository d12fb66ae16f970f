//! `loc val`: evaluates a model on annotated photos, and compares it with the constant answer.

use std::path::Path;

use anyhow::{Result, bail};
use loc_data::split::{self, SplitSource};
use loc_data::{Dataset, Loader, Split, summary};
use loc_model::loss::LossConfig;
use loc_train::{Config, EvaluateOptions, Evaluation, baseline_only, evaluate};
use serde::Serialize;

use super::model::{self, Model};
use super::shared::{open, read_options, use_threads};
use super::train::verdict;
use crate::args::{Part, TextFormat, ValArgs};
use crate::output::{Exit, Output, Usage, escape};

/// Photos per batch.
const BATCH: usize = 32;

#[derive(Serialize)]
struct Record<'a> {
    schema: &'static str,
    model: String,
    split: &'static str,
    #[serde(flatten)]
    evaluation: &'a Evaluation,
}

pub(crate) fn run(args: &ValArgs, output: &Output) -> Result<Exit> {
    let gates = args.fail_under.iter().map(|gate| Gate::parse(gate)).collect::<Result<Vec<_>>>()?;
    use_threads(args.threads)?;
    let path = model::locate(&args.model)?;
    let model = Model::load(&path)?;
    let classes = &model.file.meta.classes;
    let mut options = read_options(&args.reading, args.tolerance)?;
    if options.classes.is_none() && numbered(&args.data, &options, classes)? {
        options.classes = Some(classes.clone());
    }
    let (dataset, exit) = open(&args.data, &options, output)?;
    if dataset.classes != *classes {
        bail!(
            "{}: was made for the classes {classes:?}, the data set has {:?} (hint: `--classes` sets their order)",
            args.model.display(),
            dataset.classes
        );
    }
    let split = find_split(args, &path, &dataset, output)?;
    let (name, chosen) = match args.split {
        Part::Train => ("train", split.train.clone()),
        Part::Val => ("val", split.val.clone()),
        Part::Test => ("test", split.test.clone()),
        Part::All => ("all", (0..dataset.samples.len()).collect()),
    };
    if chosen.is_empty() {
        let hint = "a folder `test` of the data set, or `test` in the file of --split-file, makes it one";
        bail!(Usage(format!("--split {name}: the split has no such photos (hint: {hint})")));
    }
    let loader = Loader::new(&dataset, &chosen, model.file.meta.input, args.workers)?;
    let trained = loc_model::Model::new(model.network, &model.weights, &loc_model::device::parse("cpu")?)?;
    let baseline = baseline_only(&dataset, &split.train, &chosen);
    let how = EvaluateOptions { batch: BATCH, flip: args.flip };
    let mut evaluation = evaluate(&trained, &loader, &LossConfig::default(), classes, how, baseline)?;
    if args.format == TextFormat::Json && !args.intervals {
        evaluation.intervals = None;
    }
    match args.format {
        TextFormat::Json => {
            let model = args.model.display().to_string();
            output.json(&Record { schema: "loc.val/1", model, split: name, evaluation: &evaluation })?;
        }
        TextFormat::Text => output.data(describe(&evaluation, name).trim_end())?,
    }
    let failed: Vec<String> = gates.iter().filter_map(|gate| gate.failure(&evaluation)).collect();
    for failure in &failed {
        output.warn(failure);
    }
    Ok(if failed.is_empty() { exit } else { Exit::Gate })
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

fn describe(e: &Evaluation, split: &str) -> String {
    let show = |v: Option<f64>| v.map_or("n/a".into(), |v| format!("{v:.3}"));
    let b = e.baseline;
    let i = e.intervals;
    let rows = [
        ("accuracy", e.accuracy, b.map(|b| b.majority_accuracy), i.map(|i| i.accuracy)),
        ("mean IoU", e.mean_iou, b.map(|b| b.median_box.mean_iou), i.map(|i| i.mean_iou)),
        ("IoU ≥ 0.5", e.iou50, b.map(|b| b.median_box.iou50), i.map(|i| i.iou50)),
        ("IoU ≥ 0.75", e.iou75, b.map(|b| b.median_box.iou75), i.map(|i| i.iou75)),
        ("localization accuracy", e.localization_accuracy, None, i.map(|i| i.localization_accuracy)),
    ];
    let mut text =
        format!("{split}, {} photos           model  constant answer   95 % of the model\n", e.samples);
    for (name, model, constant, interval) in rows {
        let constant = if name == "localization accuracy" { String::new() } else { show(constant) };
        let interval = interval.map_or_else(String::new, |[low, high]| format!("{low:.3} to {high:.3}"));
        let line = format!("{name:<22} {:>8}  {constant:>15}   {interval:>17}", show(model));
        text += &format!("{}\n", line.trim_end());
    }
    text += &format!("{:<22} {:>8}\n", "loss", show(e.loss.map(|l| l.total)));
    for (name, class) in &e.per_class {
        let (accuracy, iou) = (show(class.accuracy), show(class.mean_iou));
        text += &format!(
            "class {}: {} photos, accuracy {accuracy}, mean IoU {iou}\n",
            escape(name),
            class.samples
        );
    }
    text + &verdict(e)
}

/// A metric and its minimum.
struct Gate {
    name: String,
    least: f64,
    metric: fn(&Evaluation) -> Option<f64>,
}

impl Gate {
    fn parse(text: &str) -> Result<Self> {
        let fail = |why: &str| Usage(format!("--fail-under {text:?}: {why} (hint: iou=0.7,acc=0.9)"));
        let (name, value) = text.split_once('=').ok_or_else(|| fail("METRIC=X is needed"))?;
        let metric: fn(&Evaluation) -> Option<f64> = match name {
            "acc" => |e| e.accuracy,
            "iou" => |e| e.mean_iou,
            "iou50" => |e| e.iou50,
            "iou75" => |e| e.iou75,
            "loc_acc" => |e| e.localization_accuracy,
            _ => bail!(fail("the metrics are acc, iou, iou50, iou75 and loc_acc")),
        };
        match value.parse::<f64>() {
            Ok(least) if (0.0..=1.0).contains(&least) => Ok(Self { name: name.to_owned(), least, metric }),
            _ => bail!(fail("the value must be within 0 and 1")),
        }
    }

    /// The message if the gate is not met; a metric without samples does not meet it.
    fn failure(&self, e: &Evaluation) -> Option<String> {
        let found = (self.metric)(e);
        let shown = found.map_or("n/a".into(), |v| format!("{v:.4}"));
        let met = found.is_some_and(|v| v >= self.least);
        (!met).then(|| format!("{} is {shown}, under {}", self.name, self.least))
    }
}
