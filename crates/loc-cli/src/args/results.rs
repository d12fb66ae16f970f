//! The flags of the commands about results: `loc val`, `loc calibrate` and `loc report`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{OverwriteArgs, ReadingArgs, TextFormat, ToleranceArgs};

#[derive(Debug, Args)]
#[command(
    after_help = "Without --split-file the split is the one in the model's run folder, or else a random split with \
seed 0.

Examples:
  loc val -m runs/train/exp/weights/best.safetensors --data photos/
  loc val -m model.safetensors --data photos/ --format json
  loc val -m runs/train/exp -m runs/train/exp2 --data photos/     difference of two models, with its 95 % interval
  loc val -m runs/train/exp --data photos/ --calibrate            make the confidences those of the photos
  loc val -m model.safetensors --data photos/ --fail-under iou=0.7,acc=0.9     exit code 4 if below"
)]
pub(crate) struct ValArgs {
    /// Model file, or a run folder: its best model. Given several times, the models are compared on the same photos
    #[arg(short, long, required = true, value_name = "MODEL|RUN")]
    pub(crate) model: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) photos: PhotosArgs,

    /// Output format
    #[arg(long, value_enum, default_value_t = TextFormat::Text)]
    pub(crate) format: TextFormat,

    /// Also predict each photo mirrored, and average the two predictions
    #[arg(long)]
    pub(crate) flip: bool,

    /// With --format json: add the 95 % intervals of the metrics
    #[arg(long)]
    pub(crate) intervals: bool,

    /// Store in the model file the temperature at which confidence fits the fraction of right classes on these photos;
    /// `loc calibrate` does more
    #[arg(long)]
    pub(crate) calibrate: bool,

    /// Exit with code 4 if a metric is below X; metrics: acc, iou, iou50, iou75, loc_acc
    #[arg(long, value_delimiter = ',', value_name = "METRIC=X,…")]
    pub(crate) fail_under: Vec<String>,
}

/// Annotated photos that models are judged on.
#[derive(Debug, Args)]
pub(crate) struct PhotosArgs {
    /// Folder with photos and annotations, or a CSV, JSON or YOLO's YAML file
    #[arg(long, value_name = "DATA")]
    pub(crate) data: PathBuf,

    #[command(flatten)]
    pub(crate) reading: ReadingArgs,

    #[command(flatten)]
    pub(crate) tolerance: ToleranceArgs,

    /// Subset of the data set
    #[arg(long, value_enum, default_value_t = Part::Val)]
    pub(crate) split: Part,

    /// CSV file with the columns filename,split
    #[arg(long, value_name = "FILE")]
    pub(crate) split_file: Option<PathBuf>,

    /// Threads that decode photos [default: one per core]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) workers: usize,

    /// Threads that compute [default: one per core]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) threads: usize,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Three things are fitted to photos that the model was not trained on, and stored in the model file: the \
temperature, at which `confidence` is the fraction of right classes; `expected_iou`, from the spread of the predicted edges (not \
for the head `mlp`); and margins: with the probability of --coverage, the true box contains the box `inner` and lies in `outer`. \
Nothing else in the file changes.

Examples:
  loc calibrate -m runs/train/exp --data photos/
  loc calibrate -m runs/train/exp --data photos/ --coverage 0.95 -o calibrated.safetensors
  loc calibrate -m model.safetensors --data others/ --split all"
)]
pub(crate) struct CalibrateArgs {
    /// Model file, or a run folder: its best model
    #[arg(short, long, value_name = "MODEL|RUN")]
    pub(crate) model: PathBuf,

    #[command(flatten)]
    pub(crate) photos: PhotosArgs,

    /// Probability that the true box lies between the two boxes of the margins, above 0 and below 1
    #[arg(long, value_name = "X", default_value_t = 0.9)]
    pub(crate) coverage: f64,

    /// File to write [default: the model file, which is replaced]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// The training photos
    Train,
    /// The validation photos
    Val,
    /// The photos of the data set's `test` folder, or `test` in the split file
    Test,
    /// All photos
    All,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The page is one HTML file of at most 2 MB that needs no network: results with their uncertainty, the worst and \
the best photos, curves, the data set, configuration and environment. It is made from the run folder and the photos; \
`loc train` writes it at its end.

Examples:
  loc report runs/train/exp                                  writes runs/train/exp/report.html
  loc report runs/train/exp runs/train/exp2 -o report.html   two runs and their differences"
)]
pub(crate) struct ReportArgs {
    /// Run folders
    #[arg(value_name = "RUN", required = true)]
    pub(crate) runs: Vec<PathBuf>,

    /// File to write [default: report.html in the folder of a single run, else in the current folder]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,

    /// JSON of `loc data audit` [default: audit.json in the run folder, if it exists]
    #[arg(long, value_name = "FILE")]
    pub(crate) audit: Option<PathBuf>,
}
