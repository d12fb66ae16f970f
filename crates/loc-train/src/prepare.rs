//! From a configuration to everything a loop needs: data set, split, loaders, network, initial weights.

use std::collections::BTreeSet;
use std::path::PathBuf;

use loc_data::split::{self, SplitSource};
use loc_data::{
    DataError, Dataset, InvalidPhotoPolicy, Loader, OpenedDataset, ReadOptions, SkippedPhotos, Split, summary,
};
use loc_infer::{ImageSize, InputSpec, ModelMeta};
use loc_model::{Model, device, init, weights};
use loc_net::{Network, NetworkConfig, Weights};

use crate::event::Watch;
use crate::feed::{self, Feed};
use crate::model_file::{ModelFile, input_shape};
use crate::{Config, Event, Normalize, Run, SplitBy, TrainError, heads, memory, pretrained};

/// Data and model of a run, before its first step.
pub(crate) struct Prepared {
    pub(crate) dataset: Dataset,
    pub(crate) split: Split,
    pub(crate) split_origin: SplitSource,
    /// Photos that could not be used.
    pub(crate) left_out: SkippedPhotos,
    pub(crate) train: Feed,
    pub(crate) val: Feed,
    pub(crate) model: Model,
    /// What every model file of the run says; epoch and metrics are still open.
    pub(crate) file: ModelFile,
    /// The data set's digest.
    pub(crate) digest: String,
}

/// How the configuration reads a data set.
///
/// # Errors
///
/// [`TrainError::Data`] if the format, the choice of objects or what annotations are of is not known.
pub fn read_options(config: &Config) -> Result<ReadOptions, TrainError> {
    Ok(ReadOptions {
        format: config.data_format.as_deref().map(str::parse).transpose()?,
        classes: config.classes.clone(),
        objects: config.objects.parse()?,
        tolerance: match (config.skip_bad, config.strict) {
            (false, false) => InvalidPhotoPolicy::SkipFew,
            (true, false) => InvalidPhotoPolicy::SkipAny,
            (false, true) => InvalidPhotoPolicy::Refuse,
            (true, true) => {
                let reason = "leaves out unusable photos, and `strict` refuses them: give one of them".into();
                return Err(TrainError::Config { origin: "skip_bad".into(), reason });
            }
        },
        group_by: config.group_by.clone(),
        encoding: config.encoding.clone(),
        exif: config.exif.as_deref().map(str::parse).transpose()?.unwrap_or_default(),
    })
}

/// The split of the configuration's file, of the data set's folders, or one drawn by its seed; of it the fold, if one
/// is asked for. With it where it comes from.
///
/// # Errors
///
/// [`TrainError::Data`] if the file does not fit the data set, or the data set cannot be split.
pub fn choose_split(config: &Config, dataset: &Dataset) -> Result<(Split, SplitSource), TrainError> {
    let folders = config.split_by == SplitBy::Folders;
    let file = config.split_file.as_deref();
    let choice = split::SplitOptions { file, folders, val: config.val, seed: config.seed };
    let (split, origin) = split::choose(dataset, &choice)?;
    Ok(match config.fold_of() {
        Some(fold) => (split::fold(dataset, &split, fold, config.seed)?, origin),
        None => (split, origin),
    })
}

/// What a run that goes on brings with it.
pub(crate) struct Going<'a> {
    pub(crate) run: &'a Run,
    /// Its weights; none if it was stopped before any were saved.
    pub(crate) weights: Option<Weights>,
    /// The digest that its data set had.
    pub(crate) dataset: &'a str,
}

impl Prepared {
    /// Everything of a run, be it one that goes on.
    pub(crate) fn new(config: &Config, going: Option<Going>, watch: &mut Watch) -> Result<Self, TrainError> {
        let device = device::parse(&config.device)
            .map_err(|e| TrainError::Config { origin: "device".into(), reason: e.to_string() })?;
        let Some(data) = &config.data else {
            let reason =
                "no data set is given (hint: `--data FOLDER`; `loc data sample shapes` makes one)".into();
            return Err(TrainError::Config { origin: "--data".into(), reason });
        };
        let options = read_options(config)?;
        let OpenedDataset { dataset, warnings, skipped: left_out } =
            Dataset::open_with_report(data, &options)?;
        for line in summary(&warnings) {
            watch.tell(Event::Warning(line))?;
        }
        let digest = dataset.digest()?;
        if let Some(Going { run, dataset: before, .. }) = &going
            && *before != digest
        {
            return Err(changed(run, &dataset, &digest, before));
        }
        let trained = going.and_then(|going| going.weights);
        if left_out.photos > 0 {
            watch.tell(Event::LeftOut(left_out.clone()))?;
        }
        let (split, split_origin) = choose_split(config, &dataset)?;
        for line in split::describe(&dataset, &split, split_origin) {
            watch.tell(Event::Note(line))?;
        }
        for line in summary(&split::leaks(&dataset, &split)) {
            watch.tell(Event::Warning(line))?;
        }
        if split.train.is_empty() || split.val.is_empty() {
            let (train, val) = (split.train.len(), split.val.len());
            let reason = format!("{train} photos train and {val} validate: each needs one (hint: `--val`)");
            return Err(DataError::Split(reason).into());
        }
        let size = ImageSize { width: config.imgsz, height: config.imgsz };
        let mut input = InputSpec { size, fit: config.fit, filter: config.filter, ..InputSpec::default() };
        // A wrong size is refused before photos are decoded for it, and so is a batch that cannot fit.
        let plan = NetworkConfig {
            input: input_shape(&input),
            classes: dataset.classes.len(),
            backbone: config.backbone,
            head: config.head,
        }
        .build(&loc_net::Normalization::IDENTITY)
        .map_err(|e| TrainError::Config { origin: "imgsz".into(), reason: e.to_string() })?;
        let frozen = config.backbone_lr == 0.0;
        // A model that is given, or goes on, has learned already.
        let begin = match trained.is_none() && config.init.is_none() {
            true => heads::beginning(config)?,
            false => None,
        };
        let seen = |config: &Config| split.train.len() * config.copies_of(split.train.len());
        let photos = memory::Photos {
            decoded: split.train.len() + split.val.len(),
            // Those of the training before are gone when the run's own are made.
            featured: begin.as_ref().map_or(0, seen).max(if frozen {
                seen(config) + split.val.len()
            } else {
                0
            }),
        };
        memory::check(&plan, frozen, config.batch, photos)?;

        // Likewise weights that are not there.
        let pretrained = match config.backbone {
            loc_net::Backbone::Lite0 if trained.is_none() && config.init.is_none() => {
                Some(pretrained::find(config.backbone_weights.as_deref())?)
            }
            _ => None,
        };

        let train = Loader::new(&dataset, &split.train, input, config.workers)?;
        let val = Loader::new(&dataset, &split.val, input, config.workers)?;
        match config.normalize {
            Normalize::None => {}
            Normalize::Dataset => (input.mean, input.std) = train.mean_and_std(),
            Normalize::Signed => (input.mean, input.std) = ([127.0 / 255.0; 3], [128.0 / 255.0; 3]),
        }
        let network = NetworkConfig {
            input: input_shape(&input),
            classes: dataset.classes.len(),
            backbone: config.backbone,
            head: config.head,
        };
        let meta = ModelMeta::new(dataset.classes.clone(), input)
            .map_err(|e| TrainError::Config { origin: "classes".into(), reason: e.to_string() })?;
        let mut file = ModelFile::new(meta, network);
        file.recipe = Some(config.digest());
        let layers = file.build()?;
        let initial = match trained {
            Some(weights) => weights,
            None => {
                let initial = initial(config, pretrained, &layers, &dataset.classes, &train, watch)?;
                match begin {
                    None => initial,
                    Some(begin) => {
                        heads::learned(&begin, (&layers, &initial), (&dataset, &train), &device, watch)?
                    }
                }
            }
        };
        let (model, train, val) = if frozen {
            let loaders = [(&train, config.copies_of(train.len())), (&val, 1)];
            let (model, [train, val]) = heads::frozen(config, (&layers, &initial), loaders, &device, watch)?;
            (model, train, val)
        } else {
            let model = Model::new(layers, &initial, &device)?;
            (model, Feed::Photos(train, device.clone()), Feed::Photos(val, device))
        };
        Ok(Self { dataset, split, split_origin, left_out, train, val, model, file, digest })
    }
}

/// The error of a data set that is another than the run's: what was added, removed or changed.
fn changed(run: &Run, dataset: &Dataset, digest: &str, before: &str) -> TrainError {
    let now: BTreeSet<&str> = dataset.samples.iter().map(|sample| sample.file.as_str()).collect();
    let mut reader = csv::Reader::from_path(run.split());
    let rows = reader.iter_mut().flat_map(csv::Reader::records).flatten();
    let names: BTreeSet<String> = rows.filter_map(|row| row.get(0).map(str::to_owned)).collect();
    let added = now.iter().filter(|name| !names.contains(**name)).count();
    let removed = names.iter().filter(|name| !now.contains(name.as_str())).count();
    let how = match (added, removed) {
        (0, 0) => "the photos have the same names, but other pixels, boxes or classes".to_owned(),
        _ => format!("{added} photos were added, {removed} removed"),
    };
    TrainError::Resume {
        run: run.path().to_owned(),
        reason: format!(
            "the data set has changed: {how}; its digest is {digest}, was {before} (hint: `--init {}` starts a new run \
             from its weights)",
            run.last().display()
        ),
    }
}

/// The weights a run begins with.
fn initial(
    config: &Config,
    pretrained: Option<PathBuf>,
    layers: &Network,
    classes: &[String],
    train: &Loader,
    watch: &mut Watch,
) -> Result<Weights, TrainError> {
    if let Some(path) = &config.init {
        let found = weights::load_floats(path)?;
        let fail = |reason: String| TrainError::Model { path: path.clone(), reason };
        if let Some(json) = &found.metadata {
            let file = ModelFile::from_json(json).map_err(|e| fail(e.to_string()))?;
            same_classes(path, &file.meta.classes, classes)?;
        }
        found.weights.check(layers).map_err(|e| fail(e.to_string()))?;
        return Ok(found.weights);
    }
    let mut initial = init::weights(layers, config.scheme(), config.seed);
    if let Some(path) = pretrained {
        let found = weights::load_floats(&path)?.weights;
        let own = loc_model::pretrained::lite0(layers, &found)
            .map_err(|e| TrainError::Model { path, reason: e.to_string() })?;
        initial.0.extend(own.0);
    }
    feed::standardise(layers, &mut initial, train, watch)?;
    Ok(initial)
}

/// Refuses a model made for other classes.
fn same_classes(path: &std::path::Path, model: &[String], data: &[String]) -> Result<(), TrainError> {
    if model == data {
        return Ok(());
    }
    Err(TrainError::Model {
        path: path.to_owned(),
        reason: format!(
            "was made for the classes {model:?}, the data set has {data:?} (hint: `--classes` sets their order)"
        ),
    })
}
