//! Training a second look: the first look is trained already; the second learns from the parts of the photos around their
//! objects, and is evaluated on the parts around the first look's boxes.

use loc_data::{Dataset, Loader, PhotoStore, Split};
use loc_infer::SecondLook;
use loc_model::{Model, init};
use loc_net::{Network, Weights};

use crate::checkpoint::ModelFile;
use crate::config::Config;
use crate::engine::budget::Budget;
use crate::engine::{head_warmup, init_weights};
use crate::error::TrainError;
use crate::eval::{FirstAnswers, Judged, Reference, evaluate_batches};
use crate::event::{Event, Progress};
use crate::input::{BatchSource, Crops, Photos, Place};

/// The trained first look.
#[derive(Debug)]
pub(crate) struct FirstLook {
    pub(crate) weights: Weights,
    /// Its answers to the validation photos.
    pub(crate) answers: FirstAnswers,
    /// Its answers to training photos, if the second look is to be judged.
    pub(crate) unseen: Option<Unseen>,
}

/// The first look's answers to training photos that its heads had not seen, and the features of the parts around its boxes.
#[derive(Debug)]
pub(crate) struct Unseen {
    pub(crate) judged: Vec<Judged>,
    pub(crate) answers: FirstAnswers,
    pub(crate) feed: BatchSource,
}

/// What a second look is prepared from.
pub(crate) struct Context<'a> {
    pub(crate) config: &'a Config,
    pub(crate) dataset: &'a Dataset,
    pub(crate) split: &'a Split,
    pub(crate) file: &'a ModelFile,
    pub(crate) place: &'a Place,
    pub(crate) budget: &'a Budget,
    /// The whole photos.
    pub(crate) store: &'a PhotoStore,
}

/// The second look of a configuration, if it has one.
pub(crate) fn spec(config: &Config) -> Option<SecondLook> {
    (config.looks == 2).then_some(SecondLook {
        width: config.crop_imgsz,
        height: config.crop_imgsz,
        margin: config.crop_margin as f32,
    })
}

/// The configuration that the first look's heads are trained with: the head warm-up, or on a frozen backbone the configuration
/// itself.
///
/// # Errors
///
/// As [`Config::head_warmup`].
pub(crate) fn first_config(config: &Config) -> Result<Config, TrainError> {
    Ok(config.head_warmup()?.unwrap_or_else(|| Config { looks: 1, ..config.clone() }))
}

/// Prepares the training of the second look: its model, training and validation parts. `given` are the weights of a
/// second look that is trained further, `warmup` the head warm-up of a training end to end, `unseen` what a frozen second look is
/// judged on.
pub(crate) fn prepare(
    context: &Context,
    [layers, second]: [&Network; 2],
    first: Weights,
    given: Option<Weights>,
    warmup: Option<&Config>,
    (val, unseen): (&Loader, Vec<Judged>),
    progress: &mut Progress,
) -> Result<(Model, [BatchSource; 2], FirstLook), TrainError> {
    let Context { config, dataset, split, file, place, budget, .. } = *context;
    let meta = &file.meta;
    let answers = {
        let model = Model::new(layers.clone(), &first, &place.device)?;
        let val = BatchSource::photos(val, place);
        let reference = Reference { dataset, meta, loss: &config.loss(), baseline: None, first: None };
        let (evaluation, judged) = evaluate_batches(&model, val.in_order(config.batch), &reference, false)?;
        progress.report(Event::Note(format!(
            "the first look: accuracy {:.3}, mean IoU {:.3}; now the second",
            evaluation.accuracy.unwrap_or(0.0),
            evaluation.mean_iou.unwrap_or(0.0)
        )))?;
        FirstAnswers::of(meta, &judged, evaluation.presence.as_ref())
    };
    let input = meta.second_look.map_or(meta.input, |look| look.input(&meta.input));
    let crops = Crops::new(config, dataset, &split.train, input);
    let around = |answers: &FirstAnswers| {
        let (samples, windows) = answers.windows();
        Loader::of_windows(dataset, &samples, &windows, &context.store.of_windows(input), config.workers)
    };
    let val = around(&answers)?;
    let limits = (place, budget);
    let initial = match given {
        Some(weights) => weights,
        None => {
            let mut initial = init::weights(second, config.scheme(), config.seed);
            let backbone = second.params().iter().filter(|param| param.layer < second.backbone_layers());
            for param in backbone {
                if let (Some(own), Some(first)) = (initial.0.get_mut(&param.name), first.0.get(&param.name)) {
                    own.clone_from(first);
                }
            }
            init_weights::standardise(second, &mut initial, &crops.pass(0)?, &place.processes, progress)?;
            match warmup.filter(|_| config.backbone_lr > 0.0) {
                None => initial,
                Some(begin) => {
                    // As many copies and epochs as the first look had.
                    let limits = (place, &Budget::unlimited());
                    let photos = Photos::Crops(&crops);
                    head_warmup::run(begin, second, &initial, dataset, photos, limits, progress)?.0
                }
            }
        }
    };
    if config.backbone_lr > 0.0 {
        let feeds = [BatchSource::Crops(crops, place.clone()), BatchSource::photos(&val, place)];
        let model = Model::new(second.clone(), &initial, &place.device)?;
        return Ok((model, feeds, FirstLook { weights: first, answers, unseen: None }));
    }
    let of_unseen = FirstAnswers::of(meta, &unseen, None);
    let around_unseen = around(&of_unseen)?;
    let photos = [
        (Photos::Crops(&crops), config.copies_of(crops.len())),
        (Photos::Whole(&val), 1),
        (Photos::Whole(&around_unseen), 1),
    ];
    let (model, [train, val, feed]) =
        head_warmup::with_frozen_backbone(config, second, &initial, photos, limits, progress)?;
    let unseen = (!unseen.is_empty()).then_some(Unseen { judged: unseen, answers: of_unseen, feed });
    Ok((model, [train, val], FirstLook { weights: first, answers, unseen }))
}
