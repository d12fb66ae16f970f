//! Every value that decides what a training run does, and its default.

use std::path::PathBuf;

use loc_data::Augment;
use loc_infer::{Filter, Fit};
use loc_model::loss::{BoxLoss, ClassLoss, Overlap};
use loc_net::{Backbone, Head};
use serde::{Deserialize, Serialize};

use crate::config::choices::{
    CheckpointRetention, HeadWarmup, Initialisation, Normalize, OptimizerKind, Schedule, SplitBy,
};
use crate::config::names;

/// The whole configuration of a run; its TOML form is `config.toml`, its keys are the names of the flags.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Name of the recipe it began with.
    pub recipe: String,
    /// The data set: a folder or a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// Its format, `voc` or `csv`; recognised by content if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_format: Option<String>,
    /// Encoding of CSV files, and of XML files that declare none; by default UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// What annotations are of where EXIF turns the photo: `upright` or `as-stored`; by default they are taken to be of
    /// the upright photo, with a warning where nothing says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exif: Option<String>,
    /// The classes in their order; by default those of the data set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// Which object of a photo with several: `largest`, `skip` or `error`.
    pub objects: String,
    /// Leave out any number of unusable photos; without it, one in twenty at most.
    pub skip_bad: bool,
    /// Refuse a data set with any unusable photo.
    pub strict: bool,
    /// A `filename,split` file; it goes before `split_by`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_file: Option<PathBuf>,
    /// Where the split comes from.
    pub split_by: SplitBy,
    /// A regular expression: photos whose names have the same first group, or match, are copies of one source and stay on
    /// one side of a drawn split; by default the names that augmentation and export tools give to copies are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_by: Option<String>,
    /// `I/K`: of the training photos the I-th of K folds validates, and the validation photos are left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fold: Option<String>,
    /// Fraction of each class that validates, above 0 and below 1.
    pub val: f64,
    /// Seed of split, initial weights and order.
    pub seed: u64,
    /// The layers that turn a photo into features.
    pub backbone: Backbone,
    /// The layers that turn features into an answer.
    pub head: Head,
    /// Weights that the backbone begins with, for `lite0`; by default those in the cache of weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backbone_weights: Option<PathBuf>,
    /// Factor of the learning rate for the backbone, 0 to 1. With 0 it is frozen: its features are computed once.
    pub backbone_lr: f64,
    /// A recipe that freezes the backbone: its training of the heads comes before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begin: Option<HeadWarmup>,
    /// How many times a frozen backbone sees each training photo: as it is, and moved anew each further time; 1 or more.
    pub copies: usize,
    /// Photos and moved copies that a frozen backbone sees in all, at least: a small set is seen oftener than `copies`, at
    /// most forty times; 0 or more.
    pub views: usize,
    /// Side of the network's square input, in pixels.
    pub imgsz: u32,
    /// How a photo of another shape is made to fit.
    pub fit: Fit,
    /// How pixels are interpolated.
    pub filter: Filter,
    /// Which mean and deviation the network's first layer takes from the photo.
    pub normalize: Normalize,
    /// Scheme of the initial weights.
    pub initialisation: Initialisation,
    /// A model or safetensors file with the initial weights instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
    /// The loss of the class.
    #[serde(with = "names::class_loss")]
    pub class_loss: ClassLoss,
    /// Share of the true class that all classes get, 0 to 1.
    pub label_smoothing: f64,
    /// A factor for each class in the class loss, above 0; none: all are alike.
    pub class_weights: Vec<f64>,
    /// Factor of the class loss, 0 or more.
    pub class_weight: f64,
    /// The loss of the box's coordinates: `mse`, `smooth_l1` or `none`.
    #[serde(with = "names::box_loss")]
    pub box_loss: BoxLoss,
    /// Where smooth L1 becomes linear, above 0.
    pub smooth_l1_beta: f64,
    /// The loss of the box's overlap: `giou`, `diou`, `ciou` or `none`.
    #[serde(with = "names::overlap")]
    pub overlap_loss: Option<Overlap>,
    /// Factor of the loss of the overlap within the box loss, 0 or more.
    pub overlap_weight: f64,
    /// Factor of the loss of the edges' distributions within the box loss, 0 or more.
    pub edges_weight: f64,
    /// Factor of the box loss, 0 or more.
    pub box_weight: f64,
    /// What moves the parameters: `sgd` or `adamw`.
    pub optimizer: OptimizerKind,
    /// Learning rate, above 0.
    pub lr: f64,
    /// Momentum of SGD, 0 or more and below 1.
    pub momentum: f64,
    /// Whether SGD's momentum looks ahead.
    pub nesterov: bool,
    /// Weight decay, 0 or more; of weights, not of biases.
    pub weight_decay: f64,
    /// How the learning rate goes: `constant`, `step` or `cosine`.
    pub schedule: Schedule,
    /// Epochs in which the learning rate grows to what the schedule says, 0 or more.
    pub warmup: f64,
    /// The share of the learning rate that a cosine ends at, 0 to 1.
    pub lr_final: f64,
    /// Epochs between the steps of `step`, at least 1.
    pub step_every: usize,
    /// What such a step multiplies by, above 0 and at most 1.
    pub step_factor: f64,
    /// After how many epochs the schedule begins anew, growing numbers below `epochs`: where a finished run was extended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub restarts: Vec<usize>,
    /// Largest norm of all gradients together; 0: any.
    pub clip: f64,
    /// Decay of the running average of the weights that is judged and saved, 0 or more and below 1; 0: none.
    pub average: f64,
    /// Share of the weights that training began with in those that are judged and saved, 0 or more and below 1; 0: none.
    pub begin_share: f64,
    /// Weight of the distance of what the class reads of a photo from what the network that training began with makes of it,
    /// 0 or more; 0: none.
    pub features_weight: f64,
    /// Share of the heads' features that are dropped in training, 0 or more and below 1.
    pub dropout: f64,
    /// How photos and boxes are moved in training.
    pub augment: Augment,
    /// The last so many epochs, of the whole and of what extends it, move no photo: windows, `cutout` and `mix` rest, and of
    /// a frozen backbone's views those of the photos as they are count. Zoomed photos teach what sizes and borders are
    /// usual, and the validation photos are not zoomed; as YOLOX ends without its mosaics (Ge et al. 2021).
    pub still_epochs: usize,
    /// Epochs without a better one after which training stops; 0: never.
    pub patience: usize,
    /// Epochs, at least 1.
    pub epochs: usize,
    /// Steps that an epoch has at least, 1 or more: a set too small for them is gone through several times an epoch.
    pub least_steps: usize,
    /// Photos a step, at least 1.
    pub batch: usize,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// Threads that decode photos; 0: one a core. No effect on the result.
    pub workers: usize,
    /// Threads that compute; 0: one a core. No effect on the result.
    pub threads: usize,
    /// Which epochs' checkpoints stay: `all`, `last:N` or `best`.
    pub keep: CheckpointRetention,
    /// What `cargo xtask pipeline` expects of the recipe; no effect on training.
    #[serde(skip_serializing)]
    pub expect: toml::Table,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            recipe: "scratch".into(),
            data: None,
            data_format: None,
            encoding: None,
            exif: None,
            classes: None,
            objects: "largest".into(),
            skip_bad: false,
            strict: false,
            split_file: None,
            split_by: SplitBy::Folders,
            group_by: None,
            fold: None,
            val: 0.2,
            seed: 0,
            backbone: Backbone::FiveConv,
            head: Head::Mlp,
            backbone_weights: None,
            backbone_lr: 1.0,
            begin: None,
            copies: 6,
            views: 0,
            imgsz: 256,
            fit: Fit::Stretch,
            filter: Filter::Bilinear,
            normalize: Normalize::None,
            initialisation: Initialisation::PyTorch,
            init: None,
            class_loss: ClassLoss::CrossEntropy,
            label_smoothing: 0.0,
            class_weights: Vec::new(),
            class_weight: 1.0,
            box_loss: BoxLoss::Mse,
            smooth_l1_beta: 0.05,
            overlap_loss: None,
            overlap_weight: 1.0,
            edges_weight: 0.0,
            box_weight: 1.0,
            optimizer: OptimizerKind::Sgd,
            lr: 0.01,
            momentum: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            schedule: Schedule::Constant,
            warmup: 0.0,
            lr_final: 0.0,
            step_every: 10,
            step_factor: 0.1,
            restarts: Vec::new(),
            clip: 0.0,
            average: 0.0,
            begin_share: 0.0,
            features_weight: 0.0,
            dropout: 0.0,
            still_epochs: 0,
            augment: Augment::default(),
            patience: 0,
            epochs: 30,
            least_steps: 1,
            batch: 32,
            device: "cpu".into(),
            workers: 0,
            threads: 0,
            keep: CheckpointRetention::All,
            expect: toml::Table::new(),
        }
    }
}
