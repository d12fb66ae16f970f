//! The flags of training.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};

use super::OverwriteArgs;
use super::keys::KeyFlags;

/// A path that may be empty, which clap's own parser of paths refuses: it stands for a value that was not given.
fn any_path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// A time above 0.
fn time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time.is_zero() => Err("a time above 0 is needed, such as 10m".into()),
        Ok(time) => Ok(time),
        Err(e) => Err(format!("{e}; a time such as 90s, 10m or \"1h 30m\" is needed")),
    }
}

/// The flags that become a configuration.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Recipe: tutorial, scratch, compact, transfer, finetune, or a TOML file NAME.toml; auto takes transfer if its
    /// pretrained weights are there, else compact [default: auto]
    #[arg(long, value_name = "RECIPE")]
    pub(crate) recipe: Option<String>,

    /// TOML file with settings that override the recipe's [default: loc.toml in the current folder, if it exists]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) keys: KeyFlags,
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
  loc train --data photos/ --recipe compact
  loc train --data photos/ --time 10m                as many epochs as fit
  loc train --data photos/ --seeds 0,1,2             mean and spread of three runs
  loc train --data photos/ --fold all --plan jobs    five jobs, one for each fold, in jobs/jobs.txt
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

    /// Time that the training may take, such as 90s, 10m or "1h 30m": the number of epochs, at most the recipe's, is chosen
    /// from the measured speed and written to the run's config.toml
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "resume")]
    pub(crate) time: Option<Duration>,

    /// Also train heads on a quarter and on half of the photos, and tell whether more photos would help (recipe transfer)
    #[arg(long, conflicts_with_all = ["resume", "seeds"])]
    pub(crate) curve: bool,

    /// Do not train: write a job for each run of --seeds, --fold all or --curve into this new folder, and jobs.txt with a
    /// command for each; --fold all/K makes K folds instead of 5, and --curve takes every recipe
    #[arg(long, value_name = "DIR", conflicts_with_all = ["resume", "time"])]
    pub(crate) plan: Option<PathBuf>,

    /// Folder that contains the run folders
    #[arg(long, value_name = "DIR", default_value = "runs/train")]
    pub(crate) project: PathBuf,

    /// Name of the run folder; a number is added if it exists
    #[arg(long, default_value = "exp")]
    pub(crate) name: String,

    /// Use an existing run folder again: the run in it is removed first; anything else in it is an error
    #[arg(long)]
    pub(crate) exist_ok: bool,

    /// Do not write report.html into the run folder at the end
    #[arg(long)]
    pub(crate) no_report: bool,

    /// Continue a run: this run folder, or without RUN the run that was started last
    #[arg(long, value_name = "RUN", num_args = 0..=1, default_missing_value = "", value_parser = any_path(), conflicts_with_all = ["recipe", "config", "exist_ok"])]
    pub(crate) resume: Option<PathBuf>,

    /// With --resume and more --epochs: restart the schedule of a finished run for the added epochs
    #[arg(long, requires = "resume")]
    pub(crate) schedule_from_here: bool,

    /// With --resume: continue although the kernels use another instruction set here; the result is then not that of an
    /// uninterrupted run to the bit
    #[arg(long, requires = "resume")]
    pub(crate) allow_other_isa: bool,
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
