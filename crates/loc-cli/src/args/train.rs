//! The flags of training.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};

use super::{OverwriteArgs, ReadingArgs, ToleranceArgs};

/// A path that may be empty, which clap's own parser of paths refuses: it stands for a value that was not given.
fn any_path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// What becomes a configuration.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Folder with photos and annotations, or a CSV file
    #[arg(long, value_name = "DATA")]
    pub(crate) data: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) reading: ReadingArgs,

    #[command(flatten)]
    pub(crate) tolerance: ToleranceArgs,

    /// Recipe: tutorial, scratch, compact, transfer, finetune, or a TOML file NAME.toml [default: scratch]
    #[arg(long, value_name = "RECIPE")]
    pub(crate) recipe: Option<String>,

    /// TOML file with settings that override the recipe's [default: loc.toml in the current folder, if it exists]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// CSV file with the columns filename,split, used instead of a random split
    #[arg(long, value_name = "FILE")]
    pub(crate) split_file: Option<PathBuf>,

    /// Where the split comes from without a file: folders (train, valid or val, and test, where there are such; else
    /// drawn) or draw [default: folders]
    #[arg(long, value_name = "HOW")]
    pub(crate) split_by: Option<String>,

    /// Use fold I of K of the training photos for validation; the validation photos are not used
    #[arg(long, value_name = "I/K")]
    pub(crate) fold: Option<String>,

    /// Fraction of each class used for validation [default: 0.2]
    #[arg(long, value_name = "FRACTION", allow_negative_numbers = true)]
    pub(crate) val: Option<String>,

    /// Number of passes over the training photos
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) epochs: Option<String>,

    /// Photos per step
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) batch: Option<String>,

    /// Learning rate
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub(crate) lr: Option<String>,

    /// Side of the network's square input, in pixels [default: 256]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) imgsz: Option<String>,

    /// Seed of the split, the initial weights and the order of photos [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) seed: Option<String>,

    /// Start from these weights: a model file, a run folder, or a plain safetensors file
    #[arg(long, value_name = "MODEL")]
    pub(crate) init: Option<PathBuf>,

    /// Pretrained weights of the backbone: the file, or the folder it is in [default: the cache of `loc weights`]
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) backbone_weights: Option<PathBuf>,

    /// cpu or cuda:N [default: cpu]
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<String>,

    /// Threads that decode photos [default: one per core]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) workers: Option<String>,

    /// Threads that compute [default: one per core]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) threads: Option<String>,

    /// Epoch checkpoints to keep besides best and last: all, last:N or best [default: all]
    #[arg(long, value_name = "WHICH")]
    pub(crate) keep: Option<String>,

    /// Stop after N epochs without improvement; 0: never [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) patience: Option<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Settings come from the recipe, then loc.toml (or --config), then LOC_* environment variables, then \
flags; a later source overrides an earlier one.

The path of the run folder is printed to stdout, everything else to stderr. Ctrl-C finishes the current step, \
saves the state and exits with code 130.

Examples:
  loc train --data photos/
  loc train --data photos/ --recipe tutorial --epochs 50
  loc train --data photos/ --recipe transfer
  loc train --data photos/ --seeds 0,1,2             mean and spread of three runs
  loc train --resume runs/train/exp                  continue a run
  loc train --resume runs/train/exp --epochs 60      extend a finished run
  loc train --resume runs/train/exp --epochs 90 --schedule-from-here
                                                     extend a run whose cosine schedule has ended
  loc train --config runs/train/exp/config.toml      repeat a run"
)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// Train one run with each of these seeds, and print mean and spread
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', conflicts_with_all = ["seed", "resume"])]
    pub(crate) seeds: Vec<u64>,

    /// Folder that contains the run folders
    #[arg(long, value_name = "DIR", default_value = "runs/train")]
    pub(crate) project: PathBuf,

    /// Name of the run folder; a number is added if it exists
    #[arg(long, default_value = "exp")]
    pub(crate) name: String,

    /// Use an existing run folder again: the run in it is removed first; anything else in it is an error
    #[arg(long)]
    pub(crate) exist_ok: bool,

    /// Continue a run: this run folder, or without RUN the run that was started last
    #[arg(long, value_name = "RUN", num_args = 0..=1, default_missing_value = "", value_parser = any_path(), conflicts_with_all = ["recipe", "config", "exist_ok"])]
    pub(crate) resume: Option<PathBuf>,

    /// With --resume and more --epochs: restart the schedule of a finished run for the added epochs
    #[arg(long, requires = "resume")]
    pub(crate) schedule_from_here: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "One CSV row per step is printed to stdout: lr, loss, smoothed loss. No model is saved.

Example:
  loc lr-find --data photos/ --recipe scratch -o lr.svg > lr.csv"
)]
pub(crate) struct LrFindArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// First learning rate
    #[arg(long, value_name = "X", default_value_t = 1e-6)]
    pub(crate) low: f64,

    /// Last learning rate
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    pub(crate) high: f64,

    /// Number of steps from the first to the last learning rate
    #[arg(long, value_name = "N", default_value_t = 150)]
    pub(crate) steps: usize,

    /// SVG file to write the plot to
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,
}
