//! Models and the annotated photos that they are judged on, for `loc val` and `loc calibrate`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use loc_data::split::{self, SplitSource};
use loc_data::{Dataset, Loader, PhotoStore, Split, summary};
use loc_model::loss::LossConfig;
use loc_net::Network;
use loc_train::{Baseline, Config, EvaluateOptions, Evaluation, FirstAnswers, Judged, Reference, evaluate};

use super::model::{self, Model};
use super::shared::{open, read_options};
use crate::args::{Part, PhotosArgs};
use crate::output::{Exit, Output, Usage};

/// Photos per batch.
pub(super) const BATCH: usize = 32;

/// A model, and where it was found.
pub(super) struct Named {
    /// As it was given.
    pub(super) given: PathBuf,
    pub(super) path: PathBuf,
    pub(super) model: Model,
}

/// Annotated photos.
pub(super) struct Photos {
    pub(super) dataset: Dataset,
    /// The split of the first model.
    pub(super) split: Split,
    /// Name of the part.
    pub(super) part: &'static str,
    /// The samples of the part, in the splits of all models.
    pub(super) chosen: Vec<usize>,
    /// The exit code for success.
    pub(super) exit: Exit,
}

impl Named {
    pub(super) fn load(given: &Path) -> Result<Self> {
        let path = model::locate(given)?;
        Ok(Self { given: given.to_owned(), model: Model::load(&path)?, path })
    }

    /// The file that records the split, if the model is in a run folder.
    fn recorded_split(&self) -> Option<PathBuf> {
        let run = self.path.parent().and_then(Path::parent)?;
        Some(run.join("split.csv")).filter(|file| file.is_file())
    }

    /// How many of these samples the model was trained on, as far as its run says.
    pub(super) fn trained_on(&self, photos: &Photos) -> usize {
        let split = self.recorded_split().and_then(|file| split::read_csv(&file, &photos.dataset).ok());
        let trained: HashSet<usize> = split.into_iter().flat_map(|split| split.train).collect();
        photos.chosen.iter().filter(|sample| trained.contains(sample)).count()
    }
}

impl Photos {
    /// The photos that the flags name, for models with the same classes.
    pub(super) fn of(args: &PhotosArgs, models: &[Named], output: &Output) -> Result<Self> {
        let Some(first) = models.first() else { bail!(Usage("-m is needed".into())) };
        let classes = &first.model.file.meta.classes;
        let mut options = read_options(&args.reading, args.tolerance)?;
        if options.classes.is_none() && numbered(&args.data, &options, classes)? {
            options.classes = Some(classes.clone());
        }
        let (dataset, exit) = open(&args.data, &options, output)?;
        for named in models {
            if dataset.classes != named.model.file.meta.classes {
                bail!(
                    "{}: was made for the classes {:?}, the data set has {:?} (hint: `--classes` sets their order)",
                    named.given.display(),
                    named.model.file.meta.classes,
                    dataset.classes
                );
            }
        }
        let (part, split, chosen) = common_photos(args, models, &dataset, output)?;
        Ok(Self { dataset, split, part, chosen, exit })
    }
}

/// A model's answers to the photos of a loader, and their metrics.
pub(super) fn judge(
    model: &Model,
    loader: &Loader,
    dataset: &Dataset,
    baseline: Option<Baseline>,
    options: EvaluateOptions,
    workers: usize,
) -> Result<(Evaluation, Vec<Judged>)> {
    let device = loc_model::device::parse("cpu")?;
    let on_device = |network: &Network, weights| loc_model::Model::new(network.clone(), weights, &device);
    let (meta, loss) = (&model.file.meta, &LossConfig::default());
    let reference = Reference { dataset, meta, loss, baseline, first: None };
    let first = evaluate(&on_device(&model.network, &model.weights)?, loader, &reference, options)?;
    let (Some((network, weights)), Some(look)) = (&model.second, meta.second_look) else { return Ok(first) };
    let (evaluation, judged) = first;
    let first = &FirstAnswers::of(meta, &judged, evaluation.presence.as_ref());
    let (samples, windows) = first.windows();
    let parts = PhotoStore::on_demand(look.input(&meta.input));
    let loader = Loader::of_windows(dataset, &samples, &windows, &parts, workers)?;
    let reference = Reference { first: Some(first), ..reference };
    Ok(evaluate(&on_device(network, weights)?, &loader, &reference, options)?)
}

/// The name of the part, the first model's split, and the photos of the part in the splits of all models.
fn common_photos(
    args: &PhotosArgs,
    models: &[Named],
    dataset: &Dataset,
    output: &Output,
) -> Result<(&'static str, Split, Vec<usize>)> {
    let mut splits = Vec::new();
    for named in models {
        splits.push(find_split(args, named, dataset, output)?);
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
fn find_split(args: &PhotosArgs, model: &Named, dataset: &Dataset, output: &Output) -> Result<Split> {
    if args.split_file.is_none()
        && let Some(file) = model.recorded_split()
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
