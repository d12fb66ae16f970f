//! Every configuration key: name, type, default, range and doc, declared once. Struct, defaults, range checks, `LOC_*`
//! names, flags and the table in `docs/formats.md` come from here.

use std::path::PathBuf;

use loc_data::keys::Key;
use loc_data::{Augment, Format};
use loc_infer::{Filter, Fit};
use loc_model::loss::{BoxLoss, ClassLoss, OverlapLoss};
use loc_net::{Backbone, ClassFeatures, Head};

use crate::config::choices::{
    AUTO, CheckpointRetention, HeadWarmup, Initialisation, Normalize, OptimizerKind, Schedule, SplitBy,
};

loc_data::keys! {
    /// The whole configuration of a run. Its TOML form is `config.toml`.
    pub struct Config {
        /// Recipe whose values lie under all others.
        ///
        /// `tutorial`, `scratch`, `compact`, `transfer`, `finetune`, or one in a file. `auto` takes `transfer` if its
        /// pretrained weights are there, else `compact`; a run's `config.toml` has the name of the recipe it took.
        recipe: String = AUTO.into() => takes("a name, or a path that ends in `.toml`");
        /// Folder with photos and annotations, or a CSV, JSON or YOLO's YAML file.
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<PathBuf> = None => takes("a path"), flag("DATA"), no_effect();
        /// Format of the annotations.
        #[serde(skip_serializing_if = "Option::is_none")]
        data_format: Option<String> = None
            => flag("FORMAT"),
               one_of(Format::NAMES),
               absent("detected from the content"), no_effect();
        /// Columns of CSV files without a header: filename, xmin, ymin, xmax, ymax, and class or class_num, width, height, or -
        /// for one to pass over.
        #[serde(skip_serializing_if = "Option::is_none")]
        columns: Option<Vec<String>> = None
            => flag("filename,xmin,…"), absent("those of the header"), no_effect();
        /// Class of all objects of CSV files without a column for it.
        #[serde(skip_serializing_if = "Option::is_none")]
        class: Option<String> = None
            => takes("a name"), flag("NAME"), absent("with `columns`, the file's or the folder's name"), no_effect();
        /// Encoding of text files, and of XML that declares none, such as gbk or windows-1252.
        #[serde(skip_serializing_if = "Option::is_none")]
        encoding: Option<String> = None => takes("a name"), flag("NAME"), absent("utf-8"), no_effect();
        /// What the annotations are of where EXIF turns a photo: the upright photo, or the pixels as stored (boxes are then
        /// turned as the photo is).
        #[serde(skip_serializing_if = "Option::is_none")]
        exif: Option<String> = None
            => flag("WHICH"), one_of(&["upright", "as-stored"]),
               absent("upright, with a warning where nothing says so"), no_effect();
        /// Class names in order.
        #[serde(skip_serializing_if = "Option::is_none")]
        classes: Option<Vec<String>> = None
            => flag("A,B,…"), absent("those of the annotations, sorted by their bytes");
        /// For a photo with several objects: use the largest, skip the photo, or stop with an error.
        objects: String = "largest".into() => flag("WHICH"), one_of(&["largest", "skip", "error"]);
        /// What photos without an annotation are, in the folders that hold annotated ones: skipped, or negatives, photos that
        /// show no object.
        #[serde(skip_serializing_if = "Option::is_none")]
        unlabelled: Option<String> = None
            => flag("WHICH"), one_of(&["skip", "negative"]), absent("skip"), no_effect();
        /// Skip any number of invalid photos.
        ///
        /// Without it the data set is refused if more than 5 % are invalid.
        skip_bad: bool = false => flag("BOOL"), no_effect();
        /// Refuse the data set if any photo is invalid.
        strict: bool = false => flag("BOOL"), no_effect();
        /// CSV file with the columns filename,split, used instead of `split_by`.
        #[serde(skip_serializing_if = "Option::is_none")]
        split_file: Option<PathBuf> = None => takes("a path"), flag("FILE"), no_effect();
        /// Where the split comes from without a file: the folders train, valid or val, and test, where there are such, or a
        /// random draw.
        split_by: SplitBy = SplitBy::Folders => flag("HOW"), no_effect();
        /// Photos whose names have the same first group of this pattern, or the same match, are copies of one photo: a drawn
        /// split keeps them together.
        #[serde(skip_serializing_if = "Option::is_none")]
        group_by: Option<String> = None
            => takes("a regular expression"), flag("REGEX"), absent("the names that augmentation and export tools give"), no_effect();
        /// Use fold I of K of the training photos for validation; the validation photos are not used.
        #[serde(skip_serializing_if = "Option::is_none")]
        fold: Option<String> = None => takes("I/K, from 1/K to K/K"), flag("I/K");
        /// Fraction of each class used for validation, where the split is drawn.
        val: f64 = 0.2, between(0.0, 1.0) => flag("FRACTION");
        /// Seed of the split, the initial weights and the order of photos.
        seed: u64 = 0 => flag("N");
        /// Network that turns a photo into features: the tutorial's `five_conv`, our `compact`, or EfficientNet-Lite0.
        backbone: Backbone = Backbone::FiveConv;
        /// Network that turns features into class and box.
        ///
        /// `mlp` is the tutorial's; `edges` predicts each edge of the box as a distribution over 17 places; `edges4`
        /// predicts four such boxes, each with its own loss, and returns their mean.
        head: Head = Head::Mlp;
        /// Where the class is read: in the features of the whole photo, or in those inside the box, for the heads `edges` and
        /// `edges4`.
        class_features: ClassFeatures = ClassFeatures::Whole => added();
        /// Standard deviation of the shifts of the true boxes in which training reads the class, in sides of the box.
        region_jitter: f64 = 0.08, at_least(0.0) => added();
        /// Number of looks, 1 or 2: a second network of the same layers reads the part of the photo around the first one's box, and
        /// its answer is the prediction.
        ///
        /// The first look is trained first: by `head_warmup`, or on a frozen backbone with this configuration; with `init` it is
        /// that model.
        looks: usize = 1, from_to(1.0, 2.0) => added();
        /// Side of the second look's square input, in pixels.
        crop_imgsz: u32 = 224 => added();
        /// Sides of the part of the photo that the second look reads, in sides of the first box.
        crop_margin: f64 = 1.2, from_to(1.0, 4.0) => added();
        /// Standard deviation of the shift of that part in training, in sides of the true box.
        crop_shift: f64 = 0.07, from_to(0.0, 1.0) => added();
        /// Standard deviation of the logarithm of its sides in training.
        crop_scale: f64 = 0.15, from_to(0.0, 1.0) => added();
        /// Pretrained weights of the backbone `lite0`: the file, or the folder it is in.
        #[serde(skip_serializing_if = "Option::is_none")]
        backbone_weights: Option<PathBuf> = None
            => takes("a path"), flag("FILE|DIR"), absent("the cache of pretrained weights");
        /// Factor of the learning rate for the backbone; 0 freezes it.
        ///
        /// The features of a frozen backbone are computed once, before the first epoch.
        backbone_lr: f64 = 1.0, from_to(0.0, 1.0);
        /// Recipe that first trains this configuration's head on the frozen backbone.
        ///
        /// It must freeze the same backbone, and have no head warm-up of its own. In a run's `config.toml` the values of a
        /// recipe from a file stand in the place of its name, as a table.
        #[serde(skip_serializing_if = "Option::is_none")]
        head_warmup was "begin": Option<HeadWarmup> = None => takes("as `recipe`; or a table");
        /// Number of copies of each training photo whose features a frozen backbone computes: the photo, and augmented copies.
        copies: usize = 6, at_least(1.0);
        /// Number of copies of all training photos together, at least; small sets get more than `copies` of each, up to 40.
        views: usize = 0;
        /// Side of the network's square input, in pixels.
        imgsz: u32 = 256 => takes("a whole number, 188 to 2048; `compact` from 124, `lite0` from 64"), flag("N");
        /// How a photo is made square.
        fit: Fit = Fit::Stretch;
        /// Interpolation when a photo is resized.
        filter: Filter = Filter::Bilinear;
        /// Mean and standard deviation that the network's first layer normalizes with.
        ///
        /// `none`: photos stay in 0..1; `dataset`: those of the training photos, for each channel; `signed`: 127/255 and
        /// 128/255, with which `lite0` was pretrained.
        normalize: Normalize = Normalize::None;
        /// Distribution of the random initial weights: PyTorch's default, or He's for ReLU networks.
        initialisation: Initialisation = Initialisation::PyTorch;
        /// Start from these weights: a model file, a run folder, or a plain safetensors file.
        ///
        /// The model must be for the same classes; tensors may have any float type.
        #[serde(skip_serializing_if = "Option::is_none")]
        init: Option<PathBuf> = None => takes("a path"), flag("MODEL"), no_effect();
        /// Loss of the class.
        ///
        /// `cross_entropy_on_probabilities` applies softmax twice, as the tutorial does.
        class_loss: ClassLoss = ClassLoss::CrossEntropy;
        /// Label smoothing ε: probability mass spread evenly over all classes.
        label_smoothing: f64 = 0.0, from_to(0.0, 1.0);
        /// Weight of each class in the class loss.
        class_weights: Vec<f64> = Vec::new(), above(0.0) => absent("1 each");
        /// Weight of the class loss.
        class_weight: f64 = 1.0, at_least(0.0);
        /// Loss of the box's four coordinates, their mean.
        box_loss: BoxLoss = BoxLoss::Mse;
        /// Distance at which smooth L1 becomes linear.
        smooth_l1_beta: f64 = 0.05, above(0.0);
        /// Loss of the overlap of predicted and true box: 1 minus this measure.
        overlap_loss: OverlapLoss = OverlapLoss::None;
        /// Weight of the overlap loss in the box loss.
        overlap_weight: f64 = 1.0, at_least(0.0);
        /// Weight of the distribution focal loss in the box loss, for the heads `edges` and `edges4`.
        edges_weight: f64 = 0.0, at_least(0.0);
        /// Weight of the box loss.
        box_weight: f64 = 1.0, at_least(0.0);
        /// Weight of the loss of presence, where the training photos have negatives: binary cross-entropy.
        presence_weight: f64 = 1.0, at_least(0.0) => added();
        /// Optimizer.
        optimizer: OptimizerKind = OptimizerKind::Sgd;
        /// Learning rate.
        lr: f64 = 0.01, above(0.0) => flag("X");
        /// Momentum of SGD.
        momentum: f64 = 0.0, from_below(0.0, 1.0);
        /// Nesterov momentum for SGD.
        nesterov: bool = false;
        /// Decay of AdamW's running means of the gradient and of its square (β₁ and β₂).
        adam_betas: [f64; 2] = [0.9, 0.999], from_below(0.0, 1.0) => added();
        /// Weight decay of weights; biases have none.
        weight_decay: f64 = 0.0, at_least(0.0);
        /// Schedule of the learning rate.
        schedule: Schedule = Schedule::Constant;
        /// Epochs in which the learning rate grows linearly from nearly 0.
        warmup: f64 = 0.0, at_least(0.0);
        /// Fraction of the learning rate at which the schedule `cosine` ends.
        lr_final: f64 = 0.0, from_to(0.0, 1.0);
        /// Epochs between two steps of the schedule `step`.
        step_every: usize = 10, at_least(1.0);
        /// Factor of the learning rate at each step of the schedule `step`.
        step_factor: f64 = 0.1, above_up_to(0.0, 1.0);
        /// Epochs after which the schedule starts again, without warm-up.
        ///
        /// Extending a finished run with a new schedule adds one.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        restarts: Vec<usize> = Vec::new() => takes("a list of whole numbers, increasing, below `epochs`");
        /// Largest norm of the gradient of all parameters together; longer ones are scaled down. 0 turns it off.
        clip_grad_norm was "clip": f64 = 0.0, at_least(0.0);
        /// Decay of the exponential moving average (EMA) of the weights, which is what is evaluated and saved; 0 turns it off.
        ///
        /// After t steps the decay is (1 + t)/(10 + t) at most.
        ema_decay was "average": f64 = 0.0, from_below(0.0, 1.0);
        /// Fraction s of the initial weights in the weights that are evaluated and saved: s · initial + (1 − s) · trained.
        ///
        /// For fine-tuning; 0 turns it off.
        weight_interpolation was "begin_share": f64 = 0.0, from_below(0.0, 1.0);
        /// Weight of the mean squared distance between the features that the class is predicted from and those of the
        /// initial network.
        ///
        /// For fine-tuning; 0 turns it off.
        feature_distill_weight was "features_weight": f64 = 0.0, at_least(0.0);
        /// Fraction of the head's features that are dropped in training.
        dropout: f64 = 0.0, from_below(0.0, 1.0);
        /// How training photos are changed: the keys below.
        augment: Augment = Augment::default() => table(Augment::KEYS);
        /// Number of final epochs without windows, `cutout` and `mix`; those of a frozen backbone use the photos as they are.
        ///
        /// Zoomed photos have other sizes and borders than the validation photos (as YOLOX ends without mosaics, Ge et al.
        /// 2021).
        no_augment_epochs was "still_epochs": usize = 0;
        /// Stop after N epochs without improvement; 0: never.
        patience: usize = 0 => flag("N"), no_effect();
        /// Number of passes over the training photos.
        epochs: usize = 30, at_least(1.0) => flag("N");
        /// Number of steps of an epoch, at least: a small set is passed over several times an epoch.
        min_steps was "least_steps": usize = 1, at_least(1.0);
        /// Photos per step.
        batch: usize = 32, at_least(1.0) => flag("N");
        /// Device to train on, cpu or cuda:N.
        device: String = "cpu".into() => takes("`cpu`, `cuda:N`"), flag("DEVICE"), no_effect();
        /// Threads that decode photos; 0: one per core.
        workers: usize = 0 => flag("N"), no_effect();
        /// Threads that compute; 0: one per core.
        threads: usize = 0 => flag("N"), no_effect();
        /// Where decoded photos and the features of a frozen backbone are kept: in memory, in a file of the user's cache folder, or
        /// nowhere (photos are then decoded whenever they are needed; features stay in memory).
        ///
        /// `auto` keeps them in memory if they take at most half of what is available, else in a file if the disk has room.
        cache: String = "auto".into() => flag("WHERE"), one_of(&["auto", "ram", "disk", "none"]), added(), no_effect();
        /// Epoch checkpoints to keep besides best and last: all, last:N or best.
        keep: CheckpointRetention = CheckpointRetention::All => takes("`all`, `last:N`, `best`"), flag("WHICH"), no_effect();
        /// What the project's own tests expect of a recipe.
        #[serde(skip_serializing)]
        expect: toml::Table = toml::Table::new() => hidden(), no_effect();
    }
}

impl Config {
    /// All keys with their full names, in order; those of the table `[augment]` as `augment.flip`.
    #[must_use]
    pub fn keys() -> Vec<(String, &'static Key)> {
        let named = |key: &'static Key| {
            let inner = key.table.iter().map(|inner| (format!("{}.{}", key.name, inner.name), inner));
            std::iter::once((key.name.to_owned(), key)).chain(inner)
        };
        Self::KEYS.iter().filter(|key| !key.is_hidden).flat_map(named).collect()
    }

    /// The key of a full name, or of a name in the release before.
    #[must_use]
    pub fn key(name: &str) -> Option<&'static Key> {
        let keys = Self::keys();
        let found = keys.iter().find(|(known, key)| known == name || key.old_name == Some(name));
        found.map(|(_, key)| *key)
    }
}
