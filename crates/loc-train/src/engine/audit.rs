//! Label errors found by the data themselves: heads on frozen features judge photos that they have not seen.

use std::path::PathBuf;

use loc_data::{Dataset, LabelledObject, Loader, OpenedDataset, ReadProgress};
use loc_infer::preprocess::Frame;
use loc_infer::{BBox, InputSpec, ModelMeta};
use loc_model::{Model, device, init, weights};
use loc_net::{Head, Weights};

use crate::checkpoint::ModelFile;
use crate::config::{Config, ConfigSource, Normalize};
use crate::engine::budget::Budget;
use crate::engine::doubt::{self, Doubt, DoubtReason};
use crate::engine::heads::{self, Answer};
use crate::engine::{head_warmup, init_weights, memory};
use crate::error::{ConfigError, ModelFileError, TrainError};
use crate::event::{Event, Progress, Stop};
use crate::input::{Photos, Place, read_options};
use crate::weights_cache;

/// What differs from the recipe `transfer`: fewer copies and epochs, for heads of several folds.
const SETTINGS: &str = "copies = 4\nviews = 2000\nepochs = 30\n";

/// How a data set is audited.
#[derive(Debug, Clone)]
pub struct AuditOptions {
    /// Number of folds, 2 or more: heads trained on all others judge the photos of one.
    pub folds: usize,
    /// A model file whose backbone computes the features; none for that of the configuration.
    pub model: Option<PathBuf>,
}

/// The settings of the heads, over those of the recipe `transfer`.
#[must_use]
pub fn audit_settings() -> ConfigSource {
    ConfigSource::toml("audit", SETTINGS)
}

/// A data set with the doubts about its photos.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Audit {
    /// The data set.
    pub dataset: Dataset,
    /// All its usable photos with an object, the most doubtful first.
    pub photos: Vec<AuditedPhoto>,
}

/// A photo, its annotation, and the answer of heads that have not seen it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AuditedPhoto {
    /// Index in the data set.
    pub sample: usize,
    /// The annotation.
    pub given: LabelledObject,
    /// What is doubted most.
    pub reason: DoubtReason,
    /// How strong the doubt is, 0..1.
    pub score: f64,
    /// Whether the doubt is strong enough that the photo should be looked at.
    pub is_suspect: bool,
    /// The predicted class.
    pub class: usize,
    /// The probability of each class.
    pub probabilities: Vec<f32>,
    /// The predicted box, in pixels of the upright photo.
    pub bbox: BBox,
    /// IoU of the predicted and the annotated box, the mean over the photo and its augmented copies.
    pub iou: f64,
    /// How far the annotated edges are from the predicted ones, in standard deviations of the prediction: root mean square
    /// over edges and copies. None if the heads predict no distributions.
    pub deviation: Option<f64>,
}

/// Audits all photos of the configuration's data set that have an object.
///
/// Copies of a photo are in the same fold: none is judged by heads that have seen another. The means and deviations that
/// features are standardised with are those of all photos.
///
/// # Errors
///
/// [`TrainError`] of the data set, of the model or the pretrained weights, or if there are too few photos for the folds.
pub fn audit(
    config: &Config,
    options: &AuditOptions,
    stop: &Stop,
    on: &mut dyn FnMut(Event),
) -> Result<Audit, TrainError> {
    let progress = &mut Progress { on, stop, reading: ReadProgress::default() };
    let device =
        device::parse(&config.device).map_err(|e| TrainError::config("device", ConfigError::Device(e)))?;
    let Some(data) = &config.data else {
        return Err(TrainError::config("data", ConfigError::NoData));
    };
    let given = options.model.as_ref().map(load).transpose()?;
    let pretrained = match &given {
        Some(_) => None,
        None => Some(weights_cache::find(config.backbone_weights.as_deref())?),
    };
    let OpenedDataset { dataset, warnings, skipped, .. } =
        Dataset::open_with_report(data, &read_options(config)?)?;
    if !warnings.is_empty() {
        progress.report(Event::DataWarnings(warnings))?;
    }
    if skipped.photos > 0 {
        progress.report(Event::LeftOut(skipped))?;
    }
    let mut input = config.input();
    let mut network = config.network(&input, dataset.classes.len());
    if let Some((file, _)) = &given {
        (input, network) = (file.meta.input, file.network.clone());
        (network.classes, network.presence, network.second_look) = (dataset.classes.len(), false, None);
        // Heads without distributions of edges learn boxes slowly.
        network.head = if network.head == Head::Mlp { Head::Mlp } else { Head::Edges };
    }
    let photos = dataset.positives(&(0..dataset.samples.len()).collect::<Vec<_>>());
    let plan = network
        .build(&loc_net::Normalization::IDENTITY)
        .map_err(|e| TrainError::config("imgsz", ConfigError::Network(e)))?;
    let featured = photos.len() * config.copies_of(photos.len());
    memory::check(&plan, config, 1, memory::Photos { decoded: photos.len(), featured })?;
    let loader = Loader::new(&dataset, &photos, input, config.workers)?;
    if given.is_none() && config.normalize == Normalize::Signed {
        (input.mean, input.std) = ([127.0 / 255.0; 3], [128.0 / 255.0; 3]);
    }
    let meta = ModelMeta::new(dataset.classes.clone(), input)
        .map_err(|e| TrainError::config("classes", ConfigError::Meta(e)))?;
    let layers = ModelFile::new(meta, network).build()?;
    let all_folds = Config { epochs: options.folds * config.epochs, ..config.clone() };
    let standardised = if given.is_some() { 0 } else { photos.len() };
    let workload = [photos.len(), standardised, 0];
    head_warmup::report_workload(&all_folds, &layers, &dataset, workload, &device, progress)?;
    let place = &Place::alone(&device);
    let initial = match given {
        Some((_, found)) => {
            // Fresh heads: those of the model have seen the photos, and may be for other classes.
            let mut all = init::weights(&layers, config.scheme(), config.seed);
            for layer in &layers.layers()[..layers.backbone_layers()] {
                let prefix = format!("{}.", layer.name);
                all.0.extend(
                    found
                        .0
                        .iter()
                        .filter(|(name, _)| name.starts_with(&prefix))
                        .map(|(name, weight)| (name.clone(), weight.clone())),
                );
            }
            all
        }
        None => {
            let networks = (&layers, None);
            init_weights::initial(
                config,
                pretrained,
                networks,
                &dataset.classes,
                &loader,
                &place.processes,
                progress,
            )?
            .0
        }
    };
    let loaders = [(Photos::Whole(&loader), config.copies_of(photos.len()))];
    let limits = (place, &Budget::unlimited());
    let (model, [feed]) =
        head_warmup::with_frozen_backbone(config, &layers, &initial, loaders, limits, progress)?;
    let epochs = options.folds * config.epochs;
    let mut tell = |fold: usize, epoch: usize| {
        progress.report(Event::Heads { epoch: (fold - 1) * config.epochs + epoch, epochs })
    };
    let folds = (options.folds, options.folds);
    let answer = |heads: &Model, unseen: &[usize]| match feed.part(unseen) {
        Some(unseen) => heads::mean_answers(heads, &unseen, config.batch),
        None => Ok(Vec::new()),
    };
    let photos_of_all = (&model, &feed, &photos[..]);
    let answers = heads::cross_validated(config, &dataset, photos_of_all, folds, answer, &mut tell)?;
    let photos = ranked(&dataset, &answers, &input);
    Ok(Audit { dataset, photos })
}

/// A model file and its weights, of two looks those of the first.
fn load(path: &PathBuf) -> Result<(ModelFile, Weights), TrainError> {
    let found = weights::load_floats(path)?;
    let fail = |kind: ModelFileError| TrainError::model(path, kind);
    let json = found.metadata.unwrap_or_default();
    let file = ModelFile::from_json(&json).map_err(|e| fail(e.into()))?;
    let weights = match file.build_second()? {
        Some(second) => found.weights.split_looks(&second).0,
        None => found.weights,
    };
    weights.check(&file.build()?).map_err(|e| fail(ModelFileError::Weights(e)))?;
    Ok((file, weights))
}

/// The photos in the order of their doubts, the strongest first.
fn ranked(dataset: &Dataset, answers: &[Answer], input: &InputSpec) -> Vec<AuditedPhoto> {
    let doubts = doubt::of(answers, dataset.classes.len());
    let photo = |(answer, doubt): (&Answer, Doubt)| {
        let sample = &dataset.samples[answer.sample];
        let original = sample.size;
        let frame = Frame::of(original, input);
        Some(AuditedPhoto {
            sample: answer.sample,
            given: sample.object?,
            reason: doubt.reason,
            score: doubt.score,
            is_suspect: doubt.is_suspect,
            class: answer.class(),
            probabilities: answer.probabilities.clone(),
            bbox: frame.to_original(answer.bbox).ordered().clip(original),
            iou: answer.iou,
            deviation: answer.deviation,
        })
    };
    let mut all: Vec<AuditedPhoto> = answers.iter().zip(doubts).filter_map(photo).collect();
    all.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.sample.cmp(&b.sample)));
    all
}
