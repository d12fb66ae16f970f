//! Setup of a training: data set, split, loaders, network, initial weights.

use loc_data::split::SplitSource;
use loc_data::{Dataset, Format, Loader, SkippedPhotos, Split};
use loc_infer::{Decode, InputSpec, ModelMeta};
use loc_model::{Model, device};
use loc_net::Level;
use loc_net::{InputShape, NetworkConfig, Weights};

use crate::checkpoint::{ModelFile, RunFingerprint};
use crate::collective::Processes;
use crate::config::{Config, HeadWarmup, Normalize};
use crate::digest::sha256;
use crate::engine::budget::Budget;
use crate::engine::second_look::{Context, FirstLook};
use crate::engine::training_data::TrainingData;
use crate::engine::{head_warmup, init_weights, memory, second_look};
use crate::error::{ConfigError, TrainError};
use crate::eval::Judged;
use crate::event::Progress;
use crate::input::{BatchSource, Photos, Place};
use crate::run::Run;
use crate::weights_cache;

/// Data and model of a run before its first step.
pub(crate) struct Prepared {
    pub(crate) dataset: Dataset,
    /// The annotations' format.
    pub(crate) format: Format,
    pub(crate) split: Split,
    pub(crate) split_origin: SplitSource,
    /// Invalid photos that were skipped.
    pub(crate) left_out: SkippedPhotos,
    pub(crate) train: BatchSource,
    pub(crate) val: BatchSource,
    /// The network that is trained: the second look, if there is one.
    pub(crate) model: Model,
    /// The first of two looks.
    pub(crate) first: Option<FirstLook>,
    /// Metadata of the run's model files, without epoch and metrics.
    pub(crate) file: ModelFile,
    /// The data set's digest.
    pub(crate) digest: String,
    /// The head warm-up with the copies and epochs that fitted into the time, if it has fewer than it should.
    pub(crate) head_warmup: Option<HeadWarmup>,
}

/// How a run begins.
pub(crate) enum Beginning<'a> {
    /// As a new one. `unseen` are a first look's answers to training photos that its heads had not seen: on the parts around
    /// its boxes a second look is judged.
    New { unseen: Vec<Judged> },
    /// From its last save.
    Resumed(ResumeContext<'a>),
}

/// What a resumed run brings along.
pub(crate) struct ResumeContext<'a> {
    pub(crate) run: &'a Run,
    /// Its weights; none if it was stopped before the first save.
    pub(crate) weights: Option<Weights>,
    /// The digest of the data set it was trained on.
    pub(crate) dataset: &'a str,
    /// How much of a photo it decodes.
    pub(crate) decode: Decode,
}

impl Prepared {
    /// Prepares a new run, or a resumed one.
    pub(crate) fn new(
        config: &Config,
        beginning: Beginning,
        budget: &Budget,
        processes: &Processes,
        progress: &mut Progress,
    ) -> Result<Self, TrainError> {
        let (going, unseen) = match beginning {
            Beginning::New { unseen } => (None, unseen),
            Beginning::Resumed(going) => (Some(going), Vec::new()),
        };
        let device = device::parse(&config.device)
            .map_err(|e| TrainError::config("device", ConfigError::Device(e)))?;
        if !processes.is_alone() && !device.is_cpu() {
            return Err(TrainError::config("device", ConfigError::ProcessesOnCpu));
        }
        let mut input = config.input();
        if let Some(going) = &going {
            input.decode = going.decode;
        }
        let before = going.as_ref().map(|going| (going.run, going.dataset));
        let TrainingData { dataset, format, digest, left_out, split, split_origin, store, presence } =
            TrainingData::open(config, &input, before, progress)?;
        let trained = going.and_then(|going| going.weights);
        // Check size and memory before photos are decoded.
        let second = second_look::spec(config)
            .map(|look| InputShape { width: look.width as usize, height: look.height as usize });
        let network = |input: &InputSpec| NetworkConfig {
            presence,
            second_look: second,
            ..config.network(input, dataset.classes.len())
        };
        let frozen = config.backbone_lr == 0.0;
        // A given or resumed model is trained already.
        let begin = match (trained.is_none() && config.init.is_none(), config.looks) {
            (true, 2) => Some(second_look::first_config(config)?),
            (true, _) => config.head_warmup()?,
            (false, _) => None,
        };
        let seen = |config: &Config| split.train.len() * config.copies_of(split.train.len());
        let photos = memory::Photos {
            decoded: if store.is_in_ram() { split.train.len() + split.val.len() } else { 0 },
            // The warm-up's features are freed before the run's own are computed.
            featured: begin.as_ref().map_or(0, seen).max(if frozen {
                seen(config) + split.val.len()
            } else {
                0
            }),
        };
        let whole = network(&input);
        for (key, network) in [("imgsz", Some(&whole)), ("crop_imgsz", whole.second().as_ref())] {
            let Some(network) = network else { continue };
            let plan = network
                .build(&loc_net::Normalization::IDENTITY)
                .map_err(|e| TrainError::config(key, ConfigError::Network(e)))?;
            memory::check(&plan, config, processes.size(), photos)?;
        }

        // Check for the pretrained weights before photos are decoded.
        let pretrained = match config.backbone {
            loc_net::Backbone::Lite0 if trained.is_none() && config.init.is_none() => {
                Some(weights_cache::find(config.backbone_weights.as_deref())?)
            }
            _ => None,
        };

        let [train, val] =
            [&split.train, &split.val].map(|part| Loader::from_store(&dataset, part, &store, config.workers));
        let (train, val) = (train?, val?);
        match config.normalize {
            Normalize::None => {}
            Normalize::Dataset => (input.mean, input.std) = train.mean_and_std()?,
            Normalize::Signed => (input.mean, input.std) = ([127.0 / 255.0; 3], [128.0 / 255.0; 3]),
        }
        let network = network(&input);
        let mut meta = ModelMeta::new(dataset.classes.clone(), input)
            .map_err(|e| TrainError::config("classes", ConfigError::Meta(e)))?;
        meta.second_look = second_look::spec(config);
        let mut file = ModelFile::new(meta, network);
        file.recipe = Some(config.digest());
        let layers = file.build()?;
        if frozen || begin.is_some() {
            let standardised = if trained.is_none() && config.init.is_none() { train.len() } else { 0 };
            let heads = begin.as_ref().unwrap_or(config);
            // Heads are trained on cached features once, or for each of two looks that is not given.
            let rounds = if config.looks == 2 { 1 + usize::from(begin.is_some()) } else { 1 };
            let copies = (rounds - 1) * train.len() * heads.copies_of(train.len());
            let features = rounds * standardised + copies + if frozen { val.len() } else { 0 };
            let end_to_end = if frozen { 0 } else { config.epochs * train.len() };
            let photos = [train.len(), features, end_to_end];
            let heads = &Config { epochs: rounds * heads.epochs, ..heads.clone() };
            head_warmup::report_workload(heads, &layers, &dataset, photos, &device, progress)?;
        }
        let of_warmup = budget.of_warmup(config);
        let place = Place { device, processes: processes.clone() };
        let mut head_warmup = None;
        let mut warmup = config.head_warmup()?;
        let second = file.build_second()?;
        let (trained, mut initial_second) = match (trained, &second) {
            (Some(weights), Some(second)) => {
                let (first, second) = weights.split_looks(second);
                (Some(first), Some(second))
            }
            (trained, _) => (trained, None),
        };
        let initial = match trained {
            Some(weights) => weights,
            None => {
                let networks = (&layers, second.as_ref());
                let (initial, of_second) = init_weights::initial(
                    config,
                    pretrained,
                    networks,
                    &dataset.classes,
                    &train,
                    processes,
                    progress,
                )?;
                initial_second = of_second;
                match begin {
                    None => initial,
                    Some(begin) => {
                        let (weights, done) = head_warmup::run(
                            &begin,
                            &layers,
                            &initial,
                            &dataset,
                            Photos::Whole(&train),
                            (&place, &of_warmup),
                            progress,
                        )?;
                        head_warmup = (done != begin).then(|| HeadWarmup::of(&done)).transpose()?;
                        warmup = Some(done);
                        weights
                    }
                }
            }
        };
        let mut first = None;
        let (model, [train, val]) = if let Some(second) = &second {
            drop(train);
            let (split, place) = (&split, &place);
            let context =
                Context { config, dataset: &dataset, split, file: &file, place, budget, store: &store };
            let (model, feeds, look) = second_look::prepare(
                &context,
                [&layers, second],
                initial,
                initial_second,
                warmup.as_ref(),
                (&val, unseen),
                progress,
            )?;
            first = Some(look);
            (model, feeds)
        } else if frozen {
            let photos = [(Photos::Whole(&train), config.copies_of(train.len())), (Photos::Whole(&val), 1)];
            let limits = (&place, budget);
            head_warmup::with_frozen_backbone(config, &layers, &initial, photos, limits, progress)?
        } else {
            let feeds = [&train, &val].map(|photos| BatchSource::photos(photos, &place));
            (Model::new(layers, &initial, &place.device)?, feeds)
        };
        Ok(Self {
            dataset,
            format,
            split,
            split_origin,
            left_out,
            train,
            val,
            model,
            first,
            file,
            digest,
            head_warmup,
        })
    }
}

impl Prepared {
    /// The weights of the model file: those of the network that is trained, and of the first of two looks.
    pub(crate) fn with_first_look(&self, weights: Weights) -> Weights {
        match &self.first {
            Some(first) => first.weights.clone().join_looks(weights),
            None => weights,
        }
    }
}

/// Returns the fingerprint that the run's states carry, after a check that all processes train the same.
pub(crate) fn fingerprint(
    config: &Config,
    run: &Run,
    prepared: &Prepared,
    processes: &Processes,
) -> Result<RunFingerprint, TrainError> {
    // Only the first process writes it, and saves.
    let split = if processes.is_first() { sha256(&fs_err::read(run.split())?) } else { String::new() };
    let isa = device::parse(&config.device)
        .is_ok_and(|device| device.is_cpu())
        .then(|| Level::current().name().to_owned());
    let config = config.result_affecting().to_string();
    processes.check_same(&[
        ("the version of loc", env!("CARGO_PKG_VERSION")),
        ("the instruction set (LOC_ISA chooses one)", isa.as_deref().unwrap_or_default()),
        ("the configuration", &config),
        ("the data set", &prepared.digest),
        ("the split of the data set", &sha256(format!("{:?}", prepared.split).as_bytes())),
        ("the network", &sha256(&loc_model::weights::to_bytes(&prepared.model.weights()?, None)?)),
    ])?;
    let decode = prepared.file.meta.input.decode;
    Ok(RunFingerprint { config, dataset: prepared.digest.clone(), split, isa, decode })
}
