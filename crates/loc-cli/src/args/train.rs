//! The flags of training.

use std::path::PathBuf;

use clap::Args;

use super::{OverwriteArgs, ReadingArgs};

/// What becomes a configuration.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Folder with photos and annotations, or a CSV file
    #[arg(long, value_name = "DATA")]
    pub(crate) data: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) reading: ReadingArgs,

    /// Leave out photos and annotations that are wrong, and exit with 3, instead of refusing the data set
    #[arg(long)]
    pub(crate) skip_bad: bool,

    /// tutorial, scratch, compact, transfer, finetune, or a file NAME.toml [default: scratch]
    #[arg(long, value_name = "RECIPE")]
    pub(crate) recipe: Option<String>,

    /// File with values over the recipe's [default: loc.toml, where there is one]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// A filename,split file instead of a drawn split
    #[arg(long, value_name = "FILE")]
    pub(crate) split_file: Option<PathBuf>,

    /// Of the training photos the I-th of K folds validates; the validation photos are left alone
    #[arg(long, value_name = "I/K")]
    pub(crate) fold: Option<String>,

    /// Fraction of each class that validates [default: 0.2]
    #[arg(long, value_name = "FRACTION", allow_negative_numbers = true)]
    pub(crate) val: Option<String>,

    /// Passes over the training photos
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) epochs: Option<String>,

    /// Photos a step
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) batch: Option<String>,

    /// Learning rate
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub(crate) lr: Option<String>,

    /// Side of the network's square input, in pixels [default: 256]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) imgsz: Option<String>,

    /// Seed of split, initial weights and order [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) seed: Option<String>,

    /// Start from these weights: a loc model or a plain safetensors file
    #[arg(long, value_name = "MODEL")]
    pub(crate) init: Option<PathBuf>,

    /// Pretrained weights of the backbone: a file, or a folder that holds it [default: the cache of `loc weights`]
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) backbone_weights: Option<PathBuf>,

    /// cpu or cuda:N [default: cpu]
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<String>,

    /// Threads that decode photos [default: one a core]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) workers: Option<String>,

    /// Threads that compute [default: one a core]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) threads: Option<String>,

    /// Which epochs' checkpoints stay beside best and last: all, last:N or best [default: all]
    #[arg(long, value_name = "WHICH")]
    pub(crate) keep: Option<String>,

    /// Stop after so many epochs without a better one [default: 0, never]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) patience: Option<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Values come from the recipe, then loc.toml (or --config), then LOC_* in the environment, then \
flags; the later wins.

The run folder's path is printed on stdout; all else goes to stderr. Ctrl-C finishes the step and saves (exit 130).

Examples:
  loc train --data photos/
  loc train --data photos/ --recipe tutorial --epochs 50
  loc train --data photos/ --recipe transfer
  loc train --data photos/ --seeds 0,1,2             mean and spread of three runs
  loc train --resume runs/train/exp
  loc train --resume runs/train/exp --epochs 60      extend a finished run
  loc train --resume runs/train/exp --epochs 90 --schedule-from-here
                                                     likewise, where its cosine has ended
  loc train --config runs/train/exp/config.toml      repeat a run"
)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// Train once with each of these seeds, and print mean and spread
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', conflicts_with_all = ["seed", "resume"])]
    pub(crate) seeds: Vec<u64>,

    /// Folder of the run folders
    #[arg(long, value_name = "DIR", default_value = "runs/train")]
    pub(crate) project: PathBuf,

    /// Name of the run folder; a number is added where it is taken
    #[arg(long, default_value = "exp")]
    pub(crate) name: String,

    /// Use the run folder again and remove what is in it
    #[arg(long)]
    pub(crate) exist_ok: bool,

    /// Go on with a run: this one, or the one that began last
    #[arg(long, value_name = "RUN", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["recipe", "config", "exist_ok"])]
    pub(crate) resume: Option<PathBuf>,

    /// With --resume and more --epochs: a finished run's schedule begins anew over the epochs that are added
    #[arg(long, requires = "resume")]
    pub(crate) schedule_from_here: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "A row a step goes to stdout: lr, loss, smoothed loss. Nothing is trained that stays.

Example:
  loc lr-find --data photos/ --recipe scratch -o lr.svg > lr.csv")]
pub(crate) struct LrFindArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// The first learning rate
    #[arg(long, value_name = "X", default_value_t = 1e-6)]
    pub(crate) low: f64,

    /// The last learning rate
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    pub(crate) high: f64,

    /// Steps from the one to the other
    #[arg(long, value_name = "N", default_value_t = 150)]
    pub(crate) steps: usize,

    /// File for a plot, SVG
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,
}
